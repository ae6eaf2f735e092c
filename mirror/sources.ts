// @ts-nocheck
// Prints the sources document: where machines get packages and images.
// usage: sources.ts --kind mirror|upstream [--index FILE] [--base-url URL] [--fingerprint F]
//                    [--kubernetes V] [--containerd V] [--gvisor V]
// --index is that of a mirror on this machine; --fingerprint that of the key of a mirror elsewhere.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const versions = JSON.parse(readFileSync(fileURLToPath(new URL("../versions.json", import.meta.url)), "utf8"));
const text = { type: "string" };
const { values } = parseArgs({
    options: {
        kind: text,
        index: text,
        "base-url": { type: "string", default: "file:///srv/mirror" },
        fingerprint: text,
        kubernetes: text,
        containerd: text,
        gvisor: text,
    },
});

/** gVisor's Go branch has no releases: the mirror names the package after the day of the pinned commit. */
const gvisorDay = /-(\d{8})\d{6}-/.exec(versions.gvisor.module)?.[1];

const kubernetesVersion = values.kubernetes ?? versions.kubernetes.version;

/** Packages by name, `*` where the exact version is the repository's business. */
function wanted(gvisorDefault) {
    const kubernetes = `${kubernetesVersion}-*`;
    return {
        kubelet: kubernetes,
        kubeadm: kubernetes,
        kubectl: kubernetes,
        "kubernetes-cni": "*",
        "cri-tools": "*",
        "containerd.io": `${values.containerd ?? versions.containerd.version}-*`,
        runsc: values.gvisor ?? gvisorDefault,
    };
}

const matches = (pattern, version) =>
    new RegExp(
        `^${pattern
            .split("*")
            .map((part) => part.replace(/[.+~]/g, "\\$&"))
            .join(".*")}$`,
    ).test(version);

/** Recipes of further versions, which are built when somebody asks for one. */
const recipes = readdirSync(new URL("build", import.meta.url)).filter((name) => /-\d/.test(name));

/** The exact versions that a mirror on this machine holds. */
function exact(patterns, index) {
    const missing = [];
    const packages = {};
    for (const [name, pattern] of Object.entries(patterns)) {
        const held = index.packages[name];
        packages[name] = matches(pattern, held.default) ? held.default : held.versions.find((v) => matches(pattern, v));
        if (packages[name] === undefined) {
            missing.push(`  - ${name} ${pattern}: it holds ${held.versions.join(", ")}`);
        }
    }
    if (missing.length > 0) {
        console.error(
            "mirror: the mirror does not hold what is asked for; empty that setting (nodes in use keep their Kubernetes), or " +
                "add a recipe for it to mirror/build (README.md there). " +
                `There are ${recipes.join(", ")}:\n${missing.join("\n")}`,
        );
        process.exit(1);
    }
    return packages;
}

function upstream() {
    const { kubernetes, containerd, gvisor } = versions.aptKeys;
    const minor = kubernetesVersion.split(".").slice(0, 2).join(".");
    const deb = `https://pkgs.k8s.io/core:/stable:/v${minor}/deb`;
    const source = (name, url, suite, components, key) => ({
        name,
        url,
        suite,
        components,
        keyUrl: key.url,
        fingerprint: key.fingerprint,
    });
    return {
        kind: "upstream",
        apt: [
            source("kubernetes", `${deb}/`, "/", "", { ...kubernetes, url: `${deb}/Release.key` }),
            source(
                "containerd",
                "https://download.docker.com/linux/debian",
                versions.debian.suite,
                "stable",
                containerd,
            ),
            source("gvisor", "https://storage.googleapis.com/gvisor/releases", "release", "main", gvisor),
        ],
        packages: wanted(versions.gvisor.release),
        images: { controlPlane: [], worker: [] },
    };
}

function mirror() {
    const base = values["base-url"].replace(/\/+$/, "");
    const index = values.index === undefined ? undefined : JSON.parse(readFileSync(values.index, "utf8"));
    const fingerprint = values.fingerprint?.toUpperCase() ?? index?.fingerprint;
    if (!/^[0-9A-F]{40}$/.test(fingerprint ?? "")) {
        console.error(`mirror: the fingerprint is "${fingerprint ?? ""}"; it has to be 40 hexadecimal digits`);
        process.exit(1);
    }
    const source = (name, suite, components) => ({
        name,
        url: `${base}/apt/${name}`,
        suite,
        components,
        keyUrl: `${base}/archive.key`,
        fingerprint,
    });
    const packages = wanted(`${gvisorDay}.0`);
    const archive = (role) => `${base}/images/${role}-${kubernetesVersion}.tar`;
    return {
        kind: "mirror",
        apt: [
            source("kubernetes", "/", ""),
            source("containerd", "bookworm", "stable"),
            source("gvisor", "release", "main"),
        ],
        packages: index === undefined ? packages : exact(packages, index),
        images: { controlPlane: [archive("control-plane")], worker: [archive("worker")] },
    };
}

console.log(JSON.stringify(values.kind === "mirror" ? mirror() : upstream()));
