// May this stack do with this cluster what it is going to do? All reasons against it at once, before anything is changed: the
// machines have to be the nodes that their names say, the kubeconfig needs the rights, what is to be made must not be there
// already and the API server has to take it, and a pod of the default runtime has to start on each worker now.
//
// stdin:  {"kubeconfig": text, "machines": {NAME: MACHINE_ID}, "namespace", and, where something is to be made: "image",
//         "objects": [PlannedObject of components/contracts.ts], "drain": bool, "policies": bool, "attacks": bool, "surface": bool, "reachable": bool, "egress": [namespaces that are there, and get network policies]}
// stdout: {NAME: {"kubelet", "containerRuntime", "os"}}

import { AuthorizationV1Api, CoreV1Api, type KubeConfig, type V1Node, type V1Pod } from "@kubernetes/client-node";
import { codeOf, configOf, sentence } from "./api.ts";
import { attackPod } from "./attacks.ts";
import { canaryPod, tryPod } from "./canary.ts";
import { complaintsOf, type Planned, Rehearsal, withImage } from "./planned.ts";
import { reachPod } from "./reachable.ts";
import { type Right, rightsOf } from "./rights.ts";
import { peerPod, surfacePod } from "./surface.ts";

interface Input {
    readonly kubeconfig: string;
    readonly machines: Readonly<Record<string, string>>;
    readonly namespace: string;
    readonly image?: string;
    readonly objects?: readonly Planned[];
    readonly drain?: boolean;
    readonly policies?: boolean;
    readonly attacks?: boolean;
    readonly surface?: boolean;
    readonly reachable?: boolean;
    readonly egress?: readonly string[];
}
type Nodes = ReadonlyMap<string, V1Node>;

/** Why the machines are not the nodes that they should be. */
function nodeComplaints(machines: Input["machines"], nodes: Nodes): string[] {
    const named = (id: string) =>
        [...nodes].filter(([, node]) => node.status?.nodeInfo?.machineID === id).map(([name]) => name);
    const known = [...nodes.keys()].join(", ");
    return Object.entries(machines).flatMap(([name, id]) => {
        const { nodeInfo: info, conditions = [] } = nodes.get(name)?.status ?? {};
        if (!info) {
            return [
                `${name} is not a node of this cluster; its nodes are ${known}. Name the worker as its node is named`,
            ];
        }
        if (info.machineID !== id) {
            const others = named(id);
            return [
                `the machine that ${name} is reached at is ${others.length > 0 ? `the node ${others.join(", ")}` : "another one"}: its machine id ` +
                    `is ${id}, that of the node ${name} is ${info.machineID}. Correct the host of this worker`,
            ];
        }
        const twins = named(id).filter((other) => Object.hasOwn(machines, other));
        if (twins.length > 1) {
            return [
                `${name} has the machine id ${id}, as ${twins.filter((other) => other !== name).join(", ")} has: copies of one ` +
                    `machine cannot be told apart. Give each an id of its own (systemd-machine-id-setup), and restart its kubelet`,
            ];
        }
        if (!info.containerRuntimeVersion.startsWith("containerd://")) {
            return [`${name} runs its pods with ${info.containerRuntimeVersion}; only containerd is supported`];
        }
        const ready = conditions.find(({ type }) => type === "Ready");
        return ready?.status === "True"
            ? []
            : [`the node ${name} is not Ready (${ready?.message ?? "it says nothing"}). Fix it, or leave it out`];
    });
}

/** Rights that the kubeconfig lacks. */
async function rightComplaints(config: KubeConfig, input: Input): Promise<string[]> {
    const api = config.makeApiClient(AuthorizationV1Api);
    const denied = async ([verb, full, group = ""]: Right, within?: string) => {
        const [resource, subresource] = full.split("/");
        const resourceAttributes = { verb, group, resource, subresource, namespace: within };
        const body = {
            apiVersion: "authorization.k8s.io/v1",
            kind: "SelfSubjectAccessReview",
            spec: { resourceAttributes },
        };
        const { status } = await api.createSelfSubjectAccessReview({ body });
        return status?.allowed ? [] : [`${verb} ${full}${within ? ` in ${within}` : ""}`];
    };
    const found = await Promise.all(
        rightsOf(input).flatMap(({ rights, within }) => rights.map((right) => denied(right, within))),
    );
    const lacking = [...new Set(found.flat())];
    return lacking.length === 0 ? [] : [`the kubeconfig may not ${lacking.join(", ")}. Set one that may`];
}

