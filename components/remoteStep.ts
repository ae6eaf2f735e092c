import * as fs from "node:fs";
import * as path from "node:path";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { checkout } from "./checkout";
import { resultIn, resultMark } from "./stepResult.cjs";
import type { Machine } from "./targets/target";

export interface RemoteStepArgs {
    /** The machine that the script runs on. */
    readonly machine: Machine;
    /** The script, below scripts/; scripts/lib.sh is put before it. */
    readonly script: string;
    /** What it is called with: to make something, or to look and change nothing. Default: "install". */
    readonly verb?: "install" | "inspect";
    /** What the script shares with others, below scripts/; put between scripts/lib.sh and the script. */
    readonly library?: string;
    /** Constants of the script by name, and anything else that the step must run again for. */
    readonly values?: Readonly<Record<string, pulumi.Input<string>>>;
    /** Whether the script has a verb "remove" that takes away what "install" made. Default: false. */
    readonly removable?: boolean;
    /** Whether what the script prints is a secret. Default: false. */
    readonly secretOutput?: boolean;
    /** Longest run in seconds; the script is ended on the machine after it. Default: 600. */
    readonly timeout?: number;
    /** A few words that a plan shows, where they change, beside the command. */
    readonly note?: pulumi.Input<string>;
}

/** Quotes a value for a POSIX shell. */
export function shellQuote(value: string): string {
    return `'${value.replaceAll("'", `'\\''`)}'`;
}

/**
 * The text that a step feeds to bash: the mark before its result, constants, libraries, script.
 *
 * @param scripts files below scripts/, the last one is the script itself
 */
export function renderStep(
    scripts: string | readonly string[],
    identity: string,
    values: Readonly<Record<string, string>>,
): string {
    const constants = Object.entries(values).map(([key, value]) => `readonly ${key}=${shellQuote(value)}\n`);
    const texts = ["lib.sh", ...[scripts].flat()].map((file) =>
        fs.readFileSync(path.join(checkout, "scripts", file), "utf8"),
    );
    // What a shell has printed before need not end in a newline.
    const mark = `printf '\\n%s\\n' ${shellQuote(resultMark)}\n`;
    return `# machine ${identity}\n${mark}${constants.join("")}${texts.join("\n")}`;
}

/**
 * The command that reads a step from stdin, with a limit in seconds. The limit stands behind sudo: a `timeout` of the user
 * may not signal a sudo that is root, so it would end nothing
 * (https://github.com/sudo-project/sudo/blob/main/src/sudo.c, "Become full root").
 */
export function stepCall(shell: Machine["shell"], timeout: number, verb: string): string {
    return `${(shell ?? "bash").replace(/bash$/, `timeout --kill-after=10 ${timeout} bash`)} -s -- ${verb}`;
}

/** What a step prints as its result, without what the login's shell has printed before it. */
export function resultOf(step: command.remote.Command): pulumi.Output<string> {
    return step.stdout.apply(resultIn);
}

/** The same of a step that prints a JSON document. */
export function documentOf<T>(step: command.remote.Command): pulumi.Output<T> {
    return resultOf(step).apply((text) => JSON.parse(text) as T);
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
    const { machine, script, library, values = {}, removable = false, secretOutput = false, timeout = 600 } = args;
    const call = (verb: string) => stepCall(machine.shell, timeout, verb);
    const create = call(args.verb ?? "install");
    const scripts = library === undefined ? [script] : [library, script];
    const owner = `stack ${pulumi.getStack()}, ${name}`;
    return new command.remote.Command(
        name,
        {
            connection: machine.connection,
            create: args.note === undefined ? create : pulumi.interpolate`${create} # ${args.note}`,
            delete: removable ? call("remove") : undefined,
            stdin: pulumi
                .all([machine.identity, pulumi.output(values)])
                .apply(([identity, resolved]) =>
                    renderStep(scripts, identity, { OWNER: owner, TIMEOUT: String(timeout), ...resolved }),
                ),
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
