import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { commandDirectory } from "../checkout";
import type { Machine, RestartLook } from "../contracts";
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

const script = "node scripts/on-host.mjs maintenance";

const unseen = { addPreviousOutputInEnv: false, logging: command.local.Logging.Stderr };

/** What a command of a node is given. */
function callOf({ machine, kubeconfig, options, keep }: NodeArgs & DrainArgs, more: object) {
    return {
        dir: commandDirectory,
        stdin: pulumi.secret(pulumi.jsonStringify({ kubeconfig, node: machine.name, keep, ...options, ...more })),
        ...unseen,
    };
}

/**
 * Empties a node before what `done` has made there is taken away, which restarts containerd, too. It is there whether nodes are
 * drained or not: that this is switched off must not look like a removal.
 */
export function drainBeforeRemoval(args: NodeArgs, drain: DrainArgs | undefined, done: pulumi.Resource) {
    const { machine } = args;
    return new command.local.Command(
        `${machine.name}-drain-for-removal`,
        {
            create: "true",
            ...unseen,
            ...(drain && { delete: `${script} drain`, ...callOf({ ...args, ...drain }, { removal: true }) }),
        },
        {
            dependsOn: [done],
            deletedWith: machine.resource,
            customTimeouts: { delete: `${(drain?.options.timeoutSeconds ?? 0) + 60}s` },
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
        this.giveBack = new command.local.Command(
            `${name}-give-back`,
            { create: "true", delete: `${script} uncordon`, ...callOf(args, {}) },
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
        const drain = new command.local.Command(
            `${this.name}-${what}`,
            {
                create: reason.apply((why) => (why === "" ? "true" : `${script} drain`)),
                // Another kubeconfig, or another option, is no reason to send pods away.
                update: "true",
                triggers: [reason],
                ...callOf(this.args, { reason }),
            },
            {
                parent: this,
                dependsOn: [this.giveBack],
                customTimeouts: { create: `${this.args.options.timeoutSeconds + 60}s` },
            },
        );
        this.drains.push(drain);
        this.looks.push(look);
        return drain;
    }

    /** Puts the node back into service after these, whenever it was looked at again; after what it returns it is. */
    public after(done: readonly pulumi.Resource[]): command.local.Command {
        const looks = pulumi.all(this.looks).apply((all) => all.map(({ at }) => at).join(" "));
        return new command.local.Command(
            `${this.name}-uncordon`,
            { create: `${script} uncordon`, ...callOf(this.args, { looks }) },
            // A node that takes pods with its containerd half-way loses them.
            {
                parent: this,
                dependsOn: [...this.drains, ...done],
                customTimeouts: { create: "2m", update: "2m" },
            },
        );
    }
}
