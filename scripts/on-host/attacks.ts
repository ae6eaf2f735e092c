// @ts-nocheck
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

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Exec, KubeConfig } from "@kubernetes/client-node";
import { runOn } from "../../cli/machines.ts";
import attacks from "../../components/attacks.cjs";
import { resultIn } from "../../components/step.cjs";
import { coreOf, sentence } from "./api.ts";
import { clear, label, manifest, running } from "./canary.ts";
import { persist, run } from "./exec.ts";

const verb = "attacks";
/** There is one update at a time: what another one has left is no more of use. */
const isOurs = ({ labels }) => labels[label] === verb;
const mirror = fileURLToPath(new URL("../../mirror/mirror.sh", import.meta.url));
/** Milliseconds that the decoys are there for at least: they go by themselves (scripts/on-machine/probe/decoys.sh). */
const decoyLife = 170_000;
/** Go's names of architectures, by those of `uname -m`. */
const architectures = { x86_64: "amd64", aarch64: "arm64" };

/**
 * A pod with all that Kubernetes can give it: what a privileged pod cannot reach, no other can. It is given the worker's devices,
 * and the engine's socket. Not read-only: runc before 1.2 cannot make it so on a worker in a user namespace, and nothing is written.
 */
export function attackPod(at, runtimeClass, place) {
    const { metadata, spec } = manifest(at, runtimeClass, verb);
    const [container] = spec.containers;
    const given = { given: `${place}/given`, "given-devices": "/dev" };
    return {
        metadata: { ...metadata, generateName: `attacks-${runtimeClass ?? "control"}-` },
        spec: {
            ...spec,
            hostPID: true,
            containers: [
                {
                    ...container,
                    name: "attacks",
                    command: ["sleep", "300"],
                    securityContext: { privileged: true, runAsUser: 0 },
                    volumeMounts: Object.keys(given).map((name) => ({ name, mountPath: `/${name}` })),
                },
            ],
            volumes: Object.entries(given).map(([name, path]) => ({ name, hostPath: { path, type: "Directory" } })),
        },
    };
}

/** Runs one of the scripts on the worker. */
async function onWorker({ connection }, call, script) {
    const { code, stdout, stderr } = await runOn(connection, call, script);
    if (code !== 0) {
        throw new Error(`the worker cannot be asked: ${stderr.trim().split("\n").at(-1)}`);
    }
    return resultIn(stdout);
}

/** The program for machines of that architecture. */
async function programFor(machine) {
    const architecture = architectures[machine];
    if (architecture === undefined) {
        throw new Error(`the worker's architecture is ${machine}; allowed: ${Object.keys(architectures).join(", ")}`);
    }
    try {
        const { stdout } = await promisify(execFile)("bash", [mirror, "program", "attacks", architecture]);
        return readFileSync(stdout.trim());
    } catch (error) {
        const said =
            error.stderr
                ?.trim()
                .split("\n")
                .at(-1)
                .replace(/^mirror: /, "") || error.message;
        throw new Error(`the program with the attempts was not built: ${said}. Or set attacks to false`);
    }
}

/** Brings the program to a pod, and runs it there, with care on the control. @returns its outcomes by name */
async function attempt(exec, pod, program, args, care) {
    const start = `exec env CAREFUL=${care ? "yes" : ""} /tmp/attacks "$@"`;
    const command = `head -c ${program.length} >/tmp/attacks && chmod 755 /tmp/attacks && ${start}`;
    const target = { ...pod.metadata, container: "attacks" };
    const { code, text: said } = await persist(`running the attempts in ${pod.metadata.name}`, () =>
        run(exec, target, ["sh", "-c", command, "attacks", ...args], program),
    );
    try {
        return new Map(JSON.parse(said).map((outcome) => [outcome.name, outcome]));
    } catch {
        throw new Error(`the attempts in ${pod.metadata.name} ended with exit code ${code}: ${said.slice(0, 400)}`);
    }
}

/** Of what took too long in a sandbox nobody knows whether it was let through. @param said outcomes by name, of each pod */
export function checkAnswered(said) {
    const silent = said.flatMap((outcomes) => [...outcomes.values()].filter(({ unanswered }) => unanswered));
    if (silent.length > 0) {
        const names = [...new Set(silent.map(({ name }) => name))].join(", ");
        throw new Error(`no answer in a sandbox from: ${names}. The worker may have too much to do; run again`);
    }
}

/** @param input what stdin holds */
export async function runAttacks(input) {
    const { namespace, classes, install, remove } = input;
    const core = coreOf(input.kubeconfig);
    const config = new KubeConfig();
    config.loadFromString(input.kubeconfig);
    const exec = new Exec(config);
    const marker = randomBytes(16).toString("hex");
    const id = randomBytes(6).toString("hex");
    const decoys = `readonly RUN='${id}' MARKER='${marker}'\n${input.decoys}`;
    const start = async (runtimeClass, place) => {
        try {
            const body = attackPod(input, runtimeClass, place);
            const pod = await core.createNamespacedPod({ namespace, body });
            return { pod, uid: await running(core, pod) };
        } catch (error) {
            const what = runtimeClass === undefined ? "of the default runtime" : `of class ${runtimeClass}`;
            throw new Error(`no pod ${what} starts for the attempts: ${sentence(error)}`);
        }
    };
    const begun = Date.now();
    try {
        const { place, engine, kernel, architecture } = JSON.parse(await onWorker(input, install, decoys));
        const wanted = [undefined, ...classes.map(({ runtimeClass }) => runtimeClass)];
        const [program, pods] = await settled([
            programFor(architecture),
            settled(wanted.map((runtimeClass) => start(runtimeClass, place))),
        ]);
        const [said, seen] = await settled([
            settled(pods.map(({ pod }, index) => attempt(exec, pod, program, [id, engine], index === 0))),
            onWorker(
                input,
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
        const host = JSON.parse(seen).pods;
        const result = (index, name) => attacks.resultOf(said[index].get(name), { marker, kernel });
        /** What is to be said of the pod of each class; the control is the first one. */
        const byClass = (say) =>
            Object.fromEntries(classes.map(({ runtimeClass }, index) => [runtimeClass, say(index + 1)]));
        return {
            host: { control: host[0], inside: byClass((index) => host[index]) },
            attempts: attacks.corpus.map(({ name }) => ({
                name,
                control: result(0, name),
                inside: byClass((index) => result(index, name)),
            })),
        };
    } finally {
        await settled([clear(core, input, isOurs), onWorker(input, remove, decoys)]);
    }
}

/** All results, or the first error once all have come to an end: nothing is under way any more when it is told. */
async function settled(promises) {
    const results = await Promise.allSettled(promises);
    const failed = results.find(({ status }) => status === "rejected");
    if (failed) {
        throw failed.reason;
    }
    return results.map(({ value }) => value);
}

/** `clear`, or the run. @returns what it has found */
export async function main(input, verb) {
    if (verb === "clear") {
        await clear(coreOf(input.kubeconfig), input, isOurs);
        return undefined;
    }
    return await runAttacks(input);
}
