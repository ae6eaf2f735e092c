// The commands, by what they say themselves, and their exit codes.
import { kinds } from "../check/problems.ts";
import { usage as ciUsage } from "../ci/main.ts";
import { drifted } from "../drift.ts";
import { Failure } from "../failure.ts";
import { exitCodeOf, guarded } from "../run.ts";
import { code, table } from "./markdown.ts";

const block = (text: string) => `\`\`\`text\n${text.trim()}\n\`\`\`\n`;

/** @param usage the help of the command line */
export function commands(usage: string): string {
    return `${block(usage)}\nWhat the workflows call, see [CI](ci.md):\n\n${block(ciUsage)}`;
}

export function exits(): string {
    const own = Object.entries(kinds).map(([kind, { exitCode, meaning }]) => [
        String(exitCode),
        code("check"),
        `${code(kind)}: ${meaning}`,
    ]);
    return `Where several of \`check\` apply, the first in the order ${Object.keys(kinds).join(", ")} decides.

${table(
    ["Exit code", "Command", "Means"],
    [
        ["0", "all", "done; `check`: every worker is proven; `drift`: nothing differs"],
        [String(new Failure("").exitCode), "all", "failed; the error says what, and what to do next"],
        ["2", "all", "the command was given something that it does not know; nothing was done"],
        ...own.sort(([one], [other]) => Number(one) - Number(other)),
        [
            String(kinds.invalid.exitCode),
            code("report"),
            "the outputs are not what the schema says; there is nothing to report",
        ],
        [String(drifted), code("drift"), "something differs"],
        ...guarded.map((signal) => [String(exitCodeOf(signal)), "all", `ended by ${signal}`]),
        ["other", "`pulumi`, `up`, `preview`, `destroy`", "Pulumi's own"],
    ],
)}`;
}
