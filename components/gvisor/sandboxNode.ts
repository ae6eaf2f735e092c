import type { remote } from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Handler, Machine } from "../contracts";
import { hostCall, hostStep } from "../hostStep";
import { handlerLabel, patchedBy, project } from "../names";
import { documentOf, remoteStep } from "../remoteStep";
import type { NodeSettings } from "./nodeSettings";

export interface SandboxNodeArgs {
    readonly machine: Machine;
    readonly handlers: readonly Handler[];
    /** Default: nothing beside the labels of the handlers. */
    readonly settings?: NodeSettings;
    readonly provider: k8s.Provider;
    /** Of the cluster; needed where `settings` has taints. */
    readonly kubeconfig?: pulumi.Input<string>;
    /** After this the machine is a node of the cluster, with the handlers in its containerd. */
    readonly after: readonly pulumi.Resource[];
    /** Changes when the handlers' configuration does: the node is then looked at again. */
    readonly configSha256: pulumi.Output<string>;
}

/**
 * The node of a worker with sandboxes: seen Ready with the handlers among those that the API server lists, and only then
 * labelled for sandboxed pods.
 */
export class SandboxNode extends pulumi.ComponentResource {
    /** After this the node takes ordinary pods. */
    public readonly ready: remote.Command;
    /** After this the node takes sandboxed pods. */
    public readonly labelled: k8s.core.v1.NodePatch;
    /** Runtime handlers that the API server lists for the node. */
    public readonly handlers: pulumi.Output<string[]>;

    constructor(name: string, args: SandboxNodeArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:worker:SandboxNode`, name, {}, opts);
        const { machine, handlers, settings, provider, kubeconfig, after, configSha256 } = args;
        const { labels = {}, taints = [] } = settings ?? {};
        // In stacks of version 0.1.0 the component Worker made both.
        const aliases = [{ parent: pulumi.createUrn(name, `${project}:worker:Worker`) }];
        this.ready = remoteStep(
            `${name}-ready`,
            {
                machine,
                library: "gvisor/node.sh",
                script: "gvisor/verify-node.sh",
                values: {
                    NODE: machine.name,
                    HANDLERS: handlers.map((handler) => handler.name).join("\n"),
                    CONFIG: configSha256,
                },
                timeout: 180,
            },
            { parent: this, dependsOn: [...after], aliases },
        );
        this.handlers = documentOf<{ handlers: string[] }>(this.ready).handlers;
        const tainted = taints.length > 0 ? [this.taint(name, machine, kubeconfig, taints)] : [];
        this.labelled = new k8s.core.v1.NodePatch(
            `${name}-label`,
            {
                metadata: {
                    name: machine.name,
                    annotations: patchedBy(pulumi.getStack()),
                    labels: {
                        ...labels,
                        ...Object.fromEntries(handlers.map((handler) => [handlerLabel(handler.name), "true"])),
                    },
                },
            },
            // The label promises a handler that is loaded, and lets pods in that the taints keep out.
            { parent: this, provider, dependsOn: [this.ready, ...tainted], deletedWith: machine.resource, aliases },
        );
        this.registerOutputs({});
    }

    /** A command and no NodePatch: see the script. */
    private taint(
        name: string,
        machine: Machine,
        kubeconfig: pulumi.Input<string> | undefined,
        taints: NodeSettings["taints"],
    ): pulumi.Resource {
        if (kubeconfig === undefined) {
            throw new Error(`the node ${machine.name} is to have taints, which needs the kubeconfig of its cluster`);
        }
        return hostStep(
            `${name}-taints`,
            {
                create: hostCall("taints set", ["scripts/on-host/api.ts"]),
                delete: hostCall("taints remove"),
                input: { kubeconfig, node: machine.name, taints },
            },
            {
                parent: this,
                dependsOn: [this.ready],
                deletedWith: machine.resource,
                // Else an old one's end would take away what the new one has just set.
                deleteBeforeReplace: true,
                customTimeouts: { delete: "2m" },
            },
        );
    }
}
