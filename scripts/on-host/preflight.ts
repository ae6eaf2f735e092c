// May this stack do with this cluster what it is going to do? All reasons against it at once, before anything is changed: the
// machines have to be the nodes that their names say, the kubeconfig needs the rights, what is to be made must not be there
// already, and a pod of the default runtime has to start on each worker now.
//
// stdin:  {"kubeconfig": text, "machines": {NAME: MACHINE_ID}, "namespace", and, where pods are to be made: "image",
//         "pods": [their names], "classes": [names of RuntimeClasses], "drain": bool, "policies": bool, "attacks": bool,
//         "surface": bool, "reachable": bool, "egress": [namespaces that are there, and get network policies]}
// stdout: {NAME: {"kubelet", "containerRuntime", "os"}}

import {
    AuthorizationV1Api,
    CoreV1Api,
    type KubeConfig,
    NodeV1Api,
    type V1Node,
    type V1ObjectMeta,
} from "@kubernetes/client-node";
import { codeOf, configOf, sentence } from "./api.ts";
import { attackPod } from "./attacks.ts";
import { tryPod } from "./canary.ts";
import { type PodOptions, reachPod } from "./reachable.ts";
import { peerPod } from "./surface.ts";

interface Input {
    readonly kubeconfig: string;
    readonly machines: Readonly<Record<string, string>>;
    readonly namespace: string;
    readonly image?: string;
    readonly pods?: readonly string[];
    readonly classes?: readonly string[];
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

/** What the stack does in the cluster; what concerns its own pods in their namespace. */
type Right = readonly [verb: string, resource: string, group?: string];
const each = (verbs: readonly string[], resource: string, group?: string) =>
    verbs.map((verb): Right => [verb, resource, group]);
const nodeRights = each(["get", "patch"], "nodes");
const drainRights: readonly Right[] = [
    ["list", "pods"],
    ["create", "pods/eviction"],
];
/** To look whether the namespace is there, and for test pods wherever they are. */
const lookRights: readonly Right[] = [
    ["get", "namespaces"],
    ["list", "pods"],
];
const policyRights = [
    ...["get", "create", "patch", "delete"].flatMap((verb) =>
        ["validatingadmissionpolicies", "validatingadmissionpolicybindings"].map(
            (resource): Right => [verb, resource, "admissionregistration.k8s.io"],
        ),
    ),
    ...each(["create", "patch", "delete"], "namespaces"),
];
const classRights = each(["get", "create", "patch", "delete"], "runtimeclasses", "node.k8s.io");
const podRights = [
    ...each(["get", "list", "watch", "create", "patch", "delete"], "pods"),
    // A WebSocket begins with GET; newer API servers want the right to create as well (KEP-4006).
    ...each(["get", "create"], "pods/exec"),
    ...each(["list"], "events"),
];

/** To know where the cluster's own services are. */
const serviceRights = [...each(["get", "list"], "services"), ...each(["list"], "endpointslices", "discovery.k8s.io")];
const networkRights = each(["get", "list", "create", "patch", "delete"], "networkpolicies", "networking.k8s.io");

/** Rights that the kubeconfig lacks. */
async function rightComplaints(config: KubeConfig, input: Input): Promise<string[]> {
    const { namespace, pods, drain, policies, reachable, egress = [] } = input;
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
    const everywhere = [
        ...nodeRights,
        ...(drain ? drainRights : []),
        ...(policies ? policyRights : []),
        ...(pods ? [...lookRights, ...classRights] : []),
        ...(reachable ? serviceRights : []),
    ];
    const found = await Promise.all([
        ...everywhere.map((right) => denied(right)),
        ...(pods ? podRights : []).map((right) => denied(right, namespace)),
        ...egress.flatMap((place) => [...podRights, ...networkRights].map((right) => denied(right, place))),
    ]);
    const lacking = [...new Set(found.flat())];
    return lacking.length === 0 ? [] : [`the kubeconfig may not ${lacking.join(", ")}. Set one that may`];
}

/** Somebody else's objects that stand where the stack's are to be: Pulumi would refuse to make those. */
async function nameComplaints(
    config: KubeConfig,
    core: CoreV1Api,
    { namespace, pods = [], classes = [] }: Input,
): Promise<string[]> {
    const found = async <T>(read: () => Promise<T>) =>
        await read().catch((error: unknown) => {
            if (codeOf(error) === 404) return undefined;
            throw error;
        });
    if (pods.length > 0 && (await found(() => core.readNamespace({ name: namespace }))) === undefined) {
        return [
            `the namespace ${namespace} is not in the cluster. Make it (kubectl create namespace ${namespace}), or set ` +
                `existing.namespace to another one`,
        ];
    }
    // Its plug-in applies as a field manager of that name.
    const isTheirs = (object: { readonly metadata?: V1ObjectMeta } | undefined) =>
        object !== undefined &&
        !object.metadata?.managedFields?.some(({ manager }) => manager?.startsWith("pulumi-kubernetes"));
    const nodeApi = config.makeApiClient(NodeV1Api);
    const complaints = [
        ...classes.map(async (name) =>
            isTheirs(await found(() => nodeApi.readRuntimeClass({ name })))
                ? [
                      `the RuntimeClass ${name} is there already, and not of Pulumi. Delete it, or set another runtimeClass`,
                  ]
                : [],
        ),
        ...pods.map(async (name) =>
            isTheirs(await found(() => core.readNamespacedPod({ name, namespace })))
                ? [
                      `the pod ${namespace}/${name} is there already, and not of Pulumi. Delete it, or set existing.namespace`,
                  ]
                : [],
        ),
    ];
    return (await Promise.all(complaints)).flat();
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

/** What settings ask for beside the pods that stay: setting, pod in words, pod. */
function podsOfSettings({ machines, attacks, surface }: Input, image: string) {
    const [node = ""] = Object.keys(machines);
    return [
        ...(attacks ? [["attacks", "privileged pod", attackPod({ node, image }, undefined, "/run")] as const] : []),
        ...(surface ? [["surface", "pod with the profile RuntimeDefault", peerPod({ node, image })] as const] : []),
    ];
}

/** Why the cluster does not take a pod that a setting asks for. Nothing is made to find out. */
async function settingComplaints(
    core: CoreV1Api,
    namespace: string,
    [setting, what, body]: ReturnType<typeof podsOfSettings>[number],
): Promise<string[]> {
    try {
        await core.createNamespacedPod({ namespace, body, dryRun: "All" });
        return [];
    } catch (error) {
        return [
            `no ${what} may be made in ${namespace}, as the setting ${setting} asks for: ${sentence(error)}. Set ${setting} to ` +
                `false, or existing.namespace to a namespace where such pods may run`,
        ];
    }
}

/** Why a pod that shows what pods reach may not be made; undefined if it may. Nothing is made to find out. */
async function refusalOf(core: CoreV1Api, { machines }: Input, namespace: string, image: string, options: PodOptions) {
    const [node = ""] = Object.keys(machines);
    try {
        await core.createNamespacedPod({ namespace, body: reachPod({ node, image }, options), dryRun: "All" });
        return undefined;
    } catch (error) {
        return sentence(error);
    }
}

/** Why the cluster takes no pod on a worker's network, or none where policies are to be proven. */
async function reachComplaints(config: KubeConfig, core: CoreV1Api, input: Input, image: string): Promise<string[]> {
    const { namespace, classes = [], egress = [] } = input;
    // Where sandboxes are mandatory already, a pod of the default runtime is refused; a class that is not there yet, too.
    const { items } = await config.makeApiClient(NodeV1Api).listRuntimeClass();
    const runtimeClass = classes.find((name) => items.some(({ metadata }) => metadata?.name === name));
    const run = "preflight";
    const [onNode, ...inPlaces] = await Promise.all([
        refusalOf(core, input, namespace, image, { run, host: true }),
        ...egress.map((place) => refusalOf(core, input, place, image, { run, runtimeClass })),
    ]);
    const ofNode =
        `no pod on a worker's own network may be made in ${namespace}, as the setting reachable asks for: ${onNode}. Set ` +
        `reachable to false, or existing.namespace to a namespace where such pods may run`;
    return [
        ...(onNode === undefined ? [] : [ofNode]),
        ...inPlaces.flatMap((why, index) =>
            why === undefined
                ? []
                : `no pod may be made in ${egress[index]} that shows whether its policy is enforced, as the setting egress asks ` +
                  `for: ${why}. Make room for it there, or leave egress out`,
        ),
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
    refuse(await nameComplaints(config, core, input));
    if (image !== undefined) {
        const tried = [
            podComplaints(core, input, image),
            ...podsOfSettings(input, image).map((one) => settingComplaints(core, input.namespace, one)),
            ...(input.reachable ? [reachComplaints(config, core, input, image)] : []),
        ];
        refuse((await Promise.all(tried)).flat());
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
