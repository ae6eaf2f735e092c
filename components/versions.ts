import pins from "../versions.json";

/**
 * Every pinned version, APT key and image. The file is JSON because the set-up and the mirror read it too, before any
 * package is installed.
 *
 * Sources of the pins: containerd's table of supported Kubernetes releases
 * (https://github.com/containerd/containerd/blob/main/RELEASES.md#kubernetes-support), of which 1.x is left out; what
 * kubeadm asks for (cmd/kubeadm/app/constants/constants.go of each Kubernetes release); and the floors for a working
 * gVisor shim, 2.0.6 and 2.1.2 (https://github.com/containerd/containerd/issues/11708).
 */
export const versions = pins;

/** What belongs to a minor release of Kubernetes. */
export interface KubernetesRelease {
    /** Oldest patch release of each containerd series that it takes. */
    readonly containerd: readonly string[];
    /** Tags, without "v", of the images that its kubeadm asks for. */
    readonly etcd: string;
    readonly coredns: string;
    readonly pause: string;
}

/** By minor release: "1.37". */
export const kubernetesReleases: Readonly<Record<string, KubernetesRelease>> = pins.kubernetes.releases;

/** The release that a version belongs to: "1.37.2", or a package's "1.37.2-1.1". */
export function kubernetesRelease(version: string): KubernetesRelease {
    const release = kubernetesReleases[series(version)];
    if (release === undefined) {
        const known = Object.keys(kubernetesReleases).join(", ");
        throw new Error(`Kubernetes "${version}" has no row in versions.json; allowed: ${known}`);
    }
    return release;
}

/** "1.37" of "1.37.2". */
export function series(version: string): string {
    return version.split(".").slice(0, 2).join(".");
}

/**
 * How pods name a pinned image: by its digest where it comes from its registry. What a mirror holds under the same tag is
 * built otherwise, so there the tag is all there is, and the digest of the mirror's archive is what is checked.
 */
export function imageReference(image: string, kind: "upstream" | "mirror"): string {
    return kind === "upstream" ? image : image.replace(/@.*/, "");
}
