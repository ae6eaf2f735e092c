// The pins of the project, where newer versions are asked for, and the rules that bind them to each other.
import { join } from "node:path";
import type { KubernetesRelease } from "../components/versions.ts";
import { compareVersions } from "../components/vulnerabilities.cjs";
import project from "../package.json" with { type: "json" };
import { readOr, root, versions } from "./project.ts";

/** Where newer versions of a pin are asked for. */
export type Source =
    | { readonly npm: string }
    /** A Go module, or the newest commit of its branch. */
    | { readonly go: string; readonly branch?: string }
    /** The list of packages of an APT repository. */
    | { readonly apt: string; readonly package: string };

/** What a rule goes by. */
export interface Context {
    /** Versions of package.json, by name. */
    readonly packages: Readonly<Record<string, string>>;
    /** Versions that the source of a pin has, by pin. */
    readonly available: ReadonlyMap<string, readonly string[]>;
}

/** Why a version cannot be taken; undefined if it can. */
export type Rule = (version: string, context: Context) => string | undefined;

export interface Pin {
    readonly pin: string;
    readonly where: string;
    readonly pinned: string;
    /** Its name in vulnerabilities.json and support.json. */
    readonly component?: string | undefined;
    /** What a version is called there; by default the same. */
    readonly release?: (version: string) => string;
    readonly source?: Source;
    /** Why nobody is asked, where there is no source. */
    readonly reason?: string;
    readonly rule?: Rule | undefined;
    /** What is wrong already: a pin that belongs to this one says something else. */
    readonly pairs: readonly string[];
}

/** Oldest releases whose shims of gVisor neither leak nor hang. https://github.com/containerd/containerd/issues/11708 */
const workingShim = ["2.0.6", "2.1.2"];

const releases: Readonly<Record<string, KubernetesRelease>> = versions.kubernetes.releases;

const series = (version: string) => version.split(".").slice(0, 2).join(".");
const tagOf = (image: string) => image.replace(/@.*/, "").split(":")[1] ?? "";
const major = (version: string) => Number(version.split(".")[0]);

/** Why containerd does not fit to a Kubernetes release, or undefined. */
function containerdMisfit(containerd: string, kubernetes: string): string | undefined {
    const row = releases[series(kubernetes)]?.containerd;
    if (row === undefined) {
        return `versions.json has no row for Kubernetes ${series(kubernetes)}`;
    }
    const ofSeries = (one: string) => series(one) === series(containerd);
    const floor = row.find(ofSeries);
    if (floor === undefined) {
        return `containerd's table names ${row.join("+, ")}+ for Kubernetes ${series(kubernetes)}, not ${series(containerd)}`;
    }
    const needed = [floor, ...workingShim.filter(ofSeries)].sort(compareVersions).at(-1) ?? floor;
    return compareVersions(containerd, needed) < 0
        ? `of ${series(containerd)} it has to be ${needed} or newer`
        : undefined;
}

/** The release that a commit of gVisor's branch go counts as, after its day; the mirror names its package the same. */
const releaseOf = (module: string) => `${/-(\d{8})\d{6}-/.exec(module)?.[1]}.0`;

function onlyMajor(wanted: number, why: string): Rule {
    return (version) => (major(version) === wanted ? undefined : `${why}; only ${wanted}.x`);
}

/** Rules of npm packages, by name. */
const packageRules: Readonly<Record<string, Rule>> = {
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
    "@types/node": (version, context) =>
        onlyMajor(major(context.packages.node ?? ""), "it follows the package node")(version, context),
    "@types/google-protobuf": onlyMajor(3, "it follows google-protobuf"),
    "google-protobuf": onlyMajor(3, "Pulumi's SDK takes google-protobuf 3"),
};

/** Version of a module, without "v", in the go.mod of a folder that builds it; "" for none. */
function builtIn(folder: string, module: string): string {
    const text = readOr(join(root, folder, "go.mod"), "");
    return new RegExp(`(?:^|\\s)${module.replaceAll(".", "\\.")} v(\\S+)`, "m").exec(text)?.[1] ?? "";
}

/** What is wrong if a folder's go.mod builds another version than the pinned one. */
function otherBuilt(pinned: string, folder: string, module: string): string[] {
    const built = builtIn(folder, module);
    return built === pinned ? [] : [`${folder}/go.mod takes ${built || "no"} ${module}`];
}

interface GoPin extends Omit<Pin, "pairs" | "source"> {
    readonly module: string;
    /** Folder whose go.mod pins it too. */
    readonly folder: string;
    readonly source?: Source;
    readonly pairs?: readonly string[];
}

/** A pin of what a folder builds from its Go module. */
function goPin({ module, folder, source = { go: module }, pairs = [], ...pin }: GoPin): Pin {
    return { ...pin, source, pairs: [...otherBuilt(pin.pinned.replace(/^v/, ""), folder, module), ...pairs] };
}

/** A pin that is nowhere but in the go.mod of the folder that builds it. */
function folderPin(pin: string, folder: string, module: string): Pin {
    return { pin, where: `${folder}/go.mod`, pinned: builtIn(folder, module), source: { go: module }, pairs: [] };
}

function imagePin(pin: string, key: string, image: string): Pin {
    const reason = "an image: Renovate follows it";
    return { pin, where: `versions.json: ${key}`, pinned: tagOf(image), reason, pairs: [] };
}

