// Attempts to leave a sandbox, on one worker, now: by a program of our own, in a pod of each class, and in a control pod of the
// default runtime with the same rights. See docs/explanation.md.
//
// run    lays out on the worker what the attempts are after, starts the pods, brings the program to them, and takes all away
// clear  takes away the pods that a run that was cut off has left; what it left on the worker goes by itself
//
// stdin:  {"kubeconfig": text, "node": name of the worker, "namespace", "image", "classes": [{"runtimeClass"}], "connection": of a remote
//         Command, "install", "remove": how a script is called there, "decoys": what lays them out, without its constants, "evidence":
//         what prints the evidence, without its constant PODS}; further fields only tell runs apart
// stdout: AttackFacts of components/attacks.d.cts

import { randomBytes } from "node:crypto";
import { Exec, type V1ObjectMeta, type V1Pod } from "@kubernetes/client-node";
import attacks, { type AttackFacts, type AttackResult, type Outcome } from "../../components/attacks.cjs";
import type { HostPodFacts } from "../../components/evidence.cjs";
import { configOf, coreOf, type Pod, sentence } from "./api.ts";
import { type Input as CanaryInput, clear, label, manifest, type Place, running } from "./canary.ts";
import { onWorker, programFor, runInPod, settled } from "./program.ts";

const verb = "attacks";
/** There is one update at a time: what another one has left is no more of use. */
const isOurs = ({ labels }: V1ObjectMeta) => labels?.[label] === verb;
/** Milliseconds that the decoys are there for at least: they go by themselves (scripts/on-machine/probe/decoys.sh). */
const decoyLife = 170_000;

/** What stdin holds. */
interface Input extends Place, Pick<CanaryInput, "kubeconfig" | "connection"> {
    readonly classes: readonly { readonly runtimeClass: string }[];
    readonly install: string;
    readonly remove: string;
    readonly decoys: string;
    readonly evidence: string;
}

/** What decoys.sh prints. */
interface Decoys {
    readonly place: string;
    readonly engine: string;
    readonly kernel: string;
    readonly architecture: string;
}

/** What the program in a pod says, by the name of the attempt. */
type Outcomes = ReadonlyMap<string, Outcome>;

/**
 * A pod with all that Kubernetes can give it: what a privileged pod cannot reach, no other can. It is given the worker's devices,
 * and the engine's socket. Not read-only: runc before 1.2 cannot make it so on a worker in a user namespace, and nothing is written.
 */
export function attackPod(at: Pick<Place, "node" | "image">, runtimeClass: string | undefined, place: string): V1Pod {
    const { metadata, spec } = manifest(at, runtimeClass, verb);
    const given = { given: `${place}/given`, "given-devices": "/dev" };
    return {
        metadata: { ...metadata, generateName: `attacks-${runtimeClass ?? "control"}-` },
        spec: {
            ...spec,
            hostPID: true,
            containers: spec.containers.map((container) => ({
                ...container,
                name: "attacks",
                command: ["sleep", "300"],
                securityContext: { privileged: true, runAsUser: 0 },
                volumeMounts: Object.keys(given).map((name) => ({ name, mountPath: `/${name}` })),
            })),
            volumes: Object.entries(given).map(([name, path]) => ({ name, hostPath: { path, type: "Directory" } })),
        },
    };
}

/** Brings the program to a pod, and runs it there, with care on the control. @returns its outcomes by name */
async function attempt(
    exec: Exec,
    pod: Pod,
    program: string,
    args: readonly string[],
    care: boolean,
): Promise<Outcomes> {
    const command = `exec env CAREFUL=${care ? "yes" : ""} /tmp/attacks "$@"`;
    const { code, text: said } = await runInPod(exec, program, pod, "running the attempts", command, args);
    try {
        return new Map((JSON.parse(said) as Outcome[]).map((outcome) => [outcome.name, outcome]));
    } catch {
        throw new Error(`the attempts in ${pod.metadata.name} ended with exit code ${code}: ${said.slice(0, 400)}`);
    }
}

