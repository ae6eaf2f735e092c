import type { AptSource, Sources } from "../contracts";
import { series, versions } from "../versions";

/** gVisor's Go branch has no releases: the mirror names the package after the day of the pinned commit. */
export const builtRelease = `${/-(\d{8})\d{6}-/.exec(versions.gvisor.module)?.[1]}.0`;

/** Settings that decide what machines install. Empty or none: the version that the source pins. */
export interface SourceSettings {
    readonly kubernetesVersion?: string;
    readonly containerdVersion?: string;
    readonly gvisorVersion?: string;
    /** URL of a ready mirror, and the fingerprint of its key; both empty where there is none. */
    readonly mirror?: string;
    readonly mirrorFingerprint?: string;
}

/**
 * Where machines install from that are not on this host: upstream, or a ready mirror if one is set. The same documents
 * as mirror/mirror.sh prints (a test compares them), without a command that has to run first.
 */
export function remoteSources(settings: SourceSettings): Sources {
    return settings.mirror ? mirrorSources(settings.mirror, settings) : upstreamSources(settings);
}

/** The official repositories of Kubernetes, containerd and gVisor, with their keys pinned. */
export function upstreamSources(settings: SourceSettings): Sources {
    const { kubernetes, containerd, gvisor } = versions.aptKeys;
    const deb = `https://pkgs.k8s.io/core:/stable:/v${series(kubernetesVersion(settings))}/deb`;
    return {
        kind: "upstream",
        apt: [
            {
                name: "kubernetes",
                url: `${deb}/`,
                suite: "/",
                components: "",
                keyUrl: `${deb}/Release.key`,
                fingerprint: kubernetes.fingerprint,
            },
            {
                name: "containerd",
                url: "https://download.docker.com/linux/debian",
                suite: versions.debian.suite,
                components: "stable",
                keyUrl: containerd.url,
                fingerprint: containerd.fingerprint,
            },
            {
                name: "gvisor",
                url: "https://storage.googleapis.com/gvisor/releases",
                suite: "release",
                components: "main",
                keyUrl: gvisor.url,
                fingerprint: gvisor.fingerprint,
            },
        ],
        packages: packages(settings, versions.gvisor.release),
        images: { controlPlane: [], worker: [] },
    };
}

/** A mirror that somebody serves, as mirror/ builds it. */
function mirrorSources(url: string, settings: SourceSettings): Sources {
    const base = url.replace(/\/+$/, "");
    const source = (name: AptSource["name"], suite: string, components: string): AptSource => ({
        name,
        url: `${base}/apt/${name}`,
        suite,
        components,
        keyUrl: `${base}/archive.key`,
        fingerprint: settings.mirrorFingerprint?.toUpperCase() ?? "",
    });
    const archive = (role: string) => `${base}/images/${role}-${kubernetesVersion(settings)}.tar`;
    return {
        kind: "mirror",
        apt: [
            source("kubernetes", "/", ""),
            source("containerd", "bookworm", "stable"),
            source("gvisor", "release", "main"),
        ],
        packages: packages(settings, builtRelease),
        images: { controlPlane: [archive("control-plane")], worker: [archive("worker")] },
    };
}

function kubernetesVersion(settings: SourceSettings): string {
    return settings.kubernetesVersion || versions.kubernetes.version;
}

/** Packages by name, `*` where the exact version is the repository's business. */
function packages(settings: SourceSettings, gvisorDefault: string): Sources["packages"] {
    const kubernetes = `${kubernetesVersion(settings)}-*`;
    return {
        kubelet: kubernetes,
        kubeadm: kubernetes,
        kubectl: kubernetes,
        "kubernetes-cni": "*",
        "cri-tools": "*",
        "containerd.io": `${settings.containerdVersion || versions.containerd.version}-*`,
        runsc: settings.gvisorVersion || gvisorDefault,
    };
}
