// What is tried from inside a pod, and who has seen what of it: from the cluster's own objects, from the listeners, and from the
// worker's table of connections.

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { CoreV1Api, DiscoveryV1Api, V1Node, V1Service } from "@kubernetes/client-node";
import type { Probe } from "../../components/reachable.cjs";

/** A target, at one or several ports; a pod is given them one by one. */
export interface Wanted extends Pick<Probe, "target" | "addresses" | "protocol"> {
    /** HOST:PORT of each attempt. */
    readonly at: readonly string[];
    /** How the program speaks there; at a listener of ours it says a word of its own each time. */
    readonly speak: "word" | "tcp" | "http" | "https" | "token" | "dns";
    /** The path, or the name, that is asked for. */
    readonly say?: string;
}

/** What the program in a pod is given, as its Target (mirror/build/reach). */
export interface Attempt {
    readonly id: string;
    readonly address: string;
    readonly speak: Wanted["speak"];
    readonly say: string;
}

/** An address of a node: the one that its kubelet listens at. */
export function addressOf(node: V1Node): string {
    const found = node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
    if (found === undefined) {
        throw new Error(`the node ${node.metadata?.name} has no InternalIP`);
    }
    return found;
}

const hostPort = (host: string, port: number) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);

/** A place behind a service. */
interface Endpoint {
    /** HOST:PORT. */
    readonly at: string;
    readonly protocol: string;
    readonly isReady: boolean;
}

/** What stands behind a service. The API server says null where nothing does. */
async function endpointsOf(discovery: DiscoveryV1Api, { metadata }: V1Service): Promise<Endpoint[]> {
    const { items } = await discovery.listNamespacedEndpointSlice({
        namespace: metadata?.namespace ?? "default",
        labelSelector: `kubernetes.io/service-name=${metadata?.name}`,
    });
    return items.flatMap(({ endpoints, ports }) =>
        (endpoints ?? []).flatMap(({ addresses, conditions }) =>
            addresses.flatMap((host) =>
                (ports ?? []).flatMap(({ port, protocol = "TCP" }) =>
                    port === undefined
                        ? []
                        : { at: hostPort(host, port), protocol, isReady: conditions?.ready !== false },
                ),
            ),
        ),
    );
}

/** The cluster's DNS, if it has one: its service and the pods behind it, which may still start with their machine. */
async function dnsOf(core: CoreV1Api, discovery: DiscoveryV1Api, patience: number) {
    const { items } = await core.listNamespacedService({ namespace: "kube-system", labelSelector: "k8s-app=kube-dns" });
    const service = items.find(({ spec }) => spec?.clusterIP !== undefined && spec.clusterIP !== "None");
    if (service === undefined) {
        return undefined;
    }
    const deadline = Date.now() + patience;
    for (;;) {
        const found = await endpointsOf(discovery, service);
        if (found.some(({ isReady }) => isReady) || Date.now() > deadline) {
            return { address: hostPort(service.spec?.clusterIP ?? "", 53), found };
        }
        await sleep(500);
    }
}

/**
 * What the cluster and its cloud have, that no listener of ours stands at. The pod of another namespace is one of the cluster's DNS,
 * which is there anyway.
 *
 * @param patience milliseconds that the pods of the cluster's DNS may take to be ready
 */
export async function clusterTargets(
    core: CoreV1Api,
    discovery: DiscoveryV1Api,
    node: V1Node,
    patience = 30_000,
): Promise<Wanted[]> {
    const one = (
        target: Wanted["target"],
        at: string,
        speak: Wanted["speak"],
        say = "/",
        behind: readonly string[] = [],
    ): Wanted => ({
        ...{ target, at: [at], addresses: [at, ...behind], speak, say },
        protocol: speak === "dns" ? "UDP" : "TCP",
    });
    const host = addressOf(node);
    const api = await core.readNamespacedService({ namespace: "default", name: "kubernetes" });
    const address = hostPort(api.spec?.clusterIP ?? "", api.spec?.ports?.[0]?.port ?? 443);
    const servers = (await endpointsOf(discovery, api)).map(({ at }) => at);
    const dns = await dnsOf(core, discovery, patience);
    const neighbours = dns?.found.filter(({ at, protocol }) => protocol === "TCP" && at.endsWith(":53"));
    const neighbour = neighbours?.find(({ isReady }) => isReady) ?? neighbours?.[0];
    const names = dns?.found.filter(({ protocol }) => protocol === "UDP").map(({ at }) => at);
    return [
        // The same address on all large clouds.
        one("metadata", "169.254.169.254:80", "http"),
        one("api", address, "https", "/api", servers),
        one("api-token", address, "token", "/api", servers),
        one("kubelet", hostPort(host, 10250), "https", "/pods"),
        one("kubelet-read-only", hostPort(host, 10255), "http", "/pods"),
        ...(dns ? [one("dns", dns.address, "dns", "kubernetes.default.svc.cluster.local.", names)] : []),
        ...(neighbour === undefined ? [] : [one("pod", neighbour.at, "tcp")]),
    ];
}

