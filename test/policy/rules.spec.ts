import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import type { ResourceRule, StackResource, StackRule } from "../../policy-pack/rule";
import { hostKeys } from "../../policy-pack/rules/hostKeys";
import { openSsh } from "../../policy-pack/rules/openSsh";
import { pinnedVersions } from "../../policy-pack/rules/pinnedVersions";
import { publicAddress } from "../../policy-pack/rules/publicAddress";
import { sandboxedPods } from "../../policy-pack/rules/sandboxedPods";
import { secretOutput } from "../../policy-pack/rules/secretOutput";
import { plain, unknown, type ValueMap } from "../../policy-pack/values";
import { root, runProgram } from "../helpers/program";

const resourceRules = [hostKeys, openSsh, pinnedVersions, publicAddress];

interface Verdict {
    readonly violations: readonly string[];
    readonly undecided: readonly string[];
}
const passed: Verdict = { violations: [], undecided: [] };
const undecided = (what: string): Verdict => ({ violations: [], undecided: [what] });

function judged(check: (judge: Parameters<ResourceRule["check"]>[1]) => void): Verdict {
    const violations: string[] = [];
    const open: string[] = [];
    check({ violation: (message) => violations.push(message), undecided: (what) => open.push(what) });
    return { violations, undecided: open };
}

/** What a rule says of one resource. */
function judge(rule: ResourceRule, type: string, props: ValueMap, name = "one"): Verdict {
    assert.ok(rule.types.includes(type), `${rule.name} is not about ${type}`);
    return judged((report) => rule.check({ type, name, urn: `urn:${name}`, props }, report, {}));
}

/** What a rule says of a stack. */
function judgeStack(rule: StackRule, resources: readonly Partial<StackResource>[], config: object = {}): Verdict {
    const all = resources.map((one) => ({ type: "", name: "", urn: "", props: {}, secrets: [], ...one }));
    return judged((report) => rule.check(all, report, config));
}

/** Asserts that there is one violation, which says this. */
function violates(verdict: Verdict, message: RegExp): void {
    assert.equal(verdict.violations.length, 1, JSON.stringify(verdict));
    assert.match(verdict.violations[0] ?? "", message);
}

describe("policy host-keys", () => {
    const type = "command:remote:Command";
    const hostKey = "ssh-ed25519 AAAA";

    it("passes a connection with a host key, and a proxy with one of its own", () => {
        assert.deepEqual(judge(hostKeys, type, { connection: { host: "a", hostKey } }), passed);
        assert.deepEqual(judge(hostKeys, type, { connection: { hostKey, proxy: { host: "b", hostKey } } }), passed);
    });

    it("fails one without", () => {
        violates(judge(hostKeys, type, { connection: { host: "a" } }), /^connection\.hostKey is not set; allowed: /);
        violates(judge(hostKeys, type, { connection: { hostKey: "" } }), /^connection\.hostKey is not set/);
        violates(
            judge(hostKeys, "command:remote:CopyToRemote", { connection: { hostKey, proxy: { host: "b" } } }),
            /^connection\.proxy\.hostKey is not set/,
        );
    });

    it("leaves open what is not known, and judges the rest", () => {
        assert.deepEqual(judge(hostKeys, type, { connection: unknown }).violations, []);
        assert.deepEqual(judge(hostKeys, type, { connection: { hostKey: unknown } }), undecided("one"));
        const half = judge(hostKeys, type, { connection: { hostKey: unknown, proxy: { host: "b" } } });
        violates(half, /^connection\.proxy\.hostKey/);
        assert.deepEqual(half.undecided, ["one"]);
    });
});

