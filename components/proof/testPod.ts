import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { podName, project, type TestPodKey, testPodLabel } from "../names";

export interface TestPodArgs {
    readonly key: TestPodKey;
    /** The worker that the pod is pinned to. */
    readonly nodeName: string;
    /** Default: "default". */
    readonly namespace?: string;
    /** Class that the pod runs on; undefined is containerd's default runtime. */
    readonly runtimeClassName?: pulumi.Input<string>;
    readonly image: pulumi.Input<string>;
    /** What runs the pod, in any words: another value makes another pod, so that the pod shows what is installed now. */
    readonly runtime?: pulumi.Input<string>;
    readonly provider: k8s.Provider;
    /** After this the node takes such a pod. */
    readonly after: readonly pulumi.Resource[];
    /** The worker's machine, if the stack makes it: the pod goes away with it. */
    readonly machine?: pulumi.Resource;
}

/** An nginx pod pinned to a worker, to look at the kernel from inside. */
export class TestPod extends pulumi.ComponentResource {
    public readonly pod: k8s.core.v1.Pod;
    public readonly uid: pulumi.Output<string>;

    constructor(name: string, args: TestPodArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:workload:TestPod`, name, {}, opts);
        this.pod = new k8s.core.v1.Pod(
            `${name}-pod`,
            {
                metadata: {
                    name: podName(args.key, args.nodeName),
                    namespace: args.namespace ?? "default",
                    labels: { run: args.key, [testPodLabel]: args.key },
                },
                spec: {
                    nodeName: args.nodeName,
                    runtimeClassName: args.runtimeClassName,
                    // It shows what a node is like, whatever the node's taints keep away.
                    tolerations: [{ operator: "Exists" }],
                    automountServiceAccountToken: false,
                    terminationGracePeriodSeconds: 1,
                    containers: [
                        {
                            name: args.key,
                            image: args.image,
                            imagePullPolicy: "IfNotPresent",
                            ports: [{ containerPort: 80 }],
                            env: args.runtime === undefined ? undefined : [{ name: "RUNTIME", value: args.runtime }],
                        },
                    ],
                },
            },
            {
                parent: this,
                provider: args.provider,
                // A pod that comes to a node without the handler or its label fails and does not heal.
                dependsOn: [...args.after],
                customTimeouts: { create: "3m" },
                // It is pinned to its node: its successor gains nothing from coming first.
                // The API server only takes more of them. Stacks of version 0.1.0 have none.
                replaceOnChanges: ["spec.tolerations"],
                deleteBeforeReplace: true,
                deletedWith: args.machine,
            },
        );
        this.uid = this.pod.metadata.uid;
        this.registerOutputs({});
    }
}
