import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Machine } from "../contracts";
import { podName, project, type TestPodKey } from "../names";
import { documentOf, remoteStep } from "../remoteStep";
import { type OwnPod, pinnedPod, type TestPod } from "./testPod";

/** What the pod may take. RuntimeClass.overhead comes on top, for the pod as a whole. */
const limits = { memory: "128Mi", cpu: "250m" };
/** The scheduler of the kernel is not exact to the millicore; a loop that hardly ran shows nothing. */
const most = 1.15;
const least = 0.3;
/** What a shell shows of SIGKILL. */
const killed = 128 + 9;

/** What a worker says about the limits of a pod; a pod cannot fake it. See scripts/on-machine/probe/limits-host.sh. */
export interface LimitsFacts {
    readonly cpu: {
        /** The limit in force on the pod's control group; null without one. */
        readonly limitMillicores: number | null;
        /** What a process got that took all it could. */
        readonly usedMillicores: number;
    };
    readonly memory: {
        /** The limit in force on the pod's control group; null without one. */
        readonly limitMiB: number | null;
        /** What a process was to take. */
        readonly takenMiB: number;
        /** How often the kernel killed in the pod's control group meanwhile, for want of memory. */
        readonly kills: number;
        /** State of the container after that: "CONTAINER_RUNNING", "CONTAINER_EXITED", "gone"; "untried" without a limit. */
        readonly state: string;
        readonly exitCode: number;
        readonly reason: string;
        /** The last line of what was said when the process failed; empty where it did not. */
        readonly said: string;
    };
    /** Of the two test pods, which do the same. */
    readonly memoryMiB: { readonly plain: number; readonly sandboxed: number };
    readonly idleMillicores: { readonly plain: number; readonly sandboxed: number };
}

/** Whether limits on a sandboxed pod bind, and what a sandbox takes beside its containers. */
export interface Limits {
    readonly memory: { readonly limitMiB?: number; readonly outcome: string; readonly passed: boolean };
    readonly cpu: { readonly limitMillicores?: number; readonly usedMillicores: number; readonly passed: boolean };
    readonly overhead: { readonly memoryMiB: number; readonly cpuMillicores: number };
}

/** Judges what a worker said. Pure. */
export function limitsVerdict({ cpu, memory, memoryMiB, idleMillicores }: LimitsFacts): Limits {
    const { limitMillicores, usedMillicores } = cpu;
    return {
        memory: {
            ...(memory.limitMiB !== null && { limitMiB: memory.limitMiB }),
            outcome: outcomeOf(memory),
            passed: wasKilled(memory),
        },
        cpu: {
            ...(limitMillicores !== null && { limitMillicores }),
            usedMillicores,
            passed:
                limitMillicores !== null &&
                usedMillicores <= limitMillicores * most &&
                usedMillicores > limitMillicores * least,
        },
        overhead: {
            memoryMiB: Math.max(0, memoryMiB.sandboxed - memoryMiB.plain),
            cpuMillicores: Math.max(0, idleMillicores.sandboxed - idleMillicores.plain),
        },
    };
}

/** Kubernetes is not always told why a sandbox was killed, but the kernel knows: https://github.com/google/gvisor/issues/2433 */
function wasKilled({ state, reason, exitCode, kills }: LimitsFacts["memory"]): boolean {
    const ended = state === "CONTAINER_EXITED" || state === "gone";
    return ended && (reason === "OOMKilled" || exitCode === killed || kills > 0);
}

function outcomeOf(memory: LimitsFacts["memory"]): string {
    const { limitMiB, takenMiB, kills, state, exitCode, reason, said } = memory;
    const tail = said === "" ? "" : `; last line: ${said}`;
    if (limitMiB === null) {
        return "not tried: no memory limit is in force on the pod's control group";
    }
    if (wasKilled(memory)) {
        return reason === "OOMKilled" ? reason : `killed (exit code ${exitCode}, ${kills} kills by the kernel)`;
    }
    switch (state) {
        case "untried":
            return `not tried: the limit in force is not below ${takenMiB} MiB`;
        case "CONTAINER_RUNNING":
            return said === ""
                ? `a process took ${takenMiB} MiB and was not killed`
                : `a process that takes ${takenMiB} MiB failed, the container runs on${tail}`;
        case "CONTAINER_EXITED":
            return `ended with exit code ${exitCode} (${reason || "no reason"})${tail}`;
        default:
            return `the container is ${state}${tail}`;
    }
}

export interface LimitsProbeArgs {
    readonly machine: Machine;
    /** Class of the sandboxed pod. */
    readonly runtimeClassName: pulumi.Input<string>;
    /** Default: "default". */
    readonly namespace?: string;
    readonly image: pulumi.Input<string>;
    /** Whether its pod goes without any rights. Default: false. */
    readonly unprivileged?: boolean;
    /** Both test pods: their difference is what a sandbox takes. */
    readonly pods: Readonly<Record<TestPodKey, TestPod>>;
    /** What runs the pod, in any words: another value makes another pod, and everything is tried again. */
    readonly runtime: pulumi.Input<string>;
    readonly provider: k8s.Provider;
    /** After this the node takes sandboxed pods, and nobody else is at work in the test pods. */
    readonly after: readonly pulumi.Resource[];
}

/** What the pod has of its own that tries them. */
export const limitsPod = (nodeName: string): OwnPod => ({
    name: podName("limits", nodeName),
    labels: { run: "limits" },
    terminationGracePeriodSeconds: 0,
    container: {
        name: "limits",
        command: ["sleep", "infinity"],
        // It idles: a worker in use is not asked to keep this much free for it.
        resources: { limits, requests: { memory: "16Mi", cpu: "1m" } },
    },
});

/**
 * Shows on a worker that the limits of a sandboxed pod bind, and measures what a sandbox takes. The pod idles between the
 * trials: so a trial that was cut off, or is to be made once more because something else changed, finds what it needs.
 */
export class LimitsProbe extends pulumi.ComponentResource {
    public readonly limits: pulumi.Output<Limits>;

    constructor(name: string, args: LimitsProbeArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:probe:LimitsProbe`, name, {}, opts);
        const { machine, runtimeClassName, namespace, image, unprivileged, pods, runtime, provider, after } = args;
        const pod = pinnedPod(
            `${name}-pod`,
            {
                nodeName: machine.name,
                namespace,
                runtimeClassName,
                image,
                unprivileged,
                runtime,
                provider,
                after,
                machine: machine.resource,
            },
            limitsPod(machine.name),
            this,
        );
        const trial = remoteStep(
            `${name}-host`,
            {
                machine,
                library: ["gvisor/node.sh", "probe/groups.sh"],
                script: "probe/limits-host.sh",
                values: {
                    POD: pod.metadata.uid,
                    PLAIN: pods["test-1"].uid,
                    SANDBOXED: pods["test-2"].uid,
                    RUNTIME: runtime,
                },
            },
            { parent: this },
        );
        this.limits = documentOf<LimitsFacts>(trial).apply(limitsVerdict);
        this.registerOutputs({});
    }
}
