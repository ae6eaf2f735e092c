/** Stands for a value that a preview does not know yet. */
export const unknown = Symbol("unknown");

/** A property of a resource as plain data. */
export type Value = null | boolean | number | string | typeof unknown | readonly Value[] | ValueMap | undefined;
export interface ValueMap {
    readonly [key: string]: Value;
}

/** Reads a value as the SDK hands it out: it throws where a property that is read is not known. */
function read(get: () => unknown): unknown {
    try {
        return get();
    } catch (error) {
        // The SDK does not export the class.
        if (error instanceof Error && error.constructor.name === "UnknownValueError") {
            return unknown;
        }
        throw error;
    }
}

/** The properties of a resource, read once and to the end, so that a rule never stops at what is not known. */
export function plain(value: unknown): Value {
    if (Array.isArray(value)) {
        return Array.from(value.keys(), (index) => plain(read(() => value[index])));
    }
    if (value !== null && typeof value === "object") {
        const map = value as Record<string, unknown>;
        return Object.fromEntries(Object.keys(map).map((key) => [key, plain(read(() => map[key]))]));
    }
    return value as Value;
}

/** The value at a path; unknown as soon as a part of the path is, undefined where there is none. */
export function at(value: Value, ...path: readonly string[]): Value {
    let found = value;
    for (const key of path) {
        if (found === unknown || found === null || typeof found !== "object") {
            return found === unknown ? unknown : undefined;
        }
        found = (found as ValueMap)[key];
    }
    return found;
}

/** The value as a list; unknown if it is, empty if it is no list. */
export function list(value: Value): readonly Value[] | typeof unknown {
    return value === unknown ? unknown : Array.isArray(value) ? value : [];
}

/** A value as it is shown in a message. */
export function shown(value: Value): string {
    return value === undefined || value === null || value === "" ? "not set" : `${JSON.stringify(value)}`;
}

/** Yes, no, or not known. */
export type Maybe = boolean | typeof unknown;

/** Whether one of them holds. */
export function any(all: readonly Maybe[]): Maybe {
    return all.includes(true) || (all.includes(unknown) && unknown);
}

/** Whether each of them holds. */
export function every(all: readonly Maybe[]): Maybe {
    return !all.includes(false) && (all.includes(unknown) ? unknown : true);
}

/** Whether a condition holds for a value. */
export function is(value: Value, condition: (known: Exclude<Value, typeof unknown>) => boolean): Maybe {
    return value === unknown ? unknown : condition(value);
}

/** Whether one of the elements of a list fits. */
export function some(value: Value, fits: (element: Value) => Maybe): Maybe {
    const found = list(value);
    return found === unknown ? unknown : any(found.map(fits));
}
