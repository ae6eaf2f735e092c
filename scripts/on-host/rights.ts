// What a stack does in a cluster that somebody else made, as rights. preflight.ts asks the API server for them before anything is
// changed, and docs/rbac.yaml is made from them.

import type { Planned } from "./planned.ts";

export type Right = readonly [verb: string, resource: string, group?: string];

const each = (verbs: readonly string[], resource: string, group?: string) =>
    verbs.map((verb): Right => [verb, resource, group]);

/**
 * Of an object that is the stack's own. Pulumi's plug-in follows it until it is gone, and without list and watch waits for ever
 * (https://github.com/pulumi/pulumi-kubernetes/issues/4580).
 */
const own = (resource: string, group?: string) =>
    each(["get", "list", "watch", "create", "patch", "delete"], resource, group);

const pods: readonly Right[] = [
    ...own("pods"),
    // A WebSocket begins with GET; newer API servers want the right to create as well (KEP-4006).
    ...each(["get", "create"], "pods/exec"),
    ...each(["list", "watch"], "events"),
];
const admission = "admissionregistration.k8s.io";

/** Rights by what needs them; `inNamespace` of those that are asked for in a namespace, the others hold for the cluster. */
export const groups = {
    base: {
        for: "Always: nodes are compared with machines and labelled, and classes are made",
        inNamespace: false,
        rights: [
            ...each(["get", "list", "patch"], "nodes"),
            // To look whether the namespace is there, and for test pods wherever they are.
            ...each(["get"], "namespaces"),
            ...each(["list"], "pods"),
            ...own("runtimeclasses", "node.k8s.io"),
        ],
    },
    pods: { for: "Always, in the namespace of the test pods (existing.namespace)", inNamespace: true, rights: pods },
    drain: {
        for: "With the setting drain",
        inNamespace: false,
        rights: [...each(["list"], "pods"), ...each(["create"], "pods/eviction")],
    },
    mandatory: {
        for: "With the setting mandatory",
        inNamespace: false,
        rights: [
            ...own("validatingadmissionpolicies", admission),
            ...own("validatingadmissionpolicybindings", admission),
            ...each(["list", "watch", "create", "patch", "delete"], "namespaces"),
        ],
    },
    reachable: {
        for: "With the settings reachable or egress: where the cluster's own services are",
        inNamespace: false,
        rights: [...each(["get", "list"], "services"), ...each(["list"], "endpointslices", "discovery.k8s.io")],
    },
    egress: {
        for: "With the setting egress, in each namespace of mandatory; for those that the stack makes, in the cluster",
        inNamespace: true,
        rights: [...pods, ...own("networkpolicies", "networking.k8s.io")],
    },
    check: {
        for: "For `check --pods`, which looks at every pod; `up` does not ask for it",
        inNamespace: false,
        rights: [
            ...each(["list"], "pods"),
            ...each(["list"], "namespaces"),
            ...each(["list"], "runtimeclasses", "node.k8s.io"),
        ],
    },
} as const satisfies Record<string, { for: string; inNamespace: boolean; rights: readonly Right[] }>;

/** What of the plans of a stack decides which rights it needs. */
interface Plans {
    readonly namespace: string;
    readonly objects?: readonly Planned[];
    readonly drain?: boolean;
    readonly policies?: boolean;
    readonly reachable?: boolean;
    readonly egress?: readonly string[];
}

interface Asked {
    readonly rights: readonly Right[];
    /** The namespace that they are asked for in; undefined for the whole cluster. */
    readonly within?: string;
}

/** The rights that a stack needs. Without pods of its own it does no more than to look at nodes and label them. */
export function rightsOf({ namespace, objects, drain, policies, reachable, egress = [] }: Plans): Asked[] {
    const makesClasses = objects?.some(({ manifest, adopted }) => manifest.kind === "RuntimeClass" && !adopted);
    const base = groups.base.rights.filter(
        ([verb, resource]) =>
            resource === "nodes" ||
            (objects && (resource !== "runtimeclasses" || makesClasses === true || verb === "get")),
    );
    return [
        { rights: base },
        ...(drain ? [groups.drain] : []),
        ...(policies ? [groups.mandatory] : []),
        ...(reachable ? [groups.reachable] : []),
        ...(objects ? [{ rights: groups.pods.rights, within: namespace }] : []),
        ...egress.map((within) => ({ rights: groups.egress.rights, within })),
    ];
}
