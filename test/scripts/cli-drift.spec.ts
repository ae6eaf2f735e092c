// What `drift` and `preview` make of what they find, without machines; the end-to-end tests have the rest.
import * as assert from "node:assert/strict";
import { linesOf, vulnerabilitiesIn } from "../../components/vulnerabilities.cjs";
import { CliProject, goodOutputs } from "./cliProject";

describe("command line: drift", function () {
    this.timeout(180_000);
    let project: CliProject;
    before(() => {
        project = new CliProject();
    });
    after(() => project.remove());

    const lacking = async (wanted: unknown, live: unknown): Promise<string[]> => {
        const { stdout, stderr } = await project.evaluate(
            'import { lacking } from "./cli/look/cluster.ts";' +
                `console.log(JSON.stringify(lacking(${JSON.stringify(wanted)}, ${JSON.stringify(live)})));`,
        );
        assert.equal(stderr, "");
        return JSON.parse(stdout) as string[];
    };

    it("passes over what an object has beside what is wanted", async () => {
        assert.deepEqual(
            await lacking(
                { metadata: { labels: { a: "1" } }, spec: { list: [{ name: "x" }] } },
                {
                    metadata: { labels: { a: "1", b: "2" }, uid: "u" },
                    spec: { list: [{ name: "x", more: 1 }] },
                    status: {},
                },
            ),
            [],
        );
    });

    it("asks the machines that no worker's step looks at for their scripts, and leaves those alone that it cannot reach", async () => {
        const bringing = (name: string, more: object = {}) => ({
            ...{ name: `${name}-scripts`, leaving: false },
            inputs: { create: "node scripts/on-host.mjs scripts bring # 0", stdin: JSON.stringify({ connection: {} }) },
            ...more,
        });
        const resources = [
            ...[bringing("worker-1"), bringing("down"), bringing("gone", { leaving: true }), bringing("control-plane")],
            { name: "my-scripts", leaving: false, inputs: { create: "true" } },
        ];
        const { stdout, stderr } = await project.evaluate(
            'import { lookAtScripts } from "./cli/look/machines.ts";' +
                "const asked = [];" +
                "const ask = (answer) => async (input) => (asked.push(input), answer());" +
                `const look = (answer) => lookAtScripts(${JSON.stringify(resources)}, ["down"], ["worker-1"], ask(answer));` +
                'const found = [await look(() => true), await look(() => false), await look(() => { throw new Error("no"); })];' +
                "console.log(JSON.stringify([found, asked.length]));",
        );
        assert.equal(stderr, "");
        const differences = ["its scripts are gone or were changed"];
        assert.deepEqual(JSON.parse(stdout), [
            [[], [{ worker: "control-plane", restart: [], lost: true, differences }], []],
            3,
        ]);
    });

    it("names each field that is missing or different", async () => {
        assert.deepEqual(
            await lacking(
                { handler: "runsc", metadata: { labels: { a: "1", b: "2" } }, list: [1, 2] },
                { handler: "runc", metadata: { labels: { b: "3" } }, list: [1] },
            ),
            [
                'handler is "runc", wanted "runsc"',
                'metadata.labels.a is missing, wanted "1"',
                'metadata.labels.b is "3", wanted "2"',
                "list[1] is missing, wanted 2",
            ],
        );
    });

    it("takes quantities that mean the same for the same", async () => {
        const podFixed = { cpu: "0.5", memory: "1Gi", wrong: "x" };
        const live = {
            metadata: { labels: { cores: "500m" } },
            overhead: { podFixed: { cpu: "500m", memory: "1024Mi" } },
        };
        assert.deepEqual(await lacking({ metadata: { labels: { cores: "0.5" } }, overhead: { podFixed } }, live), [
            'metadata.labels.cores is "500m", wanted "0.5"',
            'overhead.podFixed.wrong is missing, wanted "x"',
        ]);
    });

    it("says no more of a stack that does not exist than that, and refuses what it does not know", async () => {
        const none = await project.run("drift");
        assert.equal(none.code, 1);
        assert.match(none.stderr, /there is no stack dev/);
        const unknown = await project.run("drift", "--fix");
        assert.equal(unknown.code, 2);
        assert.match(unknown.stderr, /--fix.*allowed: --json/);
    });

    /** Has the look at machines and cluster find this. */
    const foundBy = (found: object) => {
        const all = { looked: 2, machines: [], objects: [], unseen: [], again: [], versions: {}, ...found };
        project.write("cli/look.ts", `console.log(${JSON.stringify(JSON.stringify(all))});`);
    };

    it("names what is known against the machines as they are now, and calls it no drift", async () => {
        const outputs = goodOutputs();
        const versions = { gvisor: "release-20260817.0", containerd: "2.2.9", runc: "", kubernetes: "1.36.5" };
        const accepted = vulnerabilitiesIn({ containerd: "2.2.9" }).map((one) => ({ ...one, accepted: true }));
        const policy = { "character-device-policy": "passthrough" };
        Object.assign(outputs.workers["worker-1"], {
            vulnerabilities: accepted,
            evidence: {
                declared: { sha256: "d".repeat(64), handlers: ["runsc"], options: { runsc: policy } },
                loaded: ["runsc"],
                serving: ["runsc"],
            },
        });
        project.write("outputs.json", JSON.stringify(outputs));
        const up = await project.run("up");
        assert.equal(up.code, 1);
        assert.match(
            up.stderr,
            /^error: gVisor is vulnerable on worker-1 of stack dev: runsc's flag character-device-policy/m,
        );
        const seen = (machines: object[]) => {
            const known = { "worker-1": versions, "worker-9": {} };
            foundBy({ machines, versions: known });
        };
        seen([]);
        const of = { options: [policy], accepted: accepted.map(({ id }) => id) };
        const all = vulnerabilitiesIn(versions, of);
        assert.ok(all.some((one) => one.component === "gvisor") && all.some((one) => one.accepted));
        const lines = linesOf(all).map((line) => `known to be vulnerable, no drift: worker-1: ${line}`);
        const { code, stdout, stderr } = await project.run("drift");
        assert.equal(code, 0, stderr);
        assert.deepEqual(stdout.trim().split("\n"), [
            "stack dev: nothing has drifted; 2 machines and objects looked at",
            ...lines,
        ]);
        const told = await project.run("drift", "--json");
        assert.equal(told.code, 0);
        assert.deepEqual(JSON.parse(told.stdout), {
            looked: 2,
            machines: [],
            objects: [],
            unseen: [],
            vulnerabilities: JSON.parse(JSON.stringify(all.map((one) => ({ worker: "worker-1", ...one })))),
        });
        seen([{ worker: "worker-1", differences: ["it is down"] }]);
        const drifted = await project.run("drift");
        assert.equal(drifted.code, 3);
        assert.ok(
            drifted.stdout.endsWith(`\`npm run up\` repairs what differs from the stack\n${lines.join("\n")}\n`),
            drifted.stdout,
        );
    });

    const urn = (step: string) =>
        `urn:pulumi:dev::runtime-sandboxes::runtime-sandboxes:sandbox:SandboxRuntime$command:remote:Command::${step}`;

    /** Names of the steps that an update runs again, for what was found on the workers that are in the state. */
    const again = async (
        found: object,
        { workers = {}, isolation = {}, last = "succeeded", proven = ["one", "two"] } = {},
    ): Promise<string[]> => {
        foundBy(found);
        const steps = ["runtime-facts", "runtime-look", "runtime-install", "canary-pods", "attacks-pods", "probe-host"];
        const names = [
            ...["one", "two"].flatMap((name) => steps.map((step) => `${name}-${step}`)),
            ...proven.map((name) => `${name}-proven`),
        ];
        const resources = [
            {
                urn: "urn:pulumi:dev::p::pulumi:pulumi:Stack::s",
                type: "pulumi:pulumi:Stack",
                outputs: { workers, isolation },
            },
            ...names.map((name) => ({ urn: urn(name), type: "command:remote:Command", inputs: { stdin: "text" } })),
            // Of a worker that is on its way out.
            { urn: urn("two-runtime-facts"), type: "command:remote:Command", delete: true },
        ];
        project.write("state.json", JSON.stringify({ deployment: { resources } }));
        project.write("history.json", JSON.stringify([{ kind: "update", result: last, endTime: "now" }]));
        project.write(
            "fake-pulumi",
            '#!/bin/sh\ncase "$2" in\nexport) cat state.json ;;\nhistory) cat history.json ;;\n*) exit 1 ;;\nesac\n',
            0o755,
        );
        const { stdout, stderr } = await project.evaluate(
            'import { look } from "./cli/drift.ts";' +
                'const { again } = await look("dev", { path: "./fake-pulumi", env: process.env });' +
                "console.log(JSON.stringify(again));",
        );
        assert.equal(stderr, "");
        return (JSON.parse(stdout) as string[]).map((one) => one.split("::").at(-1) ?? "");
    };

    it("finds out again what a worker is like that has another runc or kubelet by now, and nothing else", async () => {
        const facts = { runc: "1.1.5+ds1", kubelet: "1.36.4" };
        const now = { gvisor: "", containerd: "", runc: facts.runc, kubernetes: facts.kubelet };
        const workers = { one: { facts }, two: { facts } };
        for (const [versions, expected] of [
            [{ one: now, two: { ...now, runc: "1.3.7" } }, ["two-runtime-facts"]],
            [{ one: { ...now, kubernetes: "1.36.5" }, two: now }, ["one-runtime-facts"]],
            [{ one: now, two: now, unknown: { ...now, runc: "1.3.7" } }, []],
        ] as const) {
            assert.deepEqual(await again({ versions }, { workers }), expected);
        }
        assert.deepEqual(await again({ versions: { one: now } }, { workers: { one: {} } }), []);
    });

    it("makes the checks of a worker again that is not proven: what they found may be corrected outside of the stack", async () => {
        const [proven, failed] = [{ proven: true }, { proven: false }];
        assert.deepEqual(await again({}, { isolation: { one: proven, two: failed } }), [
            ...["two-attacks-pods", "two-canary-pods", "two-probe-host"],
        ]);
        assert.deepEqual(await again({}, { isolation: { one: proven, two: proven } }), []);
        const stopped = await again({}, { isolation: { one: proven }, last: "failed", proven: ["one"] });
        assert.deepEqual(
            stopped.filter((name) => !name.endsWith("-facts")),
            ["two-attacks-pods", "two-canary-pods", "two-probe-host"],
        );
    });

    it("tells what differs from what could not be looked at, also by its exit code", async () => {
        const machines = [{ worker: "worker-1", differences: ["a file is another"], restart: [] }];
        const unseen = [{ what: "worker-2", why: "it cannot be reached: no answer" }];
        const differing = "stack dev has drifted:\n  worker-1: a file is another\n";
        const blind = "stack dev could not be looked at in full:\n  worker-2: it cannot be reached: no answer\n";
        const repairs = "`npm run up` repairs what differs from the stack\n";
        for (const [found, code, text] of [
            [{ machines }, 3, differing + repairs],
            [{ unseen }, 1, blind],
            [{ machines, unseen }, 3, differing + blind + repairs],
        ] as const) {
            foundBy(found);
            const told = await project.run("drift");
            assert.deepEqual([told.code, told.stdout], [code, text], told.stderr);
        }
        const { stderr } = await project.run("up");
        assert.match(stderr, /^drifted: worker-1: a file is another\nnot looked at: worker-2: it cannot be reached/m);
    });

    it("calls nothing proven after an update that could not look at it, but as of the last update", async () => {
        project.write("outputs.json", JSON.stringify(goodOutputs()));
        const summary = async (what: string, why: string) => {
            foundBy({ unseen: [{ what, why }] });
            const { code, stdout, stderr } = await project.run("up");
            assert.equal(code, 0, stderr);
            return stdout;
        };
        const why = "it cannot be reached: no answer";
        const worker = await summary("worker-1", why);
        assert.match(
            worker,
            /^ {2}PROVEN as of the last update; it could not be looked at now: it cannot be reached: /m,
        );
        assert.match(
            worker,
            /^verdict: PROVEN on every worker; as of the last update on worker-1, which could not be /m,
        );
        // All of a proof is in the cluster: its pods, its classes.
        const pod = await summary("Pod test-2", "it cannot be read: no answer");
        assert.match(
            pod,
            /^ {2}PROVEN as of the last update; it could not be looked at now: Pod test-2: it cannot be /m,
        );
        assert.doesNotMatch(await summary("worker-9", why), /as of the last update/);
    });

    it("looks again at a worker that differs, or whose node was left cordoned, and at none that nobody reaches", async () => {
        const machine = (worker: string, more = {}) => ({
            worker,
            differences: ["it is another"],
            restart: [],
            ...more,
        });
        assert.deepEqual(await again({ machines: [machine("two")] }), ["two-runtime-facts", "two-runtime-look"]);
        assert.deepEqual(await again({ machines: [machine("two", { moved: false })] }), ["two-runtime-look"]);
        assert.deepEqual(await again({ machines: [machine("two", { down: true })] }), []);
        assert.deepEqual(await again({ unseen: [{ what: "two", why: "it cannot be reached" }] }), []);
        assert.deepEqual(await again({ again: ["one-runtime-look"] }), ["one-runtime-look"]);
    });

    it("finds out again what all workers are like where the last update has failed: somebody may have corrected one", async () => {
        assert.deepEqual(await again({}), []);
        assert.deepEqual(await again({}, { last: "failed" }), ["one-runtime-facts", "two-runtime-facts"]);
    });

    /** What a function of events.ts makes of operations, as lines. */
    const linesFrom = async (events: readonly object[], call: string): Promise<string[]> => {
        const text = events.map((metadata) => JSON.stringify({ resourcePreEvent: { metadata } })).join("\n");
        project.write("events", text);
        const { stdout, stderr } = await project.evaluate(
            `import * as events from "./cli/events.ts"; console.log(events.${call}.join("\\n"));`,
        );
        assert.equal(stderr, "");
        return stdout.trim().split("\n");
    };
    const prepared = (containerd: string, kubelet: string, stdout = "") => ({
        inputs: {
            stdin: `# machine\nreadonly ROLE='worker'\nreadonly PACKAGES='containerd.io=${containerd}\nkubelet=${kubelet}\ncri-tools=*'\n`,
        },
        outputs: { stdout },
    });

    it("finds the restarts in a preview's event log", async () => {
        const create = (hash: string) => ({
            inputs: { create: `timeout 600 bash -s -- install # containerd configuration ${hash}` },
        });
        const install = (worker: string) => urn(`${worker}-runtime-install`);
        const events = [
            { op: "update", urn: install("alpha"), old: create("aaa1"), new: create("bbb2") },
            { op: "update", urn: install("beta"), old: create("aaa1"), new: create("aaa1") },
            { op: "same", urn: install("gamma"), old: create("aaa1"), new: create("aaa1") },
            {
                op: "create",
                urn: install("delta"),
                new: { inputs: { create: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" } },
            },
            { op: "create", urn: install("epsilon"), new: create("ccc3") },
            {
                op: "update",
                urn: install("zeta"),
                old: { inputs: { create: "timeout 600 bash -s -- install" } },
                new: { inputs: { create: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" } },
            },
            { op: "create", urn: install("iota"), new: create("ccc3") },
            { op: "create", urn: urn("local-machine-iota"), new: {} },
            { op: "delete", urn: install("kappa"), old: create("aaa1") },
            { op: "delete", urn: install("lambda"), old: create("aaa1") },
            { op: "delete", urn: urn("gcp-lambda-instance"), old: {} },
            { op: "update", urn: urn("cluster-node-step"), old: prepared("2.2.5-1~debian.12~bookworm", "1.36.3-1.1") },
            { op: "update", urn: urn("zeta-node-step"), old: prepared("2.3.7-1~debian.12~bookworm", "1.36.3-1.1") },
            { op: "create", urn: urn("eta-node-step"), new: prepared("2.3.7-*", "1.36.5-*") },
            { op: "delete", urn: urn("theta-node-step"), old: prepared("2.2.5-1", "1.36.3-1.1") },
        ];
        assert.deepEqual(
            await linesFrom(
                events,
                'restartsIn("events", "2.3.7").map((one) => one.worker + ": " + events.restartText(one))',
            ),
            [
                "control-plane: package 2.2.5-1~debian.12~bookworm -> 2.3.7",
                "alpha: configuration aaa1 -> bbb2",
                "delta: gVisor is new there -> decided when the worker has been looked at",
                "epsilon: gVisor is new there -> ccc3",
                "zeta: configuration of an earlier version -> decided when the worker has been looked at",
                "kappa: gVisor is taken away there",
            ],
        );
    });

    it("finds the workers whose evidence an update has captured again", async () => {
        const events = [
            { op: "update", urn: urn("alpha-probe-host") },
            { op: "same", urn: urn("beta-probe-host") },
            { op: "create-replacement", urn: urn("gamma-probe-host") },
            { op: "delete", urn: urn("delta-probe-host") },
            { op: "update", urn: urn("beta-probe-pods") },
        ];
        assert.deepEqual(await linesFrom(events, 'capturedIn("events")'), ["alpha", "gamma"]);
    });

    it("names the nodes that keep another Kubernetes than a new stack would get", async () => {
        const printed = '{"cgroupDriver":"systemd","kubelet":"1.36.3-1.1"}';
        const events = [
            { op: "same", urn: urn("beta-node-step"), old: prepared("2.3.7-1", "1.36.5-1.1", printed) },
            { op: "update", urn: urn("alpha-node-step"), old: prepared("2.2.5-1", "1.36.3-1.1") },
            { op: "update", urn: urn("gamma-node-step"), old: prepared("2.2.5-1", "1.36.5-1.1") },
            { op: "create", urn: urn("delta-node-step"), new: prepared("2.3.7-1", "1.36.5-1.1") },
            { op: "delete", urn: urn("epsilon-node-step"), old: prepared("2.2.5-1", "1.36.3-1.1") },
        ];
        assert.deepEqual(await linesFrom(events, 'kubernetesLines("events", undefined, "1.36.5")'), [
            "Kubernetes 1.36.3 stays on alpha, beta: nodes in use keep theirs, a new stack gets 1.36.5",
        ]);
        assert.deepEqual(await linesFrom(events, 'kubernetesLines("events", "1.36.3", "1.36.5")'), [
            "Kubernetes 1.36.5 stays on gamma: kubernetesVersion 1.36.3 is refused for nodes in use, empty it or make a new stack",
        ]);
    });
});
