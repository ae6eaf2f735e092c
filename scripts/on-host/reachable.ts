// What a pod reaches over the network, on one worker, now: from a pod of each class, and from a control pod of the default runtime.
// Where policies are to be proven, the pods of the classes are in the namespaces that have them. See docs/explanation.md.
//
// run    starts the pods, brings the program that tries and listens, lets it try, asks the listeners and the worker, and takes
//        all away
// clear  takes away what a run that was cut off has left
//
// stdin:  Input; further fields only tell runs apart
// stdout: ReachableFacts of components/reachable.d.cts

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, DiscoveryV1Api, Exec, NetworkingV1Api, type V1Pod } from "@kubernetes/client-node";
import { type EgressRules, isAllowed, type ProbedPod, type ReachableFacts } from "../../components/reachable.cjs";
import unprivileged from "../../components/unprivileged.cjs";
import { codeOf, configOf, type Has, type Pod as Made, sentence } from "./api.ts";
import { type Input as CanaryInput, canaryPod, clear, label, type Place, running } from "./canary.ts";
import { persist, run } from "./exec.ts";
import { onWorker, programFor, settled } from "./program.ts";
import {
    addressOf,
    answeredIn,
    attemptsOf,
    clusterTargets,
    listenerTarget,
    probesOf,
    saidBy,
    shuffled,
    type Wanted,
    wordsIn,
} from "./reachableTargets.ts";

/** What stdin holds. The control and the listeners are in `namespace`; and the other pods, unless policies are to be proven. */
interface Input extends Place, Pick<CanaryInput, "kubeconfig" | "connection" | "call"> {
    readonly classes: readonly { readonly runtimeClass: string }[];
    /** What prints the worker's connections, without its constant ADDRESSES. */
    readonly connections: string;
    /** The policies that are to be proven, and where they are. */
    readonly egress?: { readonly namespaces: readonly string[]; readonly rules: EgressRules };
}

const { scratch } = unprivileged;
const verb = "reachable";
/** Which run a pod is of: the policy that lets its pods reach the allowed target holds for no others. */
const runLabel = "runtime-sandboxes/run";
const nodeAnnotation = "runtime-sandboxes/node";
/** Ports of the target that is allowed, and of one that is not: a pod that would try only some cannot tell which. */
const portsOfEach = 6;
/** Milliseconds that policies may take until they hold for a new pod, that a service may take to be served, and between two looks. */
const [toHold, toServe, pause] = [30_000, 10_000, 500];

const hasDns = (pod?: ProbedPod) => pod?.probes.every(({ target, said }) => target !== "dns" || said.reached);

export interface PodOptions {
    readonly run: string;
    readonly runtimeClass?: string;
    /** Whether it is on the worker's own network. */
    readonly host?: boolean;
    /** Whether it has a token of the API server, which untrusted namespaces refuse. */
    readonly token?: boolean;
}

/** A pod without any rights beside its network, as Pod Security's level "restricted" wants it. */
export function reachPod(at: Pick<Place, "node" | "image">, options: PodOptions): Has<V1Pod, "metadata" | "spec"> {
    const { run: id, runtimeClass, host = false, token = false } = options;
    const { metadata, spec } = canaryPod(at, runtimeClass, verb);
    return {
        metadata: {
            generateName: `reachable-${host ? "node" : (runtimeClass ?? "control")}-`,
            labels: { ...metadata.labels, [runLabel]: id },
        },
        spec: {
            ...spec,
            hostNetwork: host,
            automountServiceAccountToken: token,
            containers: spec.containers.map((container) => ({
                ...container,
                name: verb,
                command: ["sleep", "300"],
                volumeMounts: [scratch.mount],
            })),
            volumes: [scratch.volume],
        },
    };
}

/** Lets the pods of a run reach the allowed target, beside what else they may. */
function allowance(node: string, id: string, namespace: string, ports: readonly number[]) {
    const podSelector = { matchLabels: { [runLabel]: id } };
    const namespaceSelector = { matchLabels: { "kubernetes.io/metadata.name": namespace } };
    return {
        metadata: { generateName: "reachable-", labels: { [label]: verb }, annotations: { [nodeAnnotation]: node } },
        spec: {
            podSelector,
            policyTypes: ["Egress"],
            egress: [
                { to: [{ namespaceSelector, podSelector }], ports: ports.map((port) => ({ protocol: "TCP", port })) },
            ],
        },
    };
}

interface Pod {
    readonly namespace: string;
    readonly name: string;
    readonly address: string;
    readonly runtimeClass?: string;
    readonly token: boolean;
}

