// What measures sandboxes: the script beside Pulumi with a cluster and pods that the test plays, and the script on the worker with
// processes of this host as its pods.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import type { CoreV1Api, V1Pod } from "@kubernetes/client-node";
import { resultIn } from "../../components/step.cjs";
import { type SurfaceFacts, surfaceOf } from "../../components/surface.cjs";
import type { Input, World } from "../../scripts/on-host/surface";
import { PlayedWorker } from "../helpers/namespaces";
import { root } from "../helpers/program";

describe("scripts/on-host/surface.ts", () => {
    const filters = { count: 2, instructions: 400, reachable: 68, of: 385 };
    const answers = JSON.stringify({ peer: true, costs: [{ name: "systemCall", value: 100 }] });
    let scratch: string;
    let pods: V1Pod[];
    let log: string[];

    beforeEach(() => {
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "surface-"));
        fs.writeFileSync(path.join(scratch, "program"), "a program");
        pods = [];
        log = [];
    });
    afterEach(() => fs.rmSync(scratch, { recursive: true }));

    const nameOf = (pod?: V1Pod) => pod?.metadata?.name ?? "";
    /** As much of a cluster as the script asks. */
    const core = {
        createNamespacedPod: async ({ body, namespace }: { body: V1Pod; namespace: string }) => {
            const name = `${body.metadata?.generateName}x`;
            log.push(`create ${name}`);
            const status = { podIP: "10.0.0.7", containerStatuses: [{ started: true }] };
            const metadata = { ...body.metadata, name, namespace, uid: `uid-of-${name}` };
            pods.push({ ...body, metadata, status } as V1Pod);
            return pods.at(-1);
        },
        readNamespacedPod: async ({ name }: { name: string }) => pods.find((pod) => nameOf(pod) === name),
        listNamespacedPod: async () => ({ items: [...pods] }),
        deleteNamespacedPod: async ({ name }: { name: string }) => {
            log.push(`delete ${name}`);
            pods.splice(
                pods.findIndex((pod) => nameOf(pod) === name),
                1,
            );
        },
    } as object as CoreV1Api;

    const looked = (more: object = {}) =>
        JSON.stringify({
            pods: Object.fromEntries(
                pods.map((pod, index) => [
                    pod.metadata?.uid,
                    {
                        runtime: `io.containerd.${pod.spec?.runtimeClassName ? "runsc.v1" : "runc.v2"}`,
                        ...{ pid: 100 + index, memory: 4 << 20 },
                    },
                ]),
            ),
            filters: pods.map((_, index) => ({ pid: 100 + index, ...filters })),
            ...more,
        });

    async function run(more: Partial<World> = {}, input: Partial<Input> = {}): Promise<SurfaceFacts> {
        const { runSurface } = (await import(path.join(root, "scripts/on-host/surface.ts"))) as {
            runSurface: (input: Input, world: World) => Promise<SurfaceFacts>;
        };
        const classes = ["myclass", "other"].map((runtimeClass) => ({ runtimeClass }));
        const at = {
            kubeconfig: "",
            node: "worker-1",
            namespace: "default",
            image: "nginx",
            connection: { host: "192.0.2.1" },
        };
        return await runSurface(
            { ...at, classes, call: "bash -s", script: "# the script", ...input },
            {
                core,
                program: Promise.resolve(path.join(scratch, "program")),
                onWorker: async (script) => {
                    log.push("worker");
                    assert.match(
                        script,
                        /^readonly PODS='uid-of-surface-peer-x uid-of-surface-peer-x\n[^']*'\nreadonly PROGRAM='/,
                    );
                    return looked();
                },
                inPod: async (pod, _what, _command, args) => {
                    log.push(`run in ${nameOf(pod)} ${args.join(" ")}`);
                    return answers;
                },
                ...more,
            },
        );
    }

    it("starts pods one by one, asks the worker while they rest, measures them one by one, and takes all away", async () => {
        const facts = await run();
        const names = ["peer", "control", "myclass", "other"].map((name) => `surface-${name}-x`);
        const [peer, ...measured] = names;
        assert.deepEqual(log, [
            ...names.map((name) => `create ${name}`),
            "worker",
            ...[peer, ...measured].map((name) => `run in ${name} 10.0.0.7:7077`),
            ...names.map((name) => `delete ${name}`),
        ]);
        assert.deepEqual(pods, []);
        const { started, at, ...control } = facts.control;
        assert.ok(started >= 0 && started < 1000);
        assert.ok(Math.abs(Date.now() - at) < 10_000);
        assert.deepEqual(control, {
            ...{ runtime: "io.containerd.runc.v2", memory: 4 << 20, filters: { pid: 101, ...filters } },
            measured: { peer: true, costs: { systemCall: { value: 100 } } },
        });
        assert.deepEqual(Object.keys(facts.inside), ["myclass", "other"]);
        assert.equal(facts.inside.other?.runtime, "io.containerd.runsc.v1");
        assert.equal(facts.place, "the worker");
        assert.equal(surfaceOf(facts).myclass?.systemCalls.inside.reachable, 68);
    });

    it("gives the worker the program, but not a machine of this host, whose filters are read here", async () => {
        const scripts: string[] = [];
        const onWorker = async (script: string) => {
            scripts.push(/^readonly PROGRAM='(.*)'$/m.exec(script)?.[1] ?? "none");
            return looked();
        };
        await run({ onWorker });
        const { place, control } = await run({ onWorker }, { process: "nowhere/process.json" });
        assert.deepEqual(scripts, [gzipSync("a program").toString("base64"), ""]);
        assert.equal(place, "the worker's host");
        assert.match(
            "unreadable" in control.filters ? control.filters.unreadable : "",
            /no such file.*nowhere\/process\.json/,
        );
    });

    it("has the reason where filters are not read, and no number from elsewhere", async () => {
        const all = await run({ onWorker: async () => looked({ filters: "Permission denied" }) });
        assert.deepEqual(all.control.filters, { unreadable: "Permission denied" });
        const some = await run({ onWorker: async () => looked({ filters: [{ pid: 101, ...filters }] }) });
        assert.deepEqual(some.control.filters, { pid: 101, ...filters });
        assert.deepEqual(some.inside.myclass?.filters, { unreadable: "the program says nothing of this process" });
    });

    it("takes from a pod numbers alone, whatever it prints", async () => {
        for (const said of [
            "",
            "killed",
            "[]",
            '{"peer":true,"costs":[{"name":"systemCall","value":-1}]}',
            `{"runtime":"x"}`,
        ]) {
            const { inside } = await run({ inPod: async () => said });
            assert.deepEqual(inside.myclass?.measured.costs, {}, said);
            assert.deepEqual(inside.myclass?.filters, { pid: 102, ...filters });
        }
    });

    it("takes all away where something fails, and says what", async () => {
        const failing = async () => {
            throw new Error("the worker cannot be asked: no route to host");
        };
        await assert.rejects(run({ onWorker: failing }), /the worker cannot be asked: no route to host/);
        await assert.rejects(run({ inPod: failing }), /no route to host/);
        const refusing = { ...core, createNamespacedPod: failing } as object as CoreV1Api;
        await assert.rejects(run({ core: refusing }), /no pod of the default runtime starts to be measured: /);
        assert.deepEqual(pods, []);
    });
});

