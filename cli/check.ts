// `check`: is every worker proven, by the outputs of a stack or of a file alone; and where it is asked to, is every pod where it
// should be.
import { resolve } from "node:path";
import type { Outputs } from "../schema/outputs.ts";
import { annotations, asJson, junit, type Result } from "./check/formats.ts";
import { ageProblems } from "./check/history.ts";
import { type Given, type Options, optionsOf } from "./check/options.ts";
import { deciding, judged, kinds, type Problem, problemsIn, type Worker } from "./check/problems.ts";
import { type Found, outputText, parse, readSource, readText, type Source, type Stack, upOf } from "./check/source.ts";
import { failureOf } from "./check/wording.ts";
import { Failure } from "./failure.ts";
import type { Pulumi } from "./run.ts";
import { stackName } from "./stack.ts";
import { writeAtomically } from "./stamps.ts";
import { coloursOf, renderSummary } from "./summary.ts";

/** `check`. @param file of outputs, "-" for standard input, or undefined for the stack */
export async function check(file: string | undefined, given: Given): Promise<void> {
    const options = optionsOf(file, given);
    const source = await sourceFor(options);
    const { own, more, pods, shown } = await findProblems(source, options);
    const problems = [...own, ...shown, ...more];
    const workers = judged(source.workers, problems);
    if (!options.json && source.complaints.length === 0) {
        // With --pods, the workers are shown only where something is wrong with them.
        if (!pods || own.length > 0) {
            printSummary(workers, source.outputs.runtimeClass);
        }
        if (pods) {
            const { renderPods } = await import("./pods/text.ts");
            process.stdout.write(`${renderPods(pods, coloursOf(process.stdout))}\n`);
        }
    }
    const updated = source.stack?.updates.succeeded;
    writeResult({ source: source.label, updated, workers, pods, problems }, options);
    if (problems.length > 0) {
        throw failureOf(problems, source, { shown });
    }
}

/** The outputs; where there are none, the machine-readable forms say so, too. */
async function sourceFor(options: Options): Promise<Source> {
    try {
        return await readSource(options.file);
    } catch (error) {
        if (!(error instanceof Failure) || error.exitCode === 2) {
            throw error;
        }
        const { message, tail, log, next } = error;
        const source = options.file ?? `stack ${stackName()}`;
        writeResult({ source, workers: [], problems: [{ kind: "missing", message }] }, options);
        // Pulumi's own exit codes mean other things than those of this command.
        throw new Failure(message, { tail, log, next, exitCode: kinds.missing.exitCode });
    }
}

/** All that is wrong: with the outputs themselves (`own`), with pods (`shown`, as they are as a whole), and else (`more`). */
async function findProblems({ outputs, workers, complaints, stack }: Source, options: Options) {
    if (complaints.length > 0) {
        const own = complaints.map((message): Problem => ({ kind: "invalid", message }));
        return { own, shown: [], more: [] };
    }
    const own = problemsIn(outputs, workers);
    const looked = options.pods && stack ? await podsOf(stack, outputs, options) : undefined;
    const more = stack ? ageProblems(stack.updates, stack.name, options.maxAge) : [];
    if (options.live) {
        const { liveProblems } = await import("./check/live.ts");
        const kubeconfig = options.kubeconfig === undefined ? undefined : readText(options.kubeconfig);
        more.push(...(await liveProblems(outputs, stack, kubeconfig)));
    }
    return { own, shown: looked?.problems ?? [], more, pods: looked?.found };
}

async function podsOf(stack: Stack, outputs: Outputs, { selector, allowReplaced }: Options) {
    const { lookAtPods } = await import("./pods.ts");
    const { problems, ...found } = await lookAtPods(stack.name, stack.pulumi, outputs, { selector, allowReplaced });
    return { problems, found };
}

/** Writes the machine-readable forms that are asked for. */
function writeResult(found: Omit<Result, "result" | "exitCode">, options: Options): void {
    const kind = deciding(found.problems);
    const { source, ...rest } = found;
    const result: Result = { source, result: kind ?? "proven", exitCode: kind ? kinds[kind].exitCode : 0, ...rest };
    if (options.junit !== undefined) {
        writeAtomically(resolve(options.junit), junit(result));
    }
    if (options.json) {
        process.stdout.write(asJson(result));
    }
    if (options.github || process.env.GITHUB_ACTIONS === "true") {
        (options.json ? process.stderr : process.stdout).write(annotations(result));
    }
}

function printSummary(workers: readonly Worker[], runtimeClass: string, out = process.stdout): void {
    out.write(`\n${renderSummary(workers, runtimeClass, out.columns || 100, coloursOf(out))}\n`);
}

/**
 * Reads the outputs of a stack after an `up`; fails with one sentence where that cannot be done.
 *
 * @returns undefined where no worker of the stack has a sandbox
 */
export async function stackOutputs(stack: string, pulumi: Pulumi): Promise<Found | undefined> {
    const found = parse(await outputText(stack, pulumi));
    if (found.outputs?.uname && Object.keys(found.outputs.uname).length === 0) {
        return undefined;
    }
    if (found.complaints.length > 0) {
        const problems = found.complaints.map((message): Problem => ({ kind: "invalid", message }));
        throw failureOf(problems, { label: `stack ${stack}`, next: upOf(stack) }, { exitCode: 1 });
    }
    return found;
}

/** Prints the summary after an `up` and fails unless every worker is proven and all fits together. */
export function judge({ outputs, workers }: Found, stack: string): void {
    const problems = problemsIn(outputs, workers).filter(({ kind }) => kind !== "stale");
    printSummary(judged(workers, problems), outputs.runtimeClass);
    if (problems.length > 0) {
        throw failureOf(problems, { label: `stack ${stack}`, next: upOf(stack) }, { exitCode: 1 });
    }
}
