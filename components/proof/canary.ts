import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { optionsInFile } from "../evidence.cjs";
import { project } from "../names";
import { renderCall } from "../remoteStep";
import { stepCall } from "../step.cjs";
import { type ShortLivedPodsArgs, shortLivedPods } from "./shortLivedPods";

const script = "canary";
const files = [
    ...["cli/machines.ts", "scripts/on-host/api.ts"],
    ...["evidence", "step", "unprivileged"].map((name) => `components/${name}.cjs`),
];
const limit = 60;

/**
 * Shows that a new pod of each class starts in its sandbox on a worker: short-lived pods, looked at by the worker's own
 * evidence. Fails where one does not, and so do the updates after that until it does.
 */
export class Canary extends pulumi.ComponentResource {
    /** Classes whose pods have started. */
    public readonly classes: pulumi.Output<string[]>;
    /** After this they have. */
    public readonly started: command.local.Command;

    constructor(name: string, args: ShortLivedPodsArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:probe:Canary`, name, {}, opts);
        const { machine, handlers } = args;
        const values = {
            OPTIONS: [...new Set(handlers.flatMap((handler) => Object.keys(optionsInFile(handler))))].join("\n"),
        };
        const input = {
            classes: handlers,
            call: stepCall(machine.shell, limit, "install"),
            script: pulumi
                .output(machine.identity)
                .apply((identity) => renderCall(machine, ["gvisor/node.sh", "probe/host-facts.sh"], identity, values)),
        };
        this.started = shortLivedPods(name, args, [script, ...files], "start", input, "5m", this);
        this.classes = this.started.stdout.apply((text) => Object.keys(JSON.parse(text) as object));
        this.registerOutputs({});
    }
}
