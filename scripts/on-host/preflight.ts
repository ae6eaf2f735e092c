// @ts-nocheck
// May this stack do with this cluster what it is going to do? All reasons against it at once, before anything is changed: the
// machines have to be the nodes that their names say, the kubeconfig needs the rights, what is to be made must not be there
// already, and a pod of the default runtime has to start on each worker now.
//
// stdin:  {"kubeconfig": text, "machines": {NAME: MACHINE_ID}, "namespace", and, where pods are to be made: "image",
//         "pods": [their names], "classes": [names of RuntimeClasses], "drain": bool, "policies": bool, "attacks": bool}
// stdout: {NAME: {"kubelet", "containerRuntime", "os"}}

import { AuthorizationV1Api, KubeConfig, NodeV1Api } from "@kubernetes/client-node";
import { coreOf, sentence } from "./api.ts";
import { attackPod } from "./attacks.ts";
import { tryPod } from "./canary.ts";

/** Why the machines are not the nodes that they should be. */
function nodeComplaints(machines, nodes) {
    const known = [...nodes.keys()].join(", ");
    return Object.entries(machines).flatMap(([name, id]) => {
        const { nodeInfo: info, conditions = [] } = nodes.get(name)?.status ?? {};
        if (!info) {
            return [`${name} is no node of this cluster; its nodes are ${known}. Name the worker as its node is named`];
        }
        if (info.machineID !== id) {
            const others = [...nodes].filter(([, node]) => node.status.nodeInfo.machineID === id).map(([one]) => one);
            return [
                `the machine that ${name} is reached at is ${others.length > 0 ? `the node ${others.join(", ")}` : "another one"}: its machine id ` +
                    `is ${id}, that of the node ${name} is ${info.machineID}. Correct the host of this worker`,
            ];
        }
        const twins = Object.keys(machines).filter((other) => nodes.get(other)?.status.nodeInfo.machineID === id);
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

/** What the stack does in the cluster, as [verb, resource, group]; what concerns its own pods in their namespace. */
const nodeRights = [
    ["get", "nodes"],
    ["patch", "nodes"],
];
const drainRights = [
    ["list", "pods"],
    ["create", "pods/eviction"],
];
/** To look whether the namespace is there, and for test pods wherever they are. */
const lookRights = [
    ["get", "namespaces"],
    ["list", "pods"],
];
const policyRights = [
    ...["get", "create", "patch", "delete"].flatMap((verb) =>
        ["validatingadmissionpolicies", "validatingadmissionpolicybindings"].map((resource) => [
            ...[verb, resource, "admissionregistration.k8s.io"],
        ]),
    ),
    ...["create", "patch", "delete"].map((verb) => [verb, "namespaces"]),
];
const classRights = ["get", "create", "patch", "delete"].map((verb) => [verb, "runtimeclasses", "node.k8s.io"]);
const podRights = [
    ...["get", "list", "watch", "create", "patch", "delete"].map((verb) => [verb, "pods"]),
    // A WebSocket begins with GET; newer API servers want the right to create as well (KEP-4006).
    ...["get", "create"].map((verb) => [verb, "pods/exec"]),
    ["list", "events"],
];

/** Rights that the kubeconfig lacks. */
async function rightComplaints(config, { namespace, pods, drain, policies }) {
    const api = config.makeApiClient(AuthorizationV1Api);
    const wanted = [
        ...[
            ...nodeRights,
            ...(drain ? drainRights : []),
            ...(policies ? policyRights : []),
            ...(pods ? [...lookRights, ...classRights] : []),
        ],
        ...(pods ? podRights : []).map(([verb, resource, group]) => [verb, resource, group, namespace]),
    ];
    const denied = await Promise.all(
        wanted.map(async ([verb, full, group = "", within]) => {
            const [resource, subresource] = full.split("/");
            const resourceAttributes = { verb, group, resource, subresource, namespace: within };
            const body = {
                apiVersion: "authorization.k8s.io/v1",
                kind: "SelfSubjectAccessReview",
                spec: { resourceAttributes },
            };
            const { status } = await api.createSelfSubjectAccessReview({ body });
            return status.allowed ? [] : [`${verb} ${full}${within ? ` in ${within}` : ""}`];
        }),
    );
    const lacking = [...new Set(denied.flat())];
    return lacking.length === 0 ? [] : [`the kubeconfig may not ${lacking.join(", ")}. Set one that may`];
}

/** Somebody else's objects that stand where the stack's are to be: Pulumi would refuse to make those. */
async function nameComplaints(config, core, { namespace, pods = [], classes = [] }) {
    const found = async (read) =>
        await read().catch((error) => {
            if (error.code === 404) return undefined;
            throw error;
        });
    if (pods.length > 0 && (await found(() => core.readNamespace({ name: namespace }))) === undefined) {
        return [
            `the namespace ${namespace} is not in the cluster. Make it (kubectl create namespace ${namespace}), or set ` +
                `existing.namespace to another one`,
        ];
    }
    // Its plug-in applies as a field manager of that name.
    const isTheirs = (object) =>
        object !== undefined &&
        !(object.metadata.managedFields ?? []).some(({ manager }) => manager?.startsWith("pulumi-kubernetes"));
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
async function podComplaints(core, { machines, namespace, image }) {
    const workers = new Map();
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

/** Why the cluster takes no privileged pods, which the attempts to leave a sandbox are made in. Nothing is made to find out. */
async function attackComplaints(core, { machines, namespace, image }) {
    const [node] = Object.keys(machines);
    try {
        const body = attackPod({ node, image }, undefined, "/run");
        await core.createNamespacedPod({ namespace, body, dryRun: "All" });
        return [];
    } catch (error) {
        return [
            `no privileged pod may be made in ${namespace}, as the setting attacks asks for: ${sentence(error)}. Set attacks to ` +
                `false, or existing.namespace to a namespace where such pods may run`,
        ];
    }
}

/** One sentence for what goes wrong with a kubeconfig. */
function reason(error) {
    if (error.code === 401 || error.code === 403) {
        return `the API server refuses it (${error.code}): it has expired, or may not list nodes. Set a new one`;
    }
    return `the API server does not answer: ${sentence(error)}`;
}

function refuse(complaints) {
    if (complaints.length > 0) {
        throw new Error(
            `the cluster is not as this stack needs it; nothing was changed:\n${complaints.map((one) => `  - ${one}`).join("\n")}`,
        );
    }
}

/** @returns what each worker runs, by its name */
export async function main(input) {
    const { kubeconfig, machines, image } = input;
    const config = new KubeConfig();
    try {
        config.loadFromString(kubeconfig);
    } catch (error) {
        throw new Error(`the kubeconfig cannot be read: ${error.message}`);
    }
    const core = coreOf(kubeconfig);
    const { items } = await core.listNode().catch((error) => {
        throw new Error(`the kubeconfig does not work; ${reason(error)}. Nothing was changed`);
    });
    const nodes = new Map(items.map((node) => [node.metadata.name, node]));
    refuse([...nodeComplaints(machines, nodes), ...(await rightComplaints(config, input))]);
    refuse(await nameComplaints(config, core, input));
    if (image !== undefined) {
        const tried = [podComplaints(core, input), input.attacks ? attackComplaints(core, input) : []];
        refuse((await Promise.all(tried)).flat());
    }
    const entries = Object.keys(machines).map((name) => {
        const { kubeletVersion, containerRuntimeVersion, osImage } = nodes.get(name).status.nodeInfo;
        return [name, { kubelet: kubeletVersion, containerRuntime: containerRuntimeVersion, os: osImage }];
    });
    return Object.fromEntries(entries);
}
