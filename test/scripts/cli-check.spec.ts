// `check`: what it makes of right, wrong, missing, stale and tampered outputs, for people and for machines.
import * as assert from "node:assert/strict";
import { judge } from "../../components/attacks.cjs";
import { verdict } from "../../components/proof/verdict";
import { judge as judgeReachable, type Reached } from "../../components/reachable.cjs";
import { surfaceOf } from "../../components/surface.cjs";
import { linesOf, sentenceOf, type Vulnerability, vulnerabilitiesIn } from "../../components/vulnerabilities.cjs";
import { attackFacts, handler, provenFacts, reachableFacts, surfaceFacts } from "../helpers/canned";
import { runProgram } from "../helpers/program";
import { CliProject, goodOutputs } from "./cliProject";
import { ExecServer } from "./execServer";

const historyFolder = ".pulumi/history/runtime-sandboxes/dev";

/** Outputs with further ones, as this program gives them with all that is optional. */
function fullOutputs() {
    const good = goodOutputs();
    const worker = {
        ...good.workers["worker-1"],
        survivors: [] as string[],
        evidence: {
            declared: { sha256: "d".repeat(64), handlers: ["runsc"] },
            loaded: ["runsc"],
            serving: ["runsc"],
        },
        facts: { architecture: "x86_64", cgroupVersion: 2, ptraceScope: null as number | null },
    };
    const judged = judge(attackFacts());
    const { reachable, egress } = judgeReachable(reachableFacts(), { allow: [], dns: true });
    const { checks } = verdict(provenFacts(), handler, ["myclass"], judged, egress);
    return {
        ...good,
        isolation: { "worker-1": { proven: true, checks: checks.map((check) => ({ ...check })) } },
        attacks: { "worker-1": judged.attempts.map((one) => ({ ...one })) },
        surface: { "worker-1": surfaceOf(surfaceFacts()) },
        reachable: { "worker-1": { myclass: (reachable.myclass ?? []).map((one): Reached => ({ ...one })) } },
        workers: { "worker-1": worker },
        handlers: { runsc: "myclass" } as Record<string, string>,
        limits: {
            "worker-1": {
                memory: { limitMiB: 128, outcome: "OOMKilled", passed: true },
                cpu: { limitMillicores: 250, usedMillicores: 251.4, passed: true },
                overhead: { memoryMiB: 24, cpuMillicores: 3 },
            },
        },
        more: "than the contract",
    };
}
type Outputs = ReturnType<typeof fullOutputs>;
type Change = (outputs: Outputs) => void;

interface Told {
    readonly result: string;
    readonly exitCode: number;
    readonly problems: readonly { kind: string; worker?: string; message: string }[];
    readonly workers: Record<string, { proven: boolean; vulnerabilities: Vulnerability[] }>;
    readonly updated?: string;
}

/** A gVisor that nobody should run, what is known against it, and what is said of that. */
const holed = "release-20260817.0";
const holes = vulnerabilitiesIn({ gvisor: holed });
const said = (found: readonly Vulnerability[]) => found.map((one) => `vulnerable: ${sentenceOf(one)}`);
const policy = { "character-device-policy": "passthrough" };

