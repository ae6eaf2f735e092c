import { readFileSync } from "node:fs";
import * as path from "node:path";
import type { Json, JsonMap } from "./shared/harness";

/** A call to the official plug-in, with its answer. Recorded with Kubernetes 1.36.3; certificates and keys are removed. */
export interface RecordedCall {
    from: string;
    method: string;
    request: JsonMap;
    response?: JsonMap;
    error?: string;
}

export const RECORDS = readFileSync(path.join(__dirname, "official-kubernetes/kubernetes.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as RecordedCall);

/** The one record that fits. Fails if there is none. */
export function recorded(from: string, method: string, name: string, kind = ""): RecordedCall {
    const found = RECORDS.find(
        ({ request, ...call }) =>
            call.from === from &&
            call.method === method &&
            String(request.urn).endsWith(`::${name}`) &&
            String(request.type).endsWith(kind === "" ? "" : `:${kind}`),
    );
    if (found === undefined) {
        throw new Error(`there is no record of ${method} ${name} in ${from}`);
    }
    return found;
}

const VOLATILE = new Set(["uid", "resourceVersion", "time", "creationTimestamp", "__fieldManager"]);

/**
 * An answer without what differs from run to run: ids, times and versions keep their place and lose their value, and random
 * name parts become eight x.
 */
export function settled(value: Json, key = ""): Json {
    if (VOLATILE.has(key)) {
        return `(${key})`;
    }
    if (typeof value === "string") {
        return value.replace(/-[0-9a-f]{8}$/, "-xxxxxxxx");
    }
    if (Array.isArray(value)) {
        return value.map((element) => settled(element));
    }
    if (value === null || typeof value !== "object") {
        return value;
    }
    return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, settled(child, name)]));
}
