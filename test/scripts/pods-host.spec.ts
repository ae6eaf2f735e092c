// What a worker says of its pods: scripts/on-machine/probe/pods-host.sh with processes of this host as its sandboxes and tools that the test
// plays, and what cli/pods/worker.ts reads out of it.
import * as assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { eventually } from "../helpers/eventually";

const root = path.resolve(__dirname, "../..");

interface WorkerPod {
    readonly uid: string;
    readonly namespace: string;
    readonly name: string;
    readonly handler: string;
    readonly since: string;
    readonly containers: readonly {
        readonly id: string;
        readonly name: string;
        readonly runtime: string;
        readonly runsc: boolean;
    }[];
    readonly sandbox?: Readonly<Record<string, unknown>>;
}

const podsIn = async (text: string): Promise<{ installed: string; pods: readonly WorkerPod[] }> => {
    const { podsIn: read } = await import(path.join(root, "cli/pods/worker.ts"));
    return read(text);
};

const created = (at: string) => String(BigInt(Date.parse(at)) * 1_000_000n);
/** A pod as crictl lists it. Labels and annotations are the pod's own: one plays what it is not. */
const pod = (id: string, more: object = {}) => ({
    id,
    metadata: { name: `pod-${id}`, uid: `uid-${id}`, namespace: "default", attempt: 0 },
    state: "SANDBOX_READY",
    createdAt: created("2026-12-01T00:00:00Z"),
    labels: { "io.kubernetes.pod.uid": "another" },
    annotations: { runtimeHandler: '"runsc"\n', uid: "another" },
    runtimeHandler: "",
    ...more,
});
const container = (id: string, podSandboxId: string) => ({ id, podSandboxId, metadata: { name: `main-${id}` } });
const plain = "io.containerd.runc.v2";
const gvisor = "io.containerd.runsc.v1";

/** Parts as the script prints them. */
const printed = (parts: Readonly<Record<string, unknown>>): string => {
    const nothing = { pods: { items: [] }, containers: { containers: [] }, runtimes: "", runsc: "", processes: "" };
    const all = { ...nothing, programs: "", replaced: "", installed: "release-20260905.0\n", boot: "1000\n", ...parts };
    return Object.entries(all)
        .map(([name, part]) => [name, typeof part === "string" ? part : JSON.stringify(part)])
        .map(([name, text = ""]) => `${name} ${Buffer.from(text).toString("base64")}\n`)
        .join("");
};

/** What is read of a process. */
const process_ = (pid: number, args: readonly string[], started = 200) => ({
    processes: [
        ...args.map((arg) => `/proc/${pid}/cmdline\0${arg}\0`),
        `/proc/${pid}/stat\0${pid} (a) b) S ${"0 ".repeat(18)}${started} 0\n\0`,
    ].join(""),
    programs: `/proc/${pid}/exe\0/usr/bin/gvisor-bin/gvisor_sentry\0`,
});

