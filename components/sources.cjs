// Where machines install from: the document that the program gives them, and mirror/mirror.sh prints. CommonJS, which every Node
// and every loader takes; the types are in the file beside it.
"use strict";

const versions = require("../versions.json");

const builtRelease = `${/-(\d{8})\d{6}-/.exec(versions.gvisor.module)?.[1]}.0`;

const kubernetesOf = (settings) => settings.kubernetesVersion || versions.kubernetes.version;

function upstreamSources(settings) {
    const { kubernetes, containerd, gvisor } = versions.aptKeys;
    const minor = kubernetesOf(settings).split(".").slice(0, 2).join(".");
    const deb = `https://pkgs.k8s.io/core:/stable:/v${minor}/deb`;
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
        packages: packagesOf(settings, versions.gvisor.release),
        images: { controlPlane: [], worker: [] },
    };
}

function mirrorSources(url, fingerprint, settings) {
    const base = url.replace(/\/+$/, "");
    const source = (name, suite, components) => ({
        name,
        url: `${base}/apt/${name}`,
        suite,
        components,
        keyUrl: `${base}/archive.key`,
        fingerprint: fingerprint.toUpperCase(),
    });
    const archive = (role) => `${base}/images/${role}-${kubernetesOf(settings)}.tar`;
    return {
        kind: "mirror",
        apt: [
            source("kubernetes", "/", ""),
            source("containerd", "bookworm", "stable"),
            source("gvisor", "release", "main"),
        ],
        packages: packagesOf(settings, builtRelease),
        images: { controlPlane: [archive("control-plane")], worker: [archive("worker")] },
    };
}

/** Packages by name, `*` where the exact version is the repository's business. */
function packagesOf(settings, gvisorDefault) {
    const kubernetes = `${kubernetesOf(settings)}-*`;
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

module.exports = { builtRelease, upstreamSources, mirrorSources };
