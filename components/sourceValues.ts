import * as pulumi from "@pulumi/pulumi";
import type { AptSource, Role, Sources } from "./contracts";
import { kubernetesRelease } from "./versions";

const aptFields = {
    URL: "url",
    SUITE: "suite",
    COMPONENTS: "components",
    KEY: "keyUrl",
    FINGERPRINT: "fingerprint",
} as const;

/** Constants of a script for one APT repository: NAME_URL, NAME_SUITE and so on. @param get the repository's field */
export const aptConstants = <Value>(
    name: AptSource["name"],
    get: (field: (typeof aptFields)[keyof typeof aptFields]) => Value,
): Record<string, Value> =>
    Object.fromEntries(Object.entries(aptFields).map(([part, field]) => [`${name.toUpperCase()}_${part}`, get(field)]));

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
    return aptConstants(name, (field) => source[field]);
}

const packages = ["containerd.io", "kubelet", "kubeadm", "kubectl", "kubernetes-cni", "cri-tools"];

/** Constants of scripts/on-machine/node/prepare-node.sh that come from the sources; with the images of all roles that are named. */
export function preparationValues(
    sources: pulumi.Output<Sources>,
    roles: readonly Role[],
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