/** Why no pod of the default runtime starts on a worker, by what is said, with the workers. */
async function podComplaints(core: CoreV1Api, { machines, namespace }: Input, image: string): Promise<string[]> {
    const workers = new Map<string, string[]>();
    await Promise.all(
        Object.keys(machines).map(async (node) => {
            const why = await tryPod(core, { node, namespace, image });
            if (why !== undefined) workers.set(why, [...(workers.get(why) ?? []), node]);
        }),
    );
    return [...workers].map(
        ([why, nodes]) =>
            `no pod of the default runtime starts in ${namespace} on ${nodes.sort().join(", ")}: ${why}. Fix that, or ` +
            `set existing.namespace to a namespace where such pods may run`,
    );
}

/** Pods that live for seconds: on one worker, as they are made on each. */
function shortLived(
    { machines, namespace, attacks, surface, reachable, egress = [] }: Input,
    image: string,
    runtimeClass?: string,
): [Planned, ...Planned[]] {
    const [node = ""] = Object.keys(machines);
    const at = { node, image };
    const pod = (place: string, { metadata, spec }: V1Pod, remedy: string): Planned => ({
        manifest: { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, namespace: place }, ...{ spec } },
        remedy,
    });
    const orElsewhere = `existing.namespace to a namespace that takes such pods`;
    const ofSetting = (setting: string, body: V1Pod) =>
        pod(namespace, body, `set ${setting} to false, or ${orElsewhere}`);
    const run = "preflight";
    return [
        pod(namespace, canaryPod(at, undefined, "plain"), `set ${orElsewhere}`),
        ...(attacks ? [ofSetting("attacks", attackPod(at, undefined, "/run"))] : []),
        ...(surface ? [surfacePod(at), peerPod(at)].map((body) => ofSetting("surface", body)) : []),
        ...(reachable
            ? [{ host: true }, { token: true }].map((options) =>
                  ofSetting("reachable", reachPod(at, { run, ...options })),
              )
            : []),
        // Where sandboxes are mandatory already, a pod of the default runtime is refused.
        ...egress.map((place) => pod(place, reachPod(at, { run, runtimeClass }), "leave egress out")),
    ];
}

/** One sentence for what goes wrong with a kubeconfig. */
function reason(error: unknown): string {
    const code = codeOf(error);
    if (code === 401 || code === 403) {
        return `the API server refuses it (${code}): it has expired, or may not list nodes. Set a new one`;
    }
    return `the API server does not answer: ${sentence(error)}`;
}

function refuse(complaints: readonly string[]): void {
    if (complaints.length > 0) {
        throw new Error(
            `the cluster is not as this stack needs it; nothing was changed:\n${complaints.map((one) => `  - ${one}`).join("\n")}`,
        );
    }
}

function readConfig(kubeconfig: string): KubeConfig {
    try {
        return configOf(kubeconfig);
    } catch (error) {
        throw new Error(`the kubeconfig cannot be read: ${sentence(error)}`);
    }
}

/** What stands against what is planned. Only pods of the default runtime are really made, and only where they are taken. */
async function rehearse(config: KubeConfig, core: CoreV1Api, input: Input, image: string): Promise<string[]> {
    const { namespace, objects = [] } = input;
    const rehearsal = new Rehearsal(config, withImage(objects, image), namespace);
    const complaints = await rehearsal.look();
    const [canary, ...others] = shortLived(input, image, rehearsal.classes[0]);
    const refused = await rehearsal.refusals([canary, ...others]);
    // One that is refused need not be tried.
    const isTaken = !rehearsal.absent.has(namespace) && !refused.some(({ of }) => of.manifest === canary.manifest);
    return [...complaints, ...complaintsOf(refused), ...(isTaken ? await podComplaints(core, input, image) : [])];
}

/** @returns what each worker runs, by its name */
export async function main(input: Input) {
    const { machines, image } = input;
    const config = readConfig(input.kubeconfig);
    const core = config.makeApiClient(CoreV1Api);
    const { items } = await core.listNode().catch((error) => {
        throw new Error(`the kubeconfig does not work; ${reason(error)}. Nothing was changed`);
    });
    const nodes = new Map(items.map((node) => [node.metadata?.name ?? "", node]));
    refuse([...nodeComplaints(machines, nodes), ...(await rightComplaints(config, input))]);
    if (image !== undefined) {
        refuse(await rehearse(config, core, input, image));
    }
    const entries = Object.keys(machines).map((name) => {
        const info = nodes.get(name)?.status?.nodeInfo;
        return [
            name,
            { kubelet: info?.kubeletVersion, containerRuntime: info?.containerRuntimeVersion, os: info?.osImage },
        ] as const;
    });
    return Object.fromEntries(entries);
}
