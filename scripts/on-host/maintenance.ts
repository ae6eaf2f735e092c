// Takes a node out of service before its containerd is restarted, and puts it back.
//
// drain     cordons the node and evicts its pods through the eviction API, so that disruption budgets hold. Like
//           `kubectl drain --ignore-daemonsets` it leaves alone what a DaemonSet or kubelet itself would start again at
//           once, and refuses, before anything is changed, what would be lost for good. Where it does not come to an end
//           the node is put back.
// uncordon  undoes the cordon, unless it is somebody else's.
//
// stdin: {"kubeconfig": text, "node": name, "keep": [NAMESPACE/NAME of pods that stay], "force": bool,
//         "deleteEmptyDirData": bool, "timeoutSeconds": number, "removal": whether gVisor is to be taken away}; further fields
//         only tell runs apart
// Progress goes to stderr.

import { setTimeout as sleep } from "node:timers/promises";
import type { CoreV1Api, V1Node } from "@kubernetes/client-node";
import { codeOf, coreOf, type Pod, patchNode, readNode, sentence, statusOf } from "./api.ts";

interface Options {
    readonly node: string;
    readonly keep: readonly string[];
    readonly force: boolean;
    readonly deleteEmptyDirData: boolean;
    readonly timeoutSeconds: number;
    readonly removal?: boolean;
}

/** On a node: this program has cordoned it. */
const mark = "runtime-sandboxes/cordoned";
/** Of a pod: it tries a sandbox, see scripts/on-host/canary.ts. */
const canary = "runtime-sandboxes/canary";
const interval = 1000;

const say = (message: string) => process.stderr.write(`${message}\n`);
const nameOf = ({ metadata }: Pod) => `${metadata.namespace}/${metadata.name}`;

// The node --------------------------------------------------------------------------------------------------------------

/** Cordons a node as it was read, or undoes that; false where somebody else has changed it meanwhile. */
const setCordon = (core: CoreV1Api, node: V1Node, isOn: boolean) =>
    patchNode(core, node, { annotations: { [mark]: isOn ? "true" : null }, spec: { unschedulable: isOn || null } });

const isMarked = ({ metadata }: V1Node) => metadata?.annotations?.[mark] !== undefined;

/** Keeps new pods away. Returns whether it is on this program to undo that. */
async function cordon(core: CoreV1Api, name: string): Promise<boolean> {
    for (;;) {
        const node = await readNode(core, name);
        if (node === undefined) throw new Error(`${name} has left the cluster meanwhile; run up again`);
        if (node.spec?.unschedulable) {
            const ours = isMarked(node);
            say(ours ? `${name} is cordoned already` : `${name} was cordoned by somebody else, and is left so`);
            return ours;
        }
        if (await setCordon(core, node, true)) {
            say(`${name} is cordoned`);
            return true;
        }
    }
}

async function uncordon(core: CoreV1Api, { node: name }: Options): Promise<void> {
    for (;;) {
        const node = await readNode(core, name);
        if (node === undefined) {
            say(`${name} is not a node of the cluster: nothing to uncordon`);
            return;
        }
        if (!isMarked(node)) {
            say(
                node.spec?.unschedulable
                    ? `${name} was cordoned by somebody else, and is left so`
                    : `${name} takes pods`,
            );
            return;
        }
        if (await setCordon(core, node, false)) {
            say(`${name} takes pods again`);
            return;
        }
    }
}

// Its pods --------------------------------------------------------------------------------------------------------------

/** What is to become of the pods of a node. */
interface Sorted {
    readonly evict: Pod[];
    /** How many are left alone. */
    left: number;
    /** Why not all can be evicted. */
    readonly refused: string[];
}

function sort(pods: readonly Pod[], { keep, force, deleteEmptyDirData }: Options): Sorted {
    const sorted: Sorted = { evict: [], left: 0, refused: [] };
    for (const pod of pods) {
        const { annotations, labels, deletionTimestamp, ownerReferences = [] } = pod.metadata;
        const controller = ownerReferences.find((owner) => owner.controller);
        if (
            annotations?.["kubernetes.io/config.mirror"] !== undefined ||
            controller?.kind === "DaemonSet" ||
            keep.includes(nameOf(pod))
        ) {
            sorted.left++;
            continue;
        }
        sorted.evict.push(pod);
        // What has ended, or is about to, loses nothing; nor does a pod that a run which was cut off has tried the sandbox with.
        if (labels?.[canary] !== undefined) continue;
        if (deletionTimestamp || ["Succeeded", "Failed"].includes(pod.status?.phase ?? "")) continue;
        if (!controller && !force) {
            sorted.refused.push(
                `${nameOf(pod)} has no controller that would recreate it elsewhere; delete it yourself, or set drainOptions.force`,
            );
        }
        const volumes = (pod.spec.volumes ?? []).filter((volume) => volume.emptyDir).map((volume) => volume.name);
        if (volumes.length > 0 && !deleteEmptyDirData) {
            sorted.refused.push(
                `${nameOf(pod)} would lose what is in its emptyDir volumes (${volumes.join(", ")}); ` +
                    `set drainOptions.deleteEmptyDirData if that may go`,
            );
        }
    }
    return sorted;
}

