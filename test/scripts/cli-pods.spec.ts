// `check --pods`: which pods are where they should be, and what is said of it.
import * as assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import * as path from "node:path";
import { vulnerabilitiesIn } from "../../components/vulnerabilities.cjs";
import { runProgram } from "../helpers/program";
import { CliProject, type Finished, goodOutputs } from "./cliProject";

const script = (name: string) => import(path.resolve(__dirname, "../../cli", name));

interface Flaw {
    readonly kind: string;
    readonly seen: string;
    readonly wanted: string;
    readonly next: string;
}
interface Row {
    readonly worker: string;
    readonly name: string;
    readonly uid: string;
    readonly required?: string;
    readonly inSandbox: boolean;
    readonly flaws: readonly Flaw[];
}

const [plain, gvisor] = ["io.containerd.runc.v2", "io.containerd.runsc.v1"];
const [installed, older, holed] = ["release-20260905.0", "release-20260824.0", "release-20260817.0"];

/** A pod as its worker has it. */
const onWorker = (uid: string, runtime: string, more: object = {}) => ({
    ...{ uid, namespace: "default", name: `pod-${uid}`, handler: "", since: "2026-12-01T00:00:00.000Z" },
    containers: ["", "main"].map((name) => ({ id: `${uid} ${name}`, name, runtime, runsc: false })),
    sandbox: undefined,
    ...more,
});
const sandboxOf = (release: string, replaced = false, flags: object = {}) => ({
    ...{ executable: "/usr/bin/gvisor-bin/gvisor_sentry", since: "2026-12-01T00:00:00.000Z", flags },
    ...{ release, replaced },
});
const inGvisor = (uid: string, more: object = {}) =>
    onWorker(uid, gvisor, {
        handler: "runsc",
        containers: ["", "main"].map((name) => ({ id: `${uid} ${name}`, name, runtime: gvisor, runsc: true })),
        sandbox: sandboxOf(installed),
        ...more,
    });
/** A pod as the API server has it. */
const inCluster = (uid: string, runtimeClass?: string, more: object = {}) => ({
    ...{ uid, namespace: "default", name: `pod-${uid}`, node: "worker-1", phase: "Running", runtimeClass },
    ...more,
});

interface Case {
    readonly said?: object[];
    readonly cluster?: object;
    readonly wanted?: object;
    readonly selector?: string;
    readonly all?: readonly string[];
}

/** The pods of one worker that were judged. */
async function judged(pods: readonly object[], asked: readonly object[], more: Case = {}): Promise<readonly Row[]> {
    const { rowsOf } = await script("pods/judge.ts");
    return rowsOf({
        cluster: {
            pods: asked,
            namespaces: [
                { name: "default", labels: {} },
                { name: "untrusted", labels: { "runtime-sandboxes/untrusted": "true" } },
            ],
            classes: [
                { name: "myclass", handler: "runsc" },
                { name: "theirs", handler: "runsc" },
                { name: "kata", handler: "kata" },
                { name: "plain", handler: "runc" },
            ],
            ...more.cluster,
        },
        said: more.said ?? [{ worker: "worker-1", pods, installed }],
        all: more.all ?? ["worker-1"],
        selector: more.selector,
        wanted: {
            handlers: { runsc: "myclass" },
            mandatory: {
                label: { key: "runtime-sandboxes/untrusted", value: "true" },
                namespaces: ["stripped"],
                classes: ["myclass", "kata", "plain"],
            },
            accepted: {},
            ...more.wanted,
        },
    });
}
const kinds = (rows: readonly Row[]) => rows.map(({ uid, flaws }) => [uid, ...flaws.map(({ kind }) => kind)].join(" "));

