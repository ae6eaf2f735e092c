import * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../cluster/cluster";
import type { TestPodKey } from "../names";
import type { SandboxedWorker } from "../worker/sandboxedWorker";
import { TestPod } from "../workload/testPod";
import { IsolationProbe } from "./isolationProbe";
import { LimitsProbe } from "./limitsProbe";

export interface ProofArgs {
    readonly cluster: Cluster;
    /** Class of test-2. */
    readonly runtimeClassName: pulumi.Input<string>;
    readonly image: pulumi.Input<string>;
    readonly podNames: Readonly<Record<TestPodKey, string>>;
    /** Whether to show that limits bind, too. */
    readonly limits: boolean;
}

/** A worker with sandboxes, and what has looked at it. */
export interface ProvenWorker extends SandboxedWorker {
    readonly probe: IsolationProbe;
    readonly limits: LimitsProbe | undefined;
    /** NAMESPACE/NAME of the stack's own pods there: another gVisor makes them anew. */
    readonly ownPods: readonly string[];
}

/** A pod on either side of a worker's sandbox, and a look from inside. */
export function proof(worker: SandboxedWorker, args: ProofArgs): ProvenWorker {
    const { machine, handlers, runtime, node } = worker;
    const { cluster, runtimeClassName, image, podNames } = args;
    const { name } = machine;
    const { configSha256, runsc } = runtime.evidence;
    const installed = pulumi.interpolate`${runsc} ${configSha256}`;
    const pod = { nodeName: name, image, provider: cluster.provider, machine: machine.resource };
    const sandboxed = { runtimeClassName, runtime: installed };
    const pods = {
        "test-1": new TestPod(`${name}-test-1`, { ...pod, podName: podNames["test-1"], after: [node.ready] }),
        "test-2": new TestPod(`${name}-test-2`, {
            ...pod,
            ...sandboxed,
            podName: podNames["test-2"],
            after: [node.labelled],
        }),
    };
    const probe = new IsolationProbe(`${name}-probe`, {
        ...{ machine, pods, kubeconfig: cluster.kubeconfig, configSha256, runsc },
        options: handlers[0]?.options ?? {},
    });
    const limits = args.limits
        ? new LimitsProbe(`${name}-limits`, {
              ...{ machine, pods, image, provider: cluster.provider, ...sandboxed },
              after: [probe],
          })
        : undefined;
    const ownPods = [...Object.values(podNames), `limits-${name}`].map((one) => `default/${one}`);
    return { ...worker, probe, limits, ownPods };
}
