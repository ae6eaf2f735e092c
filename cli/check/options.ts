// What `check` is given.
import { parseArgs } from "node:util";
import { Failure } from "../failure.ts";
import { parseDuration } from "./history.ts";

const flags = {
    json: { type: "boolean" },
    junit: { type: "string" },
    github: { type: "boolean" },
    "max-age": { type: "string" },
    live: { type: "boolean" },
    kubeconfig: { type: "string" },
    pods: { type: "boolean" },
    "allow-replaced": { type: "boolean" },
} as const;
const usage =
    "[FILE|-] [--json] [--junit FILE] [--github] [--max-age 24h] [--live [--kubeconfig FILE]] [--pods [SELECTOR] [--allow-replaced]]";

export type Options = ReturnType<typeof optionsOf>;

/**
 * The flags by name, with `file`: path, "-" for standard input, or undefined for the stack; `maxAge` in milliseconds; and
 * `selector` of pods, empty for all.
 *
 * @throws {Failure} with exit code 2 for what `check` does not know, or what does not go together
 */
export function optionsOf(args: readonly string[]) {
    const { rest, selector } = withSelector(args);
    const { values, positionals } = parsed(rest);
    if (positionals.length > 1) {
        throw refusal(`check takes one file of outputs, not ${positionals.length}: ${positionals.join(", ")}.`);
    }
    const [file] = positionals;
    const age = values["max-age"];
    const maxAge = age === undefined ? undefined : parseDuration(age);
    if (age !== undefined && maxAge === undefined) {
        throw refusal(`--max-age is "${age}"; allowed: a number with s, m, h or d, such as 24h.`);
    }
    if (maxAge !== undefined && file !== undefined) {
        throw refusal("--max-age goes with a stack only: a file of outputs does not say when they were made.");
    }
    if (values.kubeconfig !== undefined && !values.live) {
        throw refusal("--kubeconfig goes with --live only.");
    }
    if (values.pods && file !== undefined) {
        const name = file === "-" ? "standard input" : file;
        throw refusal(`--pods goes with a stack only: ${name} does not say how to reach its workers.`);
    }
    if (values["allow-replaced"] && !values.pods) {
        throw refusal("--allow-replaced goes with --pods only.");
    }
    return { ...values, maxAge, file, selector };
}

const refusal = (message: string) => new Failure(message, { exitCode: 2, next: `npm run check -- ${usage}` });

function parsed(args: string[]) {
    try {
        return parseArgs({ args, options: flags, allowPositionals: true });
    } catch (error) {
        throw refusal(`check does not know this: ${(error as Error).message.split(". ")[0]}.`);
    }
}

/** What stands after --pods is its selector, if it is no flag: a flag that may have a value, which parseArgs does not know. */
function withSelector(args: readonly string[]): { rest: string[]; selector: string } {
    const at = args.findIndex((arg) => arg === "--pods" || arg.startsWith("--pods="));
    const [flag, next] = at < 0 ? [] : args.slice(at);
    if (flag === undefined) {
        return { rest: [...args], selector: "" };
    }
    const inline = flag.slice("--pods=".length);
    const taken = inline === "" && next !== undefined && !next.startsWith("-");
    const rest = [...args.slice(0, at), "--pods", ...args.slice(at + (taken ? 2 : 1))];
    return { rest, selector: taken ? next : inline };
}
