import assert from "node:assert/strict";
import type { Handler } from "../../components/contracts";
import { incompatibilities, rules, type Wanted } from "../../components/gvisor/compatibility";
import type { ConfigFile, NodeFacts } from "../../components/gvisor/facts";
import { builtRelease } from "../../components/targets/upstream";
import { versions } from "../../components/versions";
import { known, safeFrom } from "../../components/vulnerabilities.cjs";
import { nodeFacts } from "../helpers/canned";

const root = "/etc/containerd/config.toml";
const imports = 'imports = ["/etc/containerd/conf.d/*.toml"]';

/** What differs from a worker on which everything goes together. */
interface Case extends Partial<Omit<NodeFacts, "containerd">>, Partial<Omit<Wanted, "handlers">> {
    readonly containerd?: Partial<NodeFacts["containerd"]>;
    readonly handler?: string;
    readonly options?: Handler["options"];
}

function judge({ containerd, handler = "runsc", options = { platform: "systrap" }, ...other }: Case) {
    const { release = versions.gvisor.release, install = "apt", accepted, drained, ...more } = other;
    const good = nodeFacts();
    const facts: NodeFacts = { ...good, ...more, containerd: { ...good.containerd, ...containerd } };
    return [
        facts,
        { handlers: [{ name: handler, runtimeClass: "myclass", options }], release, install, accepted, drained },
    ] as const;
}

const version = (...versions: string[]): Case[] => versions.map((one) => ({ containerd: { version: one } }));

/** containerd with a root file of one schema, and a file that it imports with the first lines of `others`. */
const files = (containerd: string, schema: number | undefined, ...others: string[]): Case => ({
    containerd: {
        version: containerd,
        files: [
            { path: root, text: `${schema === undefined ? "" : `version = ${schema}\n`}${imports}\n` },
            ...others.map((text, index): ConfigFile => ({ path: `/etc/containerd/conf.d/${index}.toml`, text })),
        ],
    },
});
/** containerd of k0s, with this root file. */
const k0s = (text: string) => ({
    configPath: "/etc/k0s/containerd.toml",
    dropIns: "/etc/k0s/containerd.d",
    files: [{ path: "/etc/k0s/containerd.toml", text }],
});
const option = (name: string, value: string): Case => ({ options: { platform: "systrap", [name]: value } });

/** The oldest containerd from one on that nothing is known against. */
const fixed = (oldest: string) => safeFrom("containerd", oldest);

