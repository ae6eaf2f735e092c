import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Machine } from "./contracts";
import { bring, bringingOf, callOf, textOf } from "./machineScripts";
import { resultIn, resultMark, shellQuote, stepCall } from "./step.cjs";

export interface RemoteStepArgs {
    /** The machine that the script runs on. */
    readonly machine: Machine;
    /** The script, below scripts/on-machine/; lib.sh there is put before it. */
    readonly script: string;
    /** What it is called with: to make something, or to look and change nothing. Default: "install". */
    readonly verb?: "install" | "inspect";
    /** What the script shares with others, below scripts/on-machine/; put between lib.sh and the script. */
    readonly library?: string | readonly string[];
    /** Constants of the script by name, and anything else that the step must run again for. */
    readonly values?: Readonly<Record<string, pulumi.Input<string>>>;
    /**
     * Whether the script has a verb "remove" that takes away what "install" made; or the machine's directory in which "install"
     * notes what it makes: then the scripts of the runtime's removal do. Default: false.
     */
    readonly removable?: boolean | string;
    /** Whether the scripts go with the step, because nothing may be written on the machine before it. Default: false. */
    readonly inline?: boolean;
    /** Whether what the script prints is a secret. Default: false. */
    readonly secretOutput?: boolean;
    /** Longest run in seconds; the script is ended on the machine after it. Default: 600. */
    readonly timeout?: number;
    /** A few words that a plan shows, where they change, beside the command. */
    readonly note?: pulumi.Input<string>;
}

/** Options of a step; all that it waits for is known beforehand. */
export interface StepOptions extends pulumi.CustomResourceOptions {
    readonly dependsOn?: pulumi.Resource[];
}

/**
 * The text that a step feeds to bash: the mark before its result, constants, libraries, script.
 *
 * @param scripts files below scripts/on-machine/, the last one is the script itself
 * @param body what stands for the texts of these files
 */
export function renderStep(
    scripts: string | readonly string[],
    identity: string,
    values: Readonly<Record<string, string>>,
    body = textOf([scripts].flat()),
): string {
    const constants = Object.entries(values).map(([key, value]) => `readonly ${key}=${shellQuote(value)}\n`);
    // What a shell has printed before need not end in a newline.
    const mark = `printf '\\n%s\\n' ${shellQuote(resultMark)}\n`;
    return `# machine ${identity}\n${mark}${constants.join("")}${body}`;
}

/** The same of a step that calls the scripts that were brought to its machine. */
export function renderCall(
    machine: Machine,
    scripts: readonly string[],
    identity: string,
    values: Readonly<Record<string, string>>,
    record?: string,
): string {
    return renderStep(scripts, identity, values, callOf(scripts, bringingOf(machine), record));
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
 * What goes through stdin (no argument: it appears in no process list, and its length has no limit) is the step's constants
 * and a call of scripts that were brought to the machine, by the hash of their texts. The step runs again, in place, when
 * that changes: a script, a value or the machine's identity. A script whose step goes away with its machine is not asked to
 * clean up.
 */
export function remoteStep(name: string, args: RemoteStepArgs, opts: StepOptions): command.remote.Command {
    const { machine, script, library = [], values = {}, removable = false, secretOutput = false, timeout = 600 } = args;
    const record = typeof removable === "string" ? removable : undefined;
    const call = (verb: string) => stepCall(machine.shell, timeout, verb);
    const create = call(args.verb ?? "install");
    const scripts = [library ?? [], script].flat();
    const after = opts.dependsOn ?? [];
    const owner = `stack ${pulumi.getStack()}, ${name}`;
    return new command.remote.Command(
        name,
        {
            connection: machine.connection,
            create: args.note === undefined ? create : pulumi.interpolate`${create} # ${args.note}`,
            delete: removable !== false ? call("remove") : undefined,
            stdin: pulumi.all([machine.identity, pulumi.output(values)]).apply(([identity, resolved]) => {
                const constants = { OWNER: owner, TIMEOUT: String(timeout), ...resolved };
                return args.inline
                    ? renderStep(scripts, identity, constants)
                    : renderCall(machine, scripts, identity, constants, record);
            }),
            addPreviousOutputInEnv: false,
            logging: secretOutput ? command.remote.Logging.None : command.remote.Logging.Stderr,
        },
        {
            ...opts,
            dependsOn: args.inline ? after : [bring(machine, after), ...after],
            additionalSecretOutputs: secretOutput ? ["stdout", "stderr"] : [],
            customTimeouts: { create: `${timeout + 60}s`, update: `${timeout + 60}s` },
            deletedWith: machine.resource,
            // Else the old step's clean-up would undo what the new one has just made.
            deleteBeforeReplace: removable !== false,
        },
    );
}
