// @ts-nocheck
// The pins of the project, where newer versions are asked for, and the rules that bind them to each other.
import { join } from "node:path";
import { compareVersions } from "../components/vulnerabilities.cjs";
import { readJson, readOr, root, versions } from "./project.ts";

/** Oldest releases whose shims of gVisor neither leak nor hang. https://github.com/containerd/containerd/issues/11708 */
const workingShim = ["2.0.6", "2.1.2"];

const series = (version) => version.split(".").slice(0, 2).join(".");
const tagOf = (image) => image.replace(/@.*/, "").split(":")[1];
const major = (version) => Number(version.split(".")[0]);

/** Why containerd does not fit to a Kubernetes release, or undefined. */
export function containerdMisfit(containerd, kubernetes) {
    const row = versions.kubernetes.releases[series(kubernetes)]?.containerd;
    if (row === undefined) {
        return `versions.json has no row for Kubernetes ${series(kubernetes)}`;
    }
    const floor = row.find((one) => series(one) === series(containerd));
    if (floor === undefined) {
        return `containerd's table names ${row.join("+, ")}+ for Kubernetes ${series(kubernetes)}, not ${series(containerd)}`;
    }
    const shim = workingShim.find((one) => series(one) === series(containerd)) ?? floor;
    const needed = compareVersions(shim, floor) > 0 ? shim : floor;
    return compareVersions(containerd, needed) < 0
        ? `of ${series(containerd)} it has to be ${needed} or newer`
        : undefined;
}

/** The release that a commit of gVisor's branch go counts as, after its day; the mirror names its package the same. */
const releaseOf = (module) => `${/-(\d{8})\d{6}-/.exec(module)?.[1]}.0`;

function onlyMajor(wanted, why) {
    return (version) => (major(version) === wanted ? undefined : `${why}; only ${wanted}.x`);
}

/** Rules of npm packages by name: why a version cannot be taken, or undefined. */
const packageRules = {
    "@pulumi/command": onlyMajor(1, "the releases above 1.x are strays without a plug-in of that version"),
    "@pulumi/pulumi": (version, { available }) => {
        const engine = available.get("Pulumi CLI");
        return engine && !engine.includes(version) && version !== versions.pulumi.cli
            ? "the engine of that version cannot be had as a Go module"
            : undefined;
    },
    typescript: (version) => (major(version) < 7 ? undefined : "Pulumi's SDK takes TypeScript below 7"),
    node: (version) => {
        const { minimumMajor } = versions.node;
        return major(version) % 2 === 0 && major(version) >= minimumMajor
            ? undefined
            : `only long-term releases (even), from ${minimumMajor} on`;
    },
    "@types/node": (version, { packages }) => onlyMajor(major(packages.node), "it follows the package node")(version),
    "@types/google-protobuf": onlyMajor(3, "it follows google-protobuf"),
    "google-protobuf": onlyMajor(3, "Pulumi's SDK takes google-protobuf 3"),
};

/** What the recipes of the mirror and of the engine build. */
function recipeOf(path, module) {
    const text = readOr(join(root, path, "go.mod"), "");
    return new RegExp(`(?:^|\\s)${module.replaceAll(".", "\\.")} v(\\S+)`, "m").exec(text)?.[1];
}

function sameAsRecipe(pinned, path, module) {
    const built = recipeOf(path, module);
    return built === pinned ? [] : [`${path}/go.mod takes ${built ?? "no"} ${module}`];
}

