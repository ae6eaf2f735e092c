import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../cluster/cluster";
import type { NodeSettings } from "../cluster/nodeSettings";
import type { Machine, Sources } from "../targets/target";
import type { Handler } from "./handlers";
import { type DrainArgs, drainBeforeRemoval, Maintenance } from "./maintenance";
import type { RestartLook } from "./restartLook";
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
    /** Ids of vulnerabilities that are accepted. */
    readonly accepted: readonly string[];
    readonly nodeSettings: NodeSettings;
}

export interface SandboxedWorker {
    readonly machine: Machine;
    readonly handlers: readonly Handler[];
    readonly runtime: SandboxRuntime;
    readonly node: SandboxNode;
    /** Another value whenever something was done on the machine (secret). */
    readonly changes: pulumi.Output<string>;
    /** After this the worker is in service, with its sandboxes. */
    readonly done: readonly pulumi.Resource[];
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

/** A worker without sandboxes. @returns after what it is in service */
export function plainWorker(machine: Machine, args: WorkerArgs): readonly pulumi.Resource[] {
    const { prepared, end } = begin(machine, args, "plain-maintenance");
    return end(args.cluster.join(machine, prepared.done));
}

/** A worker with gVisor beside its containerd, as a node of the cluster that takes sandboxed pods. */
export function sandboxedWorker(machine: Machine, args: SandboxedWorkerArgs): SandboxedWorker {
    const { name } = machine;
    const { cluster, handlers, sources, release, archive, accepted, nodeSettings, turn, drain } = args;
    const { prepared, beforeRestart, end } = begin(machine, args, "maintenance");
    const runtime = new SandboxRuntime(`${name}-runtime`, {
        ...{ machine, sources, handlers, release, archive, accepted, beforeRestart },
        prepared: prepared.containerd,
        after: [...prepared.done, ...turn],
    });
    const joined = cluster.join(machine, [runtime.installed]);
    const node = new SandboxNode(name, {
        ...{ machine, handlers, settings: nodeSettings, provider: cluster.provider, kubeconfig: cluster.kubeconfig },
        after: [...joined, drainBeforeRemoval({ machine, kubeconfig: cluster.kubeconfig }, drain, runtime.installed)],
        configSha256: runtime.evidence.configSha256,
    });
    const steps = [...prepared.done, runtime.installed, ...joined, node.ready];
    const changes = pulumi
        .all(steps.map(({ stdin }) => stdin))
        .apply((texts) => createHash("sha256").update(texts.join("\0")).digest("hex"));
    return { machine, handlers, runtime, node, changes, done: end([node.labelled]) };
}
