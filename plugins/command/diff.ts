import {
    Archive,
    Asset,
    isMap,
    Output,
    type PropertyMap,
    ResourceReference,
    Secret,
    Unknown,
    type Value,
} from "../shared/properties";
import type { DiffKind, DiffResult } from "../shared/provider";

type Path = (string | number)[];
type Changes = Map<string, { kind: DiffKind; top: string }>;

/** The engine's spelling of a property path: `environment.STEP`, `triggers[0]`, `environment["a.b"]`. */
function spell(path: Path): string {
    return path
        .map((key, index) => {
            if (typeof key === "number") {
                return `[${key}]`;
            }
            if (!/^\w*$/.test(key)) {
                return `["${key.replaceAll('"', '\\"')}"]`;
            }
            return index === 0 ? key : `.${key}`;
        })
        .join("");
}

function hasValue(value: Value | undefined): value is Value {
    return value !== undefined && value !== null && !(value instanceof Output);
}

function sameMaps(a: PropertyMap, b: PropertyMap): boolean {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...keys].every((key) => {
        const [x, y] = [a[key], b[key]];
        return x === undefined || y === undefined ? !hasValue(x) && !hasValue(y) : same(x, y);
    });
}

/** Whether two values are the same to the engine: assets and archives by hash, secrets only with secrets. */
export function same(a: Value, b: Value): boolean {
    if (Array.isArray(a)) {
        return Array.isArray(b) && a.length === b.length && a.every((value, index) => same(value, b[index] ?? null));
    }
    if (a instanceof Secret) {
        return b instanceof Secret && same(a.value, b.value);
    }
    if (a instanceof Asset || a instanceof Archive) {
        const alike = a instanceof Asset ? b instanceof Asset : b instanceof Archive;
        return alike && (b as Asset | Archive).fields.hash === a.fields.hash;
    }
    if (a instanceof ResourceReference) {
        return (
            b instanceof ResourceReference &&
            a.fields.urn === b.fields.urn &&
            same(a.fields.id ?? null, b.fields.id ?? null)
        );
    }
    if (a instanceof Unknown) {
        return b instanceof Unknown;
    }
    if (a instanceof Output) {
        return b instanceof Output && a.secret === b.secret && same(a.value ?? null, b.value ?? null);
    }
    return isMap(a) ? isMap(b) && sameMaps(a, b) : a === b;
}

function compareValues(path: Path, a: Value, b: Value, changes: Changes): void {
    if (Array.isArray(a) && Array.isArray(b)) {
        for (let index = 0; index < Math.max(a.length, b.length); index++) {
            compare([...path, index], a[index], b[index], changes, index < a.length, index < b.length);
        }
    } else if (isMap(a) && isMap(b)) {
        for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
            compare([...path, key], a[key], b[key], changes, hasValue(a[key]), hasValue(b[key]));
        }
    } else if (!same(a, b)) {
        note(path, a === null ? "ADD" : b === null ? "DELETE" : "UPDATE", changes);
    }
}

function note(path: Path, kind: DiffKind, changes: Changes): void {
    changes.set(spell(path), { kind, top: String(path[0]) });
}

function compare(
    path: Path,
    a: Value | undefined,
    b: Value | undefined,
    changes: Changes,
    inOld: boolean,
    inNew: boolean,
): void {
    if (inOld && inNew) {
        compareValues(path, a ?? null, b ?? null, changes);
    } else if (inOld || inNew) {
        note(path, inNew ? "ADD" : "DELETE", changes);
    }
}

/**
 * The difference of a state's inputs and new inputs, as the official plug-in's framework answers it: only a change of
 * the property itself, not of something inside, asks for replacement here (`triggers[*]` is the SDK's replaceOnChanges).
 */
export function diff(olds: PropertyMap, news: PropertyMap, inputNames: Iterable<string>): DiffResult {
    const changes: Changes = new Map();
    const inputs = Object.fromEntries([...inputNames].map((name) => [name, olds[name] ?? null]));
    compareValues([], inputs, news, changes);
    const detailedDiff: NonNullable<DiffResult["detailedDiff"]> = {};
    const diffs = new Set<string>();
    const replaces: string[] = [];
    for (const [path, { kind, top }] of changes) {
        const replace = path === "triggers";
        detailedDiff[path] = { kind: replace ? (`${kind}_REPLACE` as DiffKind) : kind };
        diffs.add(top);
        if (replace) {
            replaces.push(path);
        }
    }
    return { changes: changes.size > 0 ? "DIFF_SOME" : "DIFF_NONE", diffs: [...diffs], replaces, detailedDiff };
}
