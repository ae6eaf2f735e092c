import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { handler, handlerLabel, project } from "../names";

export interface SandboxClassArgs {
    /** Name of the RuntimeClass. */
    readonly className: string;
    readonly provider: k8s.Provider;
    /** What the cluster goes away with, if the same stack made it. */
    readonly cluster?: pulumi.Resource;
}

/**
 * The RuntimeClass that puts a pod behind gVisor, on nodes with the label of the handler only. It is made early: a pod
 * that comes to a kubelet before the class does fails once and is tried again after a quarter of a minute.
 */
export class SandboxClass extends pulumi.ComponentResource {
    public readonly runtimeClass: k8s.node.v1.RuntimeClass;

    constructor(name: string, args: SandboxClassArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:workload:SandboxClass`, name, {}, opts);
        this.runtimeClass = new k8s.node.v1.RuntimeClass(
            `${name}-runtimeclass`,
            {
                metadata: { name: args.className },
                handler,
                scheduling: { nodeSelector: { [handlerLabel]: "true" } },
            },
            // The API server refuses to change a handler.
            {
                parent: this,
                provider: args.provider,
                replaceOnChanges: ["handler"],
                deleteBeforeReplace: true,
                deletedWith: args.cluster,
            },
        );
        this.registerOutputs({});
    }
}
