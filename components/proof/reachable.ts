import * as fs from "node:fs";
import * as path from "node:path";
import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { checkout } from "../checkout";
import { project } from "../names";
import { type EgressRules, type JudgedReachable, judge, type ReachableFacts } from "../reachable.cjs";
import { renderCall } from "../remoteStep";
import { stepCall } from "../step.cjs";
import { type ShortLivedPodsArgs, shortLivedPods } from "./shortLivedPods";

const script = "reachable";
/** Longest time that the worker has for an answer, in seconds. */
const limit = 60;
const recipe = "mirror/build/reach";
const files = [
    ...["reachableTargets", "program", "canary", "exec", "api"].map((one) => `scripts/on-host/${one}.ts`),
    ...["cli/machines.ts", "components/reachable.cjs", "components/step.cjs", "components/unprivileged.cjs"],
    ...fs
        .readdirSync(path.join(checkout, recipe))
        .filter((file) => !file.endsWith("_test.go"))
        .sort()
        .map((file) => `${recipe}/${file}`),
];

/** Policies that are to be proven, as EgressPolicy (components/admission) makes them. */
export interface ProvenEgress {
    readonly namespaces: readonly string[];
    readonly rules: EgressRules;
    /** After these they are there. */
    readonly policies: readonly pulumi.Resource[];
}

export interface ReachableArgs extends ShortLivedPodsArgs {
    /** Default: none; the pods are in the stack's own namespace then. */
    readonly egress?: ProvenEgress;
}

/**
 * Shows what pods reach over the network: from a short-lived pod of each class, and from one of the default runtime. One of them is on
 * the worker's own network, so the namespace has to let such pods in. Needs Go where Pulumi runs, to build the program.
 */
export class Reachable extends pulumi.ComponentResource {
    /** What they reach, and whether policies are enforced. */
    public readonly judged: pulumi.Output<JudgedReachable>;
    /** After this the pods are gone again. */
    public readonly made: command.local.Command;

    constructor(name: string, args: ReachableArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:probe:Reachable`, name, {}, opts);
        const { machine, handlers, egress } = args;
        const input = {
            classes: handlers.map(({ runtimeClass }) => ({ runtimeClass })),
            call: stepCall(machine.shell, limit, "install"),
            connections: pulumi
                .output(machine.identity)
                .apply((identity) => renderCall(machine, ["probe/connections.sh"], identity, {})),
            // Another flag, such as one of the network, is another sandbox.
            options: handlers.map(({ options }) => options),
            ...(egress && { egress: { namespaces: egress.namespaces, rules: egress.rules } }),
        };
        const pods = { ...args, after: [...args.after, ...(egress?.policies ?? [])] };
        // The program may have to be built first.
        this.made = shortLivedPods(name, pods, [script, ...files], "run", input, "10m", this);
        this.judged = this.made.stdout.apply((text) => judge(JSON.parse(text) as ReachableFacts, egress?.rules));
        this.registerOutputs({});
    }
}