/** What somebody may have changed, the exit code, and all that is said about it. */
const bad: [string, Change, number, string[]][] = [
    [
        "what was measured, where it is not what the contract says",
        ({ surface }) => {
            const { myclass } = surface["worker-1"];
            Object.assign(myclass?.systemCalls.inside ?? {}, { filter: "", reachable: -1 });
            Object.assign(myclass ?? {}, { costs: { write: { inside: "fast", unit: "MiB/s" } } });
        },
        3,
        [
            "invalid: surface.worker-1.myclass.systemCalls.inside.filter is empty",
            "invalid: surface.worker-1.myclass.systemCalls.inside.reachable is -1: it must be >= 0",
            "invalid: surface.worker-1.myclass.costs.write.how is missing",
            'invalid: surface.worker-1.myclass.costs.write.inside is "fast"; allowed: a number',
        ],
    ],
    [
        "a check that has not passed",
        ({ isolation }) => {
            const { checks } = isolation["worker-1"];
            Object.assign(isolation["worker-1"], { proven: false });
            Object.assign(checks[5] ?? {}, { passed: false, detail: "containerd: io.containerd.runc.v2" });
        },
        1,
        ['not proven: the check "the worker runs test-2 with runsc" has not passed: containerd: io.containerd.runc.v2'],
    ],
    [
        "a limit that does not bind",
        ({ limits }) => Object.assign(limits["worker-1"].memory, { outcome: "Completed", passed: false }),
        1,
        ['not proven: the check "a memory limit on a sandboxed pod binds" has not passed: Completed, limit 128 MiB'],
    ],
    [
        "a verdict that was turned to the good",
        ({ isolation }) => Object.assign(isolation["worker-1"].checks[0] ?? {}, { passed: false, detail: "seen" }),
        1,
        [
            'not proven: the check "test-1 shares the worker\'s kernel" has not passed: seen',
            'contradictory: isolation.worker-1.proven is true although its check "test-1 shares the worker\'s kernel" has not passed: "seen"',
        ],
    ],
    [
        "a verdict that was turned to the bad",
        ({ isolation }) => Object.assign(isolation["worker-1"], { proven: false }),
        1,
        [
            "not proven: isolation.worker-1.proven is false",
            "contradictory: isolation.worker-1.proven is false although all of its checks have passed",
        ],
    ],
    [
        "a check that was taken out",
        ({ isolation }) => isolation["worker-1"].checks.splice(7, 1),
        4,
        [
            'contradictory: isolation.worker-1.proven is true although its check "a new pod of each class starts in its sandbox" is not among the checks',
        ],
    ],
    [
        "an attempt that got through, beside a verdict that says otherwise",
        ({ attacks }) => {
            const inside = { myclass: { reached: true, saw: "a descriptor" } };
            Object.assign(attacks["worker-1"][0] ?? {}, { state: "reached", inside });
        },
        4,
        ["contradictory: attacks.worker-1 has bpf as reached, although isolation.worker-1 says proven"],
    ],
    [
        "an attempt whose state is not what was seen of it",
        ({ attacks }) => {
            Object.assign(attacks["worker-1"][0] ?? {}, {
                inside: { myclass: { reached: true, saw: "a descriptor" } },
            });
        },
        4,
        ["contradictory: attacks.worker-1 says of bpf another state than what was seen"],
    ],
    [
        "attempts that were taken out beside their check",
        ({ attacks }) => attacks["worker-1"].splice(0),
        4,
        ["contradictory: attacks.worker-1 has no attempts, although isolation.worker-1 has their check"],
    ],
    [
        "the check of attempts that was taken out",
        ({ isolation }) => isolation["worker-1"].checks.splice(8, 1),
        4,
        [
            'contradictory: attacks.worker-1 is there without the check "attacks", although isolation.worker-1 says proven',
        ],
    ],
    [
        "a check of attempts that has not passed",
        ({ isolation }) => {
            Object.assign(isolation["worker-1"], { proven: false });
            const detail = "50 of 51 refused; not refused: engine-socket in weak (connected)";
            Object.assign(isolation["worker-1"].checks[8] ?? {}, { passed: false, detail });
        },
        1,
        [
            'not proven: the check "attacks" has not passed: 50 of 51 refused; not refused: engine-socket in weak (connected)',
        ],
    ],
    [
        "a target that is reached in spite of policies, beside a verdict that says otherwise",
        ({ reachable }) => Object.assign(reachable["worker-1"].myclass[2] ?? {}, { reached: true }),
        4,
        [
            "contradictory: reachable.worker-1: pod at 10.244.1.5:40004 from myclass in untrusted is reached, although isolation.worker-1 says proven",
        ],
    ],
    [
        "an allowed target that is not reached",
        ({ reachable }) => Object.assign(reachable["worker-1"].myclass[0] ?? {}, { reached: false }),
        4,
        [
            "contradictory: reachable.worker-1: the allowed target was not reached from myclass in untrusted, so this shows nothing, although isolation.worker-1 says proven",
        ],
    ],
    [
        "what pods reach that was taken out beside the check of policies",
        ({ reachable }) => reachable["worker-1"].myclass.splice(0),
        4,
        ["contradictory: reachable.worker-1 has no policies, although isolation.worker-1 has their check"],
    ],
    [
        "the check of policies that was taken out",
        ({ isolation }) => isolation["worker-1"].checks.splice(9, 1),
        4,
        [
            'contradictory: reachable.worker-1 has policies without the check "egress", although isolation.worker-1 says proven',
        ],
    ],
    [
        "a check of policies that has not passed",
        ({ isolation }) => {
            Object.assign(isolation["worker-1"], { proven: false });
            const detail = "5 of 6 refused; not refused: kubelet at 10.77.0.11:10250 from myclass in untrusted";
            Object.assign(isolation["worker-1"].checks[9] ?? {}, { passed: false, detail });
        },
        1,
        [
            'not proven: the check "egress" has not passed: 5 of 6 refused; not refused: kubelet at 10.77.0.11:10250 from myclass in untrusted',
        ],
    ],
    [
        "test-2 on the worker's kernel",
        ({ uname }) => Object.assign(uname["worker-1"], { "test-2": "6.1.0-42-amd64" }),
        4,
        [
            'contradictory: uname.worker-1.test-2 is "6.1.0-42-amd64", the worker\'s own kernel, although isolation.worker-1 says proven',
        ],
    ],
    [
        "test-1 on another kernel than the worker's",
        ({ uname }) => Object.assign(uname["worker-1"], { "test-1": "4.19.0-gvisor" }),
        4,
        [
            'contradictory: uname.worker-1.test-1 is "4.19.0-gvisor", not the worker\'s own kernel "6.1.0-42-amd64", although isolation.worker-1 says proven',
        ],
    ],
    [
        "a log of test-2 that is not gVisor's to its end",
        ({ dmesg }) =>
            Object.assign(dmesg["worker-1"], { "test-2": "[    0.000000] Starting gVisor...\n[    0.1] oops" }),
        4,
        [
            'contradictory: dmesg.worker-1.test-2 is "[    0.000000] Starting gVisor... … [    0.1] oops", not gVisor\'s log from "Starting gVisor..." to "Ready!", although isolation.worker-1 says proven',
        ],
    ],
    [
        "gVisor's log in test-1",
        ({ dmesg }) => Object.assign(dmesg["worker-1"], { "test-1": dmesg["worker-1"]["test-2"] }),
        4,
        [
            'contradictory: dmesg.worker-1.test-1 is "[    0.000000] Starting gVisor... … [    2.9] Ready!", gVisor\'s log, although isolation.worker-1 says proven',
        ],
    ],
    [
        "a handler that the node does not have",
        ({ workers }) => Object.assign(workers["worker-1"], { handlers: ["runc"] }),
        4,
        [
            'contradictory: workers.worker-1.handlers is ["runc"], without the handler "runsc" that test-2 runs behind, although isolation.worker-1 says proven',
        ],
    ],
    [
        "another configuration than the evidence's",
        ({ workers }) => Object.assign(workers["worker-1"], { configSha256: "e".repeat(64) }),
        4,
        [
            `contradictory: workers.worker-1.evidence.declared.sha256 is "${"d".repeat(64)}", but workers.worker-1.configSha256 is "${"e".repeat(64)}"`,
        ],
    ],
    [
        "nothing that serves",
        ({ workers }) => Object.assign(workers["worker-1"].evidence, { serving: [] }),
        4,
        [
            'contradictory: workers.worker-1.evidence.serving is [], declared is ["runsc"], although isolation.worker-1 says proven',
        ],
    ],
    [
        "a gVisor that is known to be vulnerable",
        ({ workers }) => Object.assign(workers["worker-1"], { runsc: holed }),
        6,
        said(holes),
    ],
    [
        "a vulnerability of gVisor that somebody accepts for another worker only",
        (outputs) => {
            const { "worker-1": worker } = outputs.workers;
            const own = { ...worker, runsc: holed };
            const accepted = holes.map((one) => ({ ...one, accepted: true }));
            for (const key of ["uname", "dmesg", "isolation", "limits", "attacks", "reachable"] as const) {
                Object.assign(outputs[key], { "worker-2": outputs[key]["worker-1"] });
            }
            outputs.workers = Object.assign({ "worker-1": own }, { "worker-2": { ...own, vulnerabilities: accepted } });
        },
        6,
        said(holes),
    ],
    [
        "a flag that opens it again",
        ({ workers }) =>
            Object.assign(workers["worker-1"].evidence.declared, { options: { runsc: {}, other: policy } }),
        6,
        said(vulnerabilitiesIn({}, { options: [policy] })),
    ],
    [
        "facts of two times",
        ({ workers }) => Object.assign(workers["worker-1"], { kernel: "6.1.0-41-amd64" }),
        5,
        ['stale: workers.worker-1.kernel is "6.1.0-41-amd64", but uname.worker-1.worker is "6.1.0-42-amd64"'],
    ],
    [
        "a hash that is none",
        ({ workers }) => Object.assign(workers["worker-1"], { configSha256: "unknown" }),
        3,
        [
            'invalid: workers.worker-1.configSha256 is "unknown"; allowed: a SHA-256: 64 hexadecimal digits in lower case',
        ],
    ],
    [
        "missing outputs, all at once",
        (outputs) => Object.assign(outputs, { dmesg: undefined, kubeconfig: undefined, isolation: { "worker-1": {} } }),
        3,
        [
            "invalid: dmesg is missing",
            "invalid: kubeconfig is missing",
            "invalid: isolation.worker-1.proven is missing",
            "invalid: isolation.worker-1.checks is missing",
        ],
    ],
    [
        "a worker that is in one output only",
        ({ workers }) => Object.assign(workers, { "worker-2": workers["worker-1"] }),
        3,
        ["uname", "dmesg", "isolation"].map((key) => `invalid: ${key}.worker-2 is missing`),
    ],
    [
        "types and names of another contract",
        (outputs) =>
            Object.assign(outputs, {
                uname: { "worker-1": { worker: 6.1, "test-1": "two words", "test-2": "" }, "Worker 2": null },
                dmesg: { "worker-1": null },
                runtimeClass: "My Class",
            }),
        3,
        [
            'invalid: runtimeClass is "My Class"; allowed: a name of a Kubernetes object: lower-case letters, digits, "-" and "."',
            'invalid: a name in uname is "Worker 2"; allowed: a name of a Kubernetes object: lower-case letters, digits, "-" and "."',
            "invalid: uname.worker-1.worker is 6.1; allowed: a text",
            'invalid: uname.worker-1.test-1 is "two words"; allowed: a kernel release as `uname -r` prints it: 1 to 64 printable characters without a space',
            'invalid: uname.worker-1.test-2 is ""; allowed: a kernel release as `uname -r` prints it: 1 to 64 printable characters without a space',
            "invalid: dmesg.worker-1 is null; allowed: an object",
        ],
    ],
    [
        "no worker at all",
        (outputs) => Object.assign(outputs, { uname: {}, dmesg: {}, isolation: {}, workers: {} }),
        3,
        ["uname", "dmesg", "isolation", "workers"].map((key) => `invalid: no worker is in ${key}`),
    ],
];

