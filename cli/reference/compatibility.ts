// docs/compatibility.md: what was run, by the page of the last matrix and the pins, and what is refused, by the rules of the gate.
import type { Rule } from "../../components/gvisor/compatibility.ts";
import { compareVersions, known } from "../../components/vulnerabilities.cjs";
import { Failure } from "../failure.ts";
import { versions } from "../project.ts";
import { programModule } from "./bundle.ts";
import { found, prose, type Row, table } from "./markdown.ts";

const matrix = "bench/matrix.md";

/** Versions of a program in the matrix, by its own word. */
const seen = (program: string) =>
    found(matrix, new RegExp(`^\\| ${program} \\| (?:v|release-)?([^ |]+) \\|`, "gm")).map(([version = ""]) => version);

/** Rows of the matrix: each containerd with the configuration that it was found with, and what came of it. */
function configurations(): Row[] {
    const rows = found(
        matrix,
        /^\| \d+ \| ([^,|]+), ([^:|]+): (installed and removed|refused) \| (.*?) \| (\S+) \| \d+ \|$/gm,
    );
    return rows.map(([containerd = "", configuration = "", outcome = "", cell = "", passed = ""]) => {
        const [, why = ""] = /refusal "- (.*?)"?$/.exec(cell) ?? [];
        const said = outcome === "refused" ? `refused: ${prose(why)}` : outcome;
        const version = containerd === "debian" ? (/containerd (\S+?);/.exec(cell)?.[1] ?? containerd) : containerd;
        return [version, configuration, passed === "passed" ? said : "failed in the last run"];
    });
}

/** Versions of containerd that gVisor was installed beside. */
function installed(rows: readonly Row[]): string {
    const all = rows.filter(([, , outcome]) => outcome === "installed and removed").map(([version = ""]) => version);
    return [...new Set(all)].sort(compareVersions).join(", ");
}

/** The first release of gVisor that nothing is known against. */
function oldestGvisor(): string {
    const fixes = known.filter(({ component }) => component === "gvisor").flatMap(({ affected }) => affected);
    return (
        fixes
            .flatMap(({ fixed }) => fixed ?? [])
            .sort(compareVersions)
            .at(-1) ?? ""
    );
}

export function compatibility(again: string): string {
    const { rules } = programModule<{ rules: readonly Rule[] }>("components/gvisor/compatibility.ts");
    const refused = (name: string) => {
        const rule = rules.find((one) => one.name === name);
        if (rule === undefined) {
            throw new Failure(`there is no rule "${name}" any more.`, { next: "see cli/reference/compatibility.ts" });
        }
        return rule.refuses;
    };
    const rows = configurations();
    const [[kernel = ""] = []] = found(matrix, /^Host: kernel ([\d.]+)/gm);
    const [[k0s = "", kubeletOfK0s = ""] = []] = found(matrix, /k0s v(\S+); kubelet v([\d.]+); verdict PROVEN/g);
    const { kubernetes, gvisor, debian } = versions;
    const oldest = oldestGvisor();
    const branches = Object.keys(kubernetes.releases);
    const tested = [kubernetes.version, ...seen("kubelet")];
    const untested = branches.filter((branch) => !tested.some((version) => version.startsWith(`${branch}.`)));
    const what: Row[] = [
        [
            "Operating system",
            `Debian ${debian.suite}`,
            "other distributions with systemd; those without APT take gVisor as an archive",
            refused("APT for packages"),
        ],
        ["Kernel", kernel, "5.6 and newer", refused("kernel")],
        ["Architecture", "x86_64", "aarch64", refused("architecture")],
        [
            "Kubernetes that the program installs",
            tested.join(", "),
            untested.map((branch) => `${branch} (settings only)`).join(", "),
            `other branches than ${branches.join(", ")}`,
        ],
        [
            "Kubernetes that is there",
            `kubeadm's ${kubernetes.version}; k0s ${k0s} (kubelet ${kubeletOfK0s})`,
            "any other whose kubelet uses containerd",
            refused("containerd takes drop-ins"),
        ],
        [
            "Who configures containerd",
            "the administrator; kubeadm's node; k0s",
            "kOps and Kubespray with containerd 2 (by their files only)",
            refused("nobody else writes the root file"),
        ],
        [
            "containerd",
            installed(rows),
            "other versions from 1.7 on",
            ["containerd understands gVisor's shim", "containerd ends gVisor's shims"].map(refused).join("; "),
        ],
        [
            "gVisor",
            `${seen("runsc").join(", ")}; ${oldest} in an upgrade`,
            `others from ${oldest} on, among them ${gvisor.release}, which is the default upstream`,
            refused("gVisor's release has no known vulnerability"),
        ],
        ["gVisor's platform", "systrap", "kvm", refused("the platform exists")],
    ];
    return `# Compatibility

Made from the code and from [the last run of the matrix](../${matrix}) by \`${again}\`: change these, not this page. Until when each
version is supported is in [SECURITY.md](../SECURITY.md#what-is-supported).

**Run** means that a test has installed gVisor there, started pods in it and looked at them; packages and images were
built from their sources ([what that leaves open](offline.md#what-is-rehearsed)). **Accepted** means that the rules have nothing
against it, and nobody has run it here. **Refused** means that nothing is changed on the machine.

${table(["", "Run", "Accepted, not run", "Refused"], what)}
## containerd and its configuration

Each row is a machine with that containerd, whose configuration was as people leave it
([the files](../test/matrix/configurations.ts)). *Installed and removed* includes pods on each handler, and that the machine is
afterwards as it was before.

${table(["containerd", "Configuration", "What came of it"], rows)}
## What the gate refuses

By the rules in [compatibility.ts](../components/gvisor/compatibility.ts), before anything is changed, all reasons at once. The
messages and what to do: [troubleshooting](troubleshooting.md).

${table(
    ["Refused", "Known from"],
    rules.map(({ refuses, source }) => [prose(refuses), `[source](${source})`]),
)}`;
}
