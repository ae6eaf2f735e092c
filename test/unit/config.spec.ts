import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { loadYaml } from "@kubernetes/client-node";
import * as pulumi from "@pulumi/pulumi";
import { tolerations } from "../../components/cluster/nodeSettings";
import { atOnce } from "../../components/gvisor/turns";
import { versions } from "../../components/versions";
import { known, safeFrom } from "../../components/vulnerabilities.cjs";
import {
    allHandlers,
    defaultHandlerOf,
    handlersOf,
    loadSettings,
    nodeSettingsOf,
    parseSettings,
    taintsOf,
} from "../../config";
import { root } from "../helpers/program";

interface ProjectFile {
    readonly name: string;
    readonly config: Readonly<Record<string, { type: string; description: string; default: string | object }>>;
}
const projectFile = loadYaml<ProjectFile>(fs.readFileSync(path.join(root, "Pulumi.yaml"), "utf8"));

/** The complaints about some settings, without the sentences around them. */
function complaints(raw: Record<string, string>): string[] {
    try {
        parseSettings(raw);
    } catch (error) {
        // A RunError is printed without a stack trace.
        assert.ok(pulumi.RunError.isInstance(error));
        const lines = error.message.split("\n");
        assert.equal(lines[0], "The settings of this stack cannot be used; nothing was changed:");
        assert.equal(lines.at(-1), "Correct them with: npm run pulumi -- config set NAME VALUE");
        return lines.slice(1, -1).map((line) => line.replace(/^ {2}- runtime-sandboxes:/, ""));
    }
    return [];
}

const badName = (name: string) =>
    `workers holds the name "${name}"; allowed: a lower-case letter, then lower-case letters, digits and hyphens, at most 40, not control-plane, node-image or localhost`;
const badCount = (count: string) => `workers is ${count}; allowed: 1 to 20 workers, or their names separated by commas`;
const names = (count: number) => Array.from({ length: count }, (_, index) => `node-${index}`).join(",");
const fingerprint = "0123456789abcdefABCDEF0123456789abcdef01";

