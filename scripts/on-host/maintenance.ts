// @ts-nocheck
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
import { coreOf, patchNode, readNode, sentence, statusOf } from "./api.ts";

/** On a node: this program has cordoned it. */
const mark = "runtime-sandboxes/cordoned";
/** Of a pod: it tries a sandbox, see scripts/on-host/canary.ts. */
const canary = "runtime-sandboxes/canary";
const interval = 1000;

const say = (message) => process.stderr.write(`${message}\n`);
const nameOf = ({ metadata }) => `${metadata.namespace}/${metadata.name}`;

// The node --------------------------------------------------------------------------------------------------------------

/** Cordons a node as it was read, or undoes that; false where somebody else has changed it meanwhile. */
const setCordon = (core, node, unschedulable, value) =>
    patchNode(core, node, { annotations: { [mark]: value }, spec: { unschedulable } });

/** Keeps new pods away. Returns whether it is on this program to undo that. */
async function cordon(core, name) {
    for (;;) {
        const node = await readNode(core, name);
        if (node === undefined) throw new Error(`${name} has left the cluster meanwhile; run up again`);
        if (node.spec.unschedulable) {
            const ours = node.metadata.annotations?.[mark] !== undefined;
            say(ours ? `${name} is cordoned already` : `${name} was cordoned by somebody else, and is left so`);
            return ours;
        }
        if (await setCordon(core, node, true, "true")) {
            say(`${name} is cordoned`);
            return true;
        }
    }
}

async function uncordon(core, { node: name }) {
    for (;;) {
        const node = await readNode(core, name);
        if (node === undefined) {
            say(`${name} is no node of the cluster: nothing to uncordon`);
            return;
        }
        if (node.metadata.annotations?.[mark] === undefined) {
            say(
                node.spec.unschedulable
                    ? `${name} was cordoned by somebody else, and is left so`
                    : `${name} takes pods`,
            );
            return;
        }
        if (await setCordon(core, node, null, null)) {
            say(`${name} takes pods again`);
            return;
        }
    }
}

// Its pods --------------------------------------------------------------------------------------------------------------

/** What is to become of the pods of a node: those to evict, how many are left alone, and why not all can be evicted. */
function sort(pods, { keep, force, deleteEmptyDirData }) {
    const sorted = { evict: [], left: 0, refused: [] };
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
        if (deletionTimestamp || ["Succeeded", "Failed"].includes(pod.status?.phase)) continue;
        if (!controller && !force) {
            sorted.refused.push(
                `${nameOf(pod)} has no controller that would make it anew elsewhere; delete it yourself, or set drainOptions.force`,
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
async function podsOf(core, options, changed) {
    const { items } = await core.listPodForAllNamespaces({ fieldSelector: `spec.nodeName=${options.node}` });
    const sorted = sort(items, options);
    if (sorted.refused.length > 0) {
        throw new Error(
            `${options.node} cannot be drained; ${changed}:${sorted.refused.map((one) => `\n  - ${one}`).join("")}`,
        );
    }
    return sorted;
}

/** Asks for a pod's end; returns why it is still there. */
async function evict(core, pod) {
    const { name, namespace, uid, deletionTimestamp } = pod.metadata;
    if (deletionTimestamp) return "is ending";
    // Another pod that has the name by now is not meant.
    const body = { metadata: { name, namespace }, deleteOptions: { preconditions: { uid } } };
    try {
        await core.createNamespacedPodEviction({ name, namespace, body });
        return "is ending";
    } catch (error) {
        const causes = statusOf(error).details?.causes ?? [];
        if (error.code === 404 || error.code === 409) return "is another one now";
        if (causes.some(({ reason }) => reason === "NamespaceTerminating")) return "goes away with its namespace";
        if (error.code !== 429) throw error;
        return causes.find(({ reason }) => reason === "DisruptionBudget")?.message ?? sentence(error);
    }
}

async function evictAll(core, options) {
    const { node, timeoutSeconds } = options;
    const start = Date.now();
    // Why a pod is still there, by its name; and why the API server could not be asked.
    let waiting = new Map();
    let unanswered = "";
    for (;;) {
        try {
            const { evict: pods } = await podsOf(core, options, "pods were evicted until then");
            if (pods.length === 0) return (Date.now() - start) / 1000;
            const reasons = await Promise.all(pods.map(async (pod) => [nameOf(pod), await evict(core, pod)]));
            for (const [name, reason] of reasons) {
                if (waiting.get(name) !== reason) say(`${node}: ${name}: ${reason}`);
            }
            waiting = new Map(reasons);
            unanswered = "";
        } catch (error) {
            // A refusal stays one; an API server that restarts comes back.
            if (error.code === undefined ? error.cause === undefined : error.code < 500) throw error;
            unanswered = `\n  - the API server did not answer: ${sentence(error)}`;
        }
        if (Date.now() - start > timeoutSeconds * 1000) {
            const left = [...waiting].map(([name, reason]) => `\n  - ${name}: ${reason}`).join("");
            throw new Error(`${node} was not drained within ${timeoutSeconds} s; still there:${left}${unanswered}`);
        }
        await sleep(interval);
    }
}

async function drain(core, options) {
    const { node, removal } = options;
    if ((await readNode(core, node)) === undefined) {
        say(`${node} is no node of the cluster: nothing to drain`);
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
            await uncordon(core, options).catch((other) => say(`${node} stays cordoned: ${other.message}`));
        }
        throw error;
    }
}

export async function main({ kubeconfig, ...options }, verb) {
    await { drain, uncordon }[verb](coreOf(kubeconfig), options);
}
