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
    private readonly giveBack?: command.local.Command;
    private readonly drains: { readonly command: command.local.Command; readonly reason: pulumi.Input<string> }[] = [];

    constructor(
        private readonly name: string,
        private readonly args: MaintenanceArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        super(`${project}:worker:Maintenance`, name, {}, opts);
        if (args.enabled) {
            // Only ever taken away, after all that comes in between: by then a run that failed may have left the node cordoned.
            this.giveBack = new command.local.Command(
                `${name}-give-back`,
                { create: "true", delete: `${script} uncordon`, ...this.call({}) },
                { parent: this, customTimeouts: { delete: "2m" } },
            );
        }
        this.registerOutputs({});
    }

    /** What a command of this node is given, if it is to do something. */
    private call(more: object) {
        const { node, enabled, kubeconfig, options, keep } = this.args;
        return {
            dir: commandDirectory,
            stdin: enabled
                ? pulumi.secret(pulumi.jsonStringify({ kubeconfig, node, keep, ...options, ...more }))
                : undefined,
            addPreviousOutputInEnv: false,
            logging: command.local.Logging.Stderr,
        };
    }

    private create(verb: string): string {
        return this.args.enabled ? `${script} ${verb}` : "true";
    }

    /**
     * Empties the node before something is done there; after what it returns the node is empty.
     *
     * @param what is done, as the end of the command's name
     * @param reason identifies how: the node is drained when this is another one than last time, and only then
     */
    public before(what: "drain" | "drain-for-packages", reason: pulumi.Input<string>): command.local.Command {
        const drain = new command.local.Command(
            `${this.name}-${what}`,
            {
                create: this.create("drain"),
                // Another kubeconfig, or another option, is no reason to send pods away.
                update: "true",
                triggers: [reason],
                ...this.call({ reason }),
            },
            {
                parent: this,
                dependsOn: this.giveBack ? [this.giveBack] : [],
                customTimeouts: { create: `${this.args.options.timeoutSeconds + 60}s` },
            },
        );
        this.drains.push({ command: drain, reason });
        return drain;
    }

    /** Puts the node back into service after these; after what it returns it is. */
    public after(done: readonly pulumi.Resource[]): command.local.Command {
        const reason = pulumi.all(this.drains.map((drain) => drain.reason)).apply((reasons) => reasons.join(" "));
        return new command.local.Command(
            `${this.name}-uncordon`,
            { create: this.create("uncordon"), ...this.call({ reason }) },
            // A node that takes pods with its containerd half-way loses them.
            {
                parent: this,
                dependsOn: [...this.drains.map((drain) => drain.command), ...done],
                customTimeouts: { create: "2m", update: "2m" },
            },
        );
    }
}
