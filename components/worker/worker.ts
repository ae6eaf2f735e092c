import type { remote } from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ControlPlane } from "../cluster/controlPlane";
import { handler, handlerLabel, project } from "../names";
import { remoteStep } from "../remoteStep";
import type { Machine } from "../targets/target";

export interface WorkerArgs {
    readonly machine: Machine;
    readonly controlPlane: ControlPlane;
    /** After this the machine has kubelet and a containerd that stays as it is: a restart disturbs pods. */
    readonly after: readonly pulumi.Resource[];
    /** Changes when the handler's configuration does: the node is then looked at again. */
    readonly configSha256: pulumi.Output<string>;
}

/**
 * A worker of the cluster: joined with a short-lived token and the cluster's CA pinned, seen Ready with the handler
 * among its runtime handlers, and only then labelled for sandboxed pods.
 */
export class Worker extends pulumi.ComponentResource {
    /** After this the worker takes sandboxed pods. */
    public readonly labelled: k8s.core.v1.NodePatch;
    /** After this the worker takes ordinary pods. */
    public readonly ready: remote.Command;
    /** Runtime handlers that the API server lists for the node. */
    public readonly handlers: pulumi.Output<string[]>;

    constructor(name: string, args: WorkerArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:worker:Worker`, name, {}, opts);
        const { machine, controlPlane, after, configSha256 } = args;
        const ticket = remoteStep(
            `${name}-ticket`,
            {
                machine: controlPlane.machine,
                script: "cluster/join-ticket.sh",
                // A worker that is another machine now joins anew, so it needs a new ticket.
                values: { WORKER: machine.name, MACHINE: machine.identity, CA_CERT_HASH: controlPlane.caCertHash },
                secretOutput: true,
            },
            { parent: this },
        );
        const membership = remoteStep(
            `${name}-membership`,
            {
                machine: controlPlane.machine,
                script: "cluster/membership.sh",
                values: { WORKER: machine.name, CA_CERT_HASH: controlPlane.caCertHash },
                removable: true,
            },
            { parent: this },
        );
        const join = remoteStep(
            `${name}-join`,
            {
                machine,
                script: "cluster/join-worker.sh",
                values: {
                    NODE: machine.name,
                    ENDPOINT: controlPlane.endpoint,
                    CA_CERT_HASH: controlPlane.caCertHash,
                    TOKEN: ticket.stdout.apply((text) => (JSON.parse(text) as { token: string }).token),
                },
            },
            // Pods may come as soon as the node has joined; membership is what takes the node away again.
            { parent: this, dependsOn: [...after, membership] },
        );
        this.ready = remoteStep(
            `${name}-ready`,
            {
                machine,
                script: "sandbox/verify-node.sh",
                values: { NODE: machine.name, HANDLER: handler, CONFIG: configSha256 },
                timeout: 180,
            },
            // A machine that has not joined is no node yet.
            { parent: this, dependsOn: [join] },
        );
        this.handlers = this.ready.stdout.apply((text) => (JSON.parse(text) as { handlers: string[] }).handlers);
        this.labelled = new k8s.core.v1.NodePatch(
            `${name}-label`,
            { metadata: { name: machine.name, labels: { [handlerLabel]: "true" } } },
            // The label promises a handler that is loaded.
            { parent: this, provider: controlPlane.provider, dependsOn: [this.ready], deletedWith: machine.resource },
        );
        this.registerOutputs({});
    }
}