describe("policy no-open-ssh", () => {
    const type = "gcp:compute/firewall:Firewall";
    const ssh = [{ protocol: "tcp", ports: ["22"] }];
    const world = ["0.0.0.0/0"];

    it("passes SSH from administrators, from machines, and other ports from the world", () => {
        for (const props of [
            { allows: ssh, sourceRanges: ["203.0.113.7/32", "2001:db8::/32"] },
            { allows: ssh, sourceTags: ["control-plane"] },
            { allows: [{ protocol: "tcp", ports: ["443", "8000-8080"] }], sourceRanges: world },
            { allows: [{ protocol: "udp", ports: ["22"] }], sourceRanges: world },
            { allows: ssh, sourceRanges: world, direction: "EGRESS" },
            { allows: ssh, sourceRanges: world, disabled: true },
            { denies: ssh, sourceRanges: world },
        ]) {
            assert.deepEqual(judge(openSsh, type, props), passed, JSON.stringify(props));
        }
    });

    it("fails SSH from the world, however it is written", () => {
        for (const props of [
            { allows: ssh, sourceRanges: world },
            { allows: ssh, sourceRanges: ["203.0.113.7/32", "::/0"] },
            { allows: ssh, sourceRanges: ["0.0.0.0/1", "128.0.0.0/1"] },
            { allows: [{ protocol: "TCP", ports: ["1-1024"] }], sourceRanges: world, direction: "INGRESS" },
            { allows: [{ protocol: "tcp" }], sourceRanges: world },
            { allows: [{ protocol: "all" }], sourceRanges: world },
            { allows: [{ protocol: "6", ports: ["22"] }], sourceRanges: world },
        ]) {
            violates(judge(openSsh, type, props), /^sourceRanges is \[.*\] and allows lets port 22 through; allowed: /);
        }
        violates(judge(openSsh, type, { allows: ssh }), /^sourceRanges is not set, which is 0\.0\.0\.0\/0,/);
    });

    it("leaves open what is not known, unless it does not matter", () => {
        assert.deepEqual(judge(openSsh, type, { allows: ssh, sourceRanges: unknown }), undecided("one"));
        assert.deepEqual(judge(openSsh, type, { allows: unknown, sourceRanges: world }), undecided("one"));
        assert.deepEqual(judge(openSsh, type, { allows: ssh, sourceTags: unknown }), undecided("one"));
        assert.deepEqual(judge(openSsh, type, { allows: unknown, sourceTags: ["node"] }), passed);
        violates(judge(openSsh, type, { allows: ssh, sourceRanges: [unknown, "::/0"] }), /^sourceRanges/);
    });
});

describe("policy no-public-address", () => {
    const type = "gcp:compute/instance:Instance";
    const open: readonly ValueMap[] = [{ accessConfigs: [{ natIp: unknown }] }];

    it("passes machines without one, and the control plane", () => {
        assert.deepEqual(judge(publicAddress, type, { networkInterfaces: [{ accessConfigs: [] }, {}] }), passed);
        assert.deepEqual(
            judge(publicAddress, type, { labels: { role: "control-plane" }, networkInterfaces: open }),
            passed,
        );
    });

    it("fails another machine with one", () => {
        violates(
            judge(publicAddress, type, { labels: { role: "worker" }, networkInterfaces: open }),
            /^networkInterfaces\[0\]\.accessConfigs give it a public address; allowed: \[\], /,
        );
        violates(
            judge(publicAddress, type, { networkInterfaces: [{}, { ipv6AccessConfigs: [{}] }] }),
            /^networkInterfaces\[1\]\.ipv6AccessConfigs/,
        );
    });

    it("leaves open what is not known, unless it does not matter", () => {
        assert.deepEqual(judge(publicAddress, type, { networkInterfaces: unknown }), undecided("one"));
        assert.deepEqual(judge(publicAddress, type, { labels: unknown, networkInterfaces: open }), undecided("one"));
        assert.deepEqual(judge(publicAddress, type, { labels: unknown, networkInterfaces: [{}] }), passed);
    });
});

describe("policy pinned-versions", () => {
    const pod = "kubernetes:core/v1:Pod";
    const digest = `example.com/app@sha256:${"a".repeat(64)}`;
    const images = (...all: ValueMap["image"][]): ValueMap => ({
        spec: { containers: all.map((image) => ({ image })) },
    });

    it("passes images with a tag or a digest, and packages with a version", () => {
        assert.deepEqual(judge(pinnedVersions, pod, images("nginx:1.28", "localhost:5000/app:v1", digest)), passed);
        const stdin = "readonly PACKAGES='kubelet=1.36.5-*\ncri-tools=*'\nreadonly RUNSC_VERSION='20261116.0'\nmain";
        assert.deepEqual(judge(pinnedVersions, "command:remote:Command", { stdin }), passed);
        assert.deepEqual(judge(pinnedVersions, "command:local:Command", { create: "true" }), passed);
    });

    it("fails others, wherever they are", () => {
        for (const image of ["nginx", "nginx:latest", "localhost:5000/app", "app@sha256:short"]) {
            violates(judge(pinnedVersions, pod, images(image)), /^containers\[0\]\.image is ".*"; allowed: a tag/);
        }
        const job = { jobTemplate: { spec: { template: { spec: { initContainers: [{ image: "a" }] } } } } };
        violates(judge(pinnedVersions, "kubernetes:batch/v1:CronJob", { spec: job }), /^initContainers\[0\]\.image/);
        violates(
            judge(pinnedVersions, "command:remote:Command", { stdin: "readonly PACKAGES='a=1\nrunsc=*'\n" }),
            /^stdin: PACKAGES has runsc of version "\*"; allowed: a version/,
        );
        violates(
            judge(pinnedVersions, "command:remote:Command", { stdin: "readonly RUNSC_VERSION='latest'\n" }),
            /^stdin: RUNSC_VERSION has RUNSC_VERSION of version "latest"/,
        );
    });

    it("leaves open what is not known, and judges the rest", () => {
        assert.deepEqual(judge(pinnedVersions, "command:remote:Command", { stdin: unknown }), undecided("one"));
        assert.deepEqual(judge(pinnedVersions, pod, { spec: unknown }).violations, []);
        const half = judge(pinnedVersions, pod, images(unknown, "nginx"));
        violates(half, /^containers\[1\]\.image/);
        assert.deepEqual(half.undecided, ["one"]);
    });
});