/** For each rule: what it refuses and with which words, and what it must let pass. */
const cases: Readonly<Record<string, { refused: [RegExp, ...Case[]]; passes: Case[] }>> = {
    "containerd is there": {
        refused: [/^it has no containerd; install it first/, ...version("")],
        passes: version("1.7.36", "2.2.10"),
    },
    "containerd understands gVisor's shim": {
        refused: [
            /^it has containerd 1\.\d.*, which cannot start the shim of a gVisor that is safe; upgrade containerd to 1\.7 or newer$/,
            ...version("1.4.13", "1.6.20~ds1", "1.6.39", "1.6.0-rc.1"),
        ],
        passes: version("", "1.7.0-beta.1", "1.7.36", "1.10.1", "2.2.10"),
    },
    "containerd ends gVisor's shims": {
        refused: [
            new RegExp(
                "^it has containerd (2[.]0[.].*, which leaves gVisor's shims behind; upgrade it to " +
                    `${fixed("2.0.6")}|2[.]1[.].*, which leaves gVisor's shims behind; upgrade it to ${fixed("2.1.2")}) or newer$`,
            ),
            ...version("2.0.0-rc.5", "2.0.0", "2.0.5", "2.0.5-1~debian.12"),
            ...version("2.1.0-beta.0", "2.1.0-rc.1", "2.1.0", "2.1.1"),
        ],
        passes: version("", "1.7.36", "2.0.6", "2.0.14", "2.1.2", "2.1.10", "2.2.0-rc.0"),
    },
    "containerd reads the version of its configuration": {
        refused: [
            new RegExp(
                "^/etc/containerd/config.toml is of version \\d, and containerd .* reads no newer one than \\d; write it in " +
                    `version (2, or upgrade containerd to ${fixed("2.0.6")}|3, or upgrade containerd to ${fixed("2.3.5")}|4)$`,
            ),
            files("1.7.36", 3),
            files("2.0.14", 4),
            files("2.2.10", 4),
            files("2.3.7", 5),
        ],
        passes: [
            ...version("", "2.2.10"),
            files("1.7.36", 2),
            files("2.2.10", 2),
            files("2.2.10", 3),
            files("2.2.10", undefined),
            files("2.3.0-beta.1", 4),
            files("2.4.2", 4),
            { containerd: { version: "2.2.10", files: [] } },
        ],
    },
    "containerd starts with a newer drop-in": {
        refused: [
            /^\/etc\/containerd\/conf\.d\/0\.toml is of a newer version than \/etc\/containerd\/config\.toml \(2\): containerd 2\.\S+ does not start with that/,
            files("2.3.0", 2, "version = 4"),
            files("2.3.4", 2, "version = 3"),
            files("2.4.0-beta.0", 2, "version = 3"),
        ],
        passes: [
            files("2.2.10", 2, "version = 3"),
            files("2.3.4", 3, "version = 3", "version = 2", "[debug]"),
            files("2.3.4", undefined, "version = 3"),
            files("2.3.5", 2, "version = 4"),
            files("2.4.0", 2, "version = 4"),
        ],
    },
    "containerd reads all files as of one version": {
        refused: [
            /^\/etc\/containerd\/conf\.d\/0\.toml is of another version than \/etc\/containerd\/config\.toml \(\d\): containerd 2\.\S+ takes all files for one of them/,
            files("2.0.14", 2, "version = 3"),
            files("2.2.10", 3, "version = 2", "version = 3"),
        ],
        passes: [
            files("2.2.10", 3),
            files("2.2.10", 3, "version = 3", '[debug]\nlevel = "info"'),
            files("2.2.10", 2, '[debug]\nlevel = "info"'),
            files("2.2.10", 2, "version = 2"),
            files("1.7.36", 2, '[debug]\nlevel = "info"'),
            files("2.3.7", 2, "version = 3"),
        ],
    },
    "pods outlive a restart of containerd": {
        refused: [
            /^the unit of its containerd has KillMode=(control-group|mixed), .* set KillMode=process .*, or drain the worker/,
            { containerd: { killMode: "control-group" } },
            { containerd: { killMode: "mixed" }, drained: false },
        ],
        passes: [
            { containerd: { killMode: "process" } },
            { containerd: { killMode: "none" } },
            { containerd: { killMode: "control-group" }, drained: true },
            { containerd: { killMode: "" } },
        ],
    },
    kernel: {
        refused: [
            /^its kernel is \d.*; gVisor needs 5\.6 or newer$/,
            { kernel: "4.19.0-27-amd64" },
            { kernel: "5.4.0-216-generic" },
            { kernel: "5.5.19" },
        ],
        passes: [{ kernel: "5.6.0" }, { kernel: "5.10.0-35-cloud-amd64" }, { kernel: "6.1.0-37-amd64" }],
    },
    architecture: {
        refused: [
            /^its architecture is \w+; gVisor needs x86_64 or aarch64$/,
            { architecture: "armv7l" },
            { architecture: "s390x" },
        ],
        passes: [{ architecture: "x86_64" }, { architecture: "aarch64" }],
    },
    "the platform exists": {
        refused: [
            /^the platform \w+ is not supported; allowed: systrap, kvm/,
            option("platform", "ptrace"),
            option("platform", "sysemu"),
        ],
        passes: [option("platform", "systrap"), option("platform", "kvm"), { options: {} }],
    },
    "kvm has its device": {
        refused: [/^it has no \/dev\/kvm, which the platform kvm needs; take systrap/, option("platform", "kvm")],
        passes: [{ ...option("platform", "kvm"), kvm: true }, {}],
    },
    "systrap may trace": {
        refused: [
            /^kernel\.yama\.ptrace_scope is 3, which stops gVisor's systrap; set it to 2 or less/,
            { ptraceScope: 3 },
            { ptraceScope: 3, options: {} },
        ],
        passes: [
            { ptraceScope: 2 },
            { ptraceScope: null },
            { ptraceScope: 3, kvm: true, options: { platform: "kvm" } },
        ],
    },
    "systemd cgroups need cgroup v2": {
        refused: [
            /^it has cgroup v1, and the option systemd-cgroup needs v2/,
            { ...option("systemd-cgroup", "true"), cgroupVersion: 1 },
        ],
        passes: [
            option("systemd-cgroup", "true"),
            { ...option("systemd-cgroup", "false"), cgroupVersion: 1 },
            { cgroupVersion: 1 },
        ],
    },
    "runsc and kubelet name cgroups alike": {
        refused: [
            /^kubelet's cgroupDriver is cgroupfs, and the option systemd-cgroup needs systemd/,
            { ...option("systemd-cgroup", "true"), kubeletCgroupDriver: "cgroupfs" },
        ],
        passes: [
            { ...option("systemd-cgroup", "true"), kubeletCgroupDriver: "systemd" },
            option("systemd-cgroup", "true"),
            { kubeletCgroupDriver: "cgroupfs" },
            { kubeletCgroupDriver: "systemd" },
        ],
    },
    "room on the disk": {
        refused: [/^\/usr or \/var\/lib has 499 MiB free; 500 are needed$/, { freeMiB: 499 }],
        passes: [{ freeMiB: 500 }],
    },
    "APT for packages": {
        refused: [
            /^it \(Fedora Linux 44\) has no apt-get; set gvisorArchive, gvisorArchiveSha512 and gvisorVersion/,
            {
                apt: false,
                os: { id: "fedora", version: "44", name: "Fedora Linux 44" },
            },
        ],
        passes: [{}, { apt: false, install: "archive" }],
    },
    "gVisor's release has no known vulnerability": {
        refused: [
            /^it would get gVisor 20260\S+ \(setting gvisorVersion\), which has .*CVE-2026-96812 \(.*as root\).*; allowed: 2026\S+ or newer, or \S*CVE-2026-96812\S* in acceptVulnerabilities$/,
            { release: "20260122.0" },
            { release: "20260817.0", accepted: ["CVE-2025-2713"] },
            { release: "20260823.9", install: "archive" },
        ],
        passes: [
            {},
            { release: builtRelease, install: "archive" },
            { release: "20260122.0", accepted: known.map(({ id }) => id) },
            { release: "*" },
        ],
    },
    "no flag opens a vulnerability again": {
        refused: [
            /^the handler runsc has the option character-device-policy=p\S+, which opens CVE-2026-96812 \(.*as root\); allowed: to leave it out, or CVE-2026-96812 in acceptVulnerabilities$/,
            option("character-device-policy", "passthrough"),
            { ...option("character-device-policy", "prefer-emulated"), accepted: ["CVE-2025-2713"] },
        ],
        passes: [
            option("character-device-policy", "emulated-only"),
            { ...option("character-device-policy", "passthrough"), accepted: ["CVE-2026-96812"] },
        ],
    },
    "containerd takes drop-ins": {
        refused: [
            /^(K3s|RKE2|MicroK8s) runs a containerd of its own and writes its configuration \(\/\S+\), with no documented place/,
            { managers: ["k3s"] },
            { managers: ["rke2"] },
            { managers: ["kubespray", "microk8s"] },
        ],
        passes: [{ managers: [] }, { managers: ["kops"] }, { managers: ["kubespray"] }, { managers: ["k0s"] }],
    },
    "k0s manages its containerd's configuration": {
        refused: [
            /^\/etc\/k0s\/containerd\.toml is not k0s's any more .* move your changes to \/etc\/k0s\/containerd\.d, remove /,
            { containerd: k0s("version = 2\n") },
            { containerd: k0s("# k0s_managed=false\nversion = 3\n") },
            { containerd: { ...k0s(""), files: [] } },
        ],
        passes: [{}, { containerd: k0s("\n# k0s_managed=true\nversion = 2\n") }],
    },
    "nobody else writes the root file": {
        refused: [
            /^k\w+ writes \/etc\/containerd\/config\.toml, and would take our lines out of it again; /,
            {
                managers: ["kubespray"],
                containerd: { version: "1.7.36", files: [{ path: root, text: "version = 2\n" }] },
            },
            { managers: ["kops"], containerd: { files: [{ path: root, text: "version = 3\n" }] } },
        ],
        passes: [
            { managers: ["kops", "kubespray"] },
            { containerd: { version: "1.7.36", files: [{ path: root, text: "version = 2\n" }] } },
        ],
    },
    "handlers have names of their own": {
        refused: [
            /^a handler is called \w+; allowed: any name but config, runc/,
            { handler: "config" },
            { handler: "runc" },
            {
                handler: "nvidia",
                containerd: {
                    effective: `[plugins.'io.containerd.cri.v1.runtime'.containerd]\ndefault_runtime_name = "nvidia"\n`,
                },
            },
        ],
        passes: [{ handler: "runsc" }, { handler: "nvidia" }, { handler: "runsc", containerd: { effective: "" } }],
    },
};

