import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Sources } from "../contracts";
import { project, serviceRange } from "../names";
import { imageReference, versions } from "../versions";

export interface PolicyEngineArgs {
    readonly provider: k8s.Provider;
    /** Where the image comes from. */
    readonly kind: pulumi.Input<Sources["kind"]>;
    /** What the cluster goes away with. */
    readonly cluster?: pulumi.Resource;
}

const name = "kube-router";
const labels = { "k8s-app": name };

/**
 * What enforces NetworkPolicies beside flannel, which does not know them: kube-router, of whose parts only that one is switched on
 * (https://www.kube-router.io/docs/user-guide/). It needs iptables and ipset of the kernel, which are in all that flannel runs on.
 */
export class PolicyEngine extends pulumi.ComponentResource {
    constructor(component: string, args: PolicyEngineArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:cluster:PolicyEngine`, component, {}, opts);
        const { provider, kind, cluster } = args;
        const child = { parent: this, provider, deletedWith: cluster };
        const metadata = { name, namespace: "kube-system", labels };
        const account = new k8s.core.v1.ServiceAccount(`${component}-account`, { metadata }, child);
        const role = new k8s.rbac.v1.ClusterRole(
            `${component}-role`,
            {
                metadata: { name, labels },
                rules: [
                    ["", "namespaces", "pods", "services", "nodes", "endpoints"],
                    ["networking.k8s.io", "networkpolicies"],
                    ["discovery.k8s.io", "endpointslices"],
                ].map(([group = "", ...resources]) => ({
                    apiGroups: [group],
                    resources,
                    verbs: ["get", "list", "watch"],
                })),
            },
            child,
        );
        const binding = new k8s.rbac.v1.ClusterRoleBinding(
            `${component}-binding`,
            {
                metadata: { name, labels },
                roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role.metadata.name },
                subjects: [{ kind: "ServiceAccount", name, namespace: metadata.namespace }],
            },
            child,
        );
        new k8s.apps.v1.DaemonSet(
            `${component}-daemonset`,
            {
                // Workers come later than it does, and whether it works is found out there.
                metadata: { ...metadata, annotations: { "pulumi.com/skipAwait": "true" } },
                spec: {
                    selector: { matchLabels: labels },
                    template: {
                        metadata: { labels },
                        spec: podSpec(
                            pulumi.output(kind).apply((one) => imageReference(versions.kubeRouter.image, one)),
                        ),
                    },
                },
            },
            { ...child, dependsOn: [account, binding] },
        );
        this.registerOutputs({});
    }
}

function podSpec(image: pulumi.Output<string>) {
    return {
        hostNetwork: true,
        priorityClassName: "system-node-critical",
        serviceAccountName: name,
        nodeSelector: { "kubernetes.io/os": "linux" },
        // NoExecute too, as flannel: a node without it lets pods go anywhere.
        tolerations: [{ operator: "Exists" }],
        containers: [
            {
                name,
                image,
                args: [
                    "--run-firewall=true",
                    ...["router", "service-proxy", "loadbalancer"].map((part) => `--run-${part}=false`),
                    `--service-cluster-ip-range=${serviceRange}`,
                    // Nobody asks there.
                    "--health-port=0",
                ],
                env: [{ name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }],
                // It is taken away after the policies, and is to have taken their rules back by then: nobody else would.
                lifecycle: { preStop: { sleep: { seconds: 5 } } },
                resources: { requests: { cpu: "50m", memory: "50Mi" } },
                securityContext: { privileged: false, capabilities: { add: ["NET_ADMIN", "NET_RAW"] } },
                volumeMounts: [{ name: "xtables-lock", mountPath: "/run/xtables.lock" }],
            },
        ],
        volumes: [{ name: "xtables-lock", hostPath: { path: "/run/xtables.lock", type: "FileOrCreate" } }],
    };
}
