import type { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Machine, PreparationOrder, RestartLook, Role, Sources } from "../contracts";
import { project } from "../names";
import { documentOf, remoteStep } from "../remoteStep";
import { preparationValues } from "../sourceValues";

export interface NodePreparationArgs extends PreparationOrder {
    readonly machine: Machine;
    readonly role: Role;
    readonly sources: pulumi.Output<Sources>;
    /** The version of Kubernetes that was asked for. Default: that of the sources; a node in use keeps its own. */
    readonly kubernetesVersion?: string;
    /** The control plane's machine: the node must know it by name. */
    readonly controlPlane: Machine;
}

/**
 * Prepares a machine for kubeadm: kernel settings, containerd, the pinned Kubernetes packages, images. Control plane
 * and workers take the same one.
 */
export class NodePreparation extends pulumi.ComponentResource {
    public readonly prepared: remote.Command;
    /** The kubelet's cgroup driver as it fits the machine. */
    public readonly cgroupDriver: pulumi.Output<string>;
    /** What containerd is made to be, in any words: another value is another containerd. */
    public readonly containerd: pulumi.Output<string>;

    constructor(name: string, args: NodePreparationArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:cluster:NodePreparation`, name, {}, opts);
        const { machine, role, sources, kubernetesVersion = "", controlPlane, after = [], beforeRestart } = args;
        const hosts = [...new Set([controlPlane, machine])].map(
            (one) => pulumi.interpolate`${one.address} ${one.name}`,
        );
        const given = preparationValues(sources, [role]);
        const step = {
            machine,
            script: "node/prepare-node.sh",
            values: {
                ROLE: role,
                KUBERNETES_ASKED: kubernetesVersion,
                HOSTS: pulumi.all(hosts).apply((lines) => lines.join("\n")),
                ...given,
            },
        };
        const look = () =>
            documentOf<RestartLook>(
                remoteStep(
                    `${name}-look`,
                    { ...step, verb: "inspect", timeout: 60 },
                    { parent: this, dependsOn: [...after] },
                ),
            );
        const before = beforeRestart === undefined ? [] : beforeRestart(look());
        this.prepared = remoteStep(`${name}-step`, step, { parent: this, dependsOn: [...after, ...before] });
        const version = sources.apply((all) => all.packages["containerd.io"] ?? "*");
        this.containerd = pulumi.interpolate`${version} ${given.PAUSE_IMAGE}`;
        this.cgroupDriver = documentOf<{ cgroupDriver: string }>(this.prepared).cgroupDriver;
        this.registerOutputs({});
    }
}
