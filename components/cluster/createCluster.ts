import * as pulumi from "@pulumi/pulumi";
import type { Cluster, Plans, Target } from "../contracts";
import { ControlPlane } from "./controlPlane";
import { ExistingCluster } from "./existingCluster";

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
    const { controlPlane, kubeconfig, namespace, workers, sources, kubernetesVersion, apiEndpoint, podNetwork } =
        target;
    if (kubeconfig !== undefined) {
        return new ExistingCluster(name, { kubeconfig, namespace, clusterIdentifier, workers, plans });
    }
    if (controlPlane === undefined) {
        throw new Error("a target has a machine for the control plane, or the kubeconfig of its cluster");
    }
    return new ControlPlane(name, {
        machine: controlPlane,
        sources,
        kubernetesVersion,
        clusterIdentifier,
        apiEndpoint,
        podNetwork,
        enforcesPolicies: plans.egress !== undefined,
    });
}
