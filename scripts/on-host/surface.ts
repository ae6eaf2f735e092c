// What sandboxes keep from a worker's kernel, and what they cost, measured now: in a pod of each class and in one of the default
// runtime, one after the other, on the same worker. See docs/explanation.md.
//
// run    starts the pods, asks the worker about them at rest, brings the program to them, and takes all away
// clear  takes away the pods that a run that was cut off has left
//
// stdin:  Input; further fields only tell runs apart
// stdout: SurfaceFacts of components/surface.d.cts

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { type CoreV1Api, Exec, type V1ObjectMeta, type V1Pod } from "@kubernetes/client-node";
import surface, { type MeasuredPod, type ProcessFacts, type SurfaceFacts } from "../../components/surface.cjs";
import { configOf, coreOf, type Has, type Pod, readNode, sentence } from "./api.ts";
import { type Input as CanaryInput, clear, label, manifest, type Place, running } from "./canary.ts";
import { onWorker, programFor, runInPod } from "./program.ts";

/** What stdin holds; `script` asks the worker, without its constants. */
export interface Input extends Place, Pick<CanaryInput, "kubeconfig" | "connection" | "call" | "script"> {
    readonly classes: readonly { readonly runtimeClass: string }[];
    /** Where this host notes the process that runs the worker, below the checkout; only where it is a machine on this host. */
    readonly process?: string;
}

/** What a run talks to; tests play it. */
export interface World {
    readonly core: CoreV1Api;
    /** Path of the program for the worker, once it is built. */
    readonly program: Promise<string>;
    /** Brings the program to a pod and runs a command of a shell there. @returns all that it prints */
    readonly inPod: (pod: Pod, what: string, command: string, args: readonly string[]) => Promise<string>;
    /** Runs a script on the worker. @returns its result */
    readonly onWorker: (script: string) => Promise<string>;
}

/** What the program prints of a process; or why it prints nothing. */
type Read = readonly (ProcessFacts["filters"] & { readonly pid: number })[] | string;

/** What scripts/on-machine/probe/surface.sh prints. */
interface Looked {
    readonly pods: Readonly<
        Record<string, { readonly runtime: string; readonly pid: number; readonly memory: number }>
    >;
    readonly filters: Read;
}

interface Started {
    readonly pod: Pod;
    readonly uid: string;
    /** Milliseconds that it took. */
    readonly started: number;
}

const verb = "surface";
/** There is one update at a time: what another one has left is no more of use. */
const isOurs = ({ labels }: V1ObjectMeta) => labels?.[label] === verb;
const port = 7077;
/** Milliseconds between two looks whether a pod runs: the error of that time. */
const pause = 25;
const root = fileURLToPath(new URL("../../", import.meta.url));

/** A pod like any other, which sleeps until it is measured. */
export function surfacePod(at: Pick<Place, "node" | "image">, runtimeClass?: string): Has<V1Pod, "metadata" | "spec"> {
    const { metadata, spec } = manifest(at, runtimeClass, verb);
    return {
        metadata: { ...metadata, generateName: `surface-${runtimeClass ?? "control"}-` },
        spec: {
            ...spec,
            containers: spec.containers.map((one) => ({ ...one, name: "surface", command: ["sleep", "300"] })),
        },
    };
}

/** The one that the others talk to. It has the profile that Kubernetes gives to pods that ask for it: its filters are read, too. */
export function peerPod(at: Pick<Place, "node" | "image">): V1Pod {
    const { metadata, spec } = surfacePod(at);
    const securityContext = { seccompProfile: { type: "RuntimeDefault" } };
    return { metadata: { ...metadata, generateName: "surface-peer-" }, spec: { ...spec, securityContext } };
}

async function start({ core }: World, namespace: string, body: V1Pod): Promise<Started> {
    try {
        const begun = performance.now();
        const pod = (await core.createNamespacedPod({ namespace, body })) as Pod;
        const uid = await running(core, pod, undefined, pause);
        return { pod, uid, started: performance.now() - begun };
    } catch (error) {
        const { runtimeClassName } = body.spec ?? {};
        const what = runtimeClassName === undefined ? "of the default runtime" : `of class ${runtimeClassName}`;
        throw new Error(`no pod ${what} starts to be measured: ${sentence(error)}`);
    }
}