describe("command line: check", function () {
    this.timeout(180_000);
    let project: CliProject;

    before(() => {
        project = new CliProject();
    });
    after(() => project.remove());

    const checked = async (
        outputs: unknown,
        ...args: string[]
    ): Promise<{ code: number; told: Told; stderr: string }> => {
        project.write("given.json", JSON.stringify(outputs));
        const { code, stdout, stderr } = await project.run("check", "given.json", "--json", ...args);
        return { code, told: JSON.parse(stdout) as Told, stderr };
    };

    it("believes the outputs of a file, with and without what is optional", async () => {
        for (const outputs of [goodOutputs(), fullOutputs()]) {
            const { code, told, stderr } = await checked(outputs);
            assert.equal(code, 0, stderr);
            assert.equal(stderr, "");
            assert.deepEqual([told.result, told.exitCode, told.problems], ["proven", 0, []]);
            assert.equal(told.workers["worker-1"]?.proven, true);
        }
        assert.equal(project.exists(".cache/toolchain.json"), false, "a file needs no Pulumi");
    });

    it("believes what the program itself exports", async () => {
        const { outputs } = await runProgram({ workers: ["worker-1", "worker-2"] });
        const exported = Object.entries(outputs).map(([name, { secret, value }]) => [
            name,
            secret ? "[secret]" : value,
        ]);
        const { code, told, stderr } = await checked(Object.fromEntries(exported));
        assert.equal(code, 0, stderr);
        assert.deepEqual(Object.keys(told.workers), ["worker-1", "worker-2"]);
    });

    it("misses each of the checks that the program makes", async () => {
        for (const { name } of verdict(provenFacts(), handler, ["myclass"]).checks) {
            const outputs = goodOutputs();
            const { isolation } = outputs;
            isolation["worker-1"].checks = isolation["worker-1"].checks.filter((check) => check.name !== name);
            const { code, told } = await checked(outputs);
            assert.equal(code, 4, name);
            assert.deepEqual(
                told.problems.map(({ message }) => message),
                [`isolation.worker-1.proven is true although its check "${name}" is not among the checks`],
            );
        }
    });

    for (const [title, change, exitCode, messages] of bad) {
        it(`does not believe ${title}`, async () => {
            const outputs = fullOutputs();
            change(outputs);
            const { code, told, stderr } = await checked(outputs);
            assert.deepEqual(
                told.problems.map(({ kind, message }) => `${kind}: ${message}`).sort(),
                [...messages].sort(),
            );
            assert.equal(code, exitCode);
            assert.equal(told.exitCode, exitCode);
            assert.match(stderr, /^error: .* given\.json/);
            assert.match(stderr, /\n {2}next: /);
        });
    }

    it("says what is wrong in one sentence each, below the summary", async () => {
        const outputs = fullOutputs();
        outputs.uname["worker-1"]["test-2"] = "6.1.0-42-amd64";
        outputs.workers["worker-1"].handlers = ["runc"];
        project.write("given.json", JSON.stringify(outputs));
        const { code, stdout, stderr } = await project.run("check", "given.json");
        assert.equal(code, 4);
        assert.match(stdout, /kernel of test-2 {2}6\.1\.0-42-amd64[\s\S]*\nverdict: NOT PROVEN on worker-1\n/);
        assert.equal(
            stderr,
            [
                "error: the outputs of given.json contradict themselves: 2 complaints.",
                '  | contradictory: uname.worker-1.test-2 is "6.1.0-42-amd64", the worker\'s own kernel, although isolation.worker-1 says proven',
                '  | contradictory: workers.worker-1.handlers is ["runc"], without the handler "runsc" that test-2 runs behind, although isolation.worker-1 says proven',
                "  next: somebody has changed them, or they are put together from several runs: take them from the stack",
                "",
            ].join("\n"),
        );
    });

    it("refuses what it does not know, and files that it cannot read", async () => {
        const cases: [string[], RegExp][] = [
            [
                ["--fast"],
                /^error: check does not know "--fast"; allowed: --pods, .*\.\n {2}next: npm run check -- --help\n/,
            ],
            [["a.json", "b.json"], /^error: check takes only \[FILE], not a\.json, b\.json\./],
            [["--junit", "--json"], /^error: check: option '--junit <FILE>' argument missing\./],
            [["--max-age", "soon"], /^error: --max-age is "soon"; allowed: a number with s, m, h or d, such as 24h\./],
            [["a.json", "--max-age", "1h"], /^error: --max-age goes with a stack only/],
            [["a.json", "--kubeconfig", "k"], /^error: --kubeconfig goes with --live only\./],
            [
                ["-", "--pods", "--max-age", "1w"],
                /^error: --max-age is "1w"; .* --pods goes with a stack only: standard /,
            ],
            [["none.json"], /^error: \S+\/none\.json cannot be read: ENOENT: no such file or directory\./],
        ];
        for (const [args, sentence] of cases) {
            const { code, stderr } = await project.run("check", ...args);
            assert.equal(code, 2, args.join(" "));
            assert.match(stderr, sentence);
        }
        for (const text of ["", "{", "null", '"text"']) {
            project.write("given.json", text);
            const { code, stderr } = await project.run("check", "given.json");
            assert.equal(code, 3, text);
            assert.match(
                stderr,
                /^error: the outputs of given\.json are not what they should be: (they are not JSON|the whole is)/,
            );
        }
    });

    it("names what else is known, and fails for none of it", async () => {
        const outputs = fullOutputs();
        const facts = { runc: "1.1.5+ds1", kubelet: "1.29.0" };
        const worker = Object.assign(outputs.workers["worker-1"], { containerd: "v2.2.9", facts });
        const versions = { containerd: worker.containerd, runc: facts.runc, kubernetes: facts.kubelet };
        const of = (component: string) => ({ [component]: versions[component as keyof typeof versions] });
        const accepted = vulnerabilitiesIn(of("containerd")).map((one) => ({ ...one, accepted: true }));
        Object.assign(worker, { vulnerabilities: accepted });
        const { code, told, stderr } = await checked(outputs, "--github", "--junit", "out/junit.xml");
        assert.equal(code, 0);
        const { vulnerabilities = [] } = told.workers["worker-1"] ?? {};
        const all = vulnerabilitiesIn(versions, { accepted: accepted.map(({ id }) => id) });
        assert.deepEqual(vulnerabilities, all);
        const lines = linesOf([...vulnerabilitiesIn(of("runc")), ...vulnerabilitiesIn(of("kubernetes"))]);
        assert.deepEqual(stderr.trim().split("\n"), [
            "::notice title=Sandboxes proven::worker-1 of given.json",
            ...lines.map((line) => `::warning title=Known vulnerabilities%3A worker-1::${line}`),
        ]);
        const report = project.read("out/junit.xml");
        assert.match(report, /failures="0">/);
        assert.ok(report.includes(`<system-out>${lines.join("; ")}</system-out>`), report);
        const { stdout } = await project.run("check", "given.json");
        assert.match(stdout, /\n {2}! containerd 2\.2\.9 has \S+ \(accepted\).*\n {2}! runc 1\.1\.5\+ds1 has /);
        assert.match(stdout, /\n {2}PROVEN\n\nverdict: PROVEN on every worker\n/);
    });

    it("tells a proven verdict on a vulnerable gVisor from one that is sound", async () => {
        const outputs = fullOutputs();
        Object.assign(outputs.workers["worker-1"], { runsc: holed });
        project.write("given.json", JSON.stringify(outputs));
        const { code, stdout, stderr } = await project.run("check", "given.json", "--junit", "out/junit.xml");
        assert.equal(code, 6);
        assert.match(stdout, /\n {2}✗ gVisor 20260817\.0 has \S+.*\n {2}PROVEN, VULNERABLE\n/);
        assert.match(stdout, /\nverdict: PROVEN on every worker, VULNERABLE on worker-1\n/);
        assert.match(stderr, /^error: gVisor is vulnerable on worker-1 of given\.json: /);
        assert.match(
            stderr,
            /\n {2}next: take a gVisor where it is fixed .* setting acceptVulnerabilities; then `npm run up`\n/,
        );
        assert.match(
            project.read("out/junit.xml"),
            /name="gVisor has no known vulnerability that is not accepted"><failure message="gVisor 20260817\.0 has /,
        );
        Object.assign(outputs.workers["worker-1"], {
            vulnerabilities: holes.map((one) => ({ ...one, accepted: true })),
        });
        const accepted = await checked(outputs);
        assert.deepEqual([accepted.code, accepted.told.result], [0, "proven"]);
    });

    it("has a case in JUnit for each kind of problem of a worker", async () => {
        const { stdout } = await project.evaluate(
            'import { kinds as all } from "./cli/check/problems.ts"; import { junit } from "./cli/check/formats.ts";' +
                "const workers = [{ name: 'w', checks: [], vulnerabilities: [] }];" +
                "const kinds = Object.keys(all).filter((kind) => !['missing', 'invalid'].includes(kind));" +
                // What is wrong with pods has cases of its own.
                "const podsOf = (kind) => ({ machines: [], pods: [{ worker: 'w', required: 'r', flaws: [{ kind }] }] });" +
                "const pods = (kind) => ['unsandboxed', 'replaced', 'unseen'].includes(kind) ? podsOf(kind) : undefined;" +
                "console.log(JSON.stringify(kinds.map((kind) => [kind, junit({ source: 's', workers, pods: pods(kind), " +
                "problems: [{ kind, worker: 'w', message: 'm' }] }).includes('<failure ')])));",
        );
        for (const [kind, failed] of JSON.parse(stdout) as [string, boolean][]) {
            assert.ok(failed, `${kind} fails no case`);
        }
    });

    it("writes JUnit and annotations, whatever stands in the outputs", async () => {
        const outputs = fullOutputs();
        const detail = 'a "b" <c> & \u001b[31m\n::error::injected';
        Object.assign(outputs.isolation["worker-1"], { proven: false });
        Object.assign(outputs.isolation["worker-1"].checks[5] ?? {}, { passed: false, detail });
        outputs.dmesg["worker-1"]["test-2"] = "[    0.000000] Starting gVisor...\n::add-mask::x\u001b]0;title\u0007";
        project.write("given.json", JSON.stringify(outputs));
        project.env.GITHUB_ACTIONS = "true";
        const { code, stdout } = await project.run("check", "given.json", "--junit", "out/junit.xml");
        delete project.env.GITHUB_ACTIONS;
        assert.equal(code, 1);
        const commands = stdout.split("\n").filter((line) => line.trim().startsWith("::"));
        assert.deepEqual(commands, [
            '::error title=Sandboxes not proven%3A worker-1::the check "the worker runs test-2 with runsc" has not passed: ' +
                'a "b" <c> & \u001b[31m%0A::error::injected',
        ]);
        assert.match(stdout, /\n {20}\\::add-mask::x�]0;title�\n/);
        const report = project.read("out/junit.xml");
        assert.match(
            report,
            /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites name="sandboxes of given\.json" tests="20" failures="1">/,
        );
        assert.ok(
            report.includes(
                '<testcase classname="worker-1" name="the worker runs test-2 with runsc"><failure message="a &quot;b&quot; &lt;c&gt; &amp; �[31m ::error::injected"/></testcase>',
            ),
            report,
        );
        const good = await checked(fullOutputs(), "--github", "--junit", "out/junit.xml");
        assert.equal(good.stderr, "::notice title=Sandboxes proven::worker-1 of given.json\n");
        assert.match(project.read("out/junit.xml"), /tests="20" failures="0">/);
    });
});

