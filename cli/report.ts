// `report`: what the outputs say, as a page and as Markdown.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { Outputs } from "../schema/outputs.ts";
import { ageProblems } from "./check/history.ts";
import { podsNeedStack } from "./check/options.ts";
import { kinds, problemsIn } from "./check/problems.ts";
import { readSource, type Source } from "./check/source.ts";
import { Failure } from "./failure.ts";
import { root } from "./project.ts";
import { changesBetween } from "./report/changes.ts";
import { markdown } from "./report/markdown.ts";
import { type Changes, modelOf } from "./report/model.ts";
import { page } from "./report/page.ts";
import { stackName } from "./stack.ts";
import { writeAtomically } from "./stamps.ts";
import { readOutputs } from "./summary.ts";

const lastFile = "last-outputs.json";
const help = "npm run report -- --help";
/** Options as cli/main.ts declares them. */
export interface ReportOptions {
    readonly out?: string;
    readonly since?: string;
    readonly pods?: boolean;
}

/** Where the report goes: beside that of other stacks, not over it. */
function folderOf(file: string | undefined, { out }: ReportOptions): string {
    if (out !== undefined) {
        return resolve(out);
    }
    const stack = stackName();
    return file !== undefined || stack === "dev" ? join(root, "report") : join(root, "report", stack);
}

function changesSince(path: string, outputs: Outputs): Changes {
    let earlier: Outputs;
    try {
        earlier = JSON.parse(readFileSync(path, "utf8"));
    } catch (error) {
        return { list: [], reason: `It cannot be told: ${path} cannot be read: ${(error as Error).message}.` };
    }
    const { complaints } = readOutputs(earlier);
    if (complaints.length > 0) {
        return { list: [], reason: `It cannot be told: ${path} holds other outputs: ${complaints.join("; ")}.` };
    }
    return { since: statSync(path).mtime.toISOString(), list: changesBetween(earlier, outputs) };
}

function changesOf({ since }: ReportOptions, folder: string, outputs: Outputs): Changes {
    const last = join(folder, lastFile);
    if (since === undefined && !existsSync(last)) {
        return { list: [], reason: "There is no earlier run to compare with." };
    }
    const changes = changesSince(since === undefined ? last : resolve(since), outputs);
    if (since !== undefined && changes.reason !== undefined) {
        throw new Failure(`--since ${since}: ${changes.reason}`, { exitCode: 2, next: help });
    }
    return changes;
}

/** What `check --pods` finds, if it is asked for. */
async function podsOf({ pods }: ReportOptions, { stack, outputs }: Source) {
    if (!pods || stack === undefined) {
        return undefined;
    }
    const { lookAtPods } = await import("./pods.ts");
    return await lookAtPods(stack.name, stack.pulumi, outputs);
}

/** `report`. @param file of outputs, "-" for standard input, or undefined for the stack. What is not proven is shown, too. */
export async function report(file: string | undefined, given: ReportOptions): Promise<void> {
    if (given.pods && file !== undefined) {
        throw new Failure(podsNeedStack(file), { exitCode: 2, next: help });
    }
    const source = await readSource(file);
    const { outputs, workers, complaints, stack, label, next } = source;
    if (complaints.length > 0) {
        throw new Failure(`there is nothing to report: the outputs of ${label} are not what they should be.`, {
            exitCode: kinds.invalid.exitCode,
            tail: complaints,
            next,
        });
    }
    const pods = await podsOf(given, source);
    const problems = [
        ...problemsIn(outputs, workers),
        ...(stack === undefined ? [] : ageProblems(stack.updates, stack.name)),
        ...(pods?.problems ?? []),
    ];
    const folder = folderOf(file, given);
    const changes = changesOf(given, folder, outputs);
    const model = modelOf(source, problems, changes, pods);
    const written = [
        ["report.html", page(model)],
        ["report.md", markdown(model)],
    ] as const;
    for (const [name, content] of written) {
        writeAtomically(join(folder, name), content);
    }
    // The next run compares with these; where nothing has changed, those of the first such run stay.
    if (changes.reason !== undefined || changes.list.length > 0 || given.since !== undefined) {
        const kept = { ...outputs, kubeconfig: "[secret]" };
        writeAtomically(join(folder, lastFile), `${JSON.stringify(kept, null, 2)}\n`);
    }
    process.stdout.write(`${model.headline}\n`);
    for (const [name] of written) {
        process.stdout.write(`${relative(process.cwd(), join(folder, name))}\n`);
    }
}
