import * as fs from "node:fs";
import * as path from "node:path";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Machine } from "./targets/target";

export interface RemoteStepArgs {
    /** The machine that the script runs on. */
    readonly machine: Machine;
    /** The script, below scripts/; scripts/lib.sh is put before it. Called with the verb "install". */
    readonly script: string;
    /** Constants of the script by name, and anything else that the step must run again for. */
    readonly values?: Readonly<Record<string, pulumi.Input<string>>>;
    /** Whether the script has a verb "remove" that takes away what "install" made. Default: false. */
    readonly removable?: boolean;
    /** Whether what the script prints is a secret. Default: false. */
    readonly secretOutput?: boolean;
    /** Longest run in seconds; the script is ended on the machine after it. Default: 600. */
    readonly timeout?: number;
}

/** Quotes a value for a POSIX shell. */
export function shellQuote(value: string): string {
    return `'${value.replaceAll("'", `'\\''`)}'`;
}

/** The text that a step feeds to bash: constants, library, script. */
export function renderStep(script: string, identity: string, values: Readonly<Record<string, string>>): string {
    const read = (file: string) => fs.readFileSync(path.join("scripts", file), "utf8");
    const constants = Object.entries(values).map(([key, value]) => `readonly ${key}=${shellQuote(value)}\n`);
    return `# machine ${identity}\n${constants.join("")}${read("lib.sh")}\n${read(script)}`;
}

/**
 * Runs a script on a machine over SSH. The only place that makes remote commands, so all of them have a pinned host
 * key, a limit in time and no secret in their command line.
 *
 * The script goes through stdin (the text is no argument: it appears in no process list, and its length has no limit).
 * The step runs again, in place, when that text changes: the script, a value or the machine's identity. A script whose
 * step goes away with its machine is not asked to clean up.
 */
export function remoteStep(
    name: string,
    args: RemoteStepArgs,
    opts: pulumi.CustomResourceOptions,
): command.remote.Command {
    const { machine, script, values = {}, removable = false, secretOutput = false, timeout = 600 } = args;
    const call = (verb: string) => `timeout --kill-after=10 ${timeout} bash -s -- ${verb}`;
    return new command.remote.Command(
        name,
        {
            connection: machine.connection,
            create: call("install"),
            delete: removable ? call("remove") : undefined,
            stdin: pulumi
                .all([machine.identity, pulumi.output(values)])
                .apply(([identity, resolved]) => renderStep(script, identity, resolved)),
            addPreviousOutputInEnv: false,
            logging: secretOutput ? command.remote.Logging.None : command.remote.Logging.Stderr,
        },
        {
            ...opts,
            additionalSecretOutputs: secretOutput ? ["stdout", "stderr"] : [],
            customTimeouts: { create: `${timeout + 60}s`, update: `${timeout + 60}s` },
            deletedWith: machine.resource,
            // Else the old step's clean-up would undo what the new one has just made.
            deleteBeforeReplace: removable,
        },
    );
}
