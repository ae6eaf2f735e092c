import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { commandDirectory } from "../checkout";
import { project } from "../names";

/** The setting `drainOptions`: the same as the options of kubectl drain. */
export const drainOptions = z.strictObject({
    /** Whether pods without a controller may go: nobody makes them anew. */
    force: z.boolean().default(false),
    /** Whether what is in emptyDir volumes may be lost. */
    deleteEmptyDirData: z.boolean().default(false),
    /** How long to wait for pods to end and for disruption budgets. */
    timeoutSeconds: z.number().int().min(1).max(3600).default(300),
});
export type DrainOptions = Readonly<z.infer<typeof drainOptions>>;

export interface MaintenanceArgs {
    /** Name of the worker's node. */
    readonly node: string;
    /** Whether the node is emptied. If not, nothing is asked of the cluster, nor waited for. */
    readonly enabled: boolean;
    /** Identifies what is about to be done: the node is drained when this is another one than last time, and only then. */
    readonly reason: pulumi.Input<string>;
    readonly kubeconfig: pulumi.Input<string>;
    readonly options: DrainOptions;
    /** NAMESPACE/NAME of pods that stay although nobody would make them anew: those of this stack. */
    readonly keep: readonly string[];
}

const script = "node scripts/cluster/maintenance.mjs";

/**
 * Takes a worker's node out of service while its containerd is changed. What comes in between waits for `before`; where it
 * fails the node stays cordoned, and the next run goes on from there. A worker that leaves the stack is given back in service.
 */
export class Maintenance extends pulumi.ComponentResource {
    /** After this the node is empty. */
    public readonly before: command.local.Command;
    private readonly run: { readonly create: (verb: string) => string; readonly stdin?: pulumi.Output<string> };

    constructor(
        private readonly name: string,
        args: MaintenanceArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        super(`${project}:worker:Maintenance`, name, {}, opts);
        const { node, enabled, reason, kubeconfig, options, keep } = args;
        const input = { kubeconfig, node, keep, ...options };
        this.run = enabled
            ? {
                  create: (verb) => `${script} ${verb}`,
                  stdin: pulumi.secret(pulumi.jsonStringify({ ...input, reason })),
              }
            : { create: () => "true" };
        // Only ever taken away, after all that comes in between: by then a run that failed may have left the node cordoned.
        const giveBack =
            enabled &&
            new command.local.Command(
                `${name}-give-back`,
                {
                    create: "true",
                    delete: `${script} uncordon`,
                    dir: commandDirectory,
                    stdin: pulumi.secret(pulumi.jsonStringify(input)),
                    addPreviousOutputInEnv: false,
                    logging: command.local.Logging.Stderr,
                },
                { parent: this, customTimeouts: { delete: "2m" } },
            );
        this.before = new command.local.Command(
            `${name}-drain`,
            {
                create: this.run.create("drain"),
                dir: commandDirectory,
                // Another kubeconfig, or another option, is no reason to send pods away.
                update: "true",
                stdin: this.run.stdin,
                triggers: [reason],
                addPreviousOutputInEnv: false,
                logging: command.local.Logging.Stderr,
            },
            {
                parent: this,
                dependsOn: giveBack ? [giveBack] : [],
                customTimeouts: { create: `${options.timeoutSeconds + 60}s` },
            },
        );
        this.registerOutputs({});
    }

    /** Puts the node back into service after these; after what it returns it is. */
    public after(done: readonly pulumi.Resource[]): command.local.Command {
        return new command.local.Command(
            `${this.name}-uncordon`,
            {
                create: this.run.create("uncordon"),
                dir: commandDirectory,
                stdin: this.run.stdin,
                addPreviousOutputInEnv: false,
                logging: command.local.Logging.Stderr,
            },
            // A node that takes pods with its containerd half-way loses them.
            { parent: this, dependsOn: [this.before, ...done], customTimeouts: { create: "2m", update: "2m" } },
        );
    }
}