describe("every pod: which are where they should be", () => {
    it("finds nothing wrong with a pod in its sandbox, and with one that asks for none", async () => {
        const rows = await judged([inGvisor("a"), onWorker("b", plain)], [inCluster("a", "myclass"), inCluster("b")]);
        assert.deepEqual(
            rows.map(({ uid, required, inSandbox, flaws }) => [uid, required, inSandbox, flaws]),
            [
                ["a", "it asks for the class myclass", true, []],
                ["b", undefined, false, []],
            ],
        );
    });

    const runc = (uid: string, handler: string) => onWorker(uid, plain, { handler });
    const untrusted = { namespace: "untrusted" };
    for (const [title, pod, asked, wanted] of [
        ["asks for the stack's class", runc("p", "runsc"), inCluster("p", "myclass"), "it asks for the class myclass"],
        [
            "asks for a class of somebody else's for the stack's handler",
            runc("p", "runsc"),
            inCluster("p", "theirs"),
            "it asks for the class theirs",
        ],
        [
            "asks for the stack's class, whose handler somebody has changed",
            runc("p", "runc"),
            inCluster("p", "myclass"),
            "it asks for the class myclass",
        ],
        [
            "asked for a class that is gone",
            runc("p", "runsc"),
            inCluster("p", "gone"),
            "it was started for the handler runsc",
        ],
        ["the API server has forgotten", runc("p", "runsc"), inCluster("q"), "it was started for the handler runsc"],
        [
            "is in a namespace that takes sandboxed pods only",
            onWorker("p", plain, untrusted),
            inCluster("p", undefined, untrusted),
            "the namespace untrusted takes sandboxed pods only",
        ],
        [
            "is in such a namespace, unknown to the API server",
            onWorker("p", plain, untrusted),
            inCluster("q"),
            "the namespace untrusted takes sandboxed pods only",
        ],
        [
            "is in a namespace that somebody has taken the label from",
            onWorker("p", plain, { namespace: "stripped" }),
            inCluster("p", undefined, { namespace: "stripped" }),
            "the namespace stripped takes sandboxed pods only",
        ],
        [
            "has another class that the namespace takes, on runc",
            onWorker("p", plain, { ...untrusted, handler: "runc" }),
            inCluster("p", "plain", untrusted),
            "the namespace untrusted takes sandboxed pods only",
        ],
    ] as const) {
        it(`finds a pod that is in no sandbox and ${title}`, async () => {
            const row = (await judged([pod], [asked])).find(({ uid }) => uid === "p");
            const [flaw] = row?.flaws ?? [];
            assert.equal(flaw?.kind, "unsandboxed");
            assert.equal(flaw.seen, "containerd: io.containerd.runc.v2; runsc: 0 running");
            assert.equal(flaw.wanted, `a sandbox: ${wanted}`);
        });
    }

    it("says what to do by why the pod is where it is", async () => {
        const next = async (pod: object, asked: object) => (await judged([pod], [asked]))[0]?.flaws[0]?.next ?? "";
        assert.match(
            await next(runc("p", "runsc"), inCluster("p", "myclass")),
            /^`npm run drift` names what was changed on worker-1/,
        );
        assert.match(
            await next(onWorker("p", plain, { ...untrusted, handler: "runc" }), inCluster("p", "plain", untrusted)),
            /^write runtimeClassName: myclass or theirs where it is made, then delete the pod/,
        );
    });

    it("does not believe containerd alone, runsc alone, or most containers", async () => {
        const both = (first: object, second: object) => [
            { name: "", runtime: gvisor, runsc: true, ...first },
            { name: "main", runtime: gvisor, runsc: true, ...second },
        ];
        for (const containers of [
            both({}, { runsc: false }),
            both({}, { runtime: plain }),
            both({}, { runtime: "unknown" }),
            both({ runtime: plain }, { runtime: plain }),
            [],
        ]) {
            const rows = await judged([inGvisor("a", { containers })], [inCluster("a", "myclass")]);
            assert.deepEqual(kinds(rows), ["a unsandboxed"], JSON.stringify(containers));
        }
        const pause = both({}, {}).slice(0, 1);
        assert.deepEqual(kinds(await judged([inGvisor("a", { containers: pause })], [inCluster("a", "myclass")])), [
            "a",
        ]);
        const none = await judged([inGvisor("a", { sandbox: undefined })], [inCluster("a", "myclass")]);
        assert.deepEqual(kinds(none), ["a unsandboxed"]);
    });

    it("leaves sandboxes of others to those whom a namespace names, unless they are runc", async () => {
        const kata = onWorker("k", "io.containerd.kata.v2", { ...untrusted, handler: "kata" });
        const rows = await judged([kata], [inCluster("k", "kata", untrusted)]);
        assert.deepEqual(kinds(rows), ["k"]);
        assert.equal(rows[0]?.required, undefined);
        const only = {
            mandatory: { label: { key: "x", value: "y" }, namespaces: ["untrusted"], classes: ["myclass"] },
        };
        assert.deepEqual(kinds(await judged([kata], [inCluster("k", "kata", untrusted)], { wanted: only })), [
            "k unsandboxed",
        ]);
    });

    it("finds a release that has been replaced, unless that is allowed, and a vulnerable one in any sandbox", async () => {
        const foreign = (sandbox: object, handler = "runsc") => [inGvisor("a", { handler, sandbox })];
        const asked = [inCluster("a", "other-class")];
        const theirs = await judged(foreign(sandboxOf(older, true), "other"), asked);
        assert.deepEqual(kinds(theirs), ["a"], "a gVisor of somebody else's handlers is theirs to replace");
        const moved = await judged(foreign(sandboxOf(installed, true)), asked);
        assert.deepEqual(kinds(moved), ["a"], "the same release, from an archive before and from a package now");
        const [flaw] = (await judged(foreign(sandboxOf(older, true)), asked))[0]?.flaws ?? [];
        assert.equal(flaw?.seen, "its sandbox runs gVisor 20260824.0, which has been replaced");
        assert.equal(flaw?.wanted, "gVisor 20260905.0");
        assert.equal(
            (await judged(foreign(sandboxOf("", true)), asked))[0]?.flaws[0]?.seen,
            "its sandbox runs gVisor of an unknown release, which has been replaced",
        );
        const allowed = { wanted: { allowReplaced: true } };
        assert.deepEqual(kinds(await judged(foreign(sandboxOf(older, true)), asked, allowed)), ["a"]);
        const known = vulnerabilitiesIn({ gvisor: holed });
        assert.ok(known.length > 0);
        assert.deepEqual(kinds(await judged(foreign(sandboxOf(holed, true)), asked, allowed)), [
            ["a", ...known.map(() => "vulnerable")].join(" "),
        ]);
        const accepted = { wanted: { accepted: { "worker-1": known.map(({ id }) => id) } } };
        assert.deepEqual(kinds(await judged(foreign(sandboxOf(holed)), asked, accepted)), ["a"]);
        const opened = sandboxOf(installed, false, { "character-device-policy": "passthrough" });
        assert.deepEqual(kinds(await judged(foreign(opened), asked)), ["a vulnerable"]);
    });

    it("joins by uid: static pods by the hash of their file, which nobody else can claim", async () => {
        const mirror = inCluster("object", "myclass", { hash: "file" });
        assert.deepEqual(kinds(await judged([onWorker("file", plain)], [mirror])), ["file unsandboxed"]);
        const claim = inCluster("forged", undefined, { hash: "a", phase: "Pending" });
        assert.deepEqual(kinds(await judged([onWorker("a", plain)], [inCluster("a", "myclass"), claim])), [
            "a unsandboxed",
        ]);
        // The same name was given again.
        const old = onWorker("old", plain, { name: "web" });
        assert.deepEqual(kinds(await judged([old], [inCluster("new", "myclass", { name: "web", phase: "Pending" })])), [
            "old",
        ]);
    });

    it("tells what nobody has seen from what is wrong", async () => {
        const elsewhere = { node: "worker-9" };
        const rows = await judged(
            [],
            [
                inCluster("here", "myclass"),
                inCluster("plain"),
                inCluster("silent", "myclass", { node: "worker-2" }),
                inCluster("there", "myclass", elsewhere),
                inCluster("done", "myclass", { phase: "Succeeded" }),
                inCluster("waits", "myclass", { phase: "Pending", node: undefined }),
            ],
            {
                said: [
                    { worker: "worker-1", pods: [], installed },
                    { worker: "worker-2", error: "no answer" },
                ],
                all: ["worker-1", "worker-2"],
            },
        );
        assert.deepEqual(kinds(rows), ["here unseen", "plain", "there unseen"]);
        assert.deepEqual(
            rows.flatMap(({ flaws }) => flaws.map(({ seen }) => seen)),
            [
                "worker-1 has no such pod, although it runs there by the API server",
                "it runs on worker-9, which is not a machine of this stack",
            ],
        );
    });

    it("takes only the pods that a selector takes", async () => {
        const pods = [onWorker("a", plain), onWorker("b", plain, { handler: "runsc" })];
        assert.deepEqual(kinds(await judged(pods, [inCluster("a")], { selector: "app=a" })), ["a"]);
    });

    it("holds against a pod only what was so twice: one may be starting or ending", async () => {
        const { confirmed } = await script("pods/again.ts");
        const [pod] = await judged([runc("p", "runsc")], [inCluster("p", "myclass")]);
        const [left] = await judged([inGvisor("r", { sandbox: sandboxOf(older, true) })], [inCluster("r")]);
        assert.ok(pod && left);
        assert.deepEqual(kinds(confirmed([pod], [pod, left])), ["p unsandboxed", "r replaced"]);
        assert.deepEqual(kinds(confirmed([{ ...pod, flaws: [] }], [pod])), ["p"]);
        assert.deepEqual(kinds(confirmed([pod], [{ ...pod, flaws: [] }])), ["p"]);
        // Another container, which has been started since.
        const other = onWorker("p", plain, {
            handler: "runsc",
            containers: [{ id: "new", name: "", runtime: plain, runsc: false }],
        });
        assert.deepEqual(kinds(confirmed([pod], await judged([other], [inCluster("p", "myclass")]))), ["p"]);
    });

    it("knows which pods may be ending: those that containerd has given to runsc, which does not know them", async () => {
        const { isEnding } = await script("pods/again.ts");
        const of = async (pod: object) => isEnding((await judged([pod], [inCluster("p", "myclass")]))[0]);
        assert.equal(await of(onWorker("p", gvisor, { handler: "runsc" })), true);
        assert.equal(await of(runc("p", "runsc")), false);
        assert.equal(await of(inGvisor("p")), false);
    });
});

