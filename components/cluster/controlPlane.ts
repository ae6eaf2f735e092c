import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster, Machine, PreparationOrder, Prepared, Sources, Step } from "../contracts";
import { apiPort, podRange, project, serviceRange } from "../names";
import { documentOf, remoteStep } from "../remoteStep";
import { JoinedWorker } from "./joinedWorker";
import { operatorKubeconfig } from "./kubeconfig";
import { NodePreparation } from "./nodePreparation";
import { podNetworkManifest } from "./podNetwork";
import { PolicyEngine } from "./policyEngine";

export interface ControlPlaneArgs {
    readonly machine: Machine;
    readonly sources: pulumi.Output<Sources>;
    /** See NodePreparationArgs. */
    readonly kubernetesVersion?: string;
    /** HOST:PORT where the operator reaches the API server. Default: at the machine's address. */
    readonly apiEndpoint?: pulumi.Output<string>;
    /** How flannel routes between the nodes. Default: host-gw. */
    readonly podNetwork?: "host-gw" | "vxlan";
    /** Whether network policies are enforced, which flannel does not do by itself. Default: false. */
    readonly enforcesPolicies?: boolean;
    /** Names the cluster in the state; must not change while the cluster lives. */
    readonly clusterIdentifier: string;
}

/** A kubeadm control plane on a machine of its own, with flannel, kube-proxy and CoreDNS. */
export class ControlPlane extends pulumi.ComponentResource implements Cluster {
    public readonly machine: Machine;
    /** Where the stack's own pods are. */
    public readonly namespace = "default";
    /** Nobody else's cluster: there is nothing to verify. */
    public readonly verified: readonly Step[] = [];
    public readonly policyEngine: readonly pulumi.Resource[];
    /** What makes the machine: the cluster goes away with it. */
    public readonly resource: pulumi.Resource | undefined;
    /** HOST:PORT of the API server. */
    public readonly endpoint: pulumi.Output<string>;
    /** Administrator's kubeconfig (secret). */
    public readonly kubeconfig: pulumi.Output<string>;
    /** Hash of the cluster's CA, as `kubeadm join` pins it. */
    public readonly caCertHash: pulumi.Output<string>;
    /** The provider of every Kubernetes object of this cluster. */
    public readonly provider: k8s.Provider;
    private readonly args: ControlPlaneArgs;

    constructor(name: string, args: ControlPlaneArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:cluster:ControlPlane`, name, {}, opts);
        const { machine, sources, kubernetesVersion, clusterIdentifier } = args;
        this.args = args;
        this.machine = machine;
        this.resource = machine.resource;
        this.endpoint = pulumi.interpolate`${machine.address}:${apiPort}`;

        const node = new NodePreparation(
            `${name}-node`,
            { machine, role: "control-plane", sources, kubernetesVersion, controlPlane: machine },
            { parent: this },
        );
        const init = remoteStep(
            `${name}-init`,
            {
                machine,
                script: "node/init-control-plane.sh",
                values: {
                    NODE: machine.name,
                    ADDRESS: machine.address,
                    PORT: String(apiPort),
                    KUBERNETES_VERSION: sources.apply((all) => (all.packages.kubeadm ?? "").replace(/-.*/, "")),
                    POD_RANGE: podRange,
                    SERVICE_RANGE: serviceRange,
                    CGROUP_DRIVER: node.cgroupDriver,
                    NETWORK: sources.kind.apply((kind) => podNetworkManifest(kind, args.podNetwork)),
                },
                secretOutput: true,
            },
            { parent: this },
        );
        const result = documentOf<{ kubeconfig: string; caCertHash: string }>(init);
        this.kubeconfig = pulumi.secret(
            args.apiEndpoint === undefined
                ? result.kubeconfig
                : pulumi
                      .all([result.kubeconfig, args.apiEndpoint])
                      .apply(([text, endpoint]) => operatorKubeconfig(text, endpoint)),
        );
        this.caCertHash = pulumi.unsecret(result.caCertHash);

        this.provider = new k8s.Provider(
            `${name}-kubernetes`,
            {
                kubeconfig: this.kubeconfig,
                // Known when planning, unlike the kubeconfig: else a preview would plan to replace every object.
                clusterIdentifier,
            },
            { parent: this },
        );
        const engine = { provider: this.provider, kind: sources.kind, cluster: machine.resource };
        this.policyEngine = args.enforcesPolicies
            ? [new PolicyEngine(`${name}-policies`, engine, { parent: this })]
            : [];
        this.registerOutputs({});
    }

    public prepare(machine: Machine, order?: PreparationOrder): Prepared {
        const { sources, kubernetesVersion } = this.args;
        const { prepared, containerd } = new NodePreparation(`${machine.name}-node`, {
            ...order,
            machine,
            role: "worker",
            sources,
            kubernetesVersion,
            controlPlane: this.machine,
        });
        return { done: [prepared], containerd };
    }

    public join(machine: Machine, after: readonly Step[]): readonly Step[] {
        return [new JoinedWorker(machine.name, { machine, controlPlane: this, after }).joined];
    }
}