/** The cluster, as one run sees it. */
class Run {
    private readonly id = randomBytes(6).toString("hex");
    private readonly core: CoreV1Api;
    private readonly networking: NetworkingV1Api;
    private readonly discovery: DiscoveryV1Api;
    private readonly exec: Exec;
    private readonly input: Input;

    constructor(input: Input) {
        const config = configOf(input.kubeconfig);
        this.core = config.makeApiClient(CoreV1Api);
        this.networking = config.makeApiClient(NetworkingV1Api);
        this.discovery = config.makeApiClient(DiscoveryV1Api);
        this.exec = new Exec(config);
        this.input = input;
    }

    async facts(): Promise<ReachableFacts> {
        const { classes, egress, namespace } = this.input;
        const node = await this.core.readNode({ name: this.input.node });
        const architecture = node.status?.nodeInfo?.architecture ?? "amd64";
        const places = egress?.namespaces ?? [namespace];
        const wanted = places.flatMap((place) => classes.map(({ runtimeClass }) => ({ place, runtimeClass })));
        const [program, host, control, ...inside] = await settled([
            programFor(architecture, "reachable").then((path) => readFileSync(path)),
            this.start(namespace, { host: true }),
            this.start(namespace, { token: true }),
            ...wanted.map(({ place, runtimeClass }) =>
                this.start(place, { runtimeClass, token: egress === undefined }),
            ),
        ]);
        const [[nodePort = 0], ports] = await settled([
            this.listen(host, program, 1, addressOf(node)),
            this.listen(control, program, egress ? 2 * portsOfEach : portsOfEach),
            ...inside.map((pod) => this.bring(pod, program, "true")),
        ]);
        // The kernel chooses their numbers: nothing tells a pod which of them are the allowed ones.
        const allowed = ports.slice(0, portsOfEach);
        const listeners = [
            listenerTarget("allowed", control.address, allowed),
            listenerTarget("node", addressOf(node), [nodePort]),
            ...(egress ? [listenerTarget("pod", control.address, ports.slice(portsOfEach))] : []),
        ];
        const hearing = [host, control];
        if (egress) {
            await settled(
                egress.namespaces.map((place) =>
                    this.networking.createNamespacedNetworkPolicy({
                        namespace: place,
                        body: allowance(this.input.node, this.id, namespace, allowed),
                    }),
                ),
            );
            await this.untilHeld(inside, listeners, hearing, egress.rules);
        }
        const found = await clusterTargets(this.core, this.discovery, node);
        // A listener of ours says more than a pod that is there anyway.
        const others = found.filter(({ target }) => !listeners.some((listener) => listener.target === target));
        const look = async () => await this.look([control, ...inside], [...listeners, ...others], hearing);
        let seen = await look();
        // kube-proxy on the worker learns of a DNS that has just started a moment after the API server.
        for (const deadline = Date.now() + toServe; !hasDns(seen[0]) && Date.now() < deadline; seen = await look()) {
            await sleep(pause);
        }
        const [ofControl, ...ofInside] = seen;
        if (ofControl === undefined) {
            throw new Error("there is no control pod");
        }
        return {
            control: ofControl,
            inside: ofInside.map((pod, index) => ({ ...pod, runtimeClass: wanted[index]?.runtimeClass ?? "" })),
        };
    }

    private async start(namespace: string, options: Omit<PodOptions, "run">): Promise<Pod> {
        const { token = false, runtimeClass } = options;
        try {
            const body = reachPod(this.input, { ...options, run: this.id });
            const made = (await this.core.createNamespacedPod({ namespace, body })) as Made;
            const { name } = made.metadata;
            await running(this.core, made);
            const { status } = await this.core.readNamespacedPod({ namespace, name });
            return { namespace, name, address: status?.podIP ?? "", token, runtimeClass };
        } catch (error) {
            const what = runtimeClass === undefined ? "of the default runtime" : `of class ${runtimeClass}`;
            throw new Error(`no pod ${what} starts in ${namespace} to show what it reaches: ${sentence(error)}`);
        }
    }

    /** Runs a command in a pod. @returns what it prints */
    private async inPod({ namespace, name }: Pod, command: readonly string[], given?: Buffer): Promise<string> {
        const target = { namespace, name, container: verb };
        const { text } = await persist(`running ${command[0]} in ${name}`, () =>
            run(this.exec, target, [...command], given),
        );
        return text;
    }

