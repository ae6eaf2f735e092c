// Does a new pod of each class start in its sandbox, on one worker, now? The worker itself has to say so.
//
// start  makes a pod of each class, waits until it runs, asks the worker for evidence, and takes the pods away again.
// look   does the same beside an update that may be under way, of which it leaves the pods alone.
// clear  takes away what a start that was cut off has left.
//
// stdin:  {"kubeconfig": text, "node": name of the worker, "namespace" (default: "default"), "image", "classes": [{"runtimeClass", "name": its handler,
//         "options": the handler's}], "connection": of a remote Command, "call", "script": what prints the evidence, without
//         its constant PODS}; further fields only tell runs apart
// stdout: {CLASS: HostPodFacts of components/evidence.d.cts}; reasons and progress go to stderr

import { setTimeout as sleep } from "node:timers/promises";
import type { CoreV1Api, V1ObjectMeta, V1Pod, V1PodStatus } from "@kubernetes/client-node";
import { runOn } from "../../cli/machines.ts";
import evidence, { type HostPodFacts } from "../../components/evidence.cjs";
import { resultIn } from "../../components/step.cjs";
import unprivileged from "../../components/unprivileged.cjs";
import { codeOf, coreOf, type Has, type Pod, sentence } from "./api.ts";

/** Where pods are made, and of what. */
export interface Place {
    /** The worker, by its name. */
    readonly node: string;
    readonly namespace: string;
    readonly image: string;
}

/** A RuntimeClass, with its handler. */
interface Class {
    readonly runtimeClass: string;
    readonly name: string;
    readonly options: Readonly<Record<string, string>>;
}

/** What stdin holds. */
export interface Input extends Omit<Place, "namespace"> {
    readonly kubeconfig: string;
    readonly namespace?: string;
    readonly classes: readonly Class[];
    readonly connection: Parameters<typeof runOn>[0];
    readonly call: string;
    readonly script: string;
}

type Facts = Readonly<Record<string, HostPodFacts>>;

/** On a pod that lives for a run only; its value is what it was made for. */
export const label = "runtime-sandboxes/canary";
/** Seconds that a pod may take to run, with its image or without, and to go; and after which kubelet ends it by itself. */
const [toStart, toPull, toEnd, life] = [60, 200, 60, 300];

/** @param runtimeClass default: the default runtime */
export const manifest = (
    { node, image }: Pick<Place, "node" | "image">,
    runtimeClass: string | undefined,
    verb: string,
): Has<V1Pod, "metadata" | "spec"> => ({
    metadata: {
        generateName: `canary-${runtimeClass ?? "plain"}-`,
        labels: { [label]: verb },
    },
    spec: {
        nodeName: node,
        runtimeClassName: runtimeClass,
        // It shows what a node is like, whatever the node's taints keep away.
        tolerations: [{ operator: "Exists" }],
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 1,
        activeDeadlineSeconds: life,
        restartPolicy: "Never",
        containers: [{ name: "canary", image, imagePullPolicy: "IfNotPresent" }],
    },
});

/** A pod that only has to start, in whatever namespace. */
export function canaryPod(at: Pick<Place, "node" | "image">, runtimeClass: string | undefined, verb: string) {
    const { metadata, spec } = manifest(at, runtimeClass, verb);
    const { podContext, containerContext, resources } = unprivileged;
    const own = { command: ["sleep", `${life}`], securityContext: containerContext, resources };
    return {
        metadata,
        spec: {
            ...spec,
            securityContext: podContext,
            containers: spec.containers.map((container) => ({ ...container, ...own })),
        },
    };
}

/** Why a pod does not run, in its own words and those of its events. */
async function excuse(core: CoreV1Api, { metadata: { name, namespace }, status }: Pod): Promise<string> {
    const { items } = await core.listNamespacedEvent({ namespace, fieldSelector: `involvedObject.name=${name}` });
    const waiting = status?.containerStatuses?.map(({ state }) => state?.waiting?.message ?? state?.waiting?.reason);
    const warnings = items.filter(({ type }) => type === "Warning").map(({ message }) => message);
    // "Error: ImagePullBackOff" comes last and says least.
    const telling = warnings.filter((message) => !/^(Error: \w+|Back-off .*)$/.test(message ?? ""));
    return (
        [...telling.slice(-1), ...(waiting ?? []), ...warnings.slice(-1), status?.message].find(Boolean) ??
        `it is ${status?.phase}`
    );
}

/** Whether kubelet has given up for now: it waits longer with each try. */
const isHopeless = ({ phase = "", containerStatuses = [] }: V1PodStatus) =>
    ["Failed", "Succeeded"].includes(phase) ||
    containerStatuses.some(({ state }) =>
        ["ImagePullBackOff", "InvalidImageName"].includes(state?.waiting?.reason ?? ""),
    );

/** Waits until the pod runs, and looks each `pause` milliseconds. @returns its uid */
export async function running(core: CoreV1Api, made: V1Pod, seconds = toStart, pause = 200): Promise<string> {
    const { name, namespace } = (made as Pod).metadata;
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
        const pod = (await core.readNamespacedPod({ namespace, name })) as Pod;
        if (pod.status?.containerStatuses?.every(({ started }) => started)) {
            return pod.metadata.uid;
        }
        if (Date.now() > deadline || isHopeless(pod.status ?? {})) {
            throw new Error(await excuse(core, pod));
        }
        await sleep(pause);
    }
}