/** Of what took too long in a sandbox nobody knows whether it was let through. @param said outcomes by name, of each pod */
export function checkAnswered(said: readonly Outcomes[]): void {
    const silent = said.flatMap((outcomes) => [...outcomes.values()].filter(({ unanswered }) => unanswered));
    if (silent.length > 0) {
        const names = [...new Set(silent.map(({ name }) => name))].join(", ");
        throw new Error(`no answer in a sandbox from: ${names}. The worker may have too much to do; run again`);
    }
}

async function runAttacks(input: Input): Promise<AttackFacts> {
    const { namespace, classes, connection, install, remove } = input;
    const core = coreOf(input.kubeconfig);
    const exec = new Exec(configOf(input.kubeconfig));
    const marker = randomBytes(16).toString("hex");
    const id = randomBytes(6).toString("hex");
    const decoys = `readonly RUN='${id}' MARKER='${marker}'\n${input.decoys}`;
    const start = async (runtimeClass: string | undefined, place: string) => {
        try {
            const body = attackPod(input, runtimeClass, place);
            const pod = (await core.createNamespacedPod({ namespace, body })) as Pod;
            return { pod, uid: await running(core, pod) };
        } catch (error) {
            const what = runtimeClass === undefined ? "of the default runtime" : `of class ${runtimeClass}`;
            throw new Error(`no pod ${what} starts for the attempts: ${sentence(error)}`);
        }
    };
    const begun = Date.now();
    try {
        const { place, engine, kernel, architecture } = JSON.parse(
            await onWorker(connection, install, decoys),
        ) as Decoys;
        const wanted = [undefined, ...classes.map(({ runtimeClass }) => runtimeClass)];
        const [program, pods] = await settled([
            programFor(architecture, "attacks"),
            settled(wanted.map((runtimeClass) => start(runtimeClass, place))),
        ]);
        const [said, seen] = await settled([
            settled(pods.map(({ pod }, index) => attempt(exec, pod, program, [id, engine], index === 0))),
            onWorker(
                connection,
                install,
                `readonly PODS='${pods.map(({ uid }, index) => `${index} ${uid}`).join("\n")}'\n${input.evidence}`,
            ),
        ]);
        checkAnswered(said.slice(1));
        if (Date.now() - begun > decoyLife) {
            throw new Error(
                `the attempts took longer than ${decoyLife / 1000} s, as long as their decoys are there; run again`,
            );
        }
        const host = (JSON.parse(seen) as { readonly pods: Readonly<Record<string, HostPodFacts>> }).pods;
        const hostOf = (index: number) => {
            const facts = host[index];
            if (facts === undefined) {
                throw new Error(`the worker says nothing of ${pods[index]?.pod.metadata.name}`);
            }
            return facts;
        };
        const result = (index: number, name: string): AttackResult =>
            attacks.resultOf(said[index]?.get(name), { marker, kernel });
        /** What is to be said of the pod of each class; the control is the first one. */
        const byClass = <T>(say: (index: number) => T): Record<string, T> =>
            Object.fromEntries(classes.map(({ runtimeClass }, index) => [runtimeClass, say(index + 1)]));
        return {
            host: { control: hostOf(0), inside: byClass(hostOf) },
            attempts: attacks.corpus.map(({ name }) => ({
                name,
                control: result(0, name),
                inside: byClass((index) => result(index, name)),
            })),
        };
    } finally {
        await settled([clear(core, input, isOurs), onWorker(connection, remove, decoys)]);
    }
}

/** `clear`, or the run. @returns what it has found */
export async function main(input: Input, verb: "run" | "clear"): Promise<AttackFacts | undefined> {
    if (verb === "clear") {
        await clear(coreOf(input.kubeconfig), input, isOurs);
        return undefined;
    }
    return await runAttacks(input);
}
