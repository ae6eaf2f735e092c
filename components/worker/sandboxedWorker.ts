import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../cluster/cluster";
import type { RestartLook } from "../restartLook";
import type { Handler } from "../sandbox/handlers";
import { type Archive, SandboxRuntime } from "../sandbox/sandboxRuntime";
import type { Machine, Sources } from "../targets/target";
import { type DrainOptions, Maintenance } from "./maintenance";
import type { NodeSettings } from "./nodeSettings";
import { SandboxNode } from "./sandboxNode";

export interface SandboxedWorkerArgs {
    readonly cluster: Cluster;
    readonly handlers: readonly Handler[];
    readonly sources: pulumi.Output<Sources>;
    readonly release: string;
    readonly archive?: Archive;
    /** Ids of vulnerabilities that are accepted. */
    readonly accepted: readonly string[];
    readonly nodeSettings: NodeSettings;
    /** How the node is drained before containerd is restarted; undefined where it is not. */
    readonly drain?: { readonly options: DrainOptions; readonly keep: readonly string[] };
    /** After this the worker may be changed: not too many at once. */
    readonly turn: readonly pulumi.Resource[];
}

export interface SandboxedWorker {
    readonly machine: Machine;
    readonly handlers: readonly Handler[];
    readonly runtime: SandboxRuntime;
    readonly node: SandboxNode;
    /** Another value whenever something was done on the machine (secret). */
    readonly changes: pulumi.Output<string>;
    /** After this the worker is in service, with its sandboxes. */
    readonly done: pulumi.Resource;
}

/** A worker with gVisor beside its containerd, as a node of the cluster that takes sandboxed pods. */
export function sandboxedWorker(machine: Machine, args: SandboxedWorkerArgs): SandboxedWorker {
    const { name } = machine;
    const { cluster, handlers, sources, release, archive, accepted, nodeSettings, turn } = args;
    const { kubeconfig } = cluster;
    const maintenance = args.drain && new Maintenance(`${name}-maintenance`, { node: name, kubeconfig, ...args.drain });
    const before = (what: Parameters<Maintenance["before"]>[0]) =>
        maintenance && ((look: pulumi.Output<RestartLook>) => [maintenance.before(what, look)]);
    const prepared = cluster.prepare(machine, { after: turn, beforeRestart: before("drain-for-packages") });
    const runtime = new SandboxRuntime(`${name}-runtime`, {
        ...{ machine, sources, handlers, release, archive, accepted },
        prepared: prepared.containerd,
        after: [...prepared.done, ...turn],
        beforeRestart: before("drain"),
    });
    const joined = cluster.join(machine, [runtime.installed]);
    const node = new SandboxNode(name, {
        ...{ machine, handlers, settings: nodeSettings, provider: cluster.provider },
        after: joined,
        configSha256: runtime.evidence.configSha256,
    });
    const steps = [...prepared.done, runtime.installed, ...joined, node.ready];
    const changes = pulumi
        .all(steps.map(({ stdin }) => stdin))
        .apply((texts) => createHash("sha256").update(texts.join("\0")).digest("hex"));
    const done = maintenance?.after([node.labelled]) ?? node.labelled;
    return { machine, handlers, runtime, node, changes, done };
}