describe("policy sandboxed-pods", () => {
    const untrusted: Partial<StackResource> = {
        type: "kubernetes:core/v1:Namespace",
        props: { metadata: { name: "mine", labels: { "runtime-sandboxes/untrusted": "true" } } },
    };
    const sandbox: Partial<StackResource> = {
        type: "kubernetes:node.k8s.io/v1:RuntimeClass",
        props: { metadata: { name: "gvisor" }, handler: "runsc" },
    };
    const pod = (namespace: ValueMap["x"], runtimeClassName?: ValueMap["x"]): Partial<StackResource> => ({
        type: "kubernetes:core/v1:Pod",
        name: "pod",
        props: { metadata: { name: "pod", namespace }, spec: { runtimeClassName } },
    });

    it("passes pods that use a class of the stack, and any pod elsewhere", () => {
        assert.deepEqual(judgeStack(sandboxedPods, [untrusted, sandbox, pod("mine", "gvisor")]), passed);
        assert.deepEqual(judgeStack(sandboxedPods, [untrusted, sandbox, pod("theirs"), pod(undefined)]), passed);
        const config = { namespaces: ["theirs"], classes: ["kata"] };
        assert.deepEqual(judgeStack(sandboxedPods, [pod("theirs", "kata")], config), passed);
    });

    it("fails pods that do not, and what makes such pods", () => {
        const message = /^runtimeClassName is not set in the untrusted namespace mine; allowed: gvisor$/;
        violates(judgeStack(sandboxedPods, [untrusted, sandbox, pod("mine")]), message);
        violates(judgeStack(sandboxedPods, [untrusted, sandbox, pod("mine", "runc")]), /^runtimeClassName is "runc"/);
        const deployment = {
            type: "kubernetes:apps/v1:Deployment",
            props: { metadata: { namespace: "mine" }, spec: { template: { spec: {} } } },
        };
        violates(judgeStack(sandboxedPods, [untrusted, sandbox, deployment]), message);
        violates(judgeStack(sandboxedPods, [pod("theirs")], { namespaces: ["theirs"] }), /allowed: none is known/);
        const patched = { ...untrusted, type: "kubernetes:core/v1:NamespacePatch" };
        violates(judgeStack(sandboxedPods, [patched, sandbox, pod("mine")]), message);
        const labelled = { ...untrusted, props: { metadata: { name: "mine", labels: { trust: "none" } } } };
        violates(judgeStack(sandboxedPods, [labelled, sandbox, pod("mine")], { label: "trust=none" }), message);
    });

    it("leaves open what is not known, unless it does not matter", () => {
        const unnamed: Partial<StackResource> = { ...sandbox, props: { metadata: unknown } };
        assert.deepEqual(judgeStack(sandboxedPods, [untrusted, sandbox, pod(unknown)]), undecided("pod"));
        assert.deepEqual(judgeStack(sandboxedPods, [untrusted, sandbox, pod("mine", unknown)]), undecided("pod"));
        assert.deepEqual(judgeStack(sandboxedPods, [untrusted, unnamed, pod("mine", "gvisor")]), undecided("pod"));
        assert.deepEqual(judgeStack(sandboxedPods, [sandbox, pod(unknown)]), passed);
        violates(judgeStack(sandboxedPods, [untrusted, unnamed, pod("mine")]), /^runtimeClassName is not set/);
    });
});

