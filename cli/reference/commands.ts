// The commands, by what they say themselves, and their exit codes.
import { exitCodes } from "../check/problems.ts";
import { usage as ciUsage } from "../ci/main.ts";
import { Failure } from "../failure.ts";
import { exitCodeOf, guarded } from "../run.ts";
import { code, found, table } from "./markdown.ts";

const block = (text: string) => `\`\`\`text\n${text.trim()}\n\`\`\`\n`;

/** @param usage the help of the command line */
export function commands(usage: string): string {
    return `${block(usage)}\nWhat the workflows call, see [CI](ci.md):\n\n${block(ciUsage)}`;
}

/** What the kinds of check's exit codes mean. */
const meanings: Readonly<Record<string, string>> = {
    missing: "there is no stack, it has no outputs, or they cannot be read",
    invalid: "the outputs are not what the schema says",
    "not proven": "a check of a worker has not passed",
    "not starting": "a new pod of a class does not start in its sandbox (`--live`)",
    contradictory: "the outputs say proven, and the facts in them say otherwise",
    unsandboxed: "a pod is not in the sandbox that it should be in (`--pods`)",
    replaced: "a pod is in a sandbox of a gVisor that has been replaced (`--pods`, without `--allow-replaced`)",
    unseen: "a worker or the API server could not be asked for its pods, or no pod was there to be looked at (`--pods`)",
    vulnerable:
        "a worker has a gVisor that an update would refuse, see [known vulnerabilities](#known-vulnerabilities)",
    stale: "the outputs are of another time than what they are about",
};

/** A number that stands in the source. */
const numberIn = (file: string, pattern: RegExp) => found(file, pattern)[0]?.[0] ?? "";

export function exits(): string {
    const usual = numberIn("cli/failure.ts", /exitCode = (\d+),/g);
    const drifted = numberIn("cli/drift.ts", /const drifted = (\d+);/g);
    const refused = numberIn("cli/report.ts", /exitCode: (\d+),\s*tail: complaints/g);
    const kinds = Object.entries(exitCodes).map(([kind, status]) => {
        const meaning = meanings[kind];
        if (meaning === undefined) {
            throw new Failure(`the exit code of check for "${kind}" is not explained.`, {
                next: "explain it in cli/reference/commands.ts",
            });
        }
        return [String(status), code("check"), `${code(kind)}: ${meaning}`];
    });
    return `Where several of \`check\` apply, the first in the order ${Object.keys(exitCodes).join(", ")} decides.

${table(
    ["Exit code", "Command", "Means"],
    [
        ["0", "all", "done; `check`: every worker is proven; `drift`: nothing differs"],
        [usual, "all", "failed; the error says what, and what to do next"],
        ["2", "all", "the command was given something that it does not know; nothing was done"],
        ...kinds.sort(([one], [other]) => Number(one) - Number(other)),
        [refused, code("report"), "the outputs are not what the schema says; there is nothing to report"],
        [drifted, code("drift"), "something differs"],
        ...guarded.map((signal) => [String(exitCodeOf(signal)), "all", `ended by ${signal}`]),
        ["other", "`pulumi`, `up`, `preview`, `destroy`", "Pulumi's own"],
    ],
)}`;
}
