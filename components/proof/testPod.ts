import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Target } from "../contracts";
import { podName, project, type TestPodKey, testPodLabel } from "../names";
import { containerContext, podContext, resources, scratch } from "../unprivileged.cjs";
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
    /** Whether it goes without any rights, so that every namespace takes it. Default: false, as in stacks of version 0.1.0. */
    readonly unprivileged?: boolean;
    readonly provider: k8s.Provider;
    /** After this the node takes such a pod. */
    readonly after: readonly pulumi.Resource[];
    /** The worker's machine, if the stack makes it: the pod goes away with it. */
    readonly machine?: pulumi.Resource;
}

/** Where a pod is, and what it is made of. */
type PodPlace = Omit<TestPodArgs, "key" | "provider" | "after" | "machine">;

/** Image of the stack's pods, from where the target's machines take theirs. */
export function testPodImage({ sources, sourcesKind }: Pick<Target, "sources" | "sourcesKind">): pulumi.Output<string> {
    return pulumi.output(sourcesKind ?? sources.kind).apply((kind) => imageReference(versions.nginx.image, kind));
}

/** What one pod of the stack has beside what all of them have. */
export interface OwnPod {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly terminationGracePeriodSeconds: number;
    readonly container: Omit<k8s.types.input.core.v1.Container, "image" | "env">;
}

/** A pod of the stack's own on a worker, whatever the node's taints keep away, as the API server gets it. */
export function podManifest(
    { nodeName, namespace = "default", runtimeClassName, image, runtime, unprivileged = false }: PodPlace,
    { container, labels, terminationGracePeriodSeconds, name }: OwnPod,
) {
    return {
        metadata: { name, namespace, labels },
        spec: {
            nodeName,
            runtimeClassName,
            tolerations: [{ operator: "Exists" }],
            automountServiceAccountToken: false,
            terminationGracePeriodSeconds,
            ...(unprivileged && { securityContext: podContext, volumes: [scratch.volume] }),
            containers: [
                {
                    ...(unprivileged && {
                        securityContext: containerContext,
                        volumeMounts: [scratch.mount],
                        resources,
                    }),
                    ...container,
                    image,
                    imagePullPolicy: "IfNotPresent",
                    env: runtime === undefined ? undefined : [{ name: "RUNTIME", value: runtime }],
                },
            ],
        },
    };
}

/** Makes such a pod. */
export function pinnedPod(
    name: string,
    args: Omit<TestPodArgs, "key">,
    own: OwnPod,
    parent: pulumi.Resource,
): k8s.core.v1.Pod {
    return new k8s.core.v1.Pod(name, podManifest(args, own), {
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
    });
}

const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((of) => `${of}_temp_path /tmp/${of};`);
const unprivilegedNginx = [
    `echo 'pid /tmp/nginx.pid; events {} http { ${temporary.join(" ")} access_log off;`,
    "server { listen 8080; root /usr/share/nginx/html; } }' >/tmp/nginx.conf &&",
    "exec nginx -e stderr -c /tmp/nginx.conf -g 'daemon off;'",
].join(" ");

/** What a test pod has of its own. */
export const testPod = (
    key: TestPodKey,
    { nodeName, unprivileged }: Pick<PodPlace, "nodeName" | "unprivileged">,
): OwnPod => ({
    name: podName(key, nodeName),
    labels: { run: key, [testPodLabel]: key },
    terminationGracePeriodSeconds: 1,
    container: {
        name: key,
        // A port below 1024 would take a right, as would the places where nginx keeps its files.
        ...(unprivileged
            ? { command: ["sh", "-c", unprivilegedNginx], ports: [{ containerPort: 8080 }] }
            : { ports: [{ containerPort: 80 }] }),
    },
});

/** An nginx pod pinned to a worker, to look at the kernel from inside. */
export class TestPod extends pulumi.ComponentResource {
    public readonly pod: k8s.core.v1.Pod;
    public readonly uid: pulumi.Output<string>;

    constructor(name: string, args: TestPodArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:workload:TestPod`, name, {}, opts);
        const { key, ...pod } = args;
        this.pod = pinnedPod(`${name}-pod`, pod, testPod(key, args), this);
        this.uid = this.pod.metadata.uid;
        this.registerOutputs({});
    }
}
