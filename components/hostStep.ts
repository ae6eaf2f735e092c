import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { commandDirectory } from "./checkout";
import { contentHash } from "./contentHash";

/** A command that does nothing. */
export const nothing = "true";

/**
 * The command that calls a script of scripts/on-host/. States hold it, and removal runs it as it was.
 *
 * @param call name of the script there, and its arguments
 * @param files further files of the checkout that decide what it does: with them the command is another one, and runs again,
 * when one of them or the script changes. Default: it is always the same
 */
export function hostCall(call: string, files?: readonly string[]): string {
    const [script] = call.split(" ");
    const hash = files ? ` # ${contentHash(`scripts/on-host/${script}.ts`, ...files)}` : "";
    return `node scripts/on-host.mjs ${call}${hash}`;
}

export interface HostStepArgs {
    /** As hostCall gives it. Default: nothing is done. */
    readonly create?: pulumi.Input<string>;
    /** What runs when only the input changes. Default: `create`. */
    readonly update?: string;
    /** As hostCall gives it. Default: nothing is done. */
    readonly delete?: string;
    /** What the script gets on stdin, as JSON; kept as a secret. Default: it gets nothing. */
    readonly input?: Readonly<Record<string, pulumi.Input<unknown>>>;
    /** Another value is another step. */
    readonly triggers?: pulumi.Input<pulumi.Input<unknown>[]>;
}

/**
 * Runs a script on the operator's machine. The only place that makes such commands, so none of them has a secret in its
 * command line, or the output of an earlier run in its environment.
 */
export function hostStep(
    name: string,
    { create = nothing, input, ...rest }: HostStepArgs,
    opts: pulumi.CustomResourceOptions,
): command.local.Command {
    const callsNothing = create === nothing && rest.delete === undefined;
    return new command.local.Command(
        name,
        {
            create,
            ...rest,
            dir: callsNothing ? undefined : commandDirectory,
            stdin: input && pulumi.secret(pulumi.jsonStringify(input)),
            addPreviousOutputInEnv: false,
            logging: command.local.Logging.Stderr,
        },
        opts,
    );
}
