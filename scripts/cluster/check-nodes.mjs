// Are these machines the nodes that their names say? Reads the cluster, changes nothing.
//
// stdin:  {"kubeconfig": text, "machines": {NAME: MACHINE_ID}}
// stdout: {NAME: {"kubelet", "containerRuntime", "os"}}

import { text } from "node:stream/consumers";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";

/** All reasons why the machines cannot be used. */
function complaints(machines, nodes) {
    const known = [...nodes.keys()].join(", ");
    return Object.entries(machines).flatMap(([name, id]) => {
        const info = nodes.get(name)?.status.nodeInfo;
        if (!info) {
            return [`${name} is no node of this cluster; its nodes are ${known}. Name the worker as its node is named`];
        }
        if (info.machineID !== id) {
            const other = [...nodes].find(([, node]) => node.status.nodeInfo.machineID === id)?.[0];
            return [
                `the machine that ${name} is reached at is ${other ? `the node ${other}` : "another one"}: its machine id ` +
                    `is ${id}, that of the node ${name} is ${info.machineID}. Correct the host of this worker`,
            ];
        }
        return info.containerRuntimeVersion.startsWith("containerd://")
            ? []
            : [`${name} runs its pods with ${info.containerRuntimeVersion}; only containerd is supported`];
    });
}

/** One sentence for what goes wrong with a kubeconfig. */
function reason(error) {
    if (error.code === 401 || error.code === 403) {
        return `the API server refuses it (${error.code}): it has expired, or may not list nodes. Set a new one`;
    }
    return `the API server does not answer: ${error.cause?.message ?? error.message}`;
}

async function main() {
    const { kubeconfig, machines } = JSON.parse(await text(process.stdin));
    const config = new KubeConfig();
    try {
        config.loadFromString(kubeconfig);
    } catch (error) {
        throw new Error(`the kubeconfig cannot be read: ${error.message}`);
    }
    const { items } = await config
        .makeApiClient(CoreV1Api)
        .listNode()
        .catch((error) => {
            throw new Error(`the kubeconfig does not work; ${reason(error)}. Nothing was changed`);
        });
    const nodes = new Map(items.map((node) => [node.metadata.name, node]));
    const found = complaints(machines, nodes);
    if (found.length > 0) {
        throw new Error(`the workers are not what they should be; nothing was changed:\n  - ${found.join("\n  - ")}`);
    }
    const entries = Object.keys(machines).map((name) => {
        const { kubeletVersion, containerRuntimeVersion, osImage } = nodes.get(name).status.nodeInfo;
        return [name, { kubelet: kubeletVersion, containerRuntime: containerRuntimeVersion, os: osImage }];
    });
    process.stdout.write(`${JSON.stringify(Object.fromEntries(entries))}\n`);
}

main().catch((error) => {
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
});