describe("rules of what goes together", () => {
    it("each have a test and a source", () => {
        assert.deepEqual(
            rules.map((rule) => rule.name),
            Object.keys(cases),
        );
        for (const rule of rules) {
            assert.match(rule.refuses, /^\S.*[^.]$/, rule.name);
            assert.match(rule.source, /^https:\/\/\S+$/, rule.name);
        }
    });

    for (const rule of rules) {
        const { refused, passes } = cases[rule.name] ?? { refused: [/^/], passes: [] };
        it(`refuse with the reason and the way out: ${rule.name}`, () => {
            const [reason, ...bad] = refused;
            assert.ok(bad.length > 0);
            for (const one of bad) {
                assert.match(rule.complaint(...judge(one)) ?? "nothing", reason, JSON.stringify(one));
            }
        });
        it(`let pass what is good: ${rule.name}`, () => {
            assert.ok(passes.length > 0);
            for (const one of passes) {
                assert.equal(rule.complaint(...judge(one)), undefined, JSON.stringify(one));
            }
        });
    }
});

describe("incompatibilities", () => {
    it("are none on a usual worker", () => {
        assert.deepEqual(incompatibilities(...judge({})), []);
        assert.deepEqual(incompatibilities(...judge({ cgroupVersion: 1, kubeletCgroupDriver: "cgroupfs" })), []);
        assert.deepEqual(incompatibilities(...judge(files("1.7.36", 2))), []);
        assert.deepEqual(incompatibilities(...judge(files("2.4.2", 4))), []);
    });

    it("are told all at once, in the order of the rules", () => {
        const found = incompatibilities(
            ...judge({ containerd: { version: "2.1.1" }, kernel: "4.4.0", freeMiB: 3, ptraceScope: 3 }),
        );
        assert.deepEqual(
            found.map((complaint) => complaint.split(/[ ,;]/).slice(0, 3).join(" ")),
            ["it has containerd", "its kernel is", "kernel.yama.ptrace_scope is 3", "/usr or /var/lib"],
        );
    });

    it("are told of a machine without containerd as of any other", () => {
        const found = incompatibilities(
            ...judge({ containerd: { version: "", files: [], effective: "", error: "not found" } }),
        );
        assert.deepEqual(found, [`it has no containerd; install it first, ${versions.containerd.version} or newer`]);
    });
});
