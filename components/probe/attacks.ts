import * as fs from "node:fs";
import * as path from "node:path";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type AttackFacts, type JudgedAttacks, judge } from "../attacks.cjs";
import { checkout, commandDirectory } from "../checkout";
import { contentHash } from "../contentHash";
import { project } from "../names";
import { renderCall, stepCall } from "../remoteStep";
import type { Handler } from "../sandbox/handlers";
import type { Machine } from "../targets/target";

export interface AttacksArgs {
    readonly machine: Machine;
    /** The worker's handlers, with the RuntimeClass of each once it is there. */
    readonly handlers: readonly (Omit<Handler, "runtimeClass"> & { readonly runtimeClass: pulumi.Output<string> })[];
    /** Where privileged pods may be made. Default: "default". */
    readonly namespace?: string;
    /** Image of the pods, with a shell, head, chmod and sleep: the program is brought to them. */
    readonly image: pulumi.Input<string>;
    /** Kubeconfig (secret) of somebody who may make pods, and run programs in them. */
    readonly kubeconfig: pulumi.Output<string>;
    /** What has changed on the worker, in any words: another value is another round of attempts. */
    readonly changes: pulumi.Input<string>;
    /** After this the node takes sandboxed pods. */
    readonly after: readonly pulumi.Resource[];
}

const script = "scripts/probe/attacks.mjs";
/** Longest time that the worker has for an answer, in seconds. */
const limit = 60;
const recipe = "scripts/mirror/build/attacks";
const files = [
    ...["scripts/probe/canary.mjs", "scripts/probe/exec.mjs", "scripts/cli/machines.mjs", "scripts/cluster/api.mjs"],
    ...["components/attacks.cjs", "components/evidence.cjs", "components/stepResult.cjs"],
    ...fs
        .readdirSync(path.join(checkout, recipe))
        .filter((file) => !file.endsWith("_test.go"))
        .sort()
        .map((file) => `${recipe}/${file}`),
];

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

    constructor(name: string, args: AttacksArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:probe:Attacks`, name, {}, opts);
        const { machine, handlers, namespace = "default", image, kubeconfig, changes, after } = args;
        const call = (...scripts: string[]) =>
            pulumi.output(machine.identity).apply((identity) => renderCall(machine, scripts, identity, {}));
        this.made = new command.local.Command(
            `${name}-pods`,
            {
                create: `node ${script} run # ${contentHash(script, ...files)}`,
                delete: `node ${script} clear`,
                dir: commandDirectory,
                stdin: pulumi.secret(
                    pulumi.jsonStringify({
                        kubeconfig,
                        node: machine.name,
                        namespace,
                        image,
                        classes: handlers.map(({ runtimeClass }) => ({ runtimeClass })),
                        connection: machine.connection,
                        install: stepCall(machine.shell, limit, "install"),
                        remove: stepCall(machine.shell, limit, "remove"),
                        decoys: call("sandbox/node.sh", "probe/decoys.sh"),
                        evidence: call("sandbox/node.sh", "probe/host-facts.sh"),
                        // Another flag is another sandbox.
                        options: handlers.map(({ options }) => options),
                        changes,
                    }),
                ),
                addPreviousOutputInEnv: false,
                logging: command.local.Logging.Stderr,
            },
            {
                parent: this,
                dependsOn: [...after],
                // The program may have to be built first.
                customTimeouts: { create: "10m", update: "10m", delete: "2m" },
                deletedWith: machine.resource,
            },
        );
        this.judged = this.made.stdout.apply((text) => judge(JSON.parse(text) as AttackFacts));
        this.registerOutputs({});
    }
}
