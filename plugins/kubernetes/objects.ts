import { isMap, type PropertyMap, reveal, type Value } from "../shared/properties";

/** A Kubernetes object in plain JSON; inputs of a preview may hold unknowns. */
export type KubeObject = PropertyMap;

/** What names a type of object in the API. */
export interface Gvk {
    /** "" is the core group. */
    group: string;
    version: string;
    kind: string;
}

/** Annotations that steer the provider: https://www.pulumi.com/registry/packages/kubernetes/ */
export const ANNOTATION = {
    autonamed: "pulumi.com/autonamed",
    skipAwait: "pulumi.com/skipAwait",
    timeoutSeconds: "pulumi.com/timeoutSeconds",
    patchForce: "pulumi.com/patchForce",
    patchFieldManager: "pulumi.com/patchFieldManager",
    deletionPropagation: "pulumi.com/deletionPropagationPolicy",
    replaceUnready: "pulumi.com/replaceUnready",
} as const;

/** The value at the path, or undefined. */
export function at(value: Value | undefined, ...path: string[]): Value | undefined {
    let current = value;
    for (const key of path) {
        current = isMap(current) ? current[key] : undefined;
    }
    return current;
}

/** The string at the path; "" where there is none. */
export function text(value: Value | undefined, ...path: string[]): string {
    const found = at(value, ...path);
    return typeof found === "string" ? found : "";
}

/** The maps in the list at the path; empty where there is none. */
export function maps(value: Value | undefined, ...path: string[]): PropertyMap[] {
    const found = at(value, ...path);
    return Array.isArray(found) ? found.filter(isMap) : [];
}

/** A deep copy of maps and lists; wrappers are shared, since nothing changes them. */
export function clone<T extends Value>(value: T): T {
    const copy = Array.isArray(value)
        ? value.map((element) => clone(element))
        : isMap(value)
          ? Object.fromEntries(Object.entries(value).map(([key, child]) => [key, clone(child)]))
          : value;
    return copy as T;
}

/** Sets the value at the path, making the maps on the way. */
export function put(object: KubeObject, value: Value, ...path: string[]): void {
    const last = path.pop();
    let current = object;
    for (const key of path) {
        const next = current[key];
        const child: PropertyMap = isMap(next) ? next : {};
        current[key] = child;
        current = child;
    }
    if (last !== undefined) {
        current[last] = value;
    }
}

/** Removes what is at the path. */
export function drop(object: KubeObject, ...path: string[]): void {
    const last = path.pop();
    const parent = at(object, ...path);
    if (last !== undefined && isMap(parent)) {
        delete parent[last];
    }
}

/** The API spells a few schema fields with dashes, which are no identifiers; Pulumi spells them with underscores. */
const DASHED =
    /^x-kubernetes-(embedded-resource|int-or-string|list-map-keys|list-type|map-type|preserve-unknown-fields|validations)$/;
const UNDERSCORED = new RegExp(DASHED.source.replaceAll("-", "_"));

function renameKeys(value: Value, pattern: RegExp, from: string, to: string): Value {
    if (Array.isArray(value)) {
        return value.map((element) => renameKeys(element, pattern, from, to));
    }
    if (!isMap(value)) {
        return value;
    }
    return Object.fromEntries(
        Object.entries(value).map(([key, child]) => [
            pattern.test(key) ? key.replaceAll(from, to) : key,
            renameKeys(child, pattern, from, to),
        ]),
    );
}

/** The object as Pulumi spells it. */
export function toPulumi(object: KubeObject): PropertyMap {
    return renameKeys(object, DASHED, "-", "_") as PropertyMap;
}

function withoutNulls(value: Value): Value {
    if (Array.isArray(value)) {
        return value.map(withoutNulls);
    }
    if (!isMap(value)) {
        return value;
    }
    return Object.fromEntries(
        Object.entries(value)
            .filter(([, child]) => child !== null)
            .map(([key, child]) => [key, withoutNulls(child)]),
    );
}