describe("what a worker says of its pods", () => {
    it("is read pod by pod, with what runs each of its containers", async () => {
        const { installed, pods } = await podsIn(
            printed({
                pods: { items: [pod("a", { runtimeHandler: "runsc" }), pod("b")] },
                containers: { containers: [container("a1", "a"), container("b1", "b")] },
                runtimes: `a ${gvisor}\na1 ${gvisor}\nb ${plain}\nb1 ${plain}\n`,
                runsc: "a 7\na1 7\n",
                ...process_(7, [
                    "runsc-sandbox",
                    "--root=/run",
                    "--log-fd=3",
                    "--platform=systrap",
                    "-x=a=b\nc",
                    "--debug",
                    "boot",
                    "--spec-fd=4",
                    "a",
                ]),
            }),
        );
        assert.equal(installed, "release-20260905.0");
        assert.deepEqual(pods, [
            {
                ...{ uid: "uid-a", namespace: "default", name: "pod-a", handler: "runsc" },
                since: "1970-01-01T00:16:42.000Z",
                containers: [
                    { id: "a", name: "", runtime: gvisor, runsc: true },
                    { id: "a1", name: "main-a1", runtime: gvisor, runsc: true },
                ],
                sandbox: {
                    flags: { platform: "systrap", x: "a=b\nc", debug: "true" },
                    executable: "/usr/bin/gvisor-bin/gvisor_sentry",
                    since: "1970-01-01T00:16:42.000Z",
                    ...{ replaced: false, release: "release-20260905.0" },
                },
            },
            {
                ...{
                    uid: "uid-b",
                    namespace: "default",
                    name: "pod-b",
                    handler: "",
                    since: "2026-12-01T00:00:00.000Z",
                },
                containers: [
                    { id: "b", name: "", runtime: plain, runsc: false },
                    { id: "b1", name: "main-b1", runtime: plain, runsc: false },
                ],
                sandbox: undefined,
            },
        ]);
    });

    it("does not take a process for a sandbox that is none, or is another pod's", async () => {
        for (const args of [
            ["runsc-sandbox", "--platform=systrap", "boot", "b"],
            ["runsc-sandbox", "--platform=systrap", "wait", "a"],
            [],
        ]) {
            const { pods } = await podsIn(
                printed({
                    pods: { items: [pod("a")] },
                    containers: { containers: [container("a1", "a")] },
                    runtimes: `a ${gvisor}\na1 ${gvisor}\n`,
                    runsc: "a 7\na1 7\n",
                    ...process_(7, args),
                }),
            );
            assert.deepEqual(
                pods[0]?.containers.map(({ runsc }) => runsc),
                [false, false],
                args.join(" "),
            );
            assert.equal(pods[0]?.sandbox, undefined);
        }
    });

    it("leaves out what has ended, and has a pod once whose sandbox was recreated", async () => {
        const metadata = { name: "again", uid: "again", namespace: "default" };
        const { pods } = await podsIn(
            printed({
                pods: {
                    items: [
                        pod("gone", { state: "SANDBOX_NOTREADY" }),
                        pod("old", { metadata, state: "SANDBOX_NOTREADY", createdAt: created("2026-11-30T00:00:00Z") }),
                        pod("new", { metadata }),
                        pod("bare"),
                    ],
                },
                containers: {
                    containers: [container("stays", "old"), container("unlisted", "new"), container("ended", "bare")],
                },
                // One pod has no pause container that is listed, and of one only that is left.
                runtimes: `gone ${plain}\nold ${plain}\nstays ${plain}\nbare ${gvisor}\nended ${gvisor}\n`,
                runsc: "bare 7\nended -\n",
            }),
        );
        assert.deepEqual(
            pods.map(({ name, since, containers }) => [
                name,
                since,
                ...containers.map((one) => `${one.name} ${one.runtime}`),
            ]),
            [
                ["again", "2026-12-01T00:00:00.000Z", `main-stays ${plain}`, "main-unlisted unknown"],
                ["pod-bare", "2026-12-01T00:00:00.000Z", ` ${gvisor}`],
            ],
        );
    });

    it("is believed only as a whole", async () => {
        const whole = printed({ pods: { items: [pod("a")] } });
        await assert.rejects(
            podsIn(whole.slice(0, whole.lastIndexOf("boot"))),
            /its answer is cut off after \d+ characters/,
        );
        await assert.rejects(podsIn(""), /its answer is cut off/);
    });
});

