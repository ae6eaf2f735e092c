import { isMap, type PropertyMap, type Value } from "../shared/properties";
import { at, clone, drop, type KubeObject, maps, put } from "./objects";

/** The field manager of objects made by a plain create. */
export const CREATE_MANAGER = "pulumi-kubernetes";

/** Managers whose plain updates were made by, or on behalf of, the owner: their fields pass to the applying manager. */
const OWN_UPDATES = [CREATE_MANAGER, "pulumi-resource-kubernetes", "kubectl", "before-first-apply"];
const OWN_APPLIES = ["kubectl"];

function isOwn(entry: PropertyMap): boolean {
    const manager = String(entry.manager);
    const names = entry.operation === "Update" ? OWN_UPDATES : entry.operation === "Apply" ? OWN_APPLIES : [];
    return (entry.subresource ?? "") === "" && names.some((name) => manager.startsWith(name));
}

/** The union of two field sets (fieldsV1). */
function union(a: Value | undefined, b: Value | undefined): Value {
    if (!isMap(a) || !isMap(b)) {
        return isMap(a) ? a : (b ?? {});
    }
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return Object.fromEntries([...keys].map((key) => [key, union(a[key], b[key])]));
}

/**
 * The JSON patch that hands the fields of earlier owners to `manager`, or undefined if there is nothing to hand over. An
 * object made by a plain create belongs to an Update manager, from which a server-side apply could not take anything away.
 */
export function handOver(live: KubeObject, manager: string): Value[] | undefined {
    const entries = maps(live, "metadata", "managedFields");
    const isCurrent = (entry: PropertyMap): boolean => entry.manager === manager && entry.operation === "Apply";
    const own = entries.filter((entry) => !isCurrent(entry) && isOwn(entry));
    if (own.length === 0) {
        return undefined;
    }
    const current = entries.find((entry) => isCurrent(entry) && (entry.subresource ?? "") === "");
    const fieldsV1 = [current, ...own].reduce<Value>((fields, entry) => union(fields, entry?.fieldsV1), {});
    const merged = { ...(current ?? own[0]), manager, operation: "Apply", fieldsV1 };
    const others = entries.filter((entry) => entry !== current && !own.includes(entry));
    return [
        // The version makes the hand-over fail instead of undoing what somebody else changes at the same time.
        { op: "replace", path: "/metadata/managedFields", value: [...others, merged] },
        { op: "replace", path: "/metadata/resourceVersion", value: at(live, "metadata", "resourceVersion") ?? "" },
    ];
}

/** Whether an apply by this provider may take over fields in a preview: they will have been handed over in the update. */
export function hasOwnUpdates(live: KubeObject): boolean {
    return maps(live, "metadata", "managedFields").some(
        ({ manager, operation }) =>
            operation === "Update" && (manager === CREATE_MANAGER || manager === "pulumi-resource-kubernetes"),
    );
}

function owns(entry: PropertyMap, path: string[]): boolean {
    return at(entry.fieldsV1, ...path.map((key) => `f:${key}`)) !== undefined;
}

/**
 * The inputs with each ignored field as the cluster has it: left out where another manager owns it, else with the value it
 * has. Fields inside lists are not looked for.
 */
export function withIgnored(inputs: KubeObject, live: KubeObject, manager: string, ignored: string[]): KubeObject {
    const result = clone(inputs);
    const entries = maps(live, "metadata", "managedFields");
    for (const path of ignored.map(splitPath)) {
        const isMine = entries.some((entry) => entry.manager === manager && owns(entry, path));
        const isTheirs = entries.some((entry) => entry.manager !== manager && owns(entry, path));
        const value = at(live, ...path);
        if (isTheirs && !isMine) {
            drop(result, ...path);
        } else if (value !== undefined) {
            put(result, clone(value), ...path);
        }
    }
    return result;
}

/** The keys of a property path such as metadata.labels["a.b/c"]. */
function splitPath(path: string): string[] {
    return [...path.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(
        ([, quoted, index, plain]) => quoted?.replaceAll('\\"', '"') ?? index ?? plain ?? "",
    );
}