/** A target where listeners of ours stand. */
export function listenerTarget(target: "allowed" | "pod" | "node", host: string, ports: readonly number[]): Wanted {
    const at = ports.map((port) => hostPort(host, port));
    return { target, at, addresses: at, protocol: "TCP", speak: "word" };
}

/** The attempts of one pod at its targets, with words that nobody else knows, in no order that would tell one from another. */
export function attemptsOf(wanted: readonly Wanted[]): ReadonlyMap<Wanted, readonly Attempt[]> {
    return new Map(
        wanted.map((one) => [
            one,
            one.at.map((address) => {
                const id = randomBytes(12).toString("hex");
                return { id, address, speak: one.speak, say: one.say ?? id };
            }),
        ]),
    );
}

/** As the pod is given them. Sorted by what is drawn at random. */
export function shuffled(attempts: ReadonlyMap<Wanted, readonly Attempt[]>): Attempt[] {
    return [...attempts.values()].flat().sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** What the program in a pod says, by the attempt. What is no answer says nothing. */
export function saidBy(text: string): ReadonlyMap<string, Probe["said"]> {
    try {
        const outcomes: unknown = JSON.parse(text);
        return new Map(
            Array.isArray(outcomes)
                ? outcomes.map(({ id, reached, saw }) => [
                      String(id),
                      { reached: reached === true, saw: String(saw).slice(0, 200) },
                  ])
                : [],
        );
    } catch {
        return new Map();
    }
}

/** The words that listeners have noted: lines of JSON. */
export function wordsIn(text: string): string[] {
    return text.split("\n").flatMap((line) => /^\{"word":"([0-9a-f]+)"/.exec(line)?.[1] ?? []);
}

const row = /\b(tcp|udp)\s+\d+\s+\d+\s+(?:[A-Z_]+\s+)?src=(\S+) dst=(\S+) sport=\d+ dport=(\d+)\b(.*)$/;

/** The answered connections of a worker's table: "TCP FROM HOST:PORT", as the pod has asked for them. */
export function answeredIn(lines: readonly string[]): ReadonlySet<string> {
    return new Set(
        lines.flatMap((line) => {
            const [, protocol, from = "", to = "", port, rest = ""] = row.exec(line) ?? [];
            const answered = protocol === "tcp" ? rest.includes("[ASSURED]") : !rest.includes("[UNREPLIED]");
            return protocol !== undefined && answered
                ? `${protocol.toUpperCase()} ${from} ${hostPort(to, Number(port))}`
                : [];
        }),
    );
}

/** What is known of a pod's attempts. */
export interface Seen {
    /** Of the pod. */
    readonly address: string;
    readonly attempts: ReadonlyMap<Wanted, readonly Attempt[]>;
    readonly said: ReadonlyMap<string, Probe["said"]>;
    /** All words that the listeners have heard. */
    readonly words: ReadonlySet<string>;
    /** As answeredIn gives them. */
    readonly answered: ReadonlySet<string>;
}

/** The attempts of a pod by their targets. The worker's table is believed where it has a connection that a listener has heard. */
export function probesOf({ address, attempts, said, words, answered }: Seen): Probe[] {
    const isCarried = ({ protocol }: Wanted, at: string) => answered.has(`${protocol} ${address} ${at}`);
    const isShown = [...attempts].some(([one, all]) =>
        all.some((attempt) => words.has(attempt.id) && isCarried(one, attempt.address)),
    );
    return [...attempts].map(([one, all]) => {
        const { target, addresses, protocol, speak, at } = one;
        const answers = all.map(({ id }) => said.get(id) ?? { reached: false, saw: "the pod does not say" });
        // The allowed target has to be reached at each of its ports, any other at none.
        const of = (each: readonly boolean[]) => (target === "allowed" ? each.every(Boolean) : each.some(Boolean));
        const reached = of(answers.map((answer) => answer.reached));
        const [first, ...more] = at;
        return {
            ...{ target, addresses, protocol },
            address: [first, ...more.map((other) => other.slice(other.lastIndexOf(":") + 1))].join(", "),
            said: { reached, saw: answers.find((answer) => answer.reached === reached)?.saw ?? "" },
            ...(speak === "word"
                ? { heard: of(all.map(({ id }) => words.has(id))) }
                : isShown && { carried: all.some((attempt) => isCarried(one, attempt.address)) }),
        };
    });
}
