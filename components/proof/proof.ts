import * as pulumi from "@pulumi/pulumi";
import type { Cluster, Handler, Step } from "../contracts";
import type { PlainWorker, SandboxedWorker } from "../gvisor/sandboxedWorker";
import { ownPods } from "../names";
import { Attacks } from "./attacks";
import { Canary } from "./canary";
import { IsolationProbe } from "./isolationProbe";
import { LimitsProbe } from "./limitsProbe";
import { provenWorker } from "./provenWorker";
import { type ProvenEgress, Reachable } from "./reachable";
import { Surface } from "./surface";
import { TestPod } from "./testPod";

export interface ProofArgs {
    readonly cluster: Cluster;
    /** Handler of test-2. */
    readonly handler: Handler;
    /** Name of the RuntimeClass of each handler. */
    readonly classes: ReadonlyMap<string, pulumi.Output<string>>;
    readonly image: pulumi.Input<string>;
    /** Whether to show that limits bind, too. */
    readonly limits: boolean;
    /** Whether to try what a sandbox must not let through, in privileged pods. Default: false. */
    readonly attacks?: boolean;
    /** Whether to measure what a sandbox keeps from the kernel, and what it costs. Default: false. */
    readonly surface?: boolean;
    /** Whether to show what pods reach over the network. Default: false. */
    readonly reachable?: boolean;
    /** Policies that are to be proven with it. Default: none. */
    readonly egress?: ProvenEgress;
}

/** A worker with sandboxes, and what has looked at it: `done` is after it is proven. */
export interface ProvenWorker extends SandboxedWorker {
    /** Handler of test-2. */
    readonly handler: Handler;
    readonly probe: IsolationProbe;
    readonly limits: LimitsProbe | undefined;
    readonly attacks: Attacks | undefined;
    readonly surface: Surface | undefined;
    readonly reachable: Reachable | undefined;
    /** NAMESPACE/NAME of the stack's own pods there: they are recreated with another gVisor. */
    readonly ownPods: readonly string[];
}

function classOf({ name }: Handler, classes: ProofArgs["classes"]): pulumi.Output<string> {
    const found = classes.get(name);
    if (found === undefined) {
        throw new Error(`the handler ${name} has no RuntimeClass`);
    }
    return found;
}

/** Whether a worker has sandboxes, and was looked at. */
export function isProven(worker: PlainWorker | ProvenWorker): worker is ProvenWorker {
    return "probe" in worker;
}

/** A pod on either side of a worker's sandbox, and a look from inside. */
export function proof(worker: SandboxedWorker, args: ProofArgs): ProvenWorker {
    const { machine, runtime, node, changes } = worker;
    const { cluster, handler, classes, image } = args;
    const { kubeconfig, namespace, provider, unprivileged } = cluster;
    const { name } = machine;
    const { configSha256, runsc } = runtime.evidence;
    const pod = { nodeName: name, namespace, image, unprivileged, provider, machine: machine.resource };
    const sandboxed = {
        runtimeClassName: classOf(handler, classes),
        // The handler too: a class may keep its name and get another one.
        runtime: pulumi.interpolate`${handler.name} ${runsc} ${configSha256}`,
    };
    const pods = {
        "test-1": new TestPod(`${name}-test-1`, { ...pod, key: "test-1", after: [node.ready] }),
        "test-2": new TestPod(`${name}-test-2`, { ...pod, ...sandboxed, key: "test-2", after: [node.labelled] }),
    };
    const shortLived = {
        machine,
        namespace,
        image,
        kubeconfig,
        changes,
        handlers: worker.handlers.map((one) => ({ ...one, runtimeClass: classOf(one, classes) })),
        after: [node.labelled],
    };
    const canary = new Canary(`${name}-canary`, shortLived);
    const attacks = args.attacks ? new Attacks(`${name}-attacks`, shortLived) : undefined;
    const reachable = args.reachable
        ? new Reachable(`${name}-reachable`, { ...shortLived, egress: args.egress })
        : undefined;
    const probe = new IsolationProbe(`${name}-probe`, {
        machine,
        pods,
        kubeconfig,
        configSha256,
        runsc,
        handler,
        canaries: canary.classes,
        attacks: attacks?.judged,
        reachable: reachable?.judged,
    });
    // Whatever else is at work on the worker would be measured, too. Nobody waits for it but what keeps its processors busy.
    const quiet = [canary.started, ...[attacks, reachable].flatMap((one) => one?.made ?? [])];
    const surface = args.surface
        ? new Surface(`${name}-surface`, { ...shortLived, after: [...shortLived.after, ...quiet] })
        : undefined;
    const limits = args.limits
        ? new LimitsProbe(`${name}-limits`, {
              ...{ machine, pods, namespace, image, unprivileged, provider, ...sandboxed },
              after: [probe, ...(surface ? [surface.made] : [])],
          })
        : undefined;
    let proven: Step | undefined;
    return {
        ...worker,
        done: () => {
            proven ??= provenWorker(name, probe.verdict, [...worker.done(), ...quiet]);
            return [proven];
        },
        handler,
        probe,
        limits,
        attacks,
        surface,
        reachable,
        ownPods: ownPods(name).map((own) => `${namespace}/${own}`),
    };
}
