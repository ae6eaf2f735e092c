import type { Handler } from "../contracts";
import { versions } from "../versions";
import { compareVersions, safeFrom } from "../vulnerabilities.cjs";
import { isTable, parseConfig, valueAt, writtenSchema } from "./configFile";
import { planConfig } from "./containerdConfig";
import type { ConfigFile, NodeFacts } from "./facts";
import { flagFlaw, releaseFlaw } from "./flaws";

/** What is to be installed. */
export interface Wanted {
    readonly handlers: readonly Handler[];
    /** Release of gVisor, for example "20261116.0". */
    readonly release: string;
    readonly install: "apt" | "archive";
    /** Ids of vulnerabilities that are no reason to refuse it. */
    readonly accepted?: readonly string[];
    /** Whether the worker is drained before containerd is restarted. */
    readonly drained?: boolean;
}

export interface Rule {
    readonly name: string;
    /** What it has something against, as docs/compatibility.md says it. */
    readonly refuses: string;
    /** Where it is known from. */
    readonly source: string;
    /** Why it cannot work, and the way out; undefined where the rule has nothing against it. */
    readonly complaint: (facts: NodeFacts, wanted: Wanted) => string | undefined;
}

const within = (version: string, from: string, before: string) =>
    compareVersions(version, from) >= 0 && compareVersions(version, before) < 0;

/** The oldest containerd to upgrade to, of those that do what is asked for. */
const safe = (oldest: string) => safeFrom("containerd", oldest) ?? versions.containerd.version;

const option = (wanted: Wanted, name: string) =>
    wanted.handlers.flatMap((handler) => (name in handler.options ? [handler.options[name]] : []));

const names = (handlers: readonly Handler[]) => handlers.map(({ name }) => name).join(", ");

function schemaOf(file: ConfigFile | undefined): number | undefined {
    return file && writtenSchema(parseConfig(file).table ?? {});
}

function rootSchema({ containerd }: NodeFacts): number | undefined {
    return schemaOf(containerd.files.find((file) => file.path === containerd.configPath));
}

/** The runtime of pods that ask for none. */
function defaultRuntime({ containerd }: NodeFacts): string {
    const { table: { plugins } = {} } = parseConfig({ path: "", text: containerd.effective });
    const names = (isTable(plugins) ? Object.values(plugins) : [])
        .map((plugin) => valueAt(plugin, "containerd", "default_runtime_name"))
        .filter((name) => typeof name === "string");
    return names.find((name) => name !== "") ?? "runc";
}

/** The newest version of its configuration that a containerd reads. */
function newestSchema(containerd: string): number {
    if (compareVersions(containerd, "2.0.0-alpha") < 0) {
        return 2;
    }
    return compareVersions(containerd, "2.3.0-alpha") < 0 ? 3 : 4;
}

/** Imported files whose version is not as it has to be beside that of the root file; empty for none. */
function dropInsBut(facts: NodeFacts, fits: (schema: number | undefined, root: number) => boolean): string {
    const { configPath, files } = facts.containerd;
    const root = rootSchema(facts);
    return files
        .filter((file) => file.path !== configPath && root !== undefined && !fits(schemaOf(file), root))
        .map((file) => file.path)
        .join(", ");
}

/** Distributions that write their own containerd's configuration and document no place for drop-ins: name, and path. */
const ownPaths: Readonly<Record<string, readonly [name: string, path: string]>> = {
    k3s: ["K3s", "/var/lib/rancher/k3s/agent/etc/containerd"],
    rke2: ["RKE2", "/var/lib/rancher/rke2/agent/etc/containerd"],
    microk8s: ["MicroK8s", "/var/snap/microk8s/current/args"],
};

