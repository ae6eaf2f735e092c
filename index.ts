import "./components/quietSdk";
import * as pulumi from "@pulumi/pulumi";
import { SandboxPolicy } from "./components/admission/sandboxPolicy";
import { attacksIn } from "./components/attacks.cjs";
import { createCluster } from "./components/cluster/cluster";
import { SandboxClass } from "./components/gvisor/sandboxClass";
import { plainWorker, sandboxedWorker } from "./components/gvisor/sandboxedWorker";
import { atOnce } from "./components/gvisor/turns";
import { ownPods, testPods } from "./components/names";
import { attacksOf, byWorker, dmesgOf, limitsOf, unameOf, workerOf } from "./components/outputs";
import { proof } from "./components/proof/proof";
import { createTarget } from "./components/targets/target";
import { imageReference, versions } from "./components/versions";
import {
    allHandlers,
    defaultHandlerOf,
    gvisorArchive,
    handlersOf,
    loadSettings,
    nodeSettingsOf,
    provenHandler,
    taintsOf,
} from "./config";

const settings = loadSettings();
const attempts = attacksIn(settings);

// Machines, where they install from, and the cluster whose nodes they are.
const target = createTarget(settings);
const image = pulumi
    .output(target.sourcesKind ?? target.sources.kind)
    .apply((kind) => imageReference(versions.nginx.image, kind));
const cluster = createCluster("cluster", target, {
    image,
    pods: target.workers.flatMap(({ name }) =>
        handlersOf(settings, name).length > 0 ? ownPods(name, settings.limits) : [],
    ),
    classes: allHandlers(settings).map((handler) => handler.runtimeClass),
    drain: settings.drain,
    policies: settings.mandatory !== undefined,
    attacks: attempts,
});

/** What an object of the cluster waits for, and goes away with. */
const within = { provider: cluster.provider, after: cluster.verified, cluster: cluster.resource };

// The classes that pods ask for, by handler.
const classes = new Map(
    allHandlers(settings).map((handler) => [
        handler.name,
        new SandboxClass(`sandbox-${handler.runtimeClass}`, {
            handler,
            overhead: settings.overhead,
            taints: taintsOf(settings, handler.name),
            ...within,
            formerly: handler.name === defaultHandlerOf(settings) ? "sandbox" : undefined,
        }).runtimeClass.metadata.name,
    ]),
);

// Namespaces whose pods must ask for one of them.
if (settings.mandatory) {
    const { label, classes: others, ...mandatory } = settings.mandatory;
    new SandboxPolicy("policy", {
        ...mandatory,
        classes: [...classes.values(), ...others],
        namespaceLabel: label,
        ...within,
    });
}

// Each worker, as many at once as may be: gVisor beside its containerd, into the cluster, and the proof. The next one waits for
// the proof: what goes wrong with new pods goes wrong on few workers.
const turns: (readonly pulumi.Resource[])[] = [];
const proven = target.workers.flatMap((machine) => {
    const { name } = machine;
    const handlers = handlersOf(settings, name);
    const handler = provenHandler(settings, handlers);
    // Version 0.1.0 gave the first worker's pods the bare names, whatever that worker is called.
    // Before existing.namespace named another one all pods were in default.
    const keep = [...new Set([cluster.namespace, "default"])].flatMap((namespace) =>
        [...new Set([...ownPods(name), ...testPods])].map((pod) => `${namespace}/${pod}`),
    );
    const order = {
        cluster,
        drain: settings.drain ? { options: settings.drainOptions, keep } : undefined,
        turn: turns[turns.length - atOnce(settings)] ?? [],
    };
    if (handler === undefined) {
        turns.push(plainWorker(machine, order));
        return [];
    }
    const worker = sandboxedWorker(machine, {
        ...order,
        handlers,
        sources: target.gvisorSources,
        release: settings.gvisorVersion,
        archive: gvisorArchive(settings),
        accepted: settings.acceptVulnerabilities,
        nodeSettings: nodeSettingsOf(settings, name),
    });
    const found = proof(worker, { cluster, handler, classes, image, limits: settings.limits, attacks: attempts });
    turns.push(found.done);
    return [found];
});

/** Name of the RuntimeClass that puts a pod behind gVisor. */
export const runtimeClass = classes.get(defaultHandlerOf(settings));
/** By worker: the kernel (`uname -r`) that the worker itself and its two test pods see. */
export const uname = byWorker(proven, unameOf);
/** By worker: what `dmesg` prints in its two test pods. */
export const dmesg = byWorker(proven, dmesgOf);
/** By worker: whether the sandbox is proven, and each check with what was seen. */
export const isolation = byWorker(proven, ({ probe }) => probe.verdict);
/** By worker: address and versions, what was found there, and what is declared, loaded and serving. */
export const workers = byWorker(proven, workerOf);
/** By worker, with the setting `limits`: whether limits of sandboxed pods bind, and what a sandbox takes. */
export const limits = byWorker(settings.limits ? proven : [], limitsOf);
/** By worker, with the setting `attacks`: what came of attempts to leave its sandboxes. */
export const attacks = byWorker(attempts ? proven : [], attacksOf);
/** RuntimeClass by runtime handler. */
export const handlers = Object.fromEntries(classes);
/** Administrator's kubeconfig of the cluster (secret). */
export const kubeconfig = pulumi.secret(cluster.kubeconfig);
