import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Machine, RestartLook } from "../contracts";
import { hostCall, hostStep, nothing } from "../hostStep";
import { project } from "../names";
import type { DrainOptions } from "./settings";

/** How a worker's node is drained. */
export interface DrainArgs {
    readonly options: DrainOptions;
    /** NAMESPACE/NAME of pods that stay although nobody would recreate them: those of this stack. */
    readonly keep: readonly string[];
}

interface NodeArgs {
    /** The worker, whose node has its name. */
    readonly machine: Machine;
    readonly kubeconfig: pulumi.Input<string>;
}

export interface MaintenanceArgs extends NodeArgs, DrainArgs {
    /** After this the worker may be changed; what is done to it is undone before this is. */
    readonly turn: readonly pulumi.Resource[];
}

const drain = hostCall("maintenance drain");
const uncordon = hostCall("maintenance uncordon");

/** What a command of a node is given. */
const inputOf = ({ machine, kubeconfig, options, keep }: NodeArgs & DrainArgs, more: object) => ({
    ...{ kubeconfig, node: machine.name, keep, ...options, ...more },
});

/**
 * Empties a node before what `done` has made there is taken away, which restarts containerd, too. It is there whether nodes are
 * drained or not: that this is switched off must not look like a removal.
 */
export function drainBeforeRemoval(args: NodeArgs, how: DrainArgs | undefined, done: pulumi.Resource) {
    const { machine } = args;
    return hostStep(
        `${machine.name}-drain-for-removal`,
        how ? { delete: drain, input: inputOf({ ...args, ...how }, { removal: true }) } : {},
        {
            dependsOn: [done],
            deletedWith: machine.resource,
            customTimeouts: { delete: `${(how?.options.timeoutSeconds ?? 0) + 60}s` },
        },
    );
}

/**
 * Takes a worker's node out of service while its containerd is restarted, where a look on the worker expects that. What comes in
 * between waits for `before`; where it fails the node stays cordoned, and the next run goes on from there. A worker that
 * leaves the stack is given back in service.
 */
export class Maintenance extends pulumi.ComponentResource {
    private readonly giveBack: command.local.Command;
    private readonly drains: command.local.Command[] = [];
    private readonly looks: pulumi.Output<RestartLook>[] = [];

    constructor(
        private readonly name: string,
        private readonly args: MaintenanceArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        super(`${project}:worker:Maintenance`, name, {}, opts);
        // Only ever taken away, after all that comes in between: by then a run that failed may have left the node cordoned.
        this.giveBack = hostStep(
            `${name}-give-back`,
            { delete: uncordon, input: inputOf(args, {}) },
            {
                parent: this,
                dependsOn: [...args.turn],
                deletedWith: args.machine.resource,
                customTimeouts: { delete: "2m" },
            },
        );
        this.registerOutputs({});
    }

    /**
     * Empties the node before something is done there that restarts containerd; after what it returns the node is empty.
     *
     * @param what is done, as the end of the command's name
     * @param look what the worker is like before: another look is another reason to drain, if it expects a restart
     */
    public before(what: "drain" | "drain-for-packages", look: pulumi.Output<RestartLook>): command.local.Command {
        const reason = look.apply(({ restart, at }) => (restart.length > 0 ? `${restart.join("; ")} (${at})` : ""));
        const made = hostStep(
            `${this.name}-${what}`,
            {
                create: reason.apply((why) => (why === "" ? nothing : drain)),
                // Another kubeconfig, or another option, is no reason to send pods away.
                update: nothing,
                triggers: [reason],
                input: inputOf(this.args, { reason }),
            },
            {
                parent: this,
                dependsOn: [this.giveBack],
                customTimeouts: { create: `${this.args.options.timeoutSeconds + 60}s` },
            },
        );
        this.drains.push(made);
        this.looks.push(look);
        return made;
    }

    /** Puts the node back into service after these, whenever it was looked at again; after what it returns it is. */
    public after(done: readonly pulumi.Resource[]): command.local.Command {
        const looks = pulumi.all(this.looks).apply((all) => all.map(({ at }) => at).join(" "));
        return hostStep(
            `${this.name}-uncordon`,
            { create: uncordon, input: inputOf(this.args, { looks }) },
            // A node that takes pods with its containerd half-way loses them.
            {
                parent: this,
                dependsOn: [...this.drains, ...done],
                customTimeouts: { create: "2m", update: "2m" },
            },
        );
    }
}