describe("settings", () => {
    it("have the defaults that Pulumi.yaml says", () => {
        // Pulumi keeps structured settings as JSON.
        const defaults = Object.entries(projectFile.config).map(([key, setting]) => [
            key,
            typeof setting.default === "string" ? setting.default : JSON.stringify(setting.default),
        ]);
        const settings = parseSettings({});
        assert.deepEqual(Object.keys(settings).sort(), Object.keys(projectFile.config).sort());
        assert.deepEqual(parseSettings(Object.fromEntries(defaults)), settings);
        assert.deepEqual(settings, {
            target: "local",
            workers: ["worker-1"],
            runtimeClass: "myclass",
            gvisorPlatform: "systrap",
            gvisorVersion: "",
            gvisorArchive: "",
            gvisorArchiveSha512: "",
            acceptVulnerabilities: [],
            existing: undefined,
            gcp: undefined,
            handlers: { runsc: { options: {} } },
            overrides: {},
            overhead: undefined,
            maxUnavailable: "",
            mandatory: undefined,
            drain: false,
            drainOptions: { force: false, deleteEmptyDirData: false, timeoutSeconds: 300 },
            defaultHandler: "",
            limits: false,
            attacks: "",
            containerdVersion: "",
            kubernetesVersion: "",
            sources: "auto",
            mirror: "",
            mirrorFingerprint: "",
            bridge: "sandbox0",
            addressRange: "10.77.0.0/24",
        });
    });

    it("are each described in Pulumi.yaml, and the stack dev holds no other", () => {
        for (const [key, { type, description }] of Object.entries(projectFile.config)) {
            assert.equal(type, typeof projectFile.config[key]?.default, key);
            assert.match(description, /^[A-Z].*\.$/, key);
        }
        const stack = loadYaml<{ config: Record<string, string> }>(
            fs.readFileSync(path.join(root, "Pulumi.dev.yaml"), "utf8"),
        );
        const prefix = `${projectFile.name}:`;
        const unknown = Object.keys(stack.config).filter((key) => !(key.replace(prefix, "") in projectFile.config));
        assert.deepEqual(unknown, []);
    });

    it("take what Pulumi keeps under the project's name, and leave other packages' alone", () => {
        pulumi.runtime.setAllConfig({
            "runtime-sandboxes:workers": "2",
            "runtime-sandboxes:gvisorPlatform": "kvm",
            "kubernetes:context": "other",
        });
        const { workers, gvisorPlatform } = loadSettings();
        assert.deepEqual([workers, gvisorPlatform], [["worker-1", "worker-2"], "kvm"]);
        pulumi.runtime.setAllConfig({ "runtime-sandboxes:worker": "2" });
        assert.throws(loadSettings, /runtime-sandboxes:worker is no setting/);
        pulumi.runtime.setAllConfig({});
    });

    for (const [value, expected] of [
        ["1", ["worker-1"]],
        [" 3 ", ["worker-1", "worker-2", "worker-3"]],
        ["alpha", ["alpha"]],
        ["alpha, beta-2", ["alpha", "beta-2"]],
        ["n".repeat(40), ["n".repeat(40)]],
    ] as const) {
        it(`make ${expected.length} of the workers "${value}"`, () => {
            assert.deepEqual(parseSettings({ workers: value }).workers, expected);
        });
    }

    it("take up to 20 workers", () => {
        assert.equal(parseSettings({ workers: "20" }).workers.length, 20);
        assert.equal(parseSettings({ workers: names(20) }).workers.at(-1), "node-19");
    });

    for (const [value, ...expected] of [
        ["0", badCount("0")],
        ["-1", badCount("-1")],
        ["21", badCount("21")],
        ["", badName("")],
        ["alpha,,beta", badName("")],
        ["Alpha", badName("Alpha")],
        ["alpha;reboot", badName("alpha;reboot")],
        ["1.5", badName("1.5")],
        ["alpha,control-plane", badName("control-plane")],
        ["localhost", badName("localhost")],
        ["node-image", badName("node-image")],
        ["2,3", badName("2"), badName("3")],
        ["n".repeat(41), badName("n".repeat(41))],
        ["-a,b-", badName("-a"), badName("b-")],
        ["a,b,a,b,a", "workers names a, b twice; each worker needs a name of its own"],
        [names(21), "workers names 21 workers; allowed: at most 20"],
    ] as const) {
        it(`refuse the workers "${value.slice(0, 50)}"`, () => {
            assert.deepEqual(complaints({ workers: value }), expected);
        });
    }

    for (const [key, value, expected] of [
        ["addressRange", "10.999.0.0/24", 'is "10.999.0.0/24"; allowed: numbers up to 255'],
        [
            "addressRange",
            "10.96.3.0/24",
            'is "10.96.3.0/24"; allowed: a range outside 10.244.0.0/16 (pods) and 10.96.0.0/12 (services)',
        ],
        ["target", "aws", 'is "aws"; allowed: local, existing, gcp'],
        ["runtimeClass", "MyClass", 'is "MyClass"; allowed: a DNS label (lower-case letters, digits, hyphens)'],
        ["runtimeClass", "", 'is ""; allowed: a DNS label (lower-case letters, digits, hyphens)'],
        ["gvisorPlatform", "ptrace", 'is "ptrace"; allowed: systrap, kvm'],
        ["gvisorVersion", "latest", 'is "latest"; allowed: a version such as 20261116.0, or empty for the pinned one'],
        [
            "kubernetesVersion",
            "v1.36.5",
            'is "v1.36.5"; allowed: a version such as 1.36.5, or empty for the pinned one',
        ],
        ["kubernetesVersion", "1.30.1", 'is "1.30.1"; allowed: a version of 1.35, 1.36, 1.37'],
        ["containerdVersion", "2.1.9", 'is "2.1.9"; Kubernetes 1.36 asks for 2.2.0 or newer, such as 2.3.7'],
        ["containerdVersion", "1.10.0", 'is "1.10.0"; Kubernetes 1.36 asks for 2.2.0 or newer, such as 2.3.7'],
        ["sources", "both", 'is "both"; allowed: auto, upstream, mirror'],
        [
            "bridge",
            "a-bridge-too-long",
            'is "a-bridge-too-long"; allowed: a letter, then letters, digits, hyphens; at most 15',
        ],
        ["bridge", "br0; reboot", 'is "br0; reboot"; allowed: a letter, then letters, digits, hyphens; at most 15'],
        ["addressRange", "8.8.8.0/24", 'is "8.8.8.0/24"; allowed: a private range such as 10.77.0.0/24'],
        ["addressRange", "10.77.0.0/16", 'is "10.77.0.0/16"; allowed: a private range such as 10.77.0.0/24'],
        ["addressRange", "10.77.0.1/24", 'is "10.77.0.1/24"; allowed: a private range such as 10.77.0.0/24'],
        ["addressRange", "172.32.0.0/24", 'is "172.32.0.0/24"; allowed: a private range such as 10.77.0.0/24'],
    ] as const) {
        it(`refuse ${key} "${value}"`, () => {
            assert.deepEqual(complaints({ [key]: value }), [`${key} ${expected}`]);
        });
    }

    for (const [key, value] of [
        ["containerdVersion", "2.2.10"],
        ["containerdVersion", "2.10.1"],
        ["containerdVersion", "3.0.0"],
        ["addressRange", "172.31.255.0/24"],
        ["addressRange", "192.168.1.0/24"],
    ] as const) {
        it(`take ${key} "${value}"`, () => {
            assert.equal(parseSettings({ [key]: value })[key], value);
        });
    }

    it("want the containerd that the wanted Kubernetes asks for", () => {
        for (const [kubernetesVersion, containerdVersion, floor] of [
            ["1.35.9", "2.1.4", "2.1.5"],
            ["1.35.9", "2.0.9", "2.1.5"],
            ["1.37.2", "2.2.10", "2.3.0"],
        ] as const) {
            assert.deepEqual(complaints({ kubernetesVersion, containerdVersion }), [
                `containerdVersion is "${containerdVersion}"; Kubernetes ${kubernetesVersion.slice(0, 4)} asks for ` +
                    `${floor} or newer, such as 2.3.7`,
            ]);
            assert.deepEqual(complaints({ kubernetesVersion, containerdVersion: floor }), []);
        }
    });

    it("want mirror and its fingerprint together, and not against sources", () => {
        const together =
            "mirrorFingerprint and runtime-sandboxes:mirror belong together: set both (a ready mirror) or none (built on this host)";
        assert.deepEqual(complaints({ mirror: "https://mirror.example/" }), [together]);
        assert.deepEqual(complaints({ mirrorFingerprint: fingerprint }), [together]);
        assert.deepEqual(complaints({ mirror: "https://mirror.example/", mirrorFingerprint: fingerprint }), []);
        assert.deepEqual(
            complaints({ mirror: "file:///srv/mirror", mirrorFingerprint: fingerprint, sources: "upstream" }),
            ['sources is "upstream" although runtime-sandboxes:mirror is set; remove one of them'],
        );
        assert.deepEqual(complaints({ mirror: "ftp://mirror.example", mirrorFingerprint: "12" }), [
            'mirror is "ftp://mirror.example"; allowed: an http, https or file URL, or empty',
            'mirrorFingerprint is "12"; allowed: 40 hexadecimal digits, or empty',
        ]);
    });

    const existing = JSON.stringify({
        kubeconfig: "k",
        workers: {
            a: { host: "10.0.0.1", hostKey: "ssh-ed25519 AAAA" },
            b: { host: "10.0.0.2", hostKey: "ssh-ed25519 AAAA" },
        },
    });
    const gcp = JSON.stringify({ project: "my-project", region: "us-central1", adminRanges: ["203.0.113.7/32"] });

    it("are refused where they have no effect on the target, all at once; what Pulumi fills in is nobody's choice", () => {
        const defaults = Object.fromEntries(
            Object.entries(projectFile.config)
                .filter(([, setting]) => typeof setting.default === "string")
                .map(([key, setting]) => [key, String(setting.default)]),
        );
        const chosen = {
            containerdVersion: "2.3.7",
            kubernetesVersion: "1.36.5",
            bridge: "lab0",
            addressRange: "10.88.0.0/24",
            sources: "mirror",
        };
        const remove = (setting: string, reason: string) =>
            `${setting} is "${chosen[setting as keyof typeof chosen]}", which has no effect: target ${reason}. ` +
            `Remove it: npm run pulumi -- config rm ${setting}`;
        const noMirror = (target: string) =>
            `sources is "mirror"; allowed with target ${target}: upstream, or the URL of a mirror that the machines reach (mirror)`;
        assert.deepEqual(complaints({ ...defaults, target: "existing", existing }), []);
        assert.deepEqual(complaints({ ...defaults, target: "gcp", gcp }), []);
        assert.deepEqual(complaints({ ...defaults, ...chosen }), []);
        assert.deepEqual(complaints({ ...defaults, ...chosen, target: "existing", existing }), [
            remove("containerdVersion", "existing leaves the nodes their containerd"),
            remove("kubernetesVersion", "existing leaves the cluster its Kubernetes"),
            remove("bridge", "existing makes no machines on this host"),
            remove("addressRange", "existing makes no machines on this host"),
            noMirror("existing"),
        ]);
        assert.deepEqual(complaints({ ...defaults, ...chosen, target: "gcp", gcp }), [
            remove("bridge", "gcp makes no machines on this host"),
            remove("addressRange", "gcp has gcp.networkRange instead"),
            noMirror("gcp"),
        ]);
        const mirror = { sources: "mirror", mirror: "https://mirror.example", mirrorFingerprint: fingerprint };
        assert.deepEqual(complaints({ ...defaults, ...mirror, target: "existing", existing }), []);
        assert.deepEqual(complaints({ ...defaults, ...mirror, target: "gcp", gcp }), []);
    });

    it("name every unknown setting, and those there are", () => {
        const known = Object.keys(projectFile.config).join(", ");
        assert.deepEqual(complaints({ worker: "2", Target: "local" }), [
            `worker is no setting; the settings are ${known}`,
            `Target is no setting; the settings are ${known}`,
        ]);
    });

    it("make handlers, the default one with the class of the setting, each with the platform and its flags", () => {
        const settings = parseSettings({
            workers: "2",
            runtimeClass: "boxed",
            handlers: JSON.stringify({
                runsc: {},
                "runsc-debug": { runtimeClass: "debug", options: { debug: true, dcache: 7 } },
            }),
            overrides: JSON.stringify({
                "worker-1": { handlers: ["runsc"], options: { network: "none" } },
                "worker-2": { sandbox: false },
            }),
        });
        assert.deepEqual(allHandlers(settings), [
            { name: "runsc", runtimeClass: "boxed", options: { platform: "systrap" } },
            {
                name: "runsc-debug",
                runtimeClass: "debug",
                options: { platform: "systrap", debug: "true", dcache: "7" },
            },
        ]);
        assert.deepEqual(handlersOf(settings, "worker-1"), [
            { name: "runsc", runtimeClass: "boxed", options: { platform: "systrap", network: "none" } },
        ]);
        assert.deepEqual(handlersOf(settings, "worker-2"), []);
    });

    it("name the default handler: by its setting, or runsc, or the only one; else that is refused", () => {
        const named = (handlers: object, defaultHandler = "") =>
            defaultHandlerOf(parseSettings({ handlers: JSON.stringify(handlers), defaultHandler }));
        assert.equal(named({ debug: {}, runsc: {} }), "runsc");
        assert.equal(named({ debug: {} }), "debug");
        assert.equal(named({ debug: {}, runsc: {} }, "debug"), "debug");
        assert.deepEqual(complaints({ handlers: JSON.stringify({ b: {}, a: {} }) }), [
            "defaultHandler is empty although there are several handlers and none is called runsc; allowed: b, a",
        ]);
        assert.deepEqual(complaints({ defaultHandler: "debug" }), [
            'defaultHandler is "debug"; allowed: runsc (runtime-sandboxes:handlers)',
        ]);
    });

    it("give pods of a class the taints of the workers that have its handler", () => {
        const taint = { key: "untrusted", value: "yes", effect: "NoSchedule" };
        const settings = parseSettings({
            workers: "2",
            handlers: JSON.stringify({ runsc: {}, other: {} }),
            overrides: JSON.stringify({
                "worker-1": { handlers: ["runsc"], labels: { a: "b" }, taints: [taint] },
            }),
        });
        assert.deepEqual(nodeSettingsOf(settings, "worker-1"), { labels: { a: "b" }, taints: [taint] });
        assert.deepEqual(nodeSettingsOf(settings, "worker-2"), { labels: {}, taints: [] });
        assert.deepEqual(taintsOf(settings, "runsc"), [taint]);
        assert.deepEqual(taintsOf(settings, "other"), []);
    });

    it("ask for no empty value of a taint, which the API server would leave away", () => {
        const taint = { key: "untrusted", effect: "NoSchedule" };
        const settings = parseSettings({
            overrides: JSON.stringify({ "worker-1": { taints: [taint, { ...taint, value: "" }] } }),
        });
        const sent = JSON.stringify([taintsOf(settings, "runsc"), tolerations(taintsOf(settings, "runsc"))]);
        assert.deepEqual(JSON.parse(sent), [[taint, taint], [{ operator: "Equal", ...taint }]]);
    });

    it("change all workers of a new cluster at once, those of an existing one in turn", () => {
        assert.equal(atOnce(parseSettings({ workers: "3" })), 3);
        assert.equal(atOnce(parseSettings({ workers: "3", maxUnavailable: "2" })), 2);
        for (const [maxUnavailable, many] of [
            ["25%", 2],
            ["1%", 1],
            ["100%", 10],
            ["99%", 9],
        ] as const) {
            assert.equal(atOnce(parseSettings({ workers: "10", maxUnavailable })), many, maxUnavailable);
        }
        const settings = parseSettings({ target: "existing", existing });
        assert.deepEqual(settings.workers, ["a", "b"]);
        assert.equal(atOnce(settings), 1);
        assert.equal(atOnce(parseSettings({ target: "existing", existing, maxUnavailable: "0" })), 2);
    });

    for (const [key, value, ...expected] of [
        ["handlers", "runsc", 'handlers is "runsc"; allowed: an object, see Pulumi.yaml'],
        ["handlers", '{"Runsc":{}}', /^handlers\.Runsc .*a DNS label/],
        ["handlers", '{"runsc":{"option":{}}}', /^handlers\.runsc Unrecognized key: "option"/],
        ["handlers", '{"runsc":{"options":{"--debug":"x"}}}', /^handlers\.runsc\.options\.--debug .*without dashes/],
        [
            "handlers",
            '{"a":{"runtimeClass":"x"},"b":{"runtimeClass":"x"}}',
            'handlers gives the RuntimeClass "x" to several handlers; each needs one of its own',
        ],
        [
            "overrides",
            '{"worker-1":{"sandbox":false,"labels":{"pool":"a"},"handlers":["runsc"]}}',
            "overrides.worker-1.sandbox is false, and handlers, labels would have no effect there: leave them away",
        ],
        ["overrides", '{"nobody":{}}', 'overrides names the worker "nobody"; allowed: worker-1'],
        [
            "overrides",
            '{"worker-1":{"handlers":["x"]}}',
            'overrides.worker-1.handlers names "x"; allowed: runsc (runtime-sandboxes:handlers)',
        ],
        ["overhead", '{"memory":"much"}', 'overhead.memory is "much"; allowed: a quantity such as 64Mi or 50m'],
        ["drain", "yes", 'drain is "yes"; allowed: true, false'],
        [
            "gvisorArchive",
            "file:///a",
            "gvisorArchiveSha512 and runtime-sandboxes:gvisorArchive belong together: set both or none",
            /^gvisorVersion is empty/,
        ],
        ["existing", '{"kubeconfig":"k","workers":{}}', /^existing\.workers is empty/],
        [
            "existing",
            '{"kubeconfig":"k","privateKeyPassword":"p","workers":{"a":{"host":"h","hostKey":"ssh-rsa AAAA"}}}',
            "existing has privateKeyPassword and no private key; allowed: with privateKey or privateKeyFile",
        ],
    ] as const) {
        it(`refuse ${key} ${value}`, () => {
            const found = complaints({ [key]: value });
            for (const one of expected) {
                assert.ok(
                    found.some((text) => (typeof one === "string" ? text === one : one.test(text))),
                    `${one} is not among\n${found.join("\n")}`,
                );
            }
        });
    }

    it("refuse what is known to be vulnerable, before any machine is asked, unless it is accepted by name", () => {
        const old = "20260122.0";
        const id = "CVE-2026-96812";
        const better = safeFrom("gvisor", old);
        const archive = { gvisorArchive: "file:///a", gvisorArchiveSha512: "0".repeat(128) };
        for (const more of [{}, archive, { target: "local", sources: "upstream" }] as Record<string, string>[]) {
            const [found, ...others] = complaints({ ...more, gvisorVersion: old });
            assert.deepEqual(others, []);
            assert.match(
                found ?? "",
                new RegExp(
                    `^gvisorVersion is "${old}", which has .*${id} \\(An image .*\\).*; allowed: ${better} or newer, or \\S*${id}\\S* in acceptVulnerabilities$`,
                ),
            );
        }
        const all = known.filter(({ component }) => component === "gvisor").map((one) => one.id);
        assert.deepEqual(complaints({ gvisorVersion: old, acceptVulnerabilities: all.join(",") }), []);
        assert.equal(complaints({ gvisorVersion: old, acceptVulnerabilities: "CVE-2025-2713" }).length, 1);
        assert.deepEqual(complaints({ gvisorVersion: better ?? "" }), []);

        const flags = {
            handlers: JSON.stringify({ runsc: { options: { "character-device-policy": "passthrough" } } }),
            overrides: JSON.stringify({ "worker-1": { options: { "character-device-policy": "prefer-emulated" } } }),
        };
        const opened = complaints(flags);
        assert.deepEqual(
            opened.map((one) => one.replace(/ \(An image .*\)/, "")),
            [
                ["handlers.runsc", "passthrough"],
                ["overrides.worker-1", "prefer-emulated"],
            ].map(
                ([where, value]) =>
                    `${where}.options.character-device-policy is "${value}", which opens ${id}; allowed: to leave it ` +
                    `out, or ${id} in acceptVulnerabilities`,
            ),
        );
        assert.deepEqual(complaints({ ...flags, acceptVulnerabilities: id }), []);
        assert.equal(complaints({ ...flags, gvisorVersion: old }).length, 3);
    });

    it("take no namespace for the test pods where only sandboxed pods may run", () => {
        const existing = (namespace: string) =>
            JSON.stringify({ kubeconfig: "k", namespace, workers: { a: { host: "h", hostKey: "ssh-ed25519 AAAA" } } });
        for (const kind of ["namespaces", "existingNamespaces"]) {
            const own = { target: "existing", mandatory: JSON.stringify({ [kind]: ["apps"] }) };
            const said = complaints({ ...own, existing: existing("apps") });
            assert.deepEqual(said, ['existing has test-1 in "apps", where mandatory refuses it']);
            assert.deepEqual(complaints({ ...own, existing: existing("checks") }), []);
        }
    });

    it("judge the pinned gVisor where it is known which one it is", () => {
        const pins = { ...versions.gvisor };
        const ready = { mirror: "https://mirror.example/", mirrorFingerprint: fingerprint };
        const existing = JSON.stringify({
            kubeconfig: "k",
            workers: { a: { host: "h", hostKey: "ssh-ed25519 AAAA" } },
        });
        const pinned = (settings: Record<string, string>) => complaints(settings).map((one) => one.split(",")[0]);
        const empty = ["gvisorVersion is empty"];
        try {
            versions.gvisor.release = "20260817.0";
            assert.deepEqual(pinned({ sources: "upstream" }), empty);
            assert.deepEqual(pinned({ target: "existing", existing }), empty);
            const built: Record<string, string>[] = [
                { sources: "mirror" },
                ready,
                { target: "existing", existing, ...ready },
            ];
            for (const settings of [{}, ...built]) {
                assert.deepEqual(complaints(settings), [], JSON.stringify(settings));
            }
        } finally {
            Object.assign(versions.gvisor, pins);
        }
    });

    it("know the ids that may be accepted, and no other", () => {
        const [one = "", two = ""] = known.map(({ id }) => id);
        assert.deepEqual(parseSettings({ acceptVulnerabilities: ` ${one}, ${two}` }).acceptVulnerabilities, [one, two]);
        const all = known.map(({ id }) => id).join(", ");
        assert.deepEqual(complaints({ acceptVulnerabilities: `${one},cve-1` }), [
            `acceptVulnerabilities names "cve-1"; allowed, separated by commas: ${all}`,
        ]);
    });

    it("say nothing of an existing that is broken but how long it is: keys may be in it", () => {
        for (const existing of [
            '{"privateKey":"-----BEGIN OPENSSH PRIVATE KEY-----',
            '"s3cret"',
            '{"privateKey":{"s3cret":1}}',
        ]) {
            const found = complaints({ target: "existing", existing });
            assert.match(found.join("\n"), /^existing(\.\w+)? /m);
            assert.doesNotMatch(found.join("\n"), /OPENSSH|s3cret/);
        }
        assert.ok(
            complaints({ existing: "{oops" }).includes(
                "existing is no JSON (5 characters); allowed: an object, see Pulumi.yaml",
            ),
        );
    });

    it("are complained about all at once", () => {
        const found = complaints({ target: "aws", workers: "0", bridge: "9", nonsense: "1" });
        assert.deepEqual(
            found.map((complaint) => complaint.split(" ")[0]),
            ["target", "workers", "bridge", "nonsense"],
        );
    });
});
