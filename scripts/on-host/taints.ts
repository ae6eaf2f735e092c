// Gives a node taints beside those that others have given it, and takes them away again.
//
// set     adds the taints that are wanted, and takes away those of an earlier set that are not wanted any more
// remove  takes away those of set
//
// Not by server-side apply: to that the list is one value, which kube-controller-manager takes over as soon as it adds a
// taint of its own, as it does when the node is cordoned or not ready. From then on every apply is a conflict, and one that
// is forced takes the others' taints away.
//
// stdin: {"kubeconfig": text, "node": name, "taints": [{"key", "value", "effect"}]}
// Progress goes to stderr.
import type { CoreV1Api } from "@kubernetes/client-node";
import { coreOf, patchNode, readNode, showTaint as show } from "./api.ts";

/** On a node: the taints that this program has added, as KEY:EFFECT. Two of the same may not be on one node. */
const mark = "runtime-sandboxes/taints";

interface Taint {
    readonly key: string;
    readonly value?: string;
    readonly effect: string;
}

const say = (message: string) => process.stderr.write(`${message}\n`);
const idOf = ({ key, effect }: Taint) => `${key}:${effect}`;

/** Makes `wanted` the taints that this program has on the node. */
async function make(core: CoreV1Api, name: string, wanted: readonly Taint[]): Promise<void> {
    for (;;) {
        const node = await readNode(core, name);
        if (node === undefined) {
            if (wanted.length > 0) throw new Error(`${name} is not a node of the cluster; run up again`);
            say(`${name} is not a node of the cluster: nothing to take away`);
            return;
        }
        const ours = JSON.parse(node.metadata?.annotations?.[mark] ?? "[]") as string[];
        const others = (node.spec?.taints ?? []).filter((taint) => !ours.includes(idOf(taint)));
        const added = wanted.filter((taint) => !others.some((other) => idOf(other) === idOf(taint)));
        for (const taint of wanted) {
            const other = others.find((one) => idOf(one) === idOf(taint));
            if (other && show(other) !== show(taint)) {
                throw new Error(
                    `${name} has the taint ${show(other)} of somebody else, and ${show(taint)} is wanted; nothing was ` +
                        `changed. Take it away (kubectl taint node ${name} ${idOf(taint)}-), or set its value in overrides`,
                );
            }
        }
        const annotations = { [mark]: added.length > 0 ? JSON.stringify(added.map(idOf)) : null };
        const taints = [...others, ...added];
        if (await patchNode(core, node, { annotations, spec: { taints } })) {
            say(`${name} has the taints ${taints.map(show).join(", ") || "none"}`);
            return;
        }
    }
}

interface Input {
    readonly kubeconfig: string;
    readonly node: string;
    readonly taints: readonly Taint[];
}

export async function main({ kubeconfig, node, taints }: Input, verb: "set" | "remove"): Promise<void> {
    await make(coreOf(kubeconfig), node, verb === "set" ? taints : []);
}
