// @ts-nocheck
// `report`: what the outputs say, as a page and as Markdown.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ageProblems } from "./check/history.ts";
import { problemsIn, readSource } from "./check.ts";
import { Failure } from "./failure.ts";
import { root } from "./project.ts";
import { changesBetween } from "./report/changes.ts";
import { markdown } from "./report/markdown.ts";
import { modelOf } from "./report/model.ts";
import { page } from "./report/page.ts";
import { stackName } from "./stack.ts";
import { writeAtomically } from "./stamps.ts";
import { readOutputs } from "./summary.ts";

const lastFile = "last-outputs.json";
const usage = "npm run report -- [FILE|-] [--out DIR] [--since FILE] [--pods]";

function optionsOf(args) {
    try {
        const options = { out: { type: "string" }, since: { type: "string" }, pods: { type: "boolean" } };
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
        throw new Failure(`report does not know this: ${error.message.split(". ")[0]}.`, { exitCode: 2, next: usage });
    }
}

/** Where the report goes: beside that of other stacks, not over it. */
function folderOf({ out, file }) {
    if (out !== undefined) {
        return resolve(out);
    }
    const stack = stackName();
    return file !== undefined || stack === "dev" ? join(root, "report") : join(root, "report", stack);
}

/** What has changed since earlier outputs, as { since, list, reason }. */
function changesSince(path, outputs) {
    let earlier;
    try {
        earlier = JSON.parse(readFileSync(path, "utf8"));
    } catch (error) {
        return { list: [], reason: `It cannot be told: ${path} cannot be read: ${error.message}.` };
    }
    const { complaints } = readOutputs(earlier);
    if (complaints.length > 0) {
        return { list: [], reason: `It cannot be told: ${path} holds other outputs: ${complaints.join("; ")}.` };
    }
    return { since: statSync(path).mtime.toISOString(), list: changesBetween(earlier, outputs) };
}

function changesOf({ since }, folder, outputs) {
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
async function podsOf({ pods }, { stack, pulumi, outputs }) {
    if (!pods) {
        return undefined;
    }
    const { lookAtPods } = await import("./pods.ts");
    return await lookAtPods(stack, pulumi, outputs);
}

/** `report [FILE|-] [--out DIR] [--since FILE] [--pods]`. Also of what is not proven: the page says so. */
export async function report(args = []) {
    const options = optionsOf(args);
    const source = await readSource(options.file);
    const { outputs, workers, complaints, stack, updates, label, next } = source;
    if (complaints.length > 0) {
        throw new Failure(`there is nothing to report: the outputs of ${label} are not what they should be.`, {
            exitCode: 3,
            tail: complaints,
            next,
        });
    }
    const pods = await podsOf(options, source);
    const problems = [
        ...problemsIn(outputs, workers),
        ...(stack === undefined ? [] : ageProblems(updates, stack, undefined)),
        ...(pods?.problems ?? []),
    ];
    const folder = folderOf(options);
    const changes = changesOf(options, folder, outputs);
    const model = modelOf({ ...source, pods }, problems, changes);
    const written = [
        ["report.html", page(model)],
        ["report.md", markdown(model)],
    ];
    for (const [name, content] of written) {
        writeAtomically(join(folder, name), content);
    }
    // The next run compares with these; where nothing has changed, those of the first such run stay.
    if (changes.reason !== undefined || changes.list.length > 0 || options.since !== undefined) {
        const kept = { ...outputs, kubeconfig: "[secret]" };
        writeAtomically(join(folder, lastFile), `${JSON.stringify(kept, null, 2)}\n`);
    }
    process.stdout.write(`${model.headline}\n`);
    for (const [name] of written) {
        process.stdout.write(`${relative(process.cwd(), join(folder, name))}\n`);
    }
}