/** The pods of a node, sorted. Throws all reasons why it cannot be drained; `changed` says what has happened before. */
async function podsOf(core: CoreV1Api, options: Options, changed: string): Promise<Sorted> {
    const { items } = await core.listPodForAllNamespaces({ fieldSelector: `spec.nodeName=${options.node}` });
    const sorted = sort(items as Pod[], options);
    if (sorted.refused.length > 0) {
        throw new Error(
            `${options.node} cannot be drained; ${changed}:${sorted.refused.map((one) => `\n  - ${one}`).join("")}`,
        );
    }
    return sorted;
}

/** Asks for a pod's end; returns why it is still there. */
async function evict(core: CoreV1Api, pod: Pod): Promise<string> {
    const { name, namespace, uid, deletionTimestamp } = pod.metadata;
    if (deletionTimestamp) return "is ending";
    // Another pod that has the name by now is not meant.
    const body = { metadata: { name, namespace }, deleteOptions: { preconditions: { uid } } };
    try {
        await core.createNamespacedPodEviction({ name, namespace, body });
        return "is ending";
    } catch (error) {
        const causes = statusOf(error).details?.causes ?? [];
        if ([404, 409].includes(codeOf(error) ?? 0)) return "is another one now";
        if (causes.some(({ reason }) => reason === "NamespaceTerminating")) return "goes away with its namespace";
        if (codeOf(error) !== 429) throw error;
        return causes.find(({ reason }) => reason === "DisruptionBudget")?.message ?? sentence(error);
    }
}

/** @returns seconds that it took */
async function evictAll(core: CoreV1Api, options: Options): Promise<number> {
    const { node, timeoutSeconds } = options;
    const start = Date.now();
    // Why a pod is still there, by its name; and why the API server could not be asked.
    let waiting = new Map<string, string>();
    let unanswered = "";
    for (;;) {
        try {
            const { evict: pods } = await podsOf(core, options, "pods were evicted until then");
            if (pods.length === 0) return (Date.now() - start) / 1000;
            const reasons = await Promise.all(pods.map(async (pod) => [nameOf(pod), await evict(core, pod)] as const));
            for (const [name, reason] of reasons) {
                if (waiting.get(name) !== reason) say(`${node}: ${name}: ${reason}`);
            }
            waiting = new Map(reasons);
            unanswered = "";
        } catch (error) {
            // A refusal stays one; an API server that restarts comes back.
            const isNoAnswer = error instanceof Error && error.cause !== undefined;
            if ((codeOf(error) ?? (isNoAnswer ? 500 : 0)) < 500) throw error;
            unanswered = `\n  - the API server did not answer: ${sentence(error)}`;
        }
        if (Date.now() - start > timeoutSeconds * 1000) {
            const left = [...waiting].map(([name, reason]) => `\n  - ${name}: ${reason}`).join("");
            throw new Error(`${node} was not drained within ${timeoutSeconds} s; still there:${left}${unanswered}`);
        }
        await sleep(interval);
    }
}

async function drain(core: CoreV1Api, options: Options): Promise<void> {
    const { node, removal } = options;
    if ((await readNode(core, node)) === undefined) {
        say(`${node} is not a node of the cluster: nothing to drain`);
        return;
    }
    const { evict: pods, left } = await podsOf(core, options, "nothing was changed");
    say(`${node}: ${pods.length} pods to evict, ${left} stay`);
    const ours = await cordon(core, node);
    try {
        const seconds = await evictAll(core, options);
        say(
            `${node} is drained, after ${Math.round(seconds)} s, and takes no pods until ` +
                `${removal ? "gVisor is taken away" : "its containerd is as wanted"}. If that fails it stays so: fix the cause ` +
                `and run ${removal ? "the same" : "up"} again, or: kubectl uncordon ${node}`,
        );
    } catch (error) {
        if (ours) {
            await uncordon(core, options).catch((other) => say(`${node} stays cordoned: ${sentence(other)}`));
        }
        throw error;
    }
}

type Input = Options & { readonly kubeconfig: string };

export async function main({ kubeconfig, ...options }: Input, verb: "drain" | "uncordon"): Promise<void> {
    await { drain, uncordon }[verb](coreOf(kubeconfig), options);
}
