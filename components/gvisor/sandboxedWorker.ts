import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster, Handler, Machine, RestartLook, Sources } from "../contracts";
import type { Examination } from "./examination";
import { type DrainArgs, drainBeforeRemoval, Maintenance } from "./maintenance";
import type { NodeSettings } from "./nodeSettings";
import { SandboxNode } from "./sandboxNode";
import { type Archive, SandboxRuntime } from "./sandboxRuntime";

export interface WorkerArgs {
    readonly cluster: Cluster;
    /** How the node is drained before containerd is restarted; undefined where it is not. */
    readonly drain?: DrainArgs;
    /** After this the worker may be changed: not too many at once. */
    readonly turn: readonly pulumi.Resource[];
}

export interface SandboxedWorkerArgs extends WorkerArgs {
    readonly handlers: readonly Handler[];
    readonly sources: pulumi.Output<Sources>;
    readonly release: string;
    readonly archive?: Archive;
    /** Ids of known vulnerabilities that are accepted. */
    readonly accepted: readonly string[];
    readonly nodeSettings: NodeSettings;
    /** With the others that are in use; undefined for a new worker. */
    readonly examination?: Examination;
}

/** A worker in service. */
export interface PlainWorker {
    readonly machine: Machine;
    /** After this it is, and the next worker may be changed. */
    done(): readonly pulumi.Resource[];
}

/** A worker in service with its sandboxes. */
export interface SandboxedWorker extends PlainWorker {
    readonly handlers: readonly Handler[];
    readonly runtime: SandboxRuntime;
    readonly node: SandboxNode;
    /** Another value whenever something was done on the machine (secret). */
    readonly changes: pulumi.Output<string>;
}

/**
 * A worker on its way into the cluster: where containerd may be configured, with what to do before it is restarted.
 *
 * @param upkeep name of what takes it out of service; where it is another one, a worker that had the old one is given back in
 *     service after all else
 */
function begin(machine: Machine, { cluster, drain, turn }: WorkerArgs, upkeep: string) {
    const { kubeconfig } = cluster;
    const maintenance = drain && new Maintenance(`${machine.name}-${upkeep}`, { machine, kubeconfig, turn, ...drain });
    const before = (what: Parameters<Maintenance["before"]>[0]) =>
        maintenance && ((look: pulumi.Output<RestartLook>) => [maintenance.before(what, look)]);
    return {
        prepared: cluster.prepare(machine, { after: turn, beforeRestart: before("drain-for-packages") }),
        beforeRestart: before("drain"),
        /** The worker in service again, after these. */
        end: (last: readonly pulumi.Resource[]) => (maintenance ? [maintenance.after(last)] : last),
    };
}

/** A worker without sandboxes. */
export function plainWorker(machine: Machine, args: WorkerArgs): PlainWorker {
    const { prepared, end } = begin(machine, args, "plain-maintenance");
    const last = end(args.cluster.join(machine, prepared.done));
    return { machine, done: () => last };
}

/** A worker with gVisor beside its containerd, as a node of the cluster that takes sandboxed pods. */
export function sandboxedWorker(machine: Machine, args: SandboxedWorkerArgs): SandboxedWorker {
    const { name } = machine;
    const { cluster, handlers, sources, release, archive, accepted, nodeSettings, turn, drain, examination } = args;
    const { provider, kubeconfig } = cluster;
    const { prepared, beforeRestart, end } = begin(machine, args, "maintenance");
    const runtime = new SandboxRuntime(`${name}-runtime`, {
        machine,
        sources,
        handlers,
        release,
        archive,
        accepted,
        beforeRestart,
        prepared: prepared.containerd,
        after: prepared.done,
        turn,
        examination,
    });
    const { installed, evidence } = runtime;
    const joined = cluster.join(machine, [installed]);
    const node = new SandboxNode(name, {
        machine,
        handlers,
        settings: nodeSettings,
        provider,
        kubeconfig,
        after: [...joined, drainBeforeRemoval({ machine, kubeconfig }, drain, installed)],
        configSha256: evidence.configSha256,
    });
    const changes = pulumi
        .all([...prepared.done, installed, ...joined, node.ready].map(({ stdin }) => stdin))
        .apply((texts) => createHash("sha256").update(texts.join("\0")).digest("hex"));
    const last = end([node.labelled]);
    return { machine, handlers, runtime, node, changes, done: () => last };
}