describe("policy no-secret-output", () => {
    const outputs = (props: ValueMap, ...secrets: string[][]): readonly Partial<StackResource>[] => [
        { type: "pulumi:pulumi:Stack", props, secrets },
        // Only what the stack shows counts.
        { type: "command:local:Command", props: { stdout: "-----BEGIN PRIVATE KEY-----" } },
    ];

    it("passes what is marked as secret, and what looks like none", () => {
        assert.deepEqual(
            judgeStack(
                secretOutput,
                outputs(
                    { kubeconfig: "kind: Config", keys: { own: "abcdef.0123456789abcdef" } },
                    ["kubeconfig"],
                    ["keys", "own"],
                ),
            ),
            passed,
        );
        const harmless = {
            uname: { "worker-1": { worker: "6.1.0-37-amd64", "test-2": "4.19.0-gvisor" } },
            dmesg: ["[    0.000000] Starting gVisor..."],
            configSha256: "d".repeat(64),
            secrets: 0,
            token: "",
        };
        assert.deepEqual(judgeStack(secretOutput, outputs(harmless)), passed);
    });

    it("fails keys, tokens and kubeconfigs in clear, without showing them", () => {
        for (const [value, what] of [
            ["-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "a private key"],
            ["apiVersion: v1\nkind: Config\n", "a kubeconfig"],
            ['{"kind": "Config"}', "a kubeconfig"],
            ["kubeadm join --token abcdef.0123456789abcdef", "a token of kubeadm"],
            [`eyJ${"a".repeat(20)}.eyJ${"b".repeat(20)}.cccc`, "a JSON web token"],
            [`ghp_${"a".repeat(36)}`, "an access token"],
        ] as const) {
            const verdict = judgeStack(secretOutput, outputs({ workers: [{ fact: value }] }));
            violates(verdict, new RegExp(`^the output workers\\.0\\.fact looks like ${what} and is shown in clear`));
            assert.ok(!JSON.stringify(verdict).includes(value));
        }
        for (const name of ["token", "joinToken", "admin_password", "PRIVATE_KEY", "kubeconfig"]) {
            violates(judgeStack(secretOutput, outputs({ [name]: "abc" })), / is named like a secret /);
        }
    });

    it("leaves open what is not known", () => {
        assert.deepEqual(judgeStack(secretOutput, outputs({ uname: { a: unknown } })), undecided("uname.a"));
    });
});

describe("the policies about resources", () => {
    const judgeAll = (resources: readonly { type: string; name: string; inputs: unknown }[]) =>
        resources.flatMap(({ type, name, inputs }) =>
            resourceRules
                .filter((rule) => rule.types.includes(type))
                .map((rule) => ({ rule: rule.name, ...judge(rule, type, inputs as ValueMap, name) })),
        );
    const rulesOf = (verdicts: readonly { rule: string }[]) => [...new Set(verdicts.map(({ rule }) => rule))].sort();

    it("hold for the program on the local target", async () => {
        const { resources, outputs } = await runProgram({ workers: ["alpha", "beta"] });
        const verdicts = judgeAll(resources);
        assert.deepEqual(rulesOf(verdicts), ["host-keys", "pinned-versions"]);
        // The connections of the recorded run are canned and whole; nothing is unknown.
        assert.deepEqual(
            verdicts.filter(({ violations, undecided: open }) => violations.length > 0 || open.length > 0),
            [],
        );
        const props = Object.fromEntries(Object.entries(outputs).map(([key, { value }]) => [key, value]));
        const secrets = Object.keys(outputs).filter((key) => outputs[key]?.secret);
        assert.deepEqual(secrets, ["kubeconfig"]);
        const stack = { type: "pulumi:pulumi:Stack", props: props as ValueMap };
        assert.deepEqual(judgeStack(secretOutput, [{ ...stack, secrets: secrets.map((key) => [key]) }]), passed);
        violates(judgeStack(secretOutput, [stack]), /^the output kubeconfig looks like a kubeconfig/);
    });

    it("hold for all that the Google Cloud target makes", () => {
        const file = path.join(root, "test/unit/snapshots/gcp.json");
        const { graph } = JSON.parse(readFileSync(file, "utf8")) as { graph: Parameters<typeof judgeAll>[0] };
        const verdicts = judgeAll(graph);
        assert.deepEqual(rulesOf(verdicts), ["no-open-ssh", "no-public-address", "pinned-versions"]);
        assert.deepEqual(
            verdicts.filter(({ violations, undecided: open }) => violations.length > 0 || open.length > 0),
            [],
        );
    });
});

describe("values of a preview", () => {
    const { unknownCheckingProxy, unknownStringValue } = require("@pulumi/policy/proxy") as {
        unknownCheckingProxy(value: object): object;
        unknownStringValue: string;
    };

    it("are read to the end, whatever is not known", () => {
        const value = { a: unknownStringValue, b: [1, unknownStringValue, { c: unknownStringValue, d: null }], e: "f" };
        assert.deepEqual(plain(unknownCheckingProxy(value)), {
            a: unknown,
            b: [1, unknown, { c: unknown, d: null }],
            e: "f",
        });
    });

    it("are not known only if the SDK says so", () => {
        const broken = Object.defineProperty({}, "a", {
            enumerable: true,
            get: () => {
                throw new TypeError("another error");
            },
        });
        assert.throws(() => plain(broken), /another error/);
    });
});