describe("every pod: what the last update says of the stack", () => {
    const settings = (mandatory: object) => ({ mandatory: JSON.stringify(mandatory) });
    const resourcesOf = async (more: Record<string, string>) => {
        const { resources } = await runProgram({ settings: more });
        return resources.map(({ name, type, inputs }) => ({ name, type, inputs, leaving: false }));
    };

    it("is where its policy holds, and for which classes", async () => {
        const { mandatoryIn } = await script("pods.ts");
        const mandatory = {
            namespaces: ["mine"],
            existingNamespaces: ["theirs"],
            label: "trust=none",
            classes: ["kata"],
        };
        assert.deepEqual(mandatoryIn(await resourcesOf(settings(mandatory))), {
            label: { key: "trust", value: "none" },
            namespaces: ["mine", "theirs"],
            classes: ["myclass", "kata"],
        });
        assert.equal(mandatoryIn(await resourcesOf(settings({ ...mandatory, mode: "audit" }))), undefined);
        assert.equal(mandatoryIn(await resourcesOf({})), undefined);
    });

    it("is how each machine is reached", async () => {
        const { recordedMachines } = await script("state.ts");
        const found = recordedMachines(await resourcesOf({})) as { name: string; connection: object; shell: string }[];
        assert.deepEqual(found.map(({ name, shell, connection }) => [name, shell, "hostKey" in connection]).sort(), [
            ["control-plane", "bash", true],
            ["worker-1", "bash", true],
        ]);
    });
});

