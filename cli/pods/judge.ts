// Which pods are where they should be: what the cluster says that they asked for, against what the workers say that they have.
// Pure. Pods are the same by their uid: names come back.
import evidence from "../../components/evidence.cjs";
import type { Cluster, ClusterPod } from "./cluster.ts";
import { type Flaw, factsOf, flawsOfSandbox, type SeenPod, short, unsandboxed } from "./flaws.ts";
import type { Answer } from "./machine.ts";
import type { Container } from "./worker.ts";

/** A runtime of containerd's that is no sandbox, whatever class leads to it. */
const plainRuntime = "io.containerd.runc.v2";

/** What makes sandboxes mandatory. */
export interface Mandatory {
    readonly label: { readonly key: string; readonly value: string };
    /** Those that an update gave the label. */
    readonly namespaces: readonly string[];
    /** RuntimeClasses that count as sandboxes there. */
    readonly classes: readonly string[];
}

/** What the stack asks for. */
export interface Wanted {
    /** RuntimeClass by handler. */
    readonly handlers: Readonly<Record<string, string>>;
    readonly mandatory?: Mandatory;
    /** Ids of accepted vulnerabilities, by worker. */
    readonly accepted: Readonly<Record<string, readonly string[]>>;
    /** Whether a sandbox may run a gVisor that has been replaced. Default: false. */
    readonly allowReplaced?: boolean;
}

export interface PodRow {
    /** Its node; of a machine of the stack, the machine's name. */
    readonly worker: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    /** That it asks for. */
    readonly runtimeClass?: string;
    /** That containerd was asked for; none where its worker does not say. */
    readonly handler?: string;
    /** Whether the API server has it. */
    readonly known: boolean;
    readonly since?: string;
    /** Why it must be in a sandbox of this stack; none where it need not be. */
    readonly required?: string;
    readonly inSandbox: boolean;
    readonly runtimes: readonly string[];
    readonly containers: readonly Container[];
    /** Of gVisor; as `replaced` and `flags` only of a pod in a sandbox. */
    readonly release?: string;
    readonly replaced?: boolean;
    readonly flags?: Readonly<Record<string, string>>;
    readonly flaws: readonly Flaw[];
}

/** What pods are judged by. */
interface Context {
    /** RuntimeClasses that lead into sandboxes of this stack. */
    readonly classes: ReadonlySet<string>;
    readonly handlers: Wanted["handlers"];
    /** Namespaces whose pods must be in a sandbox. */
    readonly mandatory: ReadonlySet<string>;
    /** RuntimeClasses that count as sandboxes there. */
    readonly others: readonly string[];
    readonly allowReplaced: boolean;
}

/** RuntimeClasses that lead into sandboxes of this stack: those that it has made, and those of others for its handlers. */
function sandboxClasses({ handlers }: Wanted, { classes }: Cluster): Set<string> {
    const others = classes.filter(({ handler }) => Object.hasOwn(handlers, handler)).map(({ name }) => name);
    return new Set([...Object.values(handlers), ...others]);
}

/** Namespaces whose pods must be in a sandbox: those with the label, and those that an update gave it and somebody took it from. */
function mandatoryNamespaces({ mandatory }: Wanted, { namespaces }: Cluster): Set<string> {
    if (mandatory === undefined) {
        return new Set();
    }
    const { key, value } = mandatory.label;
    const labelled = namespaces.filter(({ labels }) => labels[key] === value).map(({ name }) => name);
    return new Set([...labelled, ...mandatory.namespaces]);
}

/** Why a pod must be in a sandbox of this stack, as the end of a sentence; undefined where it need not be. */
function reason(
    {
        namespace,
        runtimeClass,
        handler = "",
        runtimes,
    }: Pick<PodRow, "namespace" | "runtimeClass" | "handler" | "runtimes">,
    { classes, handlers, mandatory, others }: Context,
): string | undefined {
    if (runtimeClass !== undefined && classes.has(runtimeClass)) {
        return `it asks for the class ${runtimeClass}`;
    }
    // Of a class that is gone by now, or of a pod that the API server has forgotten, containerd still knows the handler.
    if (Object.hasOwn(handlers, handler)) {
        return `it was started for the handler ${handler}`;
    }
    // What else a namespace takes as a sandbox, its owner answers for. runc is none.
    const elsewhere = others.includes(runtimeClass ?? "") && runtimes.every((runtime) => runtime !== plainRuntime);
    return mandatory.has(namespace) && !elsewhere ? `the namespace ${namespace} takes sandboxed pods only` : undefined;
}

