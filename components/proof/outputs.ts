import * as pulumi from "@pulumi/pulumi";
import type { JudgedAttacks } from "../attacks.cjs";
import type { Machine } from "../contracts";
import { publicFacts } from "../gvisor/publicFacts";
import type { JudgedReachable } from "../reachable.cjs";
import type { ClassSurface } from "../surface.cjs";
import type { Limits } from "./limitsProbe";
import type { ProvenWorker } from "./proof";

/** An output with one entry for each worker that has one, under the worker's name. */
export function byWorker<W extends { readonly machine: Machine }, T>(
    workers: readonly W[],
    entry: (worker: W) => pulumi.Output<T> | undefined,
): pulumi.Output<Record<string, T>> {
    return pulumi
        .all(workers.flatMap((worker) => entry(worker)?.apply((value) => [worker.machine.name, value] as const) ?? []))
        .apply((entries) => Object.fromEntries(entries) as Record<string, T>);
}

/** The kernel (`uname -r`) that the worker itself and its two test pods see. */
export function unameOf({ probe }: ProvenWorker) {
    return probe.facts.apply(({ host, pods }) => ({
        worker: host.kernel,
        "test-1": pods["test-1"].kernel,
        "test-2": pods["test-2"].kernel,
    }));
}

/** What `dmesg` prints in the two test pods. */
export function dmesgOf({ probe }: ProvenWorker) {
    return probe.facts.apply(({ pods }) => ({ "test-1": pods["test-1"].dmesg, "test-2": pods["test-2"].dmesg }));
}

/** Whether limits of sandboxed pods bind there, and what a sandbox takes; undefined where that is not tried. */
export function limitsOf({ limits }: ProvenWorker): pulumi.Output<Limits> | undefined {
    return limits?.limits;
}

/** What came of attempts to leave its sandboxes; undefined where none are made. */
export function attacksOf({ attacks }: ProvenWorker): pulumi.Output<JudgedAttacks["attempts"]> | undefined {
    return attacks?.judged.attempts;
}

/** How much of the kernel a process reaches there, and what a sandbox costs, by class; undefined where it is not measured. */
export function surfaceOf({ surface }: ProvenWorker): pulumi.Output<Record<string, ClassSurface>> | undefined {
    return surface?.measured;
}

/** What pods there reach over the network; undefined where that is not tried. */
export function reachableOf({ reachable }: ProvenWorker): pulumi.Output<JudgedReachable["reachable"]> | undefined {
    return reachable?.judged.reachable;
}

/**
 * What there is on a worker: address and versions; what is known against them; `facts` as found before the first change;
 * and evidence at three levels: `declared` (the configuration on disk), `loaded` (the handlers that containerd has),
 * `serving` (those that the node offers and a proven test pod ran behind).
 */
export function workerOf({ machine, handlers, handler, runtime, node, probe, ownPods }: ProvenWorker) {
    return pulumi
        .all([
            machine.address,
            runtime.evidence,
            node.handlers,
            probe.facts,
            probe.verdict,
            pulumi.unsecret(runtime.facts),
            runtime.vulnerabilities,
        ])
        .apply(([address, found, listed, seen, verdict, facts, vulnerabilities]) => {
            const own = handlers.map((handler) => handler.name);
            return {
                address,
                ...found,
                // The worker may have got another kernel since gVisor was installed; `uname` is of the same look.
                kernel: seen.host.kernel,
                survivors: found.survivors.filter((pod) => !ownPods.includes(pod)),
                handlers: listed,
                vulnerabilities,
                facts: publicFacts(facts),
                evidence: {
                    declared: {
                        sha256: found.configSha256,
                        handlers: own,
                        options: Object.fromEntries(handlers.map(({ name, options }) => [name, options])),
                    },
                    loaded: own.filter((name) => found.handlers.includes(name)),
                    serving: own.filter((name) => name === handler.name && verdict.proven && listed.includes(name)),
                },
            };
        });
}
