/** Pods for a namespace in which sandboxes are mandatory: one that complies, and one for each thing that is refused. */

interface PolicyPodOptions {
    readonly namespace: string;
    /** A class that is a sandbox, and one that is there but is none. */
    readonly sandboxClass: string;
    readonly plainClass: string;
    readonly image: string;
}

export interface Manifest {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace: string };
    readonly spec: object;
}

interface RefusedPod {
    readonly what: string;
    readonly manifest: Manifest;
    /** Parts of the policy's message. */
    readonly messages: readonly string[];
    /** True where the level "restricted" refuses the pod too, and before the policy does. */
    readonly restricted: boolean;
}

interface PodSpec {
    readonly containers: readonly object[];
    readonly [field: string]: unknown;
}

/** The spec of a pod that complies, with the level "restricted" too. */
function complyingSpec({ sandboxClass, image }: PolicyPodOptions): PodSpec {
    return {
        runtimeClassName: sandboxClass,
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 1,
        securityContext: { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
            {
                name: "main",
                image,
                imagePullPolicy: "IfNotPresent",
                command: ["sleep", "infinity"],
                securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
            },
        ],
        volumes: [{ name: "scratch", emptyDir: {} }],
    };
}

function named(options: PolicyPodOptions, name: string, spec: object): Manifest {
    return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: options.namespace }, spec };
}

export function complyingPod(options: PolicyPodOptions, name = "complies"): Manifest {
    return named(options, name, complyingSpec(options));
}

/** A pod for each rule of the policy, which breaks that one. */
export function refusedPods(options: PolicyPodOptions): readonly RefusedPod[] {
    const good = complyingSpec(options);
    const [main] = good.containers;
    const privileged = { name: "helper", image: options.image, securityContext: { privileged: true } };
    const token = { serviceAccountToken: { path: "token" } };
    const write = `write "${options.sandboxClass}"`;

    const cases: readonly [string, object, readonly string[], restricted?: true][] = [
        ["no class", { runtimeClassName: undefined }, [`spec.runtimeClassName is not set: ${write}`]],
        [
            "a class that is no sandbox",
            { runtimeClassName: options.plainClass },
            [`spec.runtimeClassName is "${options.plainClass}": ${write}`],
        ],
        ["hostNetwork", { hostNetwork: true }, ["spec.hostNetwork is true: leave it out"], true],
        ["hostPID", { hostPID: true }, ["spec.hostPID is true: leave it out"], true],
        ["hostIPC", { hostIPC: true }, ["spec.hostIPC is true: leave it out"], true],
        [
            "a path of the host",
            { volumes: [{ name: "etc", hostPath: { path: "/etc" } }] },
            ["spec.volumes[etc].hostPath is set: write emptyDir, configMap, secret or persistentVolumeClaim"],
            true,
        ],
        [
            "a privileged container",
            { containers: [main, privileged] },
            ["spec.containers[helper].securityContext.privileged is true: leave it out"],
            true,
        ],
        [
            "a privileged init container",
            { initContainers: [privileged] },
            ["spec.initContainers[helper].securityContext.privileged is true: leave it out"],
            true,
        ],
        [
            "a token that is mounted unless somebody says no",
            { automountServiceAccountToken: undefined },
            ["spec.automountServiceAccountToken is not false: write automountServiceAccountToken: false"],
        ],
        [
            "a token that is mounted on demand",
            { automountServiceAccountToken: true },
            ["spec.automountServiceAccountToken is not false: write automountServiceAccountToken: false"],
        ],
        [
            "a token in a projected volume",
            { volumes: [{ name: "api", projected: { sources: [token] } }] },
            ["spec.volumes[api].projected has a token of the API server: leave serviceAccountToken"],
        ],
        [
            "several things at once",
            { runtimeClassName: undefined, hostPID: true, automountServiceAccountToken: true },
            [
                "spec.runtimeClassName is not set",
                "spec.hostPID is true",
                "spec.automountServiceAccountToken is not false",
            ],
            true,
        ],
    ];
    return cases.map(([what, change, messages, restricted = false], index) => ({
        what,
        manifest: named(options, `refused-${index + 1}`, { ...good, ...change }),
        messages,
        restricted,
    }));
}

/** What makes pods without a class, each with the path that the message names. */
export function refusedWorkloads(options: PolicyPodOptions): readonly { manifest: Manifest; path: string }[] {
    const labels = { app: "workload" };
    const spec = { ...complyingSpec(options), runtimeClassName: undefined };
    const template = { metadata: { labels }, spec };
    const selector = { matchLabels: labels };
    const once = { template: { spec: { ...spec, restartPolicy: "Never" } } };
    const workloads: readonly [string, string, object][] = [
        ["apps/v1", "DaemonSet", { selector, template }],
        ["apps/v1", "Deployment", { selector, template }],
        ["apps/v1", "ReplicaSet", { selector, template }],
        ["apps/v1", "StatefulSet", { selector, template, serviceName: "workload" }],
        ["batch/v1", "CronJob", { schedule: "0 0 * * *", jobTemplate: { spec: once } }],
        ["batch/v1", "Job", once],
        ["v1", "ReplicationController", { selector: labels, template }],
    ];
    return workloads.map(([apiVersion, kind, workload]) => ({
        manifest: {
            apiVersion,
            kind,
            metadata: { name: `refused-${kind.toLowerCase()}`, namespace: options.namespace },
            spec: workload,
        },
        path: kind === "CronJob" ? "spec.jobTemplate.spec.template.spec" : "spec.template.spec",
    }));
}
