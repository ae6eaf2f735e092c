import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Handler } from "../contracts";
import { handlerLabel, project } from "../names";
import { tolerations } from "./nodeSettings";
import type { Taint } from "./settings";

export interface SandboxClassArgs {
    readonly handler: Pick<Handler, "name" | "runtimeClass">;
    /** What a sandbox takes beside its containers, for example { memory: "64Mi", cpu: "50m" }; none if undefined. */
    readonly overhead?: Readonly<Record<string, string>>;
    /** Taints of the nodes with the handler: pods of the class tolerate them. */
    readonly taints?: readonly Taint[];
    /** Whether somebody else has made it: it is used as it is, and stays when the stack goes. Default: false. */
    readonly existing?: boolean;
    readonly provider: k8s.Provider;
    /** After this the cluster may be changed. */
    readonly after?: readonly pulumi.Resource[];
    /** What the cluster goes away with, if the same stack made it. */
    readonly cluster?: pulumi.Resource;
    /** Name of this component in stacks of version 0.1.0: the class of such a stack stays as it is. */
    readonly formerly?: string;
}

/** What a class is like. */
export type ClassSettings = Pick<SandboxClassArgs, "handler" | "overhead" | "taints" | "existing">;

/** The class as the API server gets it. */
export function classManifest({ handler, overhead, taints = [] }: ClassSettings) {
    return {
        metadata: { name: handler.runtimeClass },
        handler: handler.name,
        overhead: overhead && { podFixed: overhead },
        scheduling: {
            nodeSelector: { [handlerLabel(handler.name)]: "true" },
            tolerations: taints.length > 0 ? tolerations(taints) : undefined,
        },
    };
}

/**
 * The RuntimeClass that puts a pod behind gVisor, on nodes with the label of the handler only. It is made early: a pod
 * that comes to a kubelet before the class does fails once and is tried again after a quarter of a minute.
 */
export class SandboxClass extends pulumi.ComponentResource {
    public readonly runtimeClass: k8s.node.v1.RuntimeClass;

    constructor(name: string, args: SandboxClassArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:workload:SandboxClass`, name, {}, opts);
        const resource = `${name}-runtimeclass`;
        if (args.existing) {
            // Read once the cluster is known to be as it should: in a plan nobody knows yet.
            const verified = (args.after ?? []).map((one) =>
                pulumi.CustomResource.isInstance(one) ? one.id : one.urn,
            );
            const id = pulumi.all(verified).apply(() => args.handler.runtimeClass);
            this.runtimeClass = k8s.node.v1.RuntimeClass.get(resource, id, { parent: this, provider: args.provider });
            this.registerOutputs({});
            return;
        }
        this.runtimeClass = new k8s.node.v1.RuntimeClass(
            resource,
            classManifest(args),
            // The API server refuses to change a handler.
            {
                parent: this,
                provider: args.provider,
                replaceOnChanges: ["handler"],
                deleteBeforeReplace: true,
                dependsOn: [...(args.after ?? [])],
                deletedWith: args.cluster,
                aliases:
                    args.formerly === undefined
                        ? []
                        : [
                              {
                                  name: `${args.formerly}-runtimeclass`,
                                  parent: pulumi.createUrn(args.formerly, `${project}:workload:SandboxClass`),
                              },
                          ],
            },
        );
        this.registerOutputs({});
    }
}