/** Every combination that is known not to work. */
export const rules: readonly Rule[] = [
    {
        name: "containerd is there",
        refuses: "no containerd",
        source: "https://gvisor.dev/docs/user_guide/containerd/quick_start/",
        complaint: ({ containerd }) =>
            containerd.version === ""
                ? `it has no containerd; install it first, ${versions.containerd.version} or newer`
                : undefined,
    },
    {
        // A shim built on the library of containerd 2 answers its start in JSON, which 1.6 takes for a path. The last one that
        // was built on 1.6's library belongs to a gVisor that pods escape from.
        name: "containerd understands gVisor's shim",
        refuses: "containerd older than 1.7",
        source: "https://github.com/containerd/containerd/issues/11708",
        complaint: ({ containerd: { version } }) =>
            version !== "" && compareVersions(version, "1.7.0-alpha") < 0
                ? `it has containerd ${version}, which cannot start the shim of a gVisor that is safe; upgrade containerd to 1.7 or newer`
                : undefined,
    },
    {
        // For 2.1: https://github.com/siderolabs/talos/issues/11207.
        name: "containerd ends gVisor's shims",
        refuses: "containerd 2.0.0 to 2.0.5, 2.1.0 and 2.1.1",
        source: "https://github.com/containerd/containerd/issues/11708",
        complaint: ({ containerd: { version } }) => {
            const fixed = ["2.0.6", "2.1.2"].find((one) => within(version, one.replace(/\d$/, "0-alpha"), one));
            return (
                fixed &&
                `it has containerd ${version}, which leaves gVisor's shims behind; upgrade it to ${safe(fixed)} or newer`
            );
        },
    },
    {
        name: "containerd reads the version of its configuration",
        refuses: "a root file of a newer version than its containerd reads",
        source: "https://github.com/containerd/containerd/blob/main/docs/man/containerd-config.toml.5.md",
        complaint: (facts) => {
            const { version, configPath } = facts.containerd;
            const schema = rootSchema(facts) ?? 0;
            const newest = newestSchema(version);
            const needed = { 3: "2.0.6", 4: "2.3.5" }[schema];
            return version !== "" && schema > newest
                ? `${configPath} is of version ${schema}, and containerd ${version} reads no newer one than ${newest}; ` +
                      `write it in version ${newest}${needed ? `, or upgrade containerd to ${safe(needed)}` : ""}`
                : undefined;
        },
    },
    {
        name: "containerd starts with a newer drop-in",
        refuses: "containerd 2.3.0 to 2.3.4 with a drop-in of a newer version than the root file",
        source: "https://github.com/NVIDIA/aicr/issues/1688",
        complaint: (facts) => {
            const { version, configPath } = facts.containerd;
            const newer = dropInsBut(facts, (schema = 0, root) => schema <= root);
            return newer !== "" && (within(version, "2.3.0-alpha", "2.3.5") || version === "2.4.0-beta.0")
                ? `${newer} is of a newer version than ${configPath} (${rootSchema(facts)}): containerd ${version} does not start ` +
                      `with that once it is restarted. Give both the same version`
                : undefined;
        },
    },
    {
        // The version of the file that is read last counts for all; one without a version takes on that of the others.
        name: "containerd reads all files as of one version",
        refuses: "containerd 2.0 to 2.2 with drop-ins of another version than the root file",
        source: "https://github.com/containerd/containerd/pull/12891",
        complaint: (facts) => {
            const { version, configPath } = facts.containerd;
            const other = dropInsBut(facts, (schema = 0, root) => schema < 2 || schema === root);
            return other !== "" && within(version, "2.0.0-alpha", "2.3.0-alpha")
                ? `${other} is of another version than ${configPath} (${rootSchema(facts)}): containerd ${version} takes all files ` +
                      `for one of them, and leaves out what is written for the other. Give both the same version`
                : undefined;
        },
    },
    {
        name: "pods outlive a restart of containerd",
        refuses: "a unit of containerd that kills pods when it restarts, unless the worker is drained",
        source: "https://github.com/containerd/containerd/blob/main/containerd.service",
        // Facts that an earlier version has recorded hold none.
        complaint: ({ containerd: { killMode = "" } }, { drained }) =>
            ["", "process", "none"].includes(killMode) || drained
                ? undefined
                : `the unit of its containerd has KillMode=${killMode}, so the restart that a handler needs would kill every pod; set ` +
                  `KillMode=process (systemctl edit), or drain the worker for it (the setting drain)`,
    },
    {
        name: "kernel",
        refuses: "a kernel older than 5.6",
        source: "https://gvisor.dev/docs/user_guide/install/",
        complaint: ({ kernel }) =>
            compareVersions(kernel, "5.6") < 0 ? `its kernel is ${kernel}; gVisor needs 5.6 or newer` : undefined,
    },
    {
        name: "architecture",
        refuses: "an architecture other than x86_64 and aarch64",
        source: "https://gvisor.dev/docs/user_guide/install/",
        complaint: ({ architecture }) =>
            ["x86_64", "aarch64"].includes(architecture)
                ? undefined
                : `its architecture is ${architecture}; gVisor needs x86_64 or aarch64`,
    },
    {
        name: "the platform exists",
        refuses: "a platform other than systrap and kvm",
        source: "https://gvisor.dev/docs/user_guide/platforms/",
        complaint: (_, wanted) => {
            const bad = option(wanted, "platform").filter((platform) => !["systrap", "kvm"].includes(platform ?? ""));
            return bad.length > 0
                ? `the platform ${bad.join(", ")} is not supported; allowed: systrap, kvm (options.platform of a handler)`
                : undefined;
        },
    },
    {
        name: "kvm has its device",
        refuses: "the platform kvm without /dev/kvm",
        source: "https://gvisor.dev/docs/user_guide/platforms/",
        complaint: ({ kvm }, wanted) =>
            option(wanted, "platform").includes("kvm") && !kvm
                ? "it has no /dev/kvm, which the platform kvm needs; take systrap for it (gvisorPlatform, or options.platform)"
                : undefined,
    },
    {
        name: "systrap may trace",
        refuses: "the platform systrap with kernel.yama.ptrace_scope 3",
        source: "https://github.com/google/gvisor/issues/10495",
        complaint: ({ ptraceScope }, wanted) =>
            ptraceScope === 3 && wanted.handlers.some(({ options }) => (options.platform ?? "systrap") === "systrap")
                ? "kernel.yama.ptrace_scope is 3, which stops gVisor's systrap; set it to 2 or less, which takes a reboot"
                : undefined,
    },
    {
        name: "systemd cgroups need cgroup v2",
        refuses: "the option systemd-cgroup with cgroup v1",
        source: "https://gvisor.dev/docs/user_guide/systemd/",
        complaint: ({ cgroupVersion }, wanted) =>
            cgroupVersion === 1 && option(wanted, "systemd-cgroup").includes("true")
                ? "it has cgroup v1, and the option systemd-cgroup needs v2; remove that option"
                : undefined,
    },
    {
        name: "runsc and kubelet name cgroups alike",
        refuses: "the option systemd-cgroup where kubelet's cgroupDriver is cgroupfs",
        source: "https://github.com/google/gvisor/issues/7671",
        complaint: ({ kubeletCgroupDriver }, wanted) =>
            kubeletCgroupDriver === "cgroupfs" && option(wanted, "systemd-cgroup").includes("true")
                ? "kubelet's cgroupDriver is cgroupfs, and the option systemd-cgroup needs systemd; remove that option"
                : undefined,
    },
    {
        name: "room on the disk",
        refuses: "less than 500 MiB free below /usr or /var/lib",
        source: "https://gvisor.dev/docs/user_guide/install/",
        complaint: ({ freeMiB }) =>
            freeMiB < 500 ? `/usr or /var/lib has ${freeMiB} MiB free; 500 are needed` : undefined,
    },
    {
        name: "APT for packages",
        refuses: "no apt-get, unless gVisor comes as an archive",
        source: "https://gvisor.dev/docs/user_guide/install/",
        complaint: ({ apt, os }, { install }) =>
            install === "apt" && !apt
                ? `it (${os.name}) has no apt-get; set gvisorArchive, gvisorArchiveSha512 and gvisorVersion to install a release archive`
                : undefined,
    },
    {
        name: "gVisor's release has no known vulnerability",
        refuses: "a release of gVisor with a known vulnerability, unless it is accepted",
        source: "https://github.com/google/gvisor/blob/master/SECURITY.md",
        complaint: (_, { release, accepted }) => {
            const flaw = releaseFlaw(release, accepted);
            return flaw && `it would get gVisor ${release} (setting gvisorVersion), which ${flaw}`;
        },
    },
    {
        name: "no flag opens a vulnerability again",
        refuses: "a flag of runsc that opens a known vulnerability again, unless it is accepted",
        source: "https://github.com/google/gvisor/blob/master/runsc/config/flags.go",
        complaint: (_, { handlers, accepted }) => {
            const all = handlers.flatMap(({ name, options }) =>
                Object.entries(options).flatMap(([flag, value]) => {
                    const flaw = flagFlaw(flag, value, accepted);
                    return flaw ? [`the handler ${name} has the option ${flag}=${value}, which ${flaw}`] : [];
                }),
            );
            return all.join("; ") || undefined;
        },
    },
    {
        // K3s and RKE2 import config-v3.toml.d since March 2026, which their documentation does not name.
        name: "containerd takes drop-ins",
        refuses: "K3s, RKE2 and MicroK8s, which write their containerd's configuration themselves",
        source: "https://github.com/k3s-io/docs/issues/566",
        complaint: ({ managers }) => {
            const found = managers.flatMap((manager) => (ownPaths[manager] ? [ownPaths[manager]] : []));
            return found.length > 0
                ? `${found.map(([name, path]) => `${name} runs a containerd of its own and writes its configuration (${path})`).join("; ")}, ` +
                      `with no documented place for drop-ins; supported are a containerd that is a service of the machine, and k0s's`
                : undefined;
        },
    },
    {
        name: "k0s manages its containerd's configuration",
        refuses: "k0s with a configuration of containerd that is not its own any more",
        source: "https://docs.k0sproject.io/stable/runtime/#k0s-managed-dynamic-runtime-configuration",
        complaint: ({ containerd: { dropIns, configPath, files } }) => {
            const root = files.find((file) => file.path === configPath);
            return dropIns !== "" && !root?.text.split("\n").includes("# k0s_managed=true")
                ? `${configPath} is not k0s's any more (its line "# k0s_managed=true" is gone), so k0s does not read ${dropIns}; move ` +
                      `your changes to ${dropIns}, remove ${configPath} and restart k0s`
                : undefined;
        },
    },
    {
        name: "nobody else writes the root file",
        refuses: "kOps and Kubespray where the root file would have to change",
        source: "https://github.com/kubernetes-sigs/kubespray/tree/master/roles/container-engine/containerd",
        complaint: (facts, { handlers }) => {
            const writers = facts.managers.filter((manager) => ["kops", "kubespray"].includes(manager));
            const { root } = planConfig(facts, handlers);
            return writers.length > 0 && root.head + root.tail !== ""
                ? `${writers.join(", ")} writes ${root.path}, and would take our lines out of it again; let it write the handler ` +
                      `(kubespray: gvisor_enabled), or an imports line, and use containerd 2`
                : undefined;
        },
    },
    {
        name: "handlers have names of their own",
        refuses: "a handler that is called config or runc, or as the default runtime is",
        source: "https://github.com/google/gvisor/blob/master/pkg/shim/v1/runsc/options.go",
        complaint: (facts, { handlers }) => {
            const reserved = [...new Set(["config", "runc", defaultRuntime(facts)])];
            const taken = handlers.filter(({ name }) => reserved.includes(name));
            return taken.length > 0
                ? `a handler is called ${names(taken)}; allowed: any name but ${reserved.join(", ")} (the options of one called ` +
                      `config would hold for all sandboxes, the others run pods that ask for nothing). See the setting handlers`
                : undefined;
        },
    },
];

/** All reasons why this cannot work on a machine; empty if nothing is known against it. */
export function incompatibilities(facts: NodeFacts, wanted: Wanted): string[] {
    return rules.flatMap((rule) => rule.complaint(facts, wanted) ?? []);
}
