// What the API server says of pods, namespaces and classes.
import type { KubeConfig, V1Namespace, V1Pod, V1RuntimeClass } from "@kubernetes/client-node";
import { get } from "../apiServer.ts";

/** Objects that the API server is asked for at once: of a large cluster all are too many for one answer. */
const page = 500;

/** A pod as the API server has it. */
export interface ClusterPod {
    readonly uid: string;
    /** Of the file that it comes from: kubelet knows a static pod by this, not by its uid. */
    readonly hash?: string;
    readonly namespace: string;
    readonly name: string;
    readonly node?: string;
    readonly runtimeClass?: string;
    readonly phase?: string;
    readonly leaving: boolean;
}

export interface Cluster {
    readonly pods: readonly ClusterPod[];
    readonly namespaces: readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[];
    readonly classes: readonly { readonly name: string; readonly handler: string }[];
}

interface Page<T> {
    readonly items: readonly T[];
    readonly metadata?: { readonly continue?: string };
}

/** All of a list, page by page. */
async function listed<T>(config: KubeConfig, path: string, query: Readonly<Record<string, string>> = {}): Promise<T[]> {
    const items: T[] = [];
    let next = "";
    do {
        const parameters = new URLSearchParams({ limit: String(page), ...query, ...(next && { continue: next }) });
        const answer = await get<Page<T>>(config, `${path}?${parameters}`);
        items.push(...answer.items);
        next = answer.metadata?.continue ?? "";
    } while (next !== "");
    return items;
}

function podOf({ metadata = {}, spec, status }: V1Pod): ClusterPod {
    const { uid = "", namespace = "", name = "", annotations = {}, deletionTimestamp } = metadata;
    // The API server has a static pod as an object that stands for it:
    // https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/types/pod_update.go
    const isStatic = annotations["kubernetes.io/config.mirror"] !== undefined;
    return {
        ...{ uid, namespace, name, node: spec?.nodeName, runtimeClass: spec?.runtimeClassName, phase: status?.phase },
        leaving: deletionTimestamp !== undefined,
        hash: isStatic ? annotations["kubernetes.io/config.hash"] : undefined,
    };
}

/** @param selector of pods' labels; empty for all */
export async function askCluster(config: KubeConfig, selector: string): Promise<Cluster> {
    const [pods, namespaces, classes] = await Promise.all([
        listed<V1Pod>(config, "/api/v1/pods", selector === "" ? {} : { labelSelector: selector }),
        listed<V1Namespace>(config, "/api/v1/namespaces"),
        listed<V1RuntimeClass>(config, "/apis/node.k8s.io/v1/runtimeclasses"),
    ]);
    return {
        pods: pods.map(podOf),
        namespaces: namespaces.map(({ metadata }) => ({ name: metadata?.name ?? "", labels: metadata?.labels ?? {} })),
        classes: classes.map(({ metadata, handler }) => ({ name: metadata?.name ?? "", handler })),
    };
}