/** Another operator may run canaries: they are left alone until they are overdue. */
const isOld = ({ creationTimestamp }: V1ObjectMeta) => Date.now() - Number(creationTimestamp) > life * 1000;

/** Takes the canaries of a node away, or only some of them; all are gone when it is over. */
export async function clear(
    core: CoreV1Api,
    { node, namespace }: Pick<Place, "node" | "namespace">,
    isMeant: (pod: V1ObjectMeta) => boolean = () => true,
): Promise<void> {
    const find = async () => {
        const fieldSelector = `spec.nodeName=${node}`;
        const { items } = await core.listNamespacedPod({ namespace, fieldSelector, labelSelector: label });
        return (items as Pod[]).map(({ metadata }) => metadata).filter(isMeant);
    };
    const deadline = Date.now() + toEnd * 1000;
    for (let left = await find(); left.length > 0; left = await find()) {
        if (Date.now() > deadline) {
            throw new Error(`${left.map(({ name }) => name).join(", ")} on ${node} did not go away in ${toEnd} s`);
        }
        for (const { name } of left.filter(({ deletionTimestamp }) => !deletionTimestamp)) {
            await core.deleteNamespacedPod({ namespace, name }).catch((error) => {
                if (codeOf(error) !== 404) throw error;
            });
        }
        await sleep(200);
    }
}

/** What the worker has against the pods; by class, sentences. */
function flawsOf(classes: readonly Class[], facts: Facts): string[] {
    return classes.flatMap((one) => {
        const pod = facts[one.runtimeClass];
        const what = `a new pod of class ${one.runtimeClass}`;
        if (pod === undefined) {
            return [`the worker says nothing of ${what}`];
        }
        return [
            ...(evidence.isSandboxed(pod) ? [] : [`${what} is not in a sandbox (${evidence.describeRuntime(pod)})`]),
            ...(evidence.hasOptions(pod, one)
                ? []
                : [`${what} has not the options of the handler ${one.name} (${evidence.describeOptions(pod, one)})`]),
        ];
    });
}

/**
 * @returns what the worker says of the pod of each class, and what is wrong, as sentences
 * @throws if the cluster or the worker cannot be asked
 */
export async function startCanaries(input: Input, verb = "look"): Promise<{ facts: Facts; flaws: string[] }> {
    const { classes, connection, call, script, namespace = "default" } = input;
    const at = { ...input, namespace };
    const core = coreOf(input.kubeconfig);
    const made: (string | undefined)[] = [];
    const start = async ({ runtimeClass }: Class) => {
        try {
            const pod = await core.createNamespacedPod({ namespace, body: canaryPod(input, runtimeClass, verb) });
            made.push(pod.metadata?.name);
            return { line: `${runtimeClass} ${await running(core, pod)}` };
        } catch (error) {
            return { flaw: `no new pod of class ${runtimeClass} starts: ${sentence(error)}` };
        }
    };
    try {
        const started = await Promise.all(classes.map(start));
        const flaws = started.flatMap(({ flaw }) => flaw ?? []);
        if (flaws.length > 0) {
            return { facts: {}, flaws };
        }
        const pods = `readonly PODS='${started.map(({ line }) => line).join("\n")}'\n`;
        const { code, stdout, stderr } = await runOn(connection, call, `${pods}${script}`);
        if (code !== 0) {
            throw new Error(`the worker cannot be asked: ${stderr.trim().split("\n").at(-1)}`);
        }
        const { pods: facts } = JSON.parse(resultIn(stdout)) as { readonly pods: Facts };
        return { facts, flaws: flawsOf(classes, facts) };
    } finally {
        // There is one update at a time: its other pods are those of one that was cut off.
        const left = ({ labels }: V1ObjectMeta) => verb === "start" && labels?.[label] === verb;
        await clear(core, at, (pod) => made.includes(pod.name) || left(pod) || isOld(pod));
    }
}

/**
 * Starts a pod of the default runtime, and takes it away again.
 *
 * @returns why it does not start; undefined if it does
 */
export async function tryPod(core: CoreV1Api, at: Place): Promise<string | undefined> {
    let made: V1Pod | undefined;
    try {
        made = await core.createNamespacedPod({ namespace: at.namespace, body: canaryPod(at, undefined, "plain") });
        // Its image may have to be pulled first.
        await running(core, made, toPull);
        return undefined;
    } catch (error) {
        return sentence(error).replace(made?.metadata?.name ?? /canary-plain-\w+/, "canary");
    } finally {
        await clear(core, at, (pod) => pod.name === made?.metadata?.name || isOld(pod));
    }
}

/** `clear`, or the run. @returns what it has found */
export async function main(input: Input, verb: "start" | "look" | "clear"): Promise<Facts | undefined> {
    if (verb === "clear") {
        await clear(coreOf(input.kubeconfig), { namespace: "default", ...input });
        return undefined;
    }
    const { facts, flaws } = await startCanaries(input, verb);
    if (flaws.length > 0) {
        throw new Error(`on ${input.node} ${flaws.join("; ")}`);
    }
    return facts;
}