/** The object as the API spells it, bare of secret wrappers and of nulls. */
export function toKube(properties: PropertyMap): KubeObject {
    return withoutNulls(renameKeys(reveal(properties), UNDERSCORED, "_", "-")) as KubeObject;
}

export const nameOf = (object: KubeObject): string => text(object, "metadata", "name");
export const namespaceOf = (object: KubeObject): string => text(object, "metadata", "namespace");
export const annotation = (object: KubeObject, key: string): string => text(object, "metadata", "annotations", key);
export const isAnnotated = (object: KubeObject, key: string): boolean => annotation(object, key) === "true";

/** The resource id in the state: `namespace/name`, or `name` without a namespace. */
export function idOf(object: KubeObject): string {
    const namespace = namespaceOf(object);
    return namespace === "" ? nameOf(object) : `${namespace}/${nameOf(object)}`;
}

/** Reads an id back. */
export function parseId(id: string): { namespace: string; name: string } {
    const [first = "", second] = id.split("/");
    return second === undefined ? { namespace: "", name: first } : { namespace: first, name: second };
}

/** Group, version and kind of the object. */
export function gvkOf(object: KubeObject): Gvk {
    const apiVersion = text(object, "apiVersion");
    const slash = apiVersion.indexOf("/");
    const group = slash < 0 ? "" : apiVersion.slice(0, slash);
    return {
        group: group === "core" ? "" : group,
        version: apiVersion.slice(slash + 1),
        kind: text(object, "kind"),
    };
}

/** Group, version and kind of a Pulumi type such as kubernetes:apps/v1:Deployment; a Patch type means the kind it patches. */
export function gvkOfType(type: string): Gvk {
    const [, module = "", name = ""] = type.split(":");
    const [group = "", version = ""] = module.split("/");
    return { group: group === "core" ? "" : group, version, kind: name };
}

/** How the API writes group and version. */
export function apiVersionOf({ group, version }: Gvk): string {
    return group === "" ? version : `${group}/${version}`;
}

/** Whether the type manages some fields of an object (NodePatch and the like) instead of the object. */
export function isPatch(type: string, kind: string): boolean {
    return type.endsWith("Patch") && !kind.endsWith("Patch");
}

export const isCrd = (object: KubeObject): boolean => {
    const { group, kind } = gvkOf(object);
    return group === "apiextensions.k8s.io" && kind === "CustomResourceDefinition";
};

/** Groups that a Kubernetes API server serves by itself. */
const BUILT_IN = new Set([
    "",
    ...["admissionregistration", "apiextensions", "apiregistration", "authentication", "authorization"].map(k8s),
    ...["certificates", "coordination", "discovery", "events", "flowcontrol.apiserver", "internal.apiserver"].map(k8s),
    ...["networking", "node", "rbac.authorization", "resource", "scheduling", "storage", "storagemigration"].map(k8s),
    ...["apps", "autoscaling", "batch", "extensions", "policy"],
]);

function k8s(name: string): string {
    return `${name}.k8s.io`;
}

/** Kinds of the built-in groups that have no namespace. */
const CLUSTER_SCOPED = new Set(
    `APIService CSIDriver CSINode CertificateSigningRequest ClusterRole ClusterRoleBinding ClusterTrustBundle
    ComponentStatus CustomResourceDefinition DeviceClass DeviceTaintRule FlowSchema IPAddress IngressClass
    MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration Namespace Node PersistentVolume
    PriorityClass PriorityLevelConfiguration ResourceSlice RuntimeClass SelfSubjectAccessReview SelfSubjectReview
    SelfSubjectRulesReview ServiceCIDR StorageClass StorageVersion StorageVersionMigration SubjectAccessReview TokenReview
    ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration VolumeAttachment
    VolumeAttributesClass`.split(/\s+/),
);

/** Whether objects of a built-in type live in a namespace; undefined for a type that the API server must be asked about. */
export function builtInNamespaced({ group, kind }: Gvk): boolean | undefined {
    return BUILT_IN.has(group) ? !CLUSTER_SCOPED.has(kind) : undefined;
}
