import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { loadYaml } from "@kubernetes/client-node";
import * as pulumi from "@pulumi/pulumi";
import { known } from "../../components/vulnerabilities.cjs";
import { loadSettings, parseSettings } from "../../settings";
import { root } from "../helpers/program";
import { complaints, projectFile } from "../helpers/settings";

const badName = (name: string) =>
    `workers holds the name "${name}"; allowed: a lower-case letter, then lower-case letters, digits and hyphens, at most 40, not control-plane, node-image or localhost`;
const badCount = (count: string) => `workers is ${count}; allowed: 1 to 20 workers, or their names separated by commas`;
const names = (count: number) => Array.from({ length: count }, (_, index) => `node-${index}`).join(",");

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
            canary: undefined,
            mandatory: undefined,
            egress: undefined,
            drain: false,
            drainOptions: { force: false, deleteEmptyDirData: false, timeoutSeconds: 300 },
            defaultHandler: "",
            limits: false,
            attacks: "",
            surface: "",
            reachable: "",
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
        assert.throws(loadSettings, /runtime-sandboxes:worker is not a setting/);
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

    it("name every unknown setting, and those there are", () => {
        const known = Object.keys(projectFile.config).join(", ");
        assert.deepEqual(complaints({ worker: "2", Target: "local" }), [
            `worker is not a setting; the settings are ${known}`,
            `Target is not a setting; the settings are ${known}`,
        ]);
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
                "existing is not JSON (5 characters); allowed: an object, see Pulumi.yaml",
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
