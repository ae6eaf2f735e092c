// @ts-nocheck
// The commands, by what they say themselves, and their exit codes.
import { exitCodes } from "../check/problems.ts";
import { Failure } from "../failure.ts";
import { usage } from "../main.ts";
import { capture, exitCodeOf, guarded } from "../run.ts";
import { code, found, table } from "./markdown.ts";

async function usageOf(script) {
    const { code: status, stdout, stderr } = await capture(process.execPath, [script, "help"]);
    if (status !== 0) {
        throw new Failure(`${script} does not say what its commands are: ${stderr.trim().split("\n").pop()}`);
    }
    return `\`\`\`text\n${stdout.trim()}\n\`\`\`\n`;
}

export async function commands() {
    const ci = await usageOf("cli/ci/main.ts");
    return `\`\`\`text\n${usage().trim()}\n\`\`\`\n\nWhat the workflows call, see [CI](ci.md):\n\n${ci}`;
}

/** What the kinds of check's exit codes mean. */
const meanings = {
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

export function exits() {
    const [[, usual]] = found("cli/failure.ts", /exitCode = (\d+),/g);
    const [[, drifted]] = found("cli/drift.ts", /const drifted = (\d+);/g);
    const [[, refused]] = found("cli/report.ts", /exitCode: (\d+),\s*tail: complaints/g);
    const signals = guarded.map((signal) => [signal, String(exitCodeOf(signal))]);
    const kinds = Object.entries(exitCodes).map(([kind, status]) => {
        if (!Object.hasOwn(meanings, kind)) {
            throw new Failure(`the exit code of check for "${kind}" is not explained.`, {
                next: "explain it in cli/reference/commands.ts",
            });
        }
        return [String(status), code("check"), `${code(kind)}: ${meanings[kind]}`];
    });
    return `Where several of \`check\` apply, the first in the order ${Object.keys(exitCodes).join(", ")} decides.

${table(
    ["Exit code", "Command", "Means"],
    [
        ["0", "all", "done; `check`: every worker is proven; `drift`: nothing differs"],
        [usual, "all", "failed; the error says what, and what to do next"],
        ["2", "all", "the command was given something that it does not know; nothing was done"],
        ...kinds.sort(([one], [other]) => one - other),
        [refused, code("report"), "the outputs are not what the schema says; there is nothing to report"],
        [drifted, code("drift"), "something differs"],
        ...signals.map(([signal, status]) => [status, "all", `ended by ${signal}`]),
        ["other", "`pulumi`, `up`, `preview`, `destroy`", "Pulumi's own"],
    ],
)}`;
}