describe("scripts/on-machine/probe/pods-host.sh", function () {
    this.timeout(30_000);
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "pods-"));
    const at = (...parts: string[]) => path.join(directory, ...parts);
    const started: ChildProcess[] = [];
    const place = (name: string, text: string) =>
        fs.writeFileSync(at("bin", name), `#!/bin/sh\necho "${name} $*" >>${at("asked")}\n${text}\n`, { mode: 0o755 });

    before(() => {
        fs.mkdirSync(at("bin", "gvisor-bin"), { recursive: true });
        fs.mkdirSync(at("temporary"));
        fs.writeFileSync(at("boot"), "while read -r line; do :; done\n");
    });
    after(() => {
        for (const one of started) {
            one.kill();
        }
        fs.rmSync(directory, { recursive: true, force: true });
    });

    /** A process with a command line like a sandbox's, of a program that holds its release. */
    const sandbox = async (id: string, release: string): Promise<number> => {
        const program = at("bin", "gvisor-bin", `sentry-${id}`);
        fs.copyFileSync(fs.realpathSync("/bin/sh"), program);
        fs.appendFileSync(program, `\0abc${release}def\0`);
        fs.chmodSync(program, 0o755);
        const child = spawn(program, ["-u", "boot", id], { cwd: directory, stdio: ["pipe", "ignore", "inherit"] });
        started.push(child);
        await once(child, "spawn");
        const pid = child.pid ?? 0;
        await eventually(`${id} runs`, () => fs.readlinkSync(`/proc/${pid}/exe`) === program);
        return pid;
    };

    /** Runs the script with these tools; the root of the shim's state is here. */
    const run = () => {
        const text = ["lib.sh", "gvisor/node.sh", "probe/pods-host.sh"]
            .map((file) => fs.readFileSync(path.join(root, "scripts", "on-machine", file), "utf8"))
            .join("\n")
            .replace("((EUID == 0))", "true")
            .replace("mktemp -d", `mktemp -d -p ${at("temporary")}`)
            .replace("/run/containerd/runsc/k8s.io", at("state"));
        const env = { ...process.env, PATH: `${at("bin")}:${process.env.PATH}` };
        return spawnSync("bash", ["-s", "--", "look"], { input: text, env, encoding: "utf8" });
    };

    const tools = (pids: Readonly<Record<string, number>>) => {
        const ids = Object.keys(pids);
        const items = ids.map((id) => pod(id, { runtimeHandler: "runsc" }));
        place("crictl", `case "$*" in *" pods "*) cat ${at("pods.json")};; *) echo '{"containers":[]}';; esac`);
        fs.writeFileSync(at("pods.json"), JSON.stringify({ items }));
        place("ctr", `echo 'CONTAINER IMAGE RUNTIME'; ${ids.map((id) => `echo '${id} - ${gvisor}'`).join("; ")}`);
        const rows = Object.entries(pids).map(([id, pid]) => `echo '${id} ${pid} running /bundle'`);
        place(
            "runsc",
            `case "$1" in --version) echo 'runsc version release-20260905.0';; *) echo 'ID PID STATUS BUNDLE'; ${[...rows, "echo 'x 1 stopped /b'"].join("; ")};; esac`,
        );
        fs.mkdirSync(at("state"), { recursive: true });
        fs.writeFileSync(at("state", "one.state"), "");
    };

    it("names the sandboxes that run the installed gVisor, and the release of those that do not", async () => {
        const pids = {
            stays: await sandbox("stays", "release-20260905.0"),
            left: await sandbox("left", "release-20260824.0"),
            silent: await sandbox("silent", "no release"),
            ended: 2 ** 22 + 1,
        };
        fs.rmSync(at("bin", "gvisor-bin", "sentry-left"));
        fs.rmSync(at("bin", "gvisor-bin", "sentry-silent"));
        tools(pids);
        const { status, stdout, stderr } = run();
        assert.equal(status, 0, stderr);
        const { installed, pods } = await podsIn(stdout);
        assert.equal(installed, "release-20260905.0");
        assert.deepEqual(
            pods.map(({ uid, sandbox: found }) => [uid, found?.replaced, found?.release, found?.flags]),
            [
                ["uid-stays", false, "release-20260905.0", { u: "true" }],
                ["uid-left", true, "release-20260824.0", { u: "true" }],
                ["uid-silent", true, "", { u: "true" }],
                ["uid-ended", undefined, undefined, undefined],
            ],
        );
        const since = Date.parse(pods[0]?.since ?? "");
        assert.ok(Math.abs(Date.now() - since) < 60_000, pods[0]?.since);
    });

    it("says why it cannot say it, and leaves nothing", () => {
        tools({ one: 1 });
        place("ctr", "echo 'ctr: connection refused' >&2; exit 1");
        const { status, stdout, stderr } = run();
        assert.deepEqual([status, stdout], [1, ""]);
        assert.match(stderr, /: error: it cannot say what its pods are: runtimes: ctr: connection refused\n$/);
        assert.deepEqual(fs.readdirSync(at("temporary")), []);
    });

    it("asks each tool once, however many pods there are", async () => {
        const count = (pids: Readonly<Record<string, number>>) => {
            tools(pids);
            fs.rmSync(at("asked"), { force: true });
            assert.equal(run().status, 0);
            return fs.readFileSync(at("asked"), "utf8").trim().split("\n").length;
        };
        const pid = await sandbox("many", "release-20260905.0");
        const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`pod-${index}`, pid]));
        // Of crictl two lists, of runsc its version and its list.
        assert.deepEqual([count({ many: pid }), count(many)], [5, 5]);
    });
});