/** All pins but those of package.json. */
function ownPins(packages: Context["packages"]): Pin[] {
    const { pulumi, kubernetes, containerd, gvisor, flannel, kubeRouter, nginx, debian } = versions;
    const noRow = { etcd: "", coredns: "", pause: "" };
    const { etcd, coredns, pause } = releases[series(kubernetes.version)] ?? noRow;
    const etcdVersion = etcd.replace(/-.*/, "");
    return [
        goPin({
            pin: "Pulumi CLI",
            where: "versions.json: pulumi.cli",
            pinned: pulumi.cli,
            module: "github.com/pulumi/pulumi/pkg/v3",
            folder: "cli/build/pulumi",
            rule: (version, { available }) =>
                version !== pulumi.cli && available.get("npm @pulumi/pulumi")?.includes(version) === false
                    ? "there is no SDK of that version"
                    : undefined,
            pairs: packages["@pulumi/pulumi"] === pulumi.cli ? [] : ["package.json takes another @pulumi/pulumi"],
        }),
        {
            pin: "Pulumi's Node language host",
            where: "versions.json: pulumi.languageHostModule",
            pinned: pulumi.languageHostModule,
            reason: "stays: later modules hold no language host",
            pairs: otherBuilt(
                pulumi.languageHostModule,
                "cli/build/language-nodejs",
                "github.com/pulumi/pulumi/sdk/v3",
            ),
        },
        goPin({
            pin: "Kubernetes",
            where: "versions.json: kubernetes.version",
            pinned: kubernetes.version,
            component: "kubernetes",
            module: "k8s.io/kubernetes",
            folder: "mirror/build/kubernetes",
            rule: (version) =>
                containerdMisfit(containerd.version, version) ??
                (series(version) === series(kubernetes.version)
                    ? undefined
                    : "another minor release takes the recipes of etcd and CoreDNS with it"),
        }),
        goPin({
            pin: "containerd",
            where: "versions.json: containerd.version",
            pinned: containerd.version,
            component: "containerd",
            module: "github.com/containerd/containerd/v2",
            folder: "mirror/build/containerd",
            rule: (version) => containerdMisfit(version, kubernetes.version),
        }),
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
        goPin({
            pin: "gVisor module",
            where: "versions.json: gvisor.module",
            pinned: gvisor.module,
            component: "gvisor",
            release: releaseOf,
            module: "gvisor.dev/gvisor",
            folder: "mirror/build/gvisor",
            source: { go: "gvisor.dev/gvisor", branch: "go" },
        }),
        goPin({
            pin: "etcd",
            where: "versions.json: kubernetes.releases",
            pinned: etcdVersion,
            module: "go.etcd.io/etcd/server/v3",
            folder: "mirror/build/etcd",
            rule: (version) => (version === etcdVersion ? undefined : `kubeadm ${kubernetes.version} asks for ${etcd}`),
        }),
        goPin({
            pin: "CoreDNS",
            where: "versions.json: kubernetes.releases",
            pinned: coredns,
            module: "github.com/coredns/coredns",
            folder: "mirror/build/addons",
            rule: (version) => (version === coredns ? undefined : `kubeadm ${kubernetes.version} asks for ${coredns}`),
        }),
        {
            pin: "pause",
            where: "versions.json: kubernetes.releases",
            pinned: pause,
            reason: `kubeadm ${kubernetes.version} asks for it`,
            pairs: [],
        },
        goPin({
            pin: "flannel",
            where: "versions.json: flannel.version",
            pinned: flannel.version,
            module: "github.com/flannel-io/flannel",
            folder: "mirror/build/addons",
            pairs: tagOf(flannel.image) === `v${flannel.version}` ? [] : ["flannel.image has another tag"],
        }),
        imagePin("flannel's CNI plug-in", "flannel.cniPluginImage", flannel.cniPluginImage),
        goPin({
            pin: "kube-router",
            where: "versions.json: kubeRouter.version",
            pinned: kubeRouter.version,
            module: "github.com/cloudnativelabs/kube-router/v2",
            folder: "mirror/build/addons",
            pairs: tagOf(kubeRouter.image) === `v${kubeRouter.version}` ? [] : ["kubeRouter.image has another tag"],
        }),
        imagePin("nginx", "nginx.image", nginx.image),
        {
            pin: "Debian",
            where: "versions.json: debian.suite",
            pinned: debian.suite,
            component: "debian",
            reason: "a suite, not a version",
            pairs: [],
        },
        folderPin("cri-tools", "mirror/build/addons", "sigs.k8s.io/cri-tools"),
        folderPin("CNI plug-ins", "mirror/build/cni", "github.com/containernetworking/plugins"),
        folderPin("actionlint", "cli/ci/actionlint", "github.com/rhysd/actionlint"),
    ];
}

/** Packages of package.json; each has to be pinned exactly. */
function packagePins(packages: Context["packages"]): Pin[] {
    return Object.entries(packages).map(([name, pinned]) => ({
        pin: `npm ${name}`,
        where: "package.json",
        pinned,
        component: name === "node" ? "node" : undefined,
        source: { npm: name },
        rule: packageRules[name],
        pairs: /^\d+\.\d+\.\d+$/.test(pinned) ? [] : ["it is not an exact version"],
    }));
}

/** All pins, and what package.json pins by name. */
export function allPins(): { readonly packages: Context["packages"]; readonly pins: readonly Pin[] } {
    const packages = { ...project.dependencies, ...project.devDependencies };
    return { packages, pins: [...ownPins(packages), ...packagePins(packages)] };
}
