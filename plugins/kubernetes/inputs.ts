import { isMap, type PropertyMap, Unknown, type Value } from "../shared/properties";
import type { CheckRequest, CheckResult, Context } from "../shared/provider";
import { withSecretsOf } from "./checkpoint";
import type { Cluster } from "./cluster";
import { adoptName, assignName, isNamed, usesGenerateName } from "./naming";
import { normalize } from "./normalize";
import { gvkOf, gvkOfType, isPatch, type KubeObject, namespaceOf, put, text, toKube, toPulumi } from "./objects";

const NOT_COVERED: [pattern: RegExp, what: string][] = [
    [/^kubernetes:helm\.sh\//, "Helm"],
    [/^kubernetes:kustomize/, "Kustomize"],
    [/^kubernetes:yaml/, "YAML ConfigFile and ConfigGroup"],
    [/^kubernetes:helm:/, "Helm"],
];

/** Throws for resources, components and functions that only the official plug-in has. */
export function refuse(token: string): void {
    const found = NOT_COVERED.find(([pattern]) => pattern.test(token));
    if (found !== undefined) {
        throw new Error(
            `${found[1]} (${token}) is not covered by the stand-in plug-in; use the official kubernetes plug-in for it`,
        );
    }
}

/** Whether the namespace is given, known or not. */
function hasNamespace(object: KubeObject): boolean {
    const metadata = object.metadata;
    return (
        namespaceOf(object) !== "" ||
        metadata instanceof Unknown ||
        (isMap(metadata) && metadata.namespace instanceof Unknown)
    );
}

/** The unknowns of the program's values, put back where normalising replaced them. */
function keepUnknowns(result: Value, given: Value | undefined): Value {
    if (given instanceof Unknown) {
        return given;
    }
    if (Array.isArray(result) && Array.isArray(given)) {
        return result.map((element, i) => keepUnknowns(element, given[i]));
    }
    if (isMap(result) && isMap(given)) {
        return Object.fromEntries(Object.entries(result).map(([key, value]) => [key, keepUnknowns(value, given[key])]));
    }
    return result;
}

function requirePatchName(inputs: KubeObject): void {
    if (!isNamed(inputs)) {
        throw new Error("patch resources require the `.metadata.name` field to be set");
    }
}

/** Check: the inputs in canonical form, with a name and a namespace. */
export async function checkInputs(request: CheckRequest, cluster: Cluster, context: Context): Promise<CheckResult> {
    const { type, news } = request;
    const olds = toKube(request.olds);
    if (!cluster.isReachable && cluster.settings.skipUpdateUnreachable) {
        const warning = "Cluster is unreachable but skipUpdateUnreachable flag is set to true, skipping...";
        await context.log("warning", warning);
        return { inputs: request.olds };
    }
    refuse(type);
    if (/List$/.test(gvkOfType(type).kind)) {
        throw new Error(
            "list resources exist for compatibility with YAML manifests and Helm charts, and cannot be created directly. Use the underlying resource type instead",
        );
    }
    const given = toKube(news);
    const inputs = normalize(given);
    if (isPatch(type, text(inputs, "kind"))) {
        requirePatchName(inputs);
    }
    if (Object.keys(olds).length > 0) {
        adoptName(inputs, olds);
    } else {
        assignName(inputs, request.name, request.randomSeed, request.autonaming);
    }
    if (usesGenerateName(inputs)) {
        throw new Error("the `.metadata.generateName` field is not supported in Server-Side Apply mode");
    }
    if (!hasNamespace(inputs) && (await cluster.isNamespaced(gvkOf(inputs), context.signal))) {
        put(inputs, cluster.namespace, "metadata", "namespace");
    }
    return { inputs: withSecretsOf(toPulumi(keepUnknowns(inputs, given) as KubeObject), news) };
}

/** What an import takes for inputs: everything but what the cluster alone writes. */
export function importedInputs(live: KubeObject): PropertyMap {
    const { status: _, ...spec } = live;
    return withoutOwnMetadata(spec);
}

function withoutOwnMetadata(object: KubeObject): KubeObject {
    const metadata = object.metadata;
    if (!isMap(metadata)) {
        return object;
    }
    const { creationTimestamp, generation, managedFields, resourceVersion, uid, ...kept } = metadata;
    if (isMap(kept.annotations)) {
        const {
            "deployment.kubernetes.io/revision": _revision,
            "kubectl.kubernetes.io/last-applied-configuration": _applied,
            ...annotations
        } = kept.annotations;
        kept.annotations = annotations;
    }
    return { ...object, metadata: kept };
}
