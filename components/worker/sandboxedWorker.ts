import type * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../cluster/cluster";
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
    /** How the node is taken out of service before containerd is restarted; undefined where nobody uses it yet. */
    readonly maintenance?: {
        readonly drain: boolean;
        readonly options: DrainOptions;
        readonly keep: readonly string[];
    };
    /** After this the worker may be changed: not too many at once. */
    readonly turn: readonly pulumi.Resource[];
}

export interface SandboxedWorker {
    readonly machine: Machine;
    readonly handlers: readonly Handler[];
    readonly runtime: SandboxRuntime;
    readonly node: SandboxNode;
    /** After this the worker is in service, with its sandboxes. */
    readonly done: pulumi.Resource;
}

/** A worker with gVisor beside its containerd, as a node of the cluster that takes sandboxed pods. */
export function sandboxedWorker(machine: Machine, args: SandboxedWorkerArgs): SandboxedWorker {
    const { name } = machine;
    const { cluster, handlers, sources, release, archive, accepted, nodeSettings, turn } = args;
    const { kubeconfig } = cluster;
    const service = args.maintenance;
    const maintenance =
        service &&
        new Maintenance(`${name}-maintenance`, {
            ...{ node: name, enabled: service.drain, options: service.options, kubeconfig, keep: service.keep },
        });
    const before = (what: Parameters<Maintenance["before"]>[0]) =>
        maintenance && ((reason: pulumi.Output<string>) => [maintenance.before(what, reason)]);
    const prepared = cluster.prepare(machine, { after: turn, beforeRestart: before("drain-for-packages") });
    const runtime = new SandboxRuntime(`${name}-runtime`, {
        ...{ machine, sources, handlers, release, archive, accepted },
        after: [...prepared, ...turn],
        drained: service?.drain,
        beforeRestart: before("drain"),
    });
    const node = new SandboxNode(name, {
        ...{ machine, handlers, settings: nodeSettings, provider: cluster.provider, kubeconfig },
        after: cluster.join(machine, [runtime.installed]),
        configSha256: runtime.evidence.configSha256,
    });
    return { machine, handlers, runtime, node, done: maintenance?.after([node.labelled]) ?? node.labelled };
}
