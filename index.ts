import * as pulumi from "@pulumi/pulumi";
import { createCluster } from "./components/cluster/cluster";
import { testPodName } from "./components/names";
import { byWorker, dmesgOf, limitsOf, unameOf, workerOf } from "./components/outputs";
import { IsolationProbe } from "./components/probe/isolationProbe";
import { LimitsProbe } from "./components/probe/limitsProbe";
import { SandboxRuntime } from "./components/sandbox/sandboxRuntime";
import { createTarget } from "./components/targets/target";
import { versions } from "./components/versions";
import { SandboxNode } from "./components/worker/sandboxNode";
import { SandboxClass } from "./components/workload/sandboxClass";
import { TestPod } from "./components/workload/testPod";
import { allHandlers, atOnce, gvisorArchive, handlersOf, loadSettings, nodeSettingsOf, taintsOf } from "./config";

const settings = loadSettings();

// Machines, where they install from, and the cluster whose nodes they are.
const target = createTarget(settings);
const cluster = createCluster("cluster", target);
const { provider, kubeconfig: admin } = cluster;

// The classes that pods ask for, by handler; test-2 asks for that of its worker's first one.
const classes = new Map(
    allHandlers(settings).map((handler, index) => [
        handler.name,
        new SandboxClass(index === 0 ? "sandbox" : `sandbox-${handler.name}`, {
            handler,
            overhead: settings.overhead,
            taints: taintsOf(settings, handler.name),
            provider,
            after: cluster.verified,
            cluster: cluster.resource,
        }).runtimeClass.metadata.name,
    ]),
);

// Each worker, as many at once as may be: gVisor beside its containerd, into the cluster, a pod on either side, and a look from inside.
const changed: pulumi.Resource[] = [];
const all = target.workers.map((machine) => {
    const { name } = machine;
    const handlers = handlersOf(settings, name);
    const earlier = changed[changed.length - atOnce(settings)];
    if (handlers.length === 0) {
        cluster.join(machine, cluster.prepare(machine));
        return [];
    }
    const after = [...cluster.prepare(machine), ...(earlier ? [earlier] : [])];
    const runtime = new SandboxRuntime(`${name}-runtime`, {
        machine,
        sources: target.gvisorSources,
        handlers,
        release: settings.gvisorVersion,
        archive: gvisorArchive(settings),
        after,
    });
    const { configSha256, runsc } = runtime.evidence;
    const node = new SandboxNode(name, {
        machine,
        handlers,
        settings: nodeSettingsOf(settings, name),
        provider,
        after: cluster.join(machine, [runtime.installed]),
        configSha256,
    });
    changed.push(node.labelled);

    const runtimeClassName = classes.get(handlers[0]?.name ?? "") ?? "";
    const installed = pulumi.interpolate`${runsc} ${configSha256}`;
    const pod = { nodeName: name, image: versions.nginx.image, provider, machine: machine.resource };
    const podName = (key: "test-1" | "test-2") => testPodName(key, name, settings.workers);
    const pods = {
        "test-1": new TestPod(`${name}-test-1`, { ...pod, podName: podName("test-1"), after: [node.ready] }),
        "test-2": new TestPod(`${name}-test-2`, {
            ...pod,
            podName: podName("test-2"),
            runtimeClassName,
            runtime: installed,
            after: [node.labelled],
        }),
    };
    const options = handlers[0]?.options ?? {};
    const probe = new IsolationProbe(`${name}-probe`, {
        machine,
        pods,
        kubeconfig: admin,
        configSha256,
        options,
        runsc,
    });
    const limits = settings.limits
        ? new LimitsProbe(`${name}-limits`, {
              ...pod,
              machine,
              pods,
              runtimeClassName,
              runtime: installed,
              after: [probe],
          })
        : undefined;
    return [{ machine, handlers, runtime, node, probe, limits }];
});
const proven = all.flat();

/** Name of the RuntimeClass that puts a pod behind gVisor. */
export const runtimeClass = [...classes.values()][0];
/** By worker: the kernel (`uname -r`) that the worker itself and its two test pods see. */
export const uname = byWorker(proven, unameOf);
/** By worker: what `dmesg` prints in its two test pods. */
export const dmesg = byWorker(proven, dmesgOf);
/** By worker: whether the sandbox is proven, and each check with what was seen. */
export const isolation = byWorker(proven, ({ probe }) => probe.verdict);
/** By worker: address and versions, what was found there, and what is declared, loaded and serving. */
export const workers = byWorker(proven, workerOf);
/** By worker, with the setting `limits`: whether limits of sandboxed pods bind, and what a sandbox takes. */
export const limits = settings.limits ? byWorker(proven, limitsOf) : undefined;
/** RuntimeClass by runtime handler. */
export const handlers = Object.fromEntries(classes);
/** Administrator's kubeconfig of the cluster (secret). */
export const kubeconfig = pulumi.secret(admin);
