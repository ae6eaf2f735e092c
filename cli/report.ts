// `report`: what the outputs say, as a page and as Markdown.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Outputs } from "../schema/outputs.ts";
import { ageProblems } from "./check/history.ts";
import { problemsIn } from "./check/problems.ts";
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
const usage = "npm run report -- [FILE|-] [--out DIR] [--since FILE] [--pods]";

const options = { out: { type: "string" }, since: { type: "string" }, pods: { type: "boolean" } } as const;

type Options = ReturnType<typeof optionsOf>;

function optionsOf(args: string[]) {
    try {
        const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
        if (positionals.length > 1) {
            throw new Error(`it takes one file of outputs, not ${positionals.length}: ${positionals.join(", ")}`);
        }
        const [file] = positionals;
        if (values.pods && file !== undefined) {
            throw new Error(`--pods goes with a stack only, ${file} does not say how to reach its workers`);
        }
        return { ...values, file };
    } catch (error) {
        const [reason] = (error as Error).message.split(". ");
        throw new Failure(`report does not know this: ${reason}.`, { exitCode: 2, next: usage });
    }
}

/** Where the report goes: beside that of other stacks, not over it. */
function folderOf({ out, file }: Options): string {
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

function changesOf({ since }: Options, folder: string, outputs: Outputs): Changes {
    const last = join(folder, lastFile);
    if (since === undefined && !existsSync(last)) {
        return { list: [], reason: "There is no earlier run to compare with." };
    }
    const changes = changesSince(since === undefined ? last : resolve(since), outputs);
    if (since !== undefined && changes.reason !== undefined) {
        throw new Failure(`--since ${since}: ${changes.reason}`, { exitCode: 2, next: usage });
    }
    return changes;
}

/** What `check --pods` finds, if it is asked for. */
async function podsOf({ pods }: Options, { stack, outputs }: Source) {
    if (!pods || stack === undefined) {
        return undefined;
    }
    const { lookAtPods } = await import("./pods.ts");
    return await lookAtPods(stack.name, stack.pulumi, outputs);
}

/** `report [FILE|-] [--out DIR] [--since FILE] [--pods]`. Also of what is not proven: the page says so. */
export async function report(args: string[] = []): Promise<void> {
    const given = optionsOf(args);
    const source = await readSource(given.file);
    const { outputs, workers, complaints, stack, label, next } = source;
    if (complaints.length > 0) {
        throw new Failure(`there is nothing to report: the outputs of ${label} are not what they should be.`, {
            exitCode: 3,
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
    const folder = folderOf(given);
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
