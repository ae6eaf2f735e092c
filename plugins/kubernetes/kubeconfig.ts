import { accessSync } from "node:fs";
import { homedir } from "node:os";
import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";

type Cluster = KubeConfig["clusters"][number];

/** Which context and cluster of a kubeconfig to use instead of its own choice; "": its own. */
interface Overrides {
    context: string;
    cluster: string;
}

function isFile(path: string): boolean {
    try {
        accessSync(path);
        return true;
    } catch {
        return false;
    }
}

/** Loads a kubeconfig from its contents or from the file at that path; "": the ambient one. */
export async function loadKubeconfig(contentsOrPath: string): Promise<KubeConfig> {
    // Loaded when first needed: a plug-in that is only asked for its version, or whose cluster is not known yet, starts faster.
    const { KubeConfig } = await import("@kubernetes/client-node/dist/config.js");
    const config = new KubeConfig();
    const path = contentsOrPath.replace(/^~(?=\/|$)/, homedir());
    if (contentsOrPath === "") {
        config.loadFromDefault();
    } else if (!contentsOrPath.includes("\n") && isFile(path)) {
        config.loadFromFile(path);
    } else {
        config.loadFromString(contentsOrPath);
    }
    return config;
}

/** The cluster that the kubeconfig points at, or undefined. */
export function activeCluster(config: KubeConfig, overrides: Overrides): Cluster | undefined {
    const name = overrides.context || config.currentContext;
    const context = config.contexts?.find((candidate) => candidate.name === name);
    const cluster = overrides.cluster || context?.cluster;
    return config.clusters?.find((candidate) => candidate.name === cluster);
}

/** Makes the overrides the kubeconfig's own choice. Throws when it then points at no cluster. */
export function applyOverrides(config: KubeConfig, overrides: Overrides): Cluster {
    const cluster = activeCluster(config, overrides);
    if (cluster === undefined) {
        throw new Error("invalid configuration: no configuration has been provided, or its context names no cluster");
    }
    const name = overrides.context || config.currentContext;
    config.contexts = config.contexts.map((context) =>
        context.name === name ? { ...context, cluster: cluster.name } : context,
    );
    config.setCurrentContext(name);
    return cluster;
}