describe("command line: check --pods", function () {
    this.timeout(180_000);
    let project: CliProject;

    before(async () => {
        project = new CliProject();
        project.write("outputs.json", JSON.stringify({ ...goodOutputs(), handlers: { runsc: "myclass" } }));
        assert.equal((await project.run("up")).code, 0);
    });
    after(() => project.remove());

    const machines = [
        { worker: "control-plane", seconds: 0.1, pods: 0 },
        { worker: "worker-1", seconds: 0.2, pods: 3 },
    ];
    const urn = (name: string) => `urn:pulumi:dev::p::t::${name}`;
    const stdin = JSON.stringify({ connection: { host: "10.0.0.1" }, shell: "sudo -n bash" });
    const resources = [
        { urn: urn("cluster"), type: "pulumi:providers:kubernetes", inputs: { kubeconfig: "{}" } },
        { urn: urn("worker-1-scripts"), type: "command:local:Command", inputs: { create: "node x bring # 0", stdin } },
    ];

    /** Runs a command where machines and cluster say this, and nobody has to be asked; what they would be asked is in asked.json. */
    const checked = async (
        found: object,
        args: readonly string[],
        state: readonly object[] = resources,
    ): Promise<Finished> => {
        project.write("state.json", JSON.stringify({ deployment: { resources: state } }));
        project.write(
            "found.json",
            JSON.stringify({ asked: "2026-12-01T02:50:00.000Z", machines, pods: [], ...found }),
        );
        project.write(
            "cli/pods/look.ts",
            "import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';" +
                "writeFileSync('asked.json', readFileSync(0)); process.stdout.write(readFileSync('found.json', 'utf8'));",
        );
        const pulumi = realpathSync(project.path("user-bin/pulumi"));
        const fake = `#!/bin/sh\ncase "$*" in *"stack export"*) cat state.json ;; *) exec ${pulumi} "$@" ;; esac\n`;
        project.write("fake-pulumi", fake, 0o755);
        const chosen = JSON.parse(project.read(".cache/toolchain.json")) as object;
        project.write(".cache/toolchain.json", JSON.stringify({ ...chosen, pulumi: project.path("fake-pulumi") }));
        try {
            const isWhole = args[0] === "report" || args.some((one) => one.startsWith("--pods"));
            return await project.run(
                ...(args[0] === "report" ? [] : ["check"]),
                ...(isWhole ? [] : ["--pods"]),
                ...args,
            );
        } finally {
            project.write(".cache/toolchain.json", JSON.stringify(chosen));
        }
    };

    /** Pods as they are judged: one in its sandbox, one on an older gVisor, one that fell back, and one of nobody's concern. */
    const mixed = async (allowReplaced = false) =>
        await judged(
            [
                inGvisor("good", {
                    sandbox: sandboxOf(installed, false, { platform: "systrap", note: "\u001b[31m::error::x" }),
                }),
                inGvisor("old", { sandbox: sandboxOf(older, true) }),
                onWorker("bad", plain, { handler: "runsc" }),
                ...Array.from({ length: 12 }, (_, index) => onWorker(`p${index}`, plain)),
            ],
            [inCluster("good", "myclass"), inCluster("old", "myclass"), inCluster("bad", "myclass")],
            { wanted: { allowReplaced } },
        );

    it("tells the pods by runtime, then what is wrong and what to do, and fails for the worst", async () => {
        const { code, stdout, stderr } = await checked({ pods: await mixed() }, []);
        assert.equal(code, 7, stderr);
        assert.deepEqual(stdout.trim().split("\n"), [
            "15 pods, by the word of 2 machines at 2026-12-01T02:50:00.000Z",
            "    13  io.containerd.runc.v2",
            "          worker-1: default/pod-bad, default/pod-p0, default/pod-p1, default/pod-p2, default/pod-p3, " +
                "default/pod-p4, default/pod-p5, default/pod-p6, default/pod-p7, default/pod-p8, and 3 more (--json has all)",
            "     1  gVisor 20260824.0, replaced since",
            "          worker-1: default/pod-old",
            "     1  gVisor 20260905.0 (platform=systrap note=�[31m::error::x)",
            "          worker-1: default/pod-good",
            "✗ unsandboxed: default/pod-bad on worker-1",
            "    seen    containerd: io.containerd.runc.v2; runsc: 0 running",
            "    wanted  a sandbox: it asks for the class myclass",
            "    next    `npm run drift` names what was changed on worker-1, `npm run up` repairs it; then delete the pod, so that it is recreated",
            "✗ replaced: default/pod-old on worker-1",
            "    seen    its sandbox runs gVisor 20260824.0, which has been replaced",
            "    wanted  gVisor 20260905.0",
            "    next    delete the pod, so that it is recreated; or accept it: --allow-replaced",
        ]);
        assert.equal(
            stderr,
            "error: pods are not in the sandbox that they should be in on worker-1 of stack dev: the pod default/pod-bad: " +
                "containerd: io.containerd.runc.v2; runsc: 0 running; wanted: a sandbox: it asks for the class myclass.\n" +
                "  next: see below each of them; `npm run check -- --pods` looks again\n",
        );
    });

    it("asks with the selector, the machines and the policy of the stack's state, and with what is accepted", async () => {
        project.write(
            "Pulumi.dev.yaml",
            project
                .read("Pulumi.dev.yaml")
                .replace("config:\n", "$&  runtime-sandboxes:acceptVulnerabilities: CVE-1, CVE-2\n"),
        );
        await checked({ pods: [] }, ["app=web,tier!=test", "--allow-replaced", "--json"]);
        assert.deepEqual(JSON.parse(project.read("asked.json")), {
            ...{ kubeconfig: "{}", selector: "app=web,tier!=test", down: [], patience: 30 },
            machines: [{ name: "worker-1", connection: { host: "10.0.0.1" }, shell: "sudo -n bash" }],
            wanted: {
                handlers: { runsc: "myclass" },
                accepted: { "worker-1": ["CVE-1", "CVE-2"] },
                allowReplaced: true,
            },
        });
    });

    it("takes a selector after its flag, with or without a sign between", async () => {
        for (const [args, selector] of [
            [["--json", "--pods", "app=web"], "app=web"],
            [["--pods=app=web", "--json"], "app=web"],
            [["--pods", "--json"], ""],
        ] as const) {
            await checked({}, args);
            assert.equal(
                (JSON.parse(project.read("asked.json")) as { selector: string }).selector,
                selector,
                args.join(" "),
            );
        }
    });

    it("is content where every pod is where it should be", async () => {
        const pods = (await mixed(true)).filter(({ uid }) => uid !== "bad");
        const { code, stdout, stderr } = await checked({ pods }, ["--allow-replaced", "--github"]);
        assert.deepEqual([code, stderr], [0, ""]);
        assert.match(
            stdout,
            /\n✓ 2 pods of 14 must be in a sandbox, and every one is\n::notice title=Sandboxes proven::/,
        );
        assert.doesNotMatch(stdout, /kernel of/, "of the workers nothing is to be told");
    });

    it("gives machines the same as JSON, JUnit and annotations", async () => {
        const silent = [machines[0], { worker: "worker-2", error: "it has not answered" }];
        const all = { pods: await mixed(), machines: silent };
        const { code, stdout, stderr } = await checked(all, ["--json", "--github", "--junit", "out/pods.xml"]);
        assert.equal(code, 7);
        const told = JSON.parse(stdout) as {
            result: string;
            exitCode: number;
            pods: { pods: Row[]; machines: object[] };
            problems: object[];
        };
        assert.deepEqual([told.result, told.exitCode, told.pods.pods.length], ["unsandboxed", 7, 15]);
        assert.deepEqual(told.pods.machines, silent);
        const problem = (kind: string, worker: string, message: string) => ({ kind, worker, message });
        assert.deepEqual(told.problems, [
            problem(
                "unsandboxed",
                "worker-1",
                "the pod default/pod-bad: containerd: io.containerd.runc.v2; runsc: 0 running; wanted: a sandbox: it asks for the class myclass",
            ),
            problem(
                "replaced",
                "worker-1",
                "the pod default/pod-old: its sandbox runs gVisor 20260824.0, which has been replaced; wanted: gVisor 20260905.0",
            ),
            problem("unseen", "worker-2", "worker-2 cannot be asked for its pods: it has not answered"),
        ]);
        assert.match(stderr, /^::error title=Sandboxes unsandboxed%3A worker-1::the pod default\/pod-bad: containerd/m);
        const report = project.read("out/pods.xml");
        for (const line of [
            '<testsuite name="pods of worker-1" tests="4" failures="2">',
            '<testcase classname="pods of worker-1" name="default/pod-good"/>',
            '<testcase classname="pods of worker-1" name="default/pod-bad"><failure message="unsandboxed: containerd: io.containerd.runc.v2; ',
            '<testcase classname="pods of worker-2" name="it says which pods it runs"><failure message="it has not answered"/>',
            '<testcase classname="pods" name="the pods can be looked at"/>',
        ]) {
            assert.ok(report.includes(line), `${line}\n${report}`);
        }
    });

    it("tells that it could not look from that something is wrong", async () => {
        const pods = (await mixed(true)).filter(({ uid }) => uid === "good");
        const silent = [...machines, { worker: "worker-2", error: "the machine is down" }];
        for (const [found, args, state, sentence] of [
            [{ pods, machines: silent }, [], resources, "worker-2 cannot be asked for its pods: the machine is down"],
            [
                { refused: "the API server: pods is forbidden" },
                [],
                resources,
                "no pod could be looked at: the API server: pods is forbidden",
            ],
            [{}, ["app=wbe"], resources, "no pod that runs has the labels app=wbe, so nothing was looked at"],
            [
                {},
                [],
                [],
                "no pod could be looked at: the state of stack dev does not say how to reach its machines; run `npm run up`",
            ],
        ] as const) {
            const { code, stderr } = await checked(found, args, state);
            assert.equal(code, 9, stderr);
            assert.ok(
                stderr.startsWith(`error: not every pod of stack dev could be looked at: ${sentence}.\n`),
                stderr,
            );
            assert.match(stderr, /\n {2}next: what could not be looked at is neither right nor wrong/);
            await checked(found, [...args, "--junit", "out/pods.xml"], state);
            assert.match(project.read("out/pods.xml"), /<failure /);
        }
        const { code, stderr } = await checked({ refused: "unable to parse requirement", selector: true }, ["a=b=c"]);
        assert.equal(code, 2);
        assert.match(stderr, /^error: --pods is "a=b=c", which is not a label selector: unable to parse requirement/);
    });

    it("shows every pod in the report, those with something wrong first, and text of others as text", async () => {
        const hostile = "<script>alert(1)</script>|`\u202e";
        const pods = await mixed();
        const named = pods.map((pod) => (pod.uid === "good" ? { ...pod, flags: { note: hostile } } : pod));
        const { code, stdout, stderr } = await checked({ pods: named }, ["report", "--pods", "--out", "out"]);
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^Proven, but pods are without their sandbox on worker-1\n/);
        const text = project.read("out/report.md");
        const rows = text
            .slice(text.indexOf("## Every pod"))
            .split("\n")
            .filter((line) => line.startsWith("| "));
        assert.deepEqual(
            rows.slice(2, 6).map((row) => row.split(" | ").slice(0, 5).join(" | ")),
            [
                "| ✗ default/pod-bad | worker-1 | `myclass` | `io.containerd.runc.v2` | 0 of 2",
                "| ✗ default/pod-old | worker-1 | `myclass` | `gVisor 20260824.0, replaced since` | 2 of 2",
                rows[4]?.split(" | ").slice(0, 5).join(" | "),
                "| default/pod-p0 | worker-1 | `none` | `io.containerd.runc.v2` | 0 of 2",
            ],
        );
        assert.match(
            rows[4] ?? "",
            /^\| default\/pod-good \| worker-1 \| `myclass` \| `gVisor 20260905\.0` `+ ?note=.*\| 2 of 2 \|/,
        );
        assert.equal(rows.length, 17);
        const page = project.read("out/report.html");
        assert.match(page, /<h2 id="pods">Every pod<\/h2>/);
        assert.doesNotMatch(page, /<script|\u202e/);
        assert.match(page, /from the outputs and the word of the machines\./);
        await checked({}, ["report", "--out", "out"]);
        assert.doesNotMatch(project.read("out/report.html"), /Every pod/);
        const file = await project.run("report", "outputs.json", "--pods");
        assert.equal(file.code, 2);
        assert.match(file.stderr, /^error: --pods goes with a stack only: outputs\.json does not/);
    });

    it("refuses what does not go together", async () => {
        for (const [args, sentence] of [
            [
                ["o.json", "--pods"],
                /^error: --pods goes with a stack only: o\.json does not say how to reach its workers\./,
            ],
            [["--pods", "app=web", "o.json"], /^error: --pods goes with a stack only: o\.json does not say/],
            [["--allow-replaced"], /^error: --allow-replaced goes with --pods only\./],
        ] as const) {
            const { code, stderr } = await project.run("check", ...args);
            assert.equal(code, 2, args.join(" "));
            assert.match(stderr, sentence);
        }
    });
});
