import { hasUnknown, isMap, type PropertyMap, Unknown, type Value } from "../shared/properties";
import type { Context, DiffKind, DiffRequest, DiffResult } from "../shared/provider";
import { parseCheckpoint } from "./checkpoint";
import type { Cluster } from "./cluster";
import { forceNewPaths, type Step, touches } from "./forceNew";
import { isNamed } from "./naming";
import { normalize, prune } from "./normalize";
import {
    ANNOTATION,
    drop,
    gvkOf,
    isAnnotated,
    isPatch,
    type KubeObject,
    nameOf,
    namespaceOf,
    put,
    text,
    toKube,
} from "./objects";

type Detailed = NonNullable<DiffResult["detailedDiff"]>;

/** A property path as Pulumi writes it. */
function spell(path: Step[]): string {
    let result = "";
    for (const step of path) {
        if (typeof step === "number") {
            result += `[${step}]`;
        } else if (/[."[\]]/.test(step)) {
            result += `["${step.replaceAll('"', '\\"')}"]`;
        } else {
            result += result === "" ? step : `.${step}`;
        }
    }
    return result;
}

/** Compares what is with what is wanted, and says for each difference whether it replaces the object. */
class Comparison {
    readonly found: Detailed = {};

    constructor(private readonly forced: Step[][]) {}

    maps(path: Step[], old: PropertyMap, wanted: PropertyMap): void {
        for (const key of new Set([...Object.keys(wanted), ...Object.keys(old)])) {
            this.values([...path, key], old[key], wanted[key]);
        }
    }

    private values(path: Step[], old: Value | undefined, wanted: Value | undefined): void {
        if (wanted === undefined) {
            this.record("DELETE", path, null);
        } else if (old === undefined) {
            this.record("ADD", path, wanted instanceof Unknown ? null : wanted);
        } else if (wanted instanceof Unknown) {
            this.record("UPDATE", path, null);
        } else if (isMap(old) && isMap(wanted)) {
            this.maps(path, old, wanted);
        } else if (Array.isArray(old) && Array.isArray(wanted)) {
            for (let i = 0; i < Math.max(old.length, wanted.length); i++) {
                this.values([...path, i], old[i], wanted[i]);
            }
        } else if (old !== wanted) {
            this.record("UPDATE", path, wanted);
        }
    }

    private record(kind: "ADD" | "DELETE" | "UPDATE", path: Step[], value: Value): void {
        const full: DiffKind = touches(this.forced, path, value) ? `${kind}_REPLACE` : kind;
        this.found[spell(path)] = kind === "DELETE" ? { kind: full, inputDiff: true } : { kind: full };
    }
}

/** Whether the path lies at or below the other one; both as Pulumi writes them. */
function isWithin(path: string, parent: string): boolean {
    return path === parent || (path.startsWith(parent) && /^[.[]/.test(path.slice(parent.length)));
}

/** The differences between the pruned live object and the new inputs, and the paths among them that force a replacement. */
function compare(
    old: PropertyMap,
    wanted: PropertyMap,
    forced: Step[][],
    ignored: string[],
): { detailed: Detailed; replaces: string[] } {
    const comparison = new Comparison(forced);
    comparison.maps([], old, wanted);
    const detailed = Object.fromEntries(
        Object.entries(comparison.found).filter(([path]) => !ignored.some((parent) => isWithin(path, parent))),
    );
    const replaces = Object.entries(detailed)
        .filter(([path, { kind }]) => kind.endsWith("_REPLACE") || (kind === "DELETE" && path === "metadata"))
        .map(([path]) => path);
    return { detailed, replaces };
}

/**
 * Diff: the live object, as far as the old inputs speak of it, against the new inputs. So a change made by somebody else to
 * a field that the program sets is undone, and what the cluster filled in is left alone.
 */
export async function diffObject(request: DiffRequest, cluster: Cluster, context: Context): Promise<DiffResult> {
    const old = parseCheckpoint(request.olds);
    const inputs = normalize(toKube(request.news));
    const pruned = prune(old.live, normalize(old.inputs)) as KubeObject;
    if (await cluster.isNamespaced(gvkOf(inputs), context.signal)) {
        for (const object of [pruned, inputs].filter((o) => namespaceOf(o) === "" && !hasUnknown(o.metadata))) {
            put(object, "default", "metadata", "namespace");
        }
    } else {
        drop(pruned, "metadata", "namespace");
        drop(inputs, "metadata", "namespace");
    }
    if (nameOf(inputs) !== "") {
        put(pruned, nameOf(old.live), "metadata", "name");
    }
    drop(pruned, "metadata", "resourceVersion");
    const { enableSecretMutable: secrets, enableConfigMapMutable: configMaps } = cluster.settings;
    const forced = forceNewPaths(inputs, isPatch(request.type, text(inputs, "kind")), { secrets, configMaps });
    const { detailed, replaces } = compare(pruned, inputs, forced, request.ignoreChanges);
    const keepsName = nameOf(inputs) === nameOf(old.live) && namespaceOf(inputs) === namespaceOf(old.live);
    return {
        changes: Object.keys(detailed).length > 0 ? "DIFF_SOME" : "DIFF_NONE",
        replaces,
        // Under the same name there is room for the new object only once the old one is gone.
        deleteBeforeReplace:
            replaces.length > 0 && isNamed(inputs) && !isAnnotated(inputs, ANNOTATION.autonamed) && keepsName,
        detailedDiff: detailed,
    };
}