describe("command line: check of a stack", function () {
    this.timeout(300_000);
    let project: CliProject;

    before(async () => {
        project = new CliProject();
        project.write("outputs.json", JSON.stringify(goodOutputs()));
        assert.equal((await project.run("up")).code, 0);
    });
    after(() => project.remove());

    const told = async (...args: string[]): Promise<Told> =>
        JSON.parse((await project.run("check", "--json", ...args)).stdout) as Told;

    it("says when they were made, and refuses them where that is too long ago", async () => {
        const now = await told("--max-age", "1h");
        assert.equal(now.result, "proven");
        assert.ok(Math.abs(Date.parse(now.updated ?? "") - Date.now()) < 100_000, now.updated);

        const name = project.list(historyFolder).find((file) => file.endsWith(".history.json"));
        const history = JSON.parse(project.read(`${historyFolder}/${name}`)) as { endTime: number };
        history.endTime -= 5_400;
        project.write(`${historyFolder}/${name}`, JSON.stringify(history));
        const { code, stderr } = await project.run("check", "--max-age", "1h");
        assert.equal(code, 5);
        assert.match(
            stderr,
            /^error: the outputs of stack dev are stale: they are of \S+Z, 1 h 30 min ago; allowed by --max-age: 1 h 0 min\.\n {2}next: npm run up; /,
        );
        assert.equal((await project.run("check", "--max-age", "1d")).code, 0);
    });

    it("does not believe outputs from before an update that failed", async () => {
        project.program("throw new Error('no');");
        assert.notEqual((await project.run("up")).code, 0);
        const { code, stdout, stderr } = await project.run("check");
        assert.equal(code, 5);
        assert.match(stdout, /verdict: PROVEN on every worker/);
        assert.match(
            stderr,
            /^error: the outputs of stack dev are stale: the last update of stack dev \(\S+Z\) has ended as "failed", and they are of an earlier one\./,
        );
    });

    it("tells machines that there is nothing to judge", async () => {
        project.env.STACK = "other";
        const { code, stdout, stderr } = await project.run("check", "--json", "--github", "--junit", "none.xml");
        project.env.STACK = "dev";
        assert.equal(code, 1);
        assert.deepEqual(JSON.parse(stdout), {
            source: "stack other",
            result: "missing",
            exitCode: 1,
            problems: [{ kind: "missing", message: "there is no stack other, so nothing is proven." }],
            workers: {},
        });
        assert.match(stderr, /^::error title=Sandboxes missing%3A stack other::there is no stack other/);
        assert.match(project.read("none.xml"), /failures="1"/);
    });
});