describe("scripts/on-machine/probe/surface.sh", function () {
    this.timeout(30_000);
    const uid = "a1000000-0000-4000-8000-000000000000";
    let worker: PlayedWorker;

    before(function () {
        PlayedWorker.skipWithout(this);
    });
    beforeEach(() => {
        worker = new PlayedWorker(crictl);
        worker.write(`cgroup/kubepods/pod${uid}/memory.current`, `${9 << 20}`);
        worker.write(`cgroup/kubepods/pod${uid}/memory.stat`, `anon 1\ninactive_file ${4 << 20}`);
        fs.mkdirSync(path.join(worker.scratch, "scripts"));
    });
    afterEach(() => worker.remove());

    /** Plays crictl: one container, which is a process of the test. */
    const crictl = `#!/usr/bin/env bash
        case "$*" in
        *\\ ps\\ *) echo container ;;
        *runtimeType*) echo "$(cat "$SCRATCH/${uid}.pid") io.containerd.runsc.v1" ;;
        esac`;

    function look(program: string) {
        const PROGRAM = program === "" ? "" : gzipSync(program).toString("base64");
        const scripts = ["gvisor/node.sh", "probe/groups.sh", "probe/surface.sh"];
        const given = [worker.process(uid, `kubepods/pod${uid}/container`)];
        const { status, stdout, stderr } = worker.run(scripts, { PODS: `key ${uid}`, PROGRAM }, given);
        assert.equal(status, 0, stderr);
        const { pods, filters } = JSON.parse(resultIn(stdout)) as {
            pods: Record<string, { pid: number }>;
            filters: unknown;
        };
        assert.deepEqual(fs.readdirSync(path.join(worker.scratch, "scripts")), [], "nothing is left");
        const pid = Number(fs.readFileSync(path.join(worker.scratch, `${uid}.pid`), "utf8"));
        return { pods, filters, pid };
    }

    it("says what runs a pod, as which process, and what its control group holds", () => {
        const { pods, filters, pid } = look("");
        assert.deepEqual(pods, { key: { runtime: "io.containerd.runsc.v1", pid, memory: 5 << 20 } });
        assert.deepEqual(filters, []);
    });

    it("starts the program that came with it, for the processes of all pods", () => {
        const { filters, pid } = look('#!/bin/sh\nprintf \'["%s","%s"]\' "$1" "$2"\n');
        assert.deepEqual(filters, ["filters", `${pid}`]);
    });

    it("says why the program says nothing", () => {
        assert.equal(look('#!/bin/sh\necho "no \\"filter\\"" >&2; exit 1\n').filters, 'no "filter"');
        assert.match(String(look("no program at all").filters), /Exec format error|cannot execute|not found/);
    });
});
