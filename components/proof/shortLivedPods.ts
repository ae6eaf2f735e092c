import * as fs from "node:fs";
import * as path from "node:path";
import type * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import { checkout } from "../checkout";
import type { Handler, Machine } from "../contracts";
import { hostCall, hostStep } from "../hostStep";

const recipe = "mirror/build/attacks";

/** What makes the program that scripts bring to such pods, and what brings it. */
export const programFiles = [
    ...["canary", "exec", "api", "program"].map((name) => `scripts/on-host/${name}.ts`),
    "cli/machines.ts",
    "components/step.cjs",
    ...fs
        .readdirSync(path.join(checkout, recipe), { recursive: true, encoding: "utf8" })
        .filter((file) => /(?<!_test)\.go$|\.json$|\.mod$|\.sum$/.test(file))
        .sort()
        .map((file) => `${recipe}/${file}`),
];

/** What a component takes that makes pods on a worker, which live for the run of a script only. */
export interface ShortLivedPodsArgs {
    readonly machine: Machine;
    /** The worker's handlers, with the RuntimeClass of each once it is there. */
    readonly handlers: readonly (Omit<Handler, "runtimeClass"> & { readonly runtimeClass: pulumi.Output<string> })[];
    /** Default: "default". */
    readonly namespace?: string;
    /** With a shell, head, chmod and sleep. */
    readonly image: pulumi.Input<string>;
    /** Kubeconfig (secret) of somebody who may make pods, and run programs in them. */
    readonly kubeconfig: pulumi.Output<string>;
    /** What has changed on the worker, in any words: another value is another run. */
    readonly changes: pulumi.Input<string>;
    /** After this the node takes sandboxed pods. */
    readonly after: readonly pulumi.Resource[];
}

/**
 * Runs a script on the operator's machine that makes such pods; its verb "clear" takes away what a run that was cut off has left.
 *
 * @param name of the component
 * @param script its name, and further files of the checkout that decide what it does
 * @param verb what it is called with
 * @param input what else it gets on stdin
 * @param create longest time for it, such as "5m"
 */
export function shortLivedPods(
    name: string,
    { machine, namespace = "default", image, kubeconfig, changes, after }: ShortLivedPodsArgs,
    [script, ...files]: readonly [string, ...string[]],
    verb: string,
    input: Readonly<Record<string, pulumi.Input<unknown>>>,
    create: string,
    parent: pulumi.Resource,
): command.local.Command {
    return hostStep(
        `${name}-pods`,
        {
            create: hostCall(`${script} ${verb}`, files),
            delete: hostCall(`${script} clear`),
            input: {
                ...{ kubeconfig, node: machine.name, namespace, image },
                connection: machine.connection,
                ...input,
                changes,
            },
        },
        {
            parent,
            dependsOn: [...after],
            customTimeouts: { create, update: create, delete: "2m" },
            deletedWith: machine.resource,
        },
    );
}
