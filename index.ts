import "./components/quietSdk";
import * as pulumi from "@pulumi/pulumi";
import { EgressPolicy } from "./components/admission/egressPolicy";
import { SandboxPolicy } from "./components/admission/sandboxPolicy";
import { createCluster } from "./components/cluster/createCluster";
import { Examination } from "./components/gvisor/examination";
import { SandboxClass } from "./components/gvisor/sandboxClass";
import { plainWorker, sandboxedWorker } from "./components/gvisor/sandboxedWorker";
import { inTurns } from "./components/gvisor/turns";
import {
    attacksOf,
    byWorker,
    dmesgOf,
    limitsOf,
    reachableOf,
    surfaceOf,
    unameOf,
    workerOf,
} from "./components/proof/outputs";
import { isProven, proof } from "./components/proof/proof";
import { testPodImage } from "./components/proof/testPod";
import { createTarget } from "./components/targets/createTarget";
import { loadSettings } from "./settings";

const settings = loadSettings();

// Machines, where they install from, and the cluster whose nodes they are.
const target = createTarget(settings);
const image = testPodImage(target);
const cluster = createCluster("cluster", target, { image, ...settings.plans });

/** What an object of the cluster waits for, and goes away with. */
const within = { provider: cluster.provider, after: cluster.verified, cluster: cluster.resource };

// The classes that pods ask for, by handler.
const classes = new Map(
    settings.classes.map(({ handler, ...rest }) => [
        handler.name,
        new SandboxClass(`sandbox-${handler.runtimeClass}`, { handler, ...rest, ...within }).runtimeClass.metadata.name,
    ]),
);

// Namespaces whose pods must ask for one of them, and may go nowhere but where the settings say.
let egress: EgressPolicy | undefined;
if (settings.mandatory) {
    const { label, classes: others, ...mandatory } = settings.mandatory;
    const { namespaces } = new SandboxPolicy("policy", {
        ...mandatory,
        classes: [...classes.values(), ...others],
        namespaceLabel: label,
        ...within,
    });
    const after = [...within.after, ...cluster.policyEngine];
    egress = settings.egress && new EgressPolicy("egress", { namespaces, rules: settings.egress, ...within, after });
}

// Each worker, canaries first and as many at once as may be: gVisor beside its containerd, into the cluster, and the proof. The
// next one waits until it is proven: what goes wrong goes wrong on few workers.
const examination = settings.inUse === 0 ? undefined : new Examination(settings.inUse);
const all = inTurns(target.workers, settings.order, (machine, turn) => {
    const { drain, sandboxes } = settings.forWorker(machine.name);
    const order = { cluster, drain, turn };
    if (sandboxes === undefined) {
        return plainWorker(machine, order);
    }
    const worker = sandboxedWorker(machine, { ...order, ...sandboxes, sources: target.gvisorSources, examination });
    return proof(worker, { cluster, classes, image, handler: sandboxes.handler, egress, ...settings.proof });
});
const proven = all.filter(isProven);

/** Name of the RuntimeClass that puts a pod behind gVisor. */
export const runtimeClass = classes.get(settings.defaultHandler);
/** By worker: the kernel (`uname -r`) that the worker itself and its two test pods see. */
export const uname = byWorker(proven, unameOf);
/** By worker: what `dmesg` prints in its two test pods. */
export const dmesg = byWorker(proven, dmesgOf);
/** By worker: whether the sandbox is proven, and each check with what was seen. */
export const isolation = byWorker(proven, ({ probe }) => probe.verdict);
/** By worker: address and versions, what was found there, and what is declared, loaded and serving. */
export const workers = byWorker(proven, workerOf);
/** By worker, with the setting `limits`: whether limits of sandboxed pods bind, and what a sandbox takes. */
export const limits = byWorker(proven, limitsOf);
/** By worker, with the setting `attacks`: what came of attempts to leave its sandboxes. */
export const attacks = byWorker(proven, attacksOf);
/** By worker, with the setting `surface`: how much of the kernel a process reaches in a sandbox and outside, and what that costs. */
export const surface = byWorker(proven, surfaceOf);
/** By worker, with the setting `reachable`: what pods reach over the network. */
export const reachable = byWorker(proven, reachableOf);
/** RuntimeClass by runtime handler. */
export const handlers = Object.fromEntries(classes);
/** Administrator's kubeconfig of the cluster (secret). */
export const kubeconfig = pulumi.secret(cluster.kubeconfig);
