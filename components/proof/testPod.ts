import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Target } from "../contracts";
import { podName, project, type TestPodKey, testPodLabel } from "../names";
import { imageReference, versions } from "../versions";

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

/** Image of the stack's pods, from where the target's machines take theirs. */
export function testPodImage({ sources, sourcesKind }: Pick<Target, "sources" | "sourcesKind">): pulumi.Output<string> {
    return pulumi.output(sourcesKind ?? sources.kind).apply((kind) => imageReference(versions.nginx.image, kind));
}

/** What one pod of the stack has beside what all of them have. */
interface OwnPod {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly terminationGracePeriodSeconds: number;
    readonly container: Omit<k8s.types.input.core.v1.Container, "image" | "env">;
}

/** A pod of the stack's own on a worker, whatever the node's taints keep away. */
export function pinnedPod(
    name: string,
    { nodeName, namespace = "default", runtimeClassName, image, runtime, ...args }: Omit<TestPodArgs, "key">,
    { container, labels, terminationGracePeriodSeconds, name: podsName }: OwnPod,
    parent: pulumi.Resource,
): k8s.core.v1.Pod {
    return new k8s.core.v1.Pod(
        name,
        {
            metadata: { name: podsName, namespace, labels },
            spec: {
                nodeName,
                runtimeClassName,
                tolerations: [{ operator: "Exists" }],
                automountServiceAccountToken: false,
                terminationGracePeriodSeconds,
                containers: [
                    {
                        ...container,
                        image,
                        imagePullPolicy: "IfNotPresent",
                        env: runtime === undefined ? undefined : [{ name: "RUNTIME", value: runtime }],
                    },
                ],
            },
        },
        {
            parent,
            provider: args.provider,
            // A pod that comes to a node without the handler or its label fails and does not heal.
            dependsOn: [...args.after],
            customTimeouts: { create: "3m" },
            // The API server only takes more of them. Stacks of version 0.1.0 have none.
            replaceOnChanges: ["spec.tolerations"],
            // It is pinned to its node: its successor gains nothing from coming first.
            deleteBeforeReplace: true,
            deletedWith: args.machine,
        },
    );
}

/** An nginx pod pinned to a worker, to look at the kernel from inside. */
export class TestPod extends pulumi.ComponentResource {
    public readonly pod: k8s.core.v1.Pod;
    public readonly uid: pulumi.Output<string>;

    constructor(name: string, args: TestPodArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:workload:TestPod`, name, {}, opts);
        const { key, ...pod } = args;
        const own = {
            name: podName(key, args.nodeName),
            labels: { run: key, [testPodLabel]: key },
            terminationGracePeriodSeconds: 1,
            container: { name: key, ports: [{ containerPort: 80 }] },
        };
        this.pod = pinnedPod(`${name}-pod`, pod, own, this);
        this.uid = this.pod.metadata.uid;
        this.registerOutputs({});
    }
}
