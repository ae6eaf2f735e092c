import type { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { RestartLook } from "../gvisor/restartLook";
import { project } from "../names";
import { documentOf, remoteStep } from "../remoteStep";
import type { AptSource, Machine, Sources } from "../targets/target";
import { kubernetesRelease } from "../versions";

/** Constants of a script for one APT repository: NAME_URL, NAME_SUITE and so on. */
export function aptValues(
    sources: pulumi.Output<Sources>,
    name: AptSource["name"],
): Record<string, pulumi.Output<string>> {
    const source = sources.apt.apply((all) => {
        const found = all.find((one) => one.name === name);
        if (!found) {
            throw new pulumi.RunError(`The sources hold no APT repository "${name}"; see mirror/mirror.sh sources`);
        }
        return found;
    });
    const prefix = name.toUpperCase();
    return {
        [`${prefix}_URL`]: source.url,
        [`${prefix}_SUITE`]: source.suite,
        [`${prefix}_COMPONENTS`]: source.components,
        [`${prefix}_KEY`]: source.keyUrl,
        [`${prefix}_FINGERPRINT`]: source.fingerprint,
    };
}

/** When a machine may be prepared: another containerd.io, or another configuration, restarts containerd. */
export interface PreparationOrder {
    /** After this the machine may be changed: not too many at once. */
    readonly after?: readonly pulumi.Resource[];
    /** What to do before, given what a look has found. */
    readonly beforeRestart?: (look: pulumi.Output<RestartLook>) => readonly pulumi.Resource[];
}

export interface NodePreparationArgs extends PreparationOrder {
    readonly machine: Machine;
    readonly role: "control-plane" | "worker";
    readonly sources: pulumi.Output<Sources>;
    /** The version of Kubernetes that was asked for. Default: that of the sources; a node in use keeps its own. */
    readonly kubernetesVersion?: string;
    /** The control plane's machine: the node must know it by name. */
    readonly controlPlane: Machine;
}

/** Constants of scripts/on-machine/node/prepare-node.sh that come from the sources; with the images of all roles that are named. */
export function preparationValues(
    sources: pulumi.Output<Sources>,
    roles: readonly NodePreparationArgs["role"][],
): Record<string, pulumi.Output<string>> {
    return {
        PACKAGES: sources.apply((all) => packages.map((one) => `${one}=${all.packages[one] ?? "*"}`).join("\n")),
        IMAGES: sources.images.apply((images) =>
            roles.flatMap((role) => (role === "worker" ? images.worker : images.controlPlane)).join("\n"),
        ),
        PAUSE_IMAGE: sources.apply(
            (all) => `registry.k8s.io/pause:${kubernetesRelease(all.packages.kubelet ?? "").pause}`,
        ),
        ...aptValues(sources, "kubernetes"),
        ...aptValues(sources, "containerd"),
    };
}

const packages = ["containerd.io", "kubelet", "kubeadm", "kubectl", "kubernetes-cni", "cri-tools"];

/**
 * Makes a machine ready for kubeadm: kernel settings, containerd, the pinned Kubernetes packages, images. Control plane
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
        const before =
            beforeRestart === undefined
                ? []
                : beforeRestart(
                      documentOf<RestartLook>(
                          remoteStep(
                              `${name}-look`,
                              { ...step, verb: "inspect", timeout: 60 },
                              { parent: this, dependsOn: [...after] },
                          ),
                      ),
                  );
        this.prepared = remoteStep(`${name}-step`, step, { parent: this, dependsOn: [...after, ...before] });
        const version = sources.apply((all) => all.packages["containerd.io"] ?? "*");
        this.containerd = pulumi.interpolate`${version} ${given.PAUSE_IMAGE}`;
        this.cgroupDriver = documentOf<{ cgroupDriver: string }>(this.prepared).cgroupDriver;
        this.registerOutputs({});
    }
}
