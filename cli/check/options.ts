// What `check` is given, and what of that does not go together.
import { Failure } from "../failure.ts";
import { parseDuration } from "./history.ts";

/** Options as cli/main.ts declares them. */
export interface Given {
    /** A selector of pods, or true for all. */
    readonly pods?: string | true;
    readonly allowReplaced?: boolean;
    readonly live?: boolean;
    readonly kubeconfig?: string;
    readonly maxAge?: string;
    readonly json?: boolean;
    readonly junit?: string;
    readonly github?: boolean;
}

export type Options = ReturnType<typeof optionsOf>;

/** Why `--pods` does not go with a file of outputs. */
export const podsNeedStack = (file: string) =>
    `--pods goes with a stack only: ${file === "-" ? "standard input" : file} does not say how to reach its workers.`;

/**
 * @param file path, "-" for standard input, or undefined for the stack
 * @returns the options, with `maxAge` in milliseconds, and `selector` of pods, empty for all
 * @throws {Failure} with exit code 2 and all that is wrong with them
 */
export function optionsOf(file: string | undefined, given: Given) {
    const { pods, allowReplaced, live, kubeconfig, maxAge: age } = given;
    const maxAge = age === undefined ? undefined : parseDuration(age);
    const complaints = [
        age !== undefined &&
            maxAge === undefined &&
            `--max-age is "${age}"; allowed: a number with s, m, h or d, such as 24h.`,
        age !== undefined &&
            file !== undefined &&
            "--max-age goes with a stack only: a file of outputs does not say when they were made.",
        kubeconfig !== undefined && !live && "--kubeconfig goes with --live only.",
        pods !== undefined && file !== undefined && podsNeedStack(file),
        allowReplaced && pods === undefined && "--allow-replaced goes with --pods only.",
    ].filter((one) => typeof one === "string");
    if (complaints.length > 0) {
        throw new Failure(complaints.join(" "), { exitCode: 2, next: "npm run check -- --help" });
    }
    return { ...given, file, maxAge, selector: pods === true ? "" : pods };
}