    /** Brings the program to a pod, and does something there. */
    private async bring(pod: Pod, program: Buffer, then: string): Promise<string> {
        const command = `head -c ${program.length} >/tmp/reach && chmod 755 /tmp/reach && ${then}`;
        return await this.inPod(pod, ["sh", "-c", command], program);
    }

    private async listen(pod: Pod, program: Buffer, count: number, address = ""): Promise<number[]> {
        const listening = `{ /tmp/reach listen ${count} ${address} >/tmp/heard 2>&1 </dev/null & }`;
        const ready = "until [ -s /tmp/heard ]; do sleep 0.1; done; head -n 1 /tmp/heard";
        const text = await this.bring(pod, program, `${listening} && ${ready}`);
        const ports = /^\{"ports":\[([\d,]+)\]\}/.exec(text)?.[1]?.split(",").map(Number);
        if (ports?.length !== count) {
            throw new Error(`the pod ${pod.name} does not listen: ${text.slice(0, 200)}`);
        }
        return ports;
    }

    /** Tries until policies hold for the pods as they should, by what the listeners hear; what does not, the last look shows. */
    private async untilHeld(
        pods: readonly Pod[],
        targets: readonly Wanted[],
        hearing: readonly Pod[],
        rules: EgressRules,
    ): Promise<void> {
        const deadline = Date.now() + toHold;
        const holds = (found: readonly ProbedPod[]) =>
            found.every(({ probes }) => probes.every((probe) => probe.heard === isAllowed(probe, rules)));
        while (!holds(await this.look(pods, targets, hearing)) && Date.now() < deadline) {
            await sleep(pause);
        }
    }

    /** Lets all pods try all targets at once; then asks those who know better than they. */
    private async look(
        pods: readonly Pod[],
        targets: readonly Wanted[],
        hearing: readonly Pod[],
    ): Promise<ProbedPod[]> {
        const attempts = pods.map(({ token }) => attemptsOf(targets.filter(({ speak }) => token || speak !== "token")));
        const said = await settled(
            pods.map((pod, index) =>
                this.inPod(pod, ["/tmp/reach", "try", JSON.stringify(shuffled(attempts[index] ?? new Map()))]),
            ),
        );
        const [answered, ...heard] = await settled([
            this.answered(pods),
            ...hearing.map((pod) => this.inPod(pod, ["cat", "/tmp/heard"])),
        ]);
        const words = new Set(heard.flatMap(wordsIn));
        return pods.map(({ namespace, address }, index) => ({
            namespace,
            probes: probesOf({
                ...{ address, words, answered },
                attempts: attempts[index] ?? new Map(),
                said: saidBy(said[index] ?? ""),
            }),
        }));
    }

    private async answered(pods: readonly Pod[]): Promise<ReadonlySet<string>> {
        const { connection, call, connections } = this.input;
        const addresses = pods.map(({ address }) => address).join("\n");
        const text = await onWorker(connection, call, `readonly ADDRESSES='${addresses}'\n${connections}`);
        const found: { connections: string[] } = JSON.parse(text);
        return answeredIn(found.connections);
    }

    /** Takes away what this run has made on the node, and what one that was cut off has left there. */
    async clear(): Promise<void> {
        const { node, namespace, egress } = this.input;
        const places = [...new Set([namespace, ...(egress?.namespaces ?? [])])];
        await settled([
            ...places.map((place) =>
                clear(this.core, { node, namespace: place }, ({ labels }) => labels?.[label] === verb),
            ),
            ...(egress?.namespaces ?? []).map((place) => this.clearPolicies(place)),
        ]);
    }

    private async clearPolicies(namespace: string): Promise<void> {
        const { items } = await this.networking.listNamespacedNetworkPolicy({
            namespace,
            labelSelector: `${label}=${verb}`,
        });
        const ours = items.filter(({ metadata }) => metadata?.annotations?.[nodeAnnotation] === this.input.node);
        await settled(
            ours.map(async ({ metadata }) => {
                const name = metadata?.name ?? "";
                await this.networking.deleteNamespacedNetworkPolicy({ namespace, name }).catch((error) => {
                    if (codeOf(error) !== 404) throw error;
                });
            }),
        );
    }
}

/** `clear`, or the run. @returns what it has found */
export async function main(input: Input, verb: "run" | "clear"): Promise<ReachableFacts | undefined> {
    const one = new Run(input);
    if (verb === "clear") {
        await one.clear();
        return undefined;
    }
    try {
        return await one.facts();
    } finally {
        await one.clear();
    }
}