/** Asks the worker about pods at rest. @returns what there is to be said of one */
async function look({ program, onWorker: ask }: World, input: Input, pods: readonly Started[]) {
    const { process: note, script } = input;
    const lines = Object.entries({
        PODS: pods.map(({ uid }) => `${uid} ${uid}`).join("\n"),
        PROGRAM: note === undefined ? gzipSync(readFileSync(await program)).toString("base64") : "",
    }).map(([name, value]) => `readonly ${name}='${value}'\n`);
    const looked = JSON.parse(await ask(`${lines.join("")}${script}`)) as Looked;
    const pids = Object.values(looked.pods).map(({ pid }) => pid);
    const read = note === undefined ? looked.filters : await readHere(await program, note, pids);
    return ({ uid }: Started) => {
        const { runtime = "nothing", pid = 0, memory = 0 } = looked.pods[uid] ?? {};
        const unreadable = typeof read === "string" ? read : "the program says nothing of this process";
        const filters = typeof read === "string" ? undefined : read.find((one) => one.pid === pid);
        return { runtime, memory, filters: filters ?? { unreadable } };
    };
}

/** The filters of processes of a machine on this host, which runs it: the machine itself is not given them by the kernel. */
async function readHere(program: string, note: string, pids: readonly number[]): Promise<Read> {
    try {
        const { pid } = JSON.parse(readFileSync(`${root}${note}`, "utf8")) as { pid: number };
        const { stdout } = await promisify(execFile)(program, ["filters", "-machine", `${pid}`, ...pids.map(String)]);
        return JSON.parse(stdout) as Read;
    } catch (error) {
        return (error as Error).message;
    }
}

/** Starts the server in the third pod. @returns ADDRESS:PORT */
async function serve({ core, inPod }: World, { pod }: Started): Promise<string> {
    const { name, namespace } = pod.metadata;
    const { status } = await core.readNamespacedPod({ name, namespace });
    const address = status?.podIP ?? "";
    const at = `${address.includes(":") ? `[${address}]` : address}:${port}`;
    await inPod(pod, "starting a server", '{ /tmp/attacks serve "$@" </dev/null >/dev/null 2>&1 & }', [at]);
    return at;
}

/** @param input what stdin holds */
export async function runSurface(input: Input, world: World): Promise<SurfaceFacts> {
    const { namespace, classes, process: note } = input;
    try {
        // The first one is not timed: what a worker has not done for a while takes longer.
        const peer = await start(world, namespace, peerPod(input));
        const control = await start(world, namespace, surfacePod(input));
        const inside: [string, Started][] = [];
        for (const { runtimeClass } of classes) {
            inside.push([runtimeClass, await start(world, namespace, surfacePod(input, runtimeClass))]);
        }
        const factsOf = await look(world, input, [peer, control, ...inside.map(([, pod]) => pod)]);
        const server = await serve(world, peer);
        const measure = async (one: Started): Promise<MeasuredPod> => {
            const said = await world.inPod(one.pod, "measuring", 'exec /tmp/attacks measure "$@"', [server]);
            return { ...factsOf(one), started: one.started, measured: surface.measuredIn(said), at: Date.now() };
        };
        // One after the other: none is to be in another's way.
        const plain = await measure(control);
        const sandboxed: Record<string, MeasuredPod> = {};
        for (const [runtimeClass, pod] of inside) {
            sandboxed[runtimeClass] = await measure(pod);
        }
        const place = note === undefined ? "the worker" : "the worker's host";
        return { place, control: plain, runtimeDefault: factsOf(peer), inside: sandboxed };
    } finally {
        await clear(world.core, input, isOurs);
    }
}

function worldOf({ kubeconfig, node, connection, call }: Input): World {
    const core = coreOf(kubeconfig);
    const exec = new Exec(configOf(kubeconfig));
    const build = async () => {
        const found = await readNode(core, node);
        return await programFor(found?.status?.nodeInfo?.architecture ?? "unknown", verb);
    };
    const program = build();
    // It fails where it is needed; pods may start meanwhile.
    program.catch(() => {});
    return {
        core,
        program,
        inPod: async (...args) => (await runInPod(exec, await program, ...args)).text,
        onWorker: async (script) => await onWorker(connection, call, script),
    };
}

/** `clear`, or the run. @returns what it has found */
export async function main(input: Input, action: "run" | "clear"): Promise<SurfaceFacts | undefined> {
    if (action === "clear") {
        await clear(coreOf(input.kubeconfig), input, isOurs);
        return undefined;
    }
    return await runSurface(input, worldOf(input));
}
