import type { local, remote } from "@pulumi/command";
import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Machine, Target } from "../targets/target";
import { ControlPlane } from "./controlPlane";
import { ExistingCluster } from "./existingCluster";
import { NodePreparation, type PreparationOrder } from "./node";
import { Worker } from "./worker";

/** A command on a machine, or beside Pulumi. */
export type Step = remote.Command | local.Command;

/** A machine that is ready to become a node, or is one. */
export interface Prepared {
    /** After this containerd may be changed. */
    readonly done: readonly Step[];
    /** What containerd was made to be, in any words; undefined where it is the machine's own. */
    readonly containerd?: pulumi.Output<string>;
}

/** The cluster that the workers are nodes of. */
export interface Cluster {
    /** Administrator's kubeconfig (secret). */
    readonly kubeconfig: pulumi.Output<string>;
    /** Where the stack's own pods are. */
    readonly namespace: string;
    /** The provider of every Kubernetes object of this cluster. */
    readonly provider: k8s.Provider;
    /** After this the cluster is known to be the right one, and may be changed. */
    readonly verified: readonly Step[];
    /** What the cluster goes away with, if the stack makes it. */
    readonly resource?: pulumi.Resource;
    /** Makes a machine ready to become a node. */
    prepare(machine: Machine, order?: PreparationOrder): Prepared;
    /** Makes a machine a node, once its containerd stays as it is; after what it returns the machine is one. */
    join(machine: Machine, after: readonly Step[]): readonly Step[];
}

/** What a stack is going to have in its cluster. */
export interface Plans {
    /** Image of the pods. */
    readonly image: pulumi.Input<string>;
    /** Names of the pods. */
    readonly pods: readonly string[];
    /** Names of the RuntimeClasses. */
    readonly classes: readonly string[];
    /** Whether nodes are drained. */
    readonly drain: boolean;
    /** Whether there are admission policies. */
    readonly policies: boolean;
    /** Whether there are privileged pods, for some seconds. Default: false. */
    readonly attacks?: boolean;
}

/**
 * A new cluster on the machines of the target, or the one that they are nodes of already.
 *
 * @param plans what that one is asked about before anything is changed
 */
export function createCluster(name: string, target: Target, plans: Plans): Cluster {
    // `npm run up` sets it after a run that was cut off, and the plug-in reads it by itself. Taken up by the SDK it would be an
    // input of the provider, which the next update changes back.
    delete process.env.PULUMI_K8S_UPSERT_EXISTING_OBJECTS;
    // Known when planning, unlike the kubeconfig: else a preview would plan to replace every object.
    const clusterIdentifier = `${pulumi.getProject()}-${pulumi.getStack()}`;
    const { controlPlane, kubeconfig, namespace = "default", sources, kubernetesVersion, workers } = target;
    if (kubeconfig !== undefined) {
        return new ExistingCluster(name, { kubeconfig, namespace, clusterIdentifier, workers, plans });
    }
    if (controlPlane === undefined) {
        throw new Error("a target has a machine for the control plane, or the kubeconfig of its cluster");
    }
    const cluster = new ControlPlane(name, {
        machine: controlPlane,
        sources,
        kubernetesVersion,
        clusterIdentifier,
        apiEndpoint: target.apiEndpoint,
        podNetwork: target.podNetwork,
    });
    return {
        kubeconfig: cluster.kubeconfig,
        namespace,
        provider: cluster.provider,
        verified: [],
        resource: controlPlane.resource,
        prepare: (machine, order) => {
            const { prepared, containerd } = new NodePreparation(`${machine.name}-node`, {
                ...{ machine, role: "worker", sources, kubernetesVersion, controlPlane, ...order },
            });
            return { done: [prepared], containerd };
        },
        join: (machine, after) => [new Worker(machine.name, { machine, controlPlane: cluster, after }).joined],
    };
}
