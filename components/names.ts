/** Names that two sides must agree on: each is defined here once. */

import { createHash } from "node:crypto";

/** Pulumi project name: namespace of the settings and prefix of the component types. */
export const project = "runtime-sandboxes";

/** containerd's runtime handler for gVisor where the settings name no other, as RuntimeClass.handler names it. */
export const defaultHandler = "runsc";

/** Node label that says "this handler is installed and loaded here"; RuntimeClass.scheduling selects it. */
export function handlerLabel(handler: string): string {
    return `${project}/${handler}`;
}

/** Port of the Kubernetes API server. */
export const apiPort = 6443;

/** Pod and Service address ranges of the clusters that the program makes. The pod range is flannel's default. */
export const podRange = "10.244.0.0/16";
export const serviceRange = "10.96.0.0/12";

/** Outputs name the two test pods by these keys on every worker. */
export const testPods = ["test-1", "test-2"] as const;
export type TestPodKey = (typeof testPods)[number];

/** Label of a test pod; its value is the pod's key. */
export const testPodLabel = `${project}/test-pod`;

/**
 * Name of a pod of this stack on a worker. It depends on nothing but the worker's name, so that no other worker's coming
 * or going makes another pod. The worker called worker-1 keeps the bare names of the lab, `test-1` and `test-2`. A name
 * that is no DNS label of at most 63 characters, as a pod's hostname has to be, is shortened by a hash.
 */
export function podName(key: TestPodKey | "limits", worker: string): string {
    if (worker === "worker-1" && key !== "limits") {
        return key;
    }
    const name = `${key}-${worker}`;
    if (/^[a-z0-9-]{1,63}$/.test(name)) {
        return name;
    }
    const hash = createHash("sha256").update(worker).digest("hex").slice(0, 8);
    return `${name.replace(/[^a-z0-9-]/g, "-").slice(0, 54)}-${hash}`;
}

/**
 * Names of the pods that a stack may have on a worker.
 *
 * @param limits whether the pod that tries limits is among them
 */
export function ownPods(worker: string, limits = true): string[] {
    return [...testPods, ...(limits ? (["limits"] as const) : [])].map((key) => podName(key, worker));
}

/**
 * Annotation of a patch of somebody else's object: all runs of a stack apply it under one name. Under a name of its own, as
 * Pulumi would draw it, a run that was cut off would keep a share in the fields that no later run could give up
 * (https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/).
 */
export function patchedBy(stack: string): Record<string, string> {
    return { "pulumi.com/patchFieldManager": `${project}-${stack}` };
}
