// `check`: is every worker proven, by the stack outputs alone.
import { Failure } from "./failure.mjs";
import { capture } from "./run.mjs";
import { setup } from "./setup.mjs";
import { pulumiOf, stackExists, stackInFiles, stackName } from "./stack.mjs";
import { allProven, readOutputs, renderSummary } from "./summary.mjs";

function missing(stack) {
    return new Failure(`there is no stack ${stack}, so nothing is proven.`, { next: upOf(stack) });
}

function upOf(stack) {
    return stack === "dev" ? "npm run up" : `STACK=${stack} npm run up`;
}

/** `check`. */
export async function check() {
    const stack = stackName();
    if (stackInFiles(stack) === false) {
        throw missing(stack);
    }
    const pulumi = pulumiOf(await setup("preview"));
    judge(await stackOutputs(stack, pulumi), stack);
}

/** Reads the outputs of a stack; fails with one sentence where that cannot be done. */
export async function stackOutputs(stack, pulumi) {
    if (!(await stackExists(stack, pulumi))) {
        throw missing(stack);
    }
    const args = ["stack", "output", "--json", "--stack", stack];
    const { code, stdout, stderr } = await capture(pulumi.path, args, { env: pulumi.env });
    if (code !== 0) {
        const reason = stderr
            .trim()
            .split("\n")
            .pop()
            ?.replace(/^error: /, "");
        throw new Failure(`the outputs of stack ${stack} cannot be read: ${reason}`, { exitCode: code });
    }
    return parseOutputs(stdout, stack, upOf(stack));
}

/** The workers in the text of `pulumi stack output --json`. */
function parseOutputs(text, stack, next) {
    let outputs;
    try {
        outputs = JSON.parse(text);
    } catch (error) {
        throw new Failure(`the outputs of stack ${stack} are no JSON: ${error.message}.`, { next });
    }
    if (typeof outputs === "object" && outputs !== null && Object.keys(outputs).length === 0) {
        throw new Failure(`stack ${stack} has no outputs: it was never brought up, or was destroyed.`, { next });
    }
    const { complaints, workers } = readOutputs(outputs);
    if (complaints.length > 0) {
        throw new Failure(`the outputs of stack ${stack} are not what they should be: ${complaints.join("; ")}.`, {
            next,
        });
    }
    return { workers, runtimeClass: outputs.runtimeClass };
}

/** Prints the summary and fails unless every worker is proven. */
export function judge({ workers, runtimeClass }, stack, out = process.stdout) {
    out.write(`\n${renderSummary(workers, runtimeClass, out.columns || 100)}\n`);
    if (!allProven(workers)) {
        const open = workers.filter((worker) => !worker.proven).map((worker) => worker.name);
        throw new Failure(
            `the sandbox is not proven on ${open.join(", ")} of stack ${stack}; the failed checks are marked ✗.`,
            {
                next: "look at the marked checks; `npm run up` captures the facts again where something has changed",
            },
        );
    }
}