/** Pins of versions.json. `pairs` says where pins that belong together do not fit. */
function ownPins(packages) {
    const { pulumi, kubernetes, containerd, gvisor, flannel } = versions;
    const noRow = { etcd: "", coredns: "", pause: "" };
    const { etcd, coredns, pause } = kubernetes.releases[series(kubernetes.version)] ?? noRow;
    const module = (pin, where, pinned, path, recipe, more = {}) => ({
        pin,
        where: `versions.json: ${where}`,
        pinned,
        source: { go: path },
        pairs: sameAsRecipe(pinned, recipe, path),
        ...more,
    });
    const mirror = (recipe) => `mirror/build/${recipe}`;
    const unasked = (pin, where, pinned, reason, more = {}) => ({
        pin,
        where: `versions.json: ${where}`,
        pinned,
        reason,
        pairs: [],
        ...more,
    });
    // What is pinned nowhere but in the go.mod that builds it.
    const recipe = (pin, path, module) => ({
        pin,
        where: `${path}/go.mod`,
        pinned: recipeOf(path, module),
        source: { go: module },
        pairs: [],
    });
    return [
        module("Pulumi CLI", "pulumi.cli", pulumi.cli, "github.com/pulumi/pulumi/pkg/v3", "cli/build/pulumi", {
            rule: (version, { available }) =>
                version !== pulumi.cli && available.get("npm @pulumi/pulumi")?.includes(version) === false
                    ? "there is no SDK of that version"
                    : undefined,
            pairs: [
                ...sameAsRecipe(pulumi.cli, "cli/build/pulumi", "github.com/pulumi/pulumi/pkg/v3"),
                ...(packages["@pulumi/pulumi"] === pulumi.cli ? [] : ["package.json takes another @pulumi/pulumi"]),
            ],
        }),
        unasked(
            "Pulumi's Node language host",
            "pulumi.languageHostModule",
            pulumi.languageHostModule,
            "stays: later modules hold no language host",
            {
                pairs: sameAsRecipe(
                    pulumi.languageHostModule,
                    "cli/build/language-nodejs",
                    "github.com/pulumi/pulumi/sdk/v3",
                ),
            },
        ),
        module("Kubernetes", "kubernetes.version", kubernetes.version, "k8s.io/kubernetes", mirror("kubernetes"), {
            component: "kubernetes",
            rule: (version) =>
                containerdMisfit(containerd.version, version) ??
                (series(version) === series(kubernetes.version)
                    ? undefined
                    : "another minor release takes the recipes of etcd and CoreDNS with it"),
        }),
        module(
            "containerd",
            "containerd.version",
            containerd.version,
            "github.com/containerd/containerd/v2",
            mirror("containerd"),
            {
                component: "containerd",
                rule: (version) => containerdMisfit(version, kubernetes.version),
            },
        ),
        // Upstream machines install the one, the mirror builds the other. The gate asks the same of both, and so does the table
        // of vulnerabilities here; nothing else ties them, not even their order: apt installs either over the other.
        {
            pin: "gVisor release",
            where: "versions.json: gvisor.release",
            pinned: gvisor.release,
            component: "gvisor",
            source: {
                apt: "https://storage.googleapis.com/gvisor/releases/dists/release/main/binary-amd64/Packages",
                package: "runsc",
            },
            pairs: [],
        },
        {
            pin: "gVisor module",
            where: "versions.json: gvisor.module",
            pinned: gvisor.module,
            component: "gvisor",
            release: releaseOf,
            source: { go: "gvisor.dev/gvisor", branch: "go" },
            pairs: sameAsRecipe(gvisor.module.slice(1), mirror("gvisor"), "gvisor.dev/gvisor"),
        },
        module("etcd", "kubernetes.releases", etcd.split("-")[0], "go.etcd.io/etcd/server/v3", mirror("etcd"), {
            rule: (version) =>
                version === etcd.split("-")[0] ? undefined : `kubeadm ${kubernetes.version} asks for ${etcd}`,
        }),
        module("CoreDNS", "kubernetes.releases", coredns, "github.com/coredns/coredns", mirror("addons"), {
            rule: (version) => (version === coredns ? undefined : `kubeadm ${kubernetes.version} asks for ${coredns}`),
        }),
        unasked("pause", "kubernetes.releases", pause, `kubeadm ${kubernetes.version} asks for it`),
        module("flannel", "flannel.version", flannel.version, "github.com/flannel-io/flannel", mirror("addons"), {
            pairs: [
                ...sameAsRecipe(flannel.version, mirror("addons"), "github.com/flannel-io/flannel"),
                ...(tagOf(flannel.image) === `v${flannel.version}` ? [] : ["flannel.image has another tag"]),
            ],
        }),
        unasked(
            "flannel's CNI plug-in",
            "flannel.cniPluginImage",
            tagOf(flannel.cniPluginImage),
            "an image: Renovate follows it",
        ),
        unasked("nginx", "nginx.image", tagOf(versions.nginx.image), "an image: Renovate follows it"),
        unasked("Debian", "debian.suite", versions.debian.suite, "a suite, not a version", {
            component: "debian",
        }),
        recipe("cri-tools", mirror("addons"), "sigs.k8s.io/cri-tools"),
        recipe("CNI plug-ins", mirror("cni"), "github.com/containernetworking/plugins"),
        recipe("actionlint", "cli/ci/actionlint", "github.com/rhysd/actionlint"),
    ];
}

/** Packages of package.json; each has to be pinned exactly. */
function packagePins(packages) {
    return Object.entries(packages).map(([name, pinned]) => ({
        pin: `npm ${name}`,
        where: "package.json",
        pinned,
        component: name === "node" ? "node" : undefined,
        source: { npm: name },
        rule: packageRules[name],
        pairs: /^\d+\.\d+\.\d+$/.test(pinned) ? [] : ["it is no exact version"],
    }));
}

/**
 * All pins.
 *
 * @returns { packages, pins }: package.json's versions by name; [{ pin, where, pinned, component, release, source, rule,
 * reason, pairs }], where component is its name in vulnerabilities.json and support.json, release(version) what it is there,
 * rule(version, { packages, available }) says why a version cannot be taken, reason why nobody is asked, and pairs what is
 * wrong already
 */
export function allPins() {
    const { dependencies, devDependencies } = readJson(join(root, "package.json"));
    const packages = { ...dependencies, ...devDependencies };
    return { packages, pins: [...ownPins(packages), ...packagePins(packages)] };
}
