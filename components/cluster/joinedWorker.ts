import type { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Machine } from "../contracts";
import { project } from "../names";
import { documentOf, remoteStep } from "../remoteStep";

export interface JoinedWorkerArgs {
    readonly machine: Machine;
    /** Where it joins: a ControlPlane. */
    readonly controlPlane: {
        readonly machine: Machine;
        readonly endpoint: pulumi.Output<string>;
        readonly caCertHash: pulumi.Output<string>;
    };
    /** After this the machine has kubelet and a containerd that stays as it is: a restart disturbs pods. */
    readonly after: readonly pulumi.Resource[];
}

/** A worker of the cluster: joined with a short-lived token and the cluster's CA pinned. */
export class JoinedWorker extends pulumi.ComponentResource {
    /** After this the machine is a node. */
    public readonly joined: remote.Command;

    constructor(name: string, args: JoinedWorkerArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:worker:Worker`, name, {}, opts);
        const { machine, controlPlane, after } = args;
        const ticket = remoteStep(
            `${name}-ticket`,
            {
                machine: controlPlane.machine,
                script: "node/join-ticket.sh",
                // A worker that is another machine now joins again, so it needs a new ticket.
                values: { WORKER: machine.name, MACHINE: machine.identity, CA_CERT_HASH: controlPlane.caCertHash },
                secretOutput: true,
            },
            { parent: this },
        );
        const membership = remoteStep(
            `${name}-membership`,
            {
                machine: controlPlane.machine,
                script: "node/membership.sh",
                values: { WORKER: machine.name, CA_CERT_HASH: controlPlane.caCertHash },
                removable: true,
            },
            { parent: this },
        );
        this.joined = remoteStep(
            `${name}-join`,
            {
                machine,
                script: "node/join-worker.sh",
                values: {
                    NODE: machine.name,
                    ENDPOINT: controlPlane.endpoint,
                    CA_CERT_HASH: controlPlane.caCertHash,
                    TOKEN: documentOf<{ token: string }>(ticket).token,
                },
            },
            // Pods may come as soon as the node has joined; membership is what takes the node away again.
            { parent: this, dependsOn: [...after, membership] },
        );
        this.registerOutputs({});
    }
}
