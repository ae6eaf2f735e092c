import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { project } from "../names";
import type { EgressRules } from "../reachable.cjs";

export interface EgressPolicyArgs {
    /** The namespaces that get a policy, by name, with what makes them. */
    readonly namespaces: Readonly<Record<string, pulumi.Resource>>;
    readonly rules: EgressRules;
    readonly provider: k8s.Provider;
    /** What outlives the policies: an engine that is gone first leaves its rules on the nodes. */
    readonly after?: readonly pulumi.Resource[];
    /** What the cluster goes away with, if the same stack made it. */
    readonly cluster?: pulumi.Resource;
}

/** Name of the policy in each of the namespaces. */
export const egressPolicyName = `${project}-egress`;

/**
 * Lets pods of some namespaces go where they are allowed to, and nowhere else: one NetworkPolicy in each. Whether anything enforces it
 * is the cluster's network plug-in's business; Reachable (components/proof) finds out.
 */
export class EgressPolicy extends pulumi.ComponentResource {
    /** Names of the namespaces. */
    public readonly namespaces: readonly string[];
    public readonly rules: EgressRules;
    public readonly policies: readonly k8s.networking.v1.NetworkPolicy[];

    constructor(name: string, args: EgressPolicyArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:policy:EgressPolicy`, name, {}, opts);
        const { namespaces, rules, provider, after = [], cluster } = args;
        this.namespaces = Object.keys(namespaces);
        this.rules = rules;
        this.policies = Object.entries(namespaces).map(
            ([namespace, made]) =>
                new k8s.networking.v1.NetworkPolicy(`${name}-${namespace}`, egressManifest(namespace, rules), {
                    parent: this,
                    provider,
                    dependsOn: [made, ...after],
                    deletedWith: cluster,
                }),
        );
        this.registerOutputs({});
    }
}

/** The policy of a namespace, as the API server gets it. */
export const egressManifest = (namespace: string, rules: EgressRules) => ({
    metadata: { name: egressPolicyName, namespace },
    spec: egressSpec(rules),
});

/** Of all pods of a namespace, what they may reach. */
export function egressSpec({ allow, dns }: EgressRules) {
    const toNames = {
        to: [
            {
                namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
                podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
            },
        ],
        ports: ["UDP", "TCP"].map((protocol) => ({ protocol, port: 53 })),
    };
    return {
        podSelector: {},
        policyTypes: ["Egress"],
        egress: [
            ...(dns ? [toNames] : []),
            ...allow.map(({ cidr, ports }) => ({ to: [{ ipBlock: { cidr } }], ...(ports && { ports: [...ports] }) })),
        ],
    };
}
