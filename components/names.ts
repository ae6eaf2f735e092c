/** Names that two sides must agree on: each is defined here once. */

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

/**
 * Name of a test pod: the first worker's pods carry the bare names of the lab, those of further workers
 * carry the worker's name too, since all share one namespace.
 */
export function testPodName(key: TestPodKey, worker: string, workers: readonly string[]): string {
    return worker === workers[0] ? key : `${key}-${worker}`;
}
