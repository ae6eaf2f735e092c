import { hasUnknown, isMap, type PropertyMap, type Value } from "../shared/properties";
import { at, builtInNamespaced, clone, drop, gvkOf, isCrd, type KubeObject } from "./objects";
import { canonicalQuantity } from "./quantity";

/** Fields that the API server alone writes. */
const READ_ONLY = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
];

/** Maps whose values are quantities. */
const QUANTITY_MAPS = new Set([
    "limits",
    "requests",
    "hard",
    "capacity",
    "podFixed",
    "overhead",
    "default",
    "defaultRequest",
]);

/** Plain booleans of Kubernetes' Go types: false is the same as absent there, and the API server drops it. */
const PLAIN_BOOLEANS = new Set([
    ...[
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "stdin",
        "stdinOnce",
        "tty",
        "readOnly",
        "publishNotReadyAddresses",
        "paused",
    ],
]);

/** Maps of strings: empty is the same as absent there. */
const STRING_MAPS = new Set(["labels", "annotations", "nodeSelector", "matchLabels"]);

/** Kinds whose quantities and empty fields have a canonical form that this file knows. */
const TYPED = new Set(
    `Pod Deployment StatefulSet DaemonSet ReplicaSet ReplicationController Job CronJob PersistentVolumeClaim
    PersistentVolume ResourceQuota LimitRange RuntimeClass Service Namespace ConfigMap`.split(/\s+/),
);

function isAbsent(key: string, value: Value): boolean {
    if (Array.isArray(value)) {
        return value.length === 0 && key !== "containers";
    }
    return (
        (value === false && PLAIN_BOOLEANS.has(key)) ||
        (STRING_MAPS.has(key) && isMap(value) && Object.keys(value).length === 0)
    );
}

function quantity(value: Value): Value {
    return typeof value === "string" || typeof value === "number" ? canonicalQuantity(String(value)) : value;
}

function canonical(value: Value): Value {
    if (Array.isArray(value)) {
        return value.map(canonical);
    }
    if (!isMap(value)) {
        return value;
    }
    const result: PropertyMap = {};
    for (const [key, child] of Object.entries(value)) {
        if (QUANTITY_MAPS.has(key) && isMap(child)) {
            result[key] = Object.fromEntries(Object.entries(child).map(([name, amount]) => [name, quantity(amount)]));
        } else if (key === "sizeLimit") {
            result[key] = quantity(child);
        } else if (!isAbsent(key, child)) {
            // The values of these maps are the user's own, whatever their keys are called.
            result[key] = STRING_MAPS.has(key) || key === "data" ? child : canonical(child);
        }
    }
    return result;
}

/** stringData becomes data, as the API server stores it; data gets its one base64 form. */
function normalizeSecret(secret: KubeObject): void {
    const given = secret.data;
    const data: PropertyMap = isMap(given) ? { ...given } : {};
    const strings = secret.stringData;
    if (isMap(strings) && Object.keys(strings).length > 0) {
        for (const [key, value] of Object.entries(strings)) {
            data[key] = Buffer.from(String(value), "utf8").toString("base64");
        }
        secret.data = data;
        delete secret.stringData;
    } else if (Object.keys(data).length > 0) {
        for (const [key, value] of Object.entries(data)) {
            const bare = typeof value === "string" ? value.replace(/[\r\n]/g, "") : "";
            // Only what the API server accepts has another form; the rest is for it to reject.
            if (/^[A-Za-z0-9+/]+={0,2}$/.test(bare) && bare.length % 4 === 0) {
                data[key] = Buffer.from(bare, "base64").toString("base64");
            }
        }
        secret.data = data;
    }
}

/**
 * Inputs in the form that the API server would store, so that equal meanings compare equal. A copy; objects with unknowns
 * only lose the fields that are read-only.
 */
export function normalize(inputs: KubeObject): KubeObject {
    let result = clone(inputs);
    const gvk = gvkOf(result);
    if (!hasUnknown(result) && builtInNamespaced(gvk) !== undefined) {
        if (gvk.group === "" && gvk.kind === "Secret") {
            normalizeSecret(result);
        } else if (isCrd(result)) {
            if (at(result, "spec", "preserveUnknownFields") === false) {
                drop(result, "spec", "preserveUnknownFields");
            }
            drop(result, "status");
        } else if (TYPED.has(gvk.kind)) {
            const { apiVersion, kind, ...rest } = result;
            result = { ...(canonical(rest) as PropertyMap), apiVersion: apiVersion ?? "", kind: kind ?? "" };
        }
    }
    for (const field of READ_ONLY) {
        drop(result, "metadata", field);
    }
    return result;
}

/**
 * The parts of a live object that the inputs speak of: the same keys in maps, and the same number of elements in lists.
 * That is what can be compared with inputs without tripping over what the cluster filled in.
 */
export function prune(live: Value, inputs: Value): Value {
    if (isMap(live) && isMap(inputs)) {
        const result: PropertyMap = {};
        for (const [key, value] of Object.entries(live)) {
            const input = inputs[key];
            if (input !== undefined) {
                result[key] = prune(value, input);
            }
        }
        return result;
    }
    if (Array.isArray(live) && Array.isArray(inputs)) {
        const [first] = live;
        const [wanted] = inputs;
        if (first !== undefined && wanted !== undefined && kindOfValue(first) !== kindOfValue(wanted)) {
            return clone(live);
        }
        return inputs.slice(0, live.length).map((input, i) => prune(live[i] ?? null, input));
    }
    return live;
}

function kindOfValue(value: Value): string {
    return Array.isArray(value) ? "list" : typeof value;
}
