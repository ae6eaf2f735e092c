import * as pulumi from "@pulumi/pulumi";
import { ControlPlane } from "./components/cluster/controlPlane";
import { NodePreparation } from "./components/cluster/node";
import { testPodName } from "./components/names";
import { byWorker } from "./components/outputs";
import { IsolationProbe } from "./components/probe/isolationProbe";
import { SandboxRuntime } from "./components/sandbox/sandboxRuntime";
import { createTarget } from "./components/targets/target";
import { versions } from "./components/versions";
import { Worker } from "./components/worker/worker";
import { SandboxClass } from "./components/workload/sandboxClass";
import { TestPod } from "./components/workload/testPod";
import { loadSettings } from "./config";

const settings = loadSettings();

// Machines, and where they install from.
const target = createTarget(settings);
const { sources } = target;

// A control plane on a machine of its own, and the class that pods ask for.
const controlPlane = new ControlPlane("cluster", {
    machine: target.controlPlane,
    sources,
    clusterIdentifier: `${pulumi.getProject()}-${pulumi.getStack()}`,
});
const { provider, kubeconfig: admin } = controlPlane;
const sandboxClass = new SandboxClass("sandbox", {
    className: settings.runtimeClass,
    provider,
    cluster: target.controlPlane.resource,
});

// Each worker: containerd and kubelet, gVisor, into the cluster, a pod on either side, and a look from inside.
const workers = target.workers.map((machine) => {
    const { name } = machine;
    const node = new NodePreparation(`${name}-node`, {
        machine,
        role: "worker",
        sources,
        controlPlane: target.controlPlane,
    });
    const runtime = new SandboxRuntime(`${name}-runtime`, {
        machine,
        sources,
        platform: settings.gvisorPlatform,
        after: [node.prepared],
    });
    const { configSha256, runsc } = runtime.evidence;
    const worker = new Worker(name, { machine, controlPlane, after: [runtime.installed], configSha256 });

    const pod = { nodeName: name, image: versions.nginx.image, provider, machine: machine.resource };
    const test1 = testPodName("test-1", name, settings.workers);
    const test2 = testPodName("test-2", name, settings.workers);
    const pods = {
        "test-1": new TestPod(`${name}-test-1`, { ...pod, podName: test1, after: [worker.ready] }),
        "test-2": new TestPod(`${name}-test-2`, {
            ...pod,
            podName: test2,
            runtimeClassName: sandboxClass.runtimeClass.metadata.name,
            runtime: pulumi.interpolate`${runsc} ${configSha256}`,
            after: [worker.labelled],
        }),
    };
    const probe = new IsolationProbe(`${name}-probe`, { machine, pods, kubeconfig: admin, configSha256, runsc });
    return { machine, runtime, worker, probe };
});

/** Name of the RuntimeClass that puts a pod behind gVisor. */
export const runtimeClass = sandboxClass.runtimeClass.metadata.name;
/** By worker: the kernel (`uname -r`) that the worker itself and its two test pods see. */
export const uname = byWorker(workers, ({ probe }) =>
    probe.facts.apply(({ host, pods }) => ({
        worker: host.kernel,
        "test-1": pods["test-1"].kernel,
        "test-2": pods["test-2"].kernel,
    })),
);
/** By worker: what `dmesg` prints in its two test pods. */
export const dmesg = byWorker(workers, ({ probe }) =>
    probe.facts.apply(({ pods }) => ({ "test-1": pods["test-1"].dmesg, "test-2": pods["test-2"].dmesg })),
);
/** By worker: whether the sandbox is proven, and each check with what was seen. */
export const isolation = byWorker(workers, ({ probe }) => probe.verdict);
/** By worker: address and versions, the handlers that its node lists, and the hash of the handler's configuration. */
const evidence = byWorker(workers, ({ machine, runtime, worker }) =>
    pulumi
        .all([machine.address, runtime.evidence, worker.handlers])
        .apply(([address, found, handlers]) => ({ address, ...found, handlers })),
);
/** Administrator's kubeconfig of the cluster (secret). */
export const kubeconfig = pulumi.secret(admin);
export { evidence as workers };