describe("command line: check --live", function () {
    this.timeout(180_000);
    let project: CliProject;
    const server = new ExecServer();
    const outputs = goodOutputs();
    const { uname, dmesg } = outputs;

    before(async () => {
        project = new CliProject();
        await server.start();
        project.write("admin.conf", server.kubeconfig);
        project.write("given.json", JSON.stringify(outputs));
    });
    after(() => {
        server.stop();
        project.remove();
    });
    beforeEach(() => {
        server.nodes = { "worker-1": uname["worker-1"].worker };
        server.pods = {
            "test-1": { node: "worker-1", uname: uname["worker-1"]["test-1"], dmesg: dmesg["worker-1"]["test-1"] },
            "test-2": {
                node: "worker-1",
                runtimeClassName: "myclass",
                uname: uname["worker-1"]["test-2"],
                // Another boot of gVisor: only the first and the last line are the same.
                dmesg: "[    0.000000] Starting gVisor...\n[    0.7] Feeding the init monster...\n[    1.1] Ready!\n",
            },
        };
    });

    const live = async () => await project.run("check", "given.json", "--live", "--kubeconfig", "admin.conf");

    it("finds the pods as they were recorded", async () => {
        const { code, stderr } = await live();
        assert.equal(code, 0, stderr);
    });

    it("finds pods of further workers under their longer names", async () => {
        const pods = Object.entries(server.pods).map(([name, pod]) => [`${name}-worker-1`, pod]);
        server.pods = { "test-1": { node: "worker-0", uname: "other", dmesg: "" }, ...Object.fromEntries(pods) };
        const { code, stderr } = await live();
        assert.equal(code, 0, stderr);
    });

    it("names all that is otherwise now", async () => {
        server.nodes = { "worker-1": "6.1.0-43-amd64" };
        const { "test-1": first, "test-2": second } = server.pods;
        assert.ok(first && second);
        server.pods = {
            "test-1": { ...first, uname: "6.1.0-43-amd64" },
            "test-2": { ...second, runtimeClassName: undefined, uname: "6.1.0-43-amd64", dmesg: "dmesg: refused" },
        };
        const { code, stderr } = await live();
        assert.equal(code, 5);
        for (const sentence of [
            'uname.worker-1.worker is "6.1.0-42-amd64", but the node has "6.1.0-43-amd64" now',
            'uname.worker-1.test-1 is "6.1.0-42-amd64", but the pod sees "6.1.0-43-amd64" now',
            'uname.worker-1.test-2 is "4.19.0-gvisor", but the pod sees "6.1.0-43-amd64" now',
            'dmesg.worker-1.test-2 is "[    0.000000] Starting gVisor... … [    2.9] Ready!", but the pod prints "dmesg: refused" now',
            'the pod test-2 of worker-1 has no runtime class now, the outputs name "myclass"',
        ]) {
            assert.ok(stderr.includes(`  | stale: ${sentence}\n`), `${sentence}\n\n${stderr}`);
        }
        assert.match(
            stderr,
            /^no new pods are tried: .*\nerror: the outputs of given\.json are stale: 5 complaints\.\n/,
        );
    });

    it("says that a pod or the whole cluster is gone", async () => {
        const { "test-1": first } = server.pods;
        server.pods = first ? { "test-1": first } : {};
        const { code, stderr } = await live();
        assert.equal(code, 5);
        assert.match(stderr, /stale: the pod test-2 of worker-1 is not in the cluster \(node worker-1\)\.\n/);

        project.write("admin.conf", server.kubeconfig.replace(/127\.0\.0\.1:\d+/, "127.0.0.1:9"));
        const gone = await live();
        project.write("admin.conf", server.kubeconfig);
        assert.equal(gone.code, 5);
        assert.match(
            gone.stderr,
            /stale: the pods cannot be looked into again: connect ECONNREFUSED 127\.0\.0\.1:9\.\n/,
        );
    });

    it("names the workers on which no new pod starts, beside what is otherwise, and ends", async () => {
        const canary = {
            kubeconfig: server.kubeconfig,
            node: "worker-1",
            image: "i",
            classes: [{ runtimeClass: "c" }],
        };
        const canaries = [{ worker: "worker-1", stdin: JSON.stringify(canary) }];
        server.nodes = {};
        project.write("input.json", JSON.stringify({ outputs, kubeconfig: server.kubeconfig, canaries }));
        const { stdout, stderr } = await project.evaluate(
            'import { spawnSync } from "node:child_process"; import { readFileSync } from "node:fs";' +
                'const input = readFileSync("input.json");' +
                'spawnSync(process.execPath, ["cli/check/look.ts"], { input, stdio: ["pipe", "inherit", "inherit"] });',
        );
        assert.equal(stderr, "");
        assert.deepEqual(JSON.parse(stdout), [
            {
                kind: "stale",
                worker: "worker-1",
                message: 'uname.worker-1.worker is "6.1.0-42-amd64", but the cluster has no such node',
            },
            {
                kind: "not starting",
                worker: "worker-1",
                message: "on worker-1 no new pod of class c starts: nobody may make pods",
            },
        ]);
    });

    it("asks for a kubeconfig where the file has none", async () => {
        const { code, stderr } = await project.run("check", "given.json", "--live");
        assert.equal(code, 2);
        assert.match(
            stderr,
            /^error: --live needs a kubeconfig, and in the file it is "\[secret]"\.\n {2}next: give one with --kubeconfig FILE\n/,
        );
    });
});
