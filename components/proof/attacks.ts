import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type AttackFacts, type JudgedAttacks, judge } from "../attacks.cjs";
import { project } from "../names";
import { renderCall } from "../remoteStep";
import { stepCall } from "../step.cjs";
import { programFiles, type ShortLivedPodsArgs, shortLivedPods } from "./shortLivedPods";

const script = "attacks";
/** Longest time that the worker has for an answer, in seconds. */
const limit = 60;
const files = [...programFiles, "components/attacks.cjs", "components/evidence.cjs"];

/**
 * Tries on a worker what a sandbox must not let through: by a program of our own, in a short-lived pod of each class, and in one of
 * the default runtime with the same rights, which shows what would come of it. All of them are privileged, so the namespace has
 * to let such pods in. Needs Go where Pulumi runs, to build the program.
 */
export class Attacks extends pulumi.ComponentResource {
    /** What came of them. */
    public readonly judged: pulumi.Output<JudgedAttacks>;
    /** After this the pods are gone again. */
    public readonly made: command.local.Command;

    constructor(name: string, args: ShortLivedPodsArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:probe:Attacks`, name, {}, opts);
        const { machine, handlers } = args;
        const call = (...scripts: string[]) =>
            pulumi.output(machine.identity).apply((identity) => renderCall(machine, scripts, identity, {}));
        const input = {
            classes: handlers.map(({ runtimeClass }) => ({ runtimeClass })),
            install: stepCall(machine.shell, limit, "install"),
            remove: stepCall(machine.shell, limit, "remove"),
            decoys: call("gvisor/node.sh", "probe/decoys.sh"),
            evidence: call("gvisor/node.sh", "probe/host-facts.sh"),
            // Another flag is another sandbox.
            options: handlers.map(({ options }) => options),
        };
        // The program may have to be built first.
        this.made = shortLivedPods(name, args, [script, ...files], "run", input, "10m", this);
        this.judged = this.made.stdout.apply((text) => judge(JSON.parse(text) as AttackFacts));
        this.registerOutputs({});
    }
}