/** A pod as the worker has it, with what the API server knows of it. */
function rowOf(pod: SeenPod, known: ClusterPod | undefined, context: Context): PodRow {
    const { worker, namespace, name, uid, handler, since, containers } = pod;
    const { runtimeClass } = known ?? {};
    const facts = factsOf(pod);
    const runtimes = [...new Set(facts.runtimes)];
    const required = reason({ namespace, runtimeClass, handler, runtimes }, context);
    const row = { worker, namespace, name, uid, runtimeClass, handler, known: known !== undefined, since, required };
    if (!pod.sandbox || !evidence.isSandboxed(facts, 1)) {
        const hasAsked = context.classes.has(runtimeClass ?? "") || Object.hasOwn(context.handlers, handler);
        const flaws =
            required === undefined ? [] : [unsandboxed(pod, required, hasAsked ? undefined : context.classes)];
        return { ...row, inSandbox: false, runtimes, containers, flaws };
    }
    // A gVisor of somebody else's handlers is theirs to replace; the same release from another place is none that was replaced.
    const { release, flags } = pod.sandbox;
    const isOther = short(release) === "" || short(release) !== short(pod.installed);
    const replaced = pod.sandbox.replaced && isOther && Object.hasOwn(context.handlers, handler);
    const flaws = flawsOfSandbox({ ...pod.sandbox, replaced }, pod, context.allowReplaced);
    return { ...row, inSandbox: true, runtimes, containers, release, replaced, flags, flaws };
}

/** A pod that runs, as the API server has it, on a node that does not say so or is none of this stack's. */
function unseenRow(
    { uid, namespace, name, node = "", runtimeClass }: ClusterPod,
    context: Context,
    isOurs: boolean,
): PodRow {
    const required = reason({ namespace, runtimeClass, runtimes: [plainRuntime] }, context);
    const flaw: Flaw = {
        kind: "unseen",
        seen: isOurs
            ? `${node} has no such pod, although it runs there by the API server`
            : `it runs on ${node}, which is not a machine of this stack`,
        wanted: `the worker's own word that it is in a sandbox: ${required}`,
        next: isOurs
            ? `look at kubelet and containerd on ${node}`
            : `take ${node} into this stack, or the pod away from there`,
    };
    return {
        ...{ worker: node, namespace, name, uid, runtimeClass, known: true, required, inSandbox: false },
        ...{ runtimes: [], containers: [], flaws: required === undefined ? [] : [flaw] },
    };
}

/** All that is known of pods. */
export interface Look {
    readonly cluster: Cluster;
    readonly said: readonly Answer[];
    /** Names of all machines of the stack, whether they were asked or not. */
    readonly all: readonly string[];
    /** Of labels; where there is one, only pods that the cluster lists are judged. */
    readonly selector?: string;
    readonly wanted: Wanted;
}

/** All pods that were asked for, each with what is wrong with it. */
export function rowsOf({ cluster, said, all, selector = "", wanted }: Look): PodRow[] {
    const context = {
        classes: sandboxClasses(wanted, cluster),
        handlers: wanted.handlers,
        mandatory: mandatoryNamespaces(wanted, cluster),
        others: wanted.mandatory?.classes ?? [],
        allowReplaced: wanted.allowReplaced === true,
    };
    // Whoever can make pods can write an annotation: what the API server itself gave a pod goes before.
    const byUid = new Map([
        ...cluster.pods.flatMap((pod) => (pod.hash ? [[pod.hash, pod] as const] : [])),
        ...cluster.pods.map((pod) => [pod.uid, pod] as const),
    ]);
    const answered = said.filter((one) => one.error === undefined);
    const seen = answered.flatMap(({ worker, pods, installed }) =>
        pods
            .map((pod): SeenPod => ({ ...pod, worker, installed, accepted: wanted.accepted[worker] ?? [] }))
            .filter(({ uid }) => selector === "" || byUid.has(uid)),
    );
    const uids = new Set(seen.map(({ uid }) => uid));
    const unseen = cluster.pods.filter(
        ({ uid, hash = uid, phase, leaving, node = "" }) =>
            phase === "Running" &&
            !leaving &&
            ![uid, hash].some((one) => uids.has(one)) &&
            (answered.some(({ worker }) => worker === node) || !all.includes(node)),
    );
    return [
        ...seen.map((pod) => rowOf(pod, byUid.get(pod.uid), context)),
        ...unseen.map((pod) => unseenRow(pod, context, all.includes(pod.node ?? ""))),
    ].sort((a, b) => compare(a.worker, b.worker) || compare(a.namespace, b.namespace) || compare(a.name, b.name));
}

const compare = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });
