// @ts-nocheck
// `check`: is every worker proven, by the outputs of a stack or of a file alone; and where it is asked to, is every pod where it
// should be.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { sentenceOf } from "../components/vulnerabilities.cjs";
import { contradictions, mismatches } from "./check/coherence.ts";
import { annotations, asJson, junit } from "./check/formats.ts";
import { ageProblems, parseDuration, readHistory } from "./check/history.ts";
import { compiled, schemaFile } from "./check/schema.ts";
import { Failure } from "./failure.ts";
import { isRefused } from "./known.ts";
import { askPulumi } from "./run.ts";
import { setup } from "./setup.ts";
import { pulumiOf, stackExists, stackInFiles, stackName } from "./stack.ts";
import { writeAtomically } from "./stamps.ts";
import { clean, coloursOf, readOutputs, renderSummary } from "./summary.ts";

/** Exit codes by what is wrong, the most telling first: where several things are, the first one decides. 2 is usage. */
export const exitCodes = {
    missing: 1,
    invalid: 3,
    "not proven": 1,
    "not starting": 1,
    contradictory: 4,
    unsandboxed: 7,
    vulnerable: 6,
    replaced: 8,
    unseen: 9,
    stale: 5,
};

const flags = {
    json: { type: "boolean" },
    junit: { type: "string" },
    github: { type: "boolean" },
    "max-age": { type: "string" },
    live: { type: "boolean" },
    kubeconfig: { type: "string" },
    pods: { type: "boolean" },
    "allow-replaced": { type: "boolean" },
};
const usage =
    "[FILE|-] [--json] [--junit FILE] [--github] [--max-age 24h] [--live [--kubeconfig FILE]] [--pods [SELECTOR] [--allow-replaced]]";

function upOf(stack) {
    return stack === "dev" ? "npm run up" : `STACK=${stack} npm run up`;
}

function missing(stack) {
    return new Failure(`there is no stack ${stack}, so nothing is proven.`, { next: upOf(stack) });
}

function optionsOf(args) {
    const refuse = (message) => new Failure(message, { exitCode: 2, next: `npm run check -- ${usage}` });
    let parsed;
    const { rest, selector } = withSelector(args);
    try {
        parsed = parseArgs({ args: rest, options: flags, allowPositionals: true });
    } catch (error) {
        throw refuse(`check does not know this: ${error.message.split(". ")[0]}.`);
    }
    const { values, positionals } = parsed;
    if (positionals.length > 1) {
        throw refuse(`check takes one file of outputs, not ${positionals.length}: ${positionals.join(", ")}.`);
    }
    const [file] = positionals;
    const maxAge = values["max-age"] === undefined ? undefined : parseDuration(values["max-age"]);
    if (values["max-age"] !== undefined && maxAge === undefined) {
        throw refuse(`--max-age is "${values["max-age"]}"; allowed: a number with s, m, h or d, such as 24h.`);
    }
    if (maxAge !== undefined && file !== undefined) {
        throw refuse("--max-age goes with a stack only: a file of outputs does not say when they were made.");
    }
    if (values.kubeconfig !== undefined && !values.live) {
        throw refuse("--kubeconfig goes with --live only.");
    }
    if (values.pods && file !== undefined) {
        throw refuse(
            `--pods goes with a stack only: ${file === "-" ? "standard input" : file} does not say how to reach its workers.`,
        );
    }
    if (values["allow-replaced"] && !values.pods) {
        throw refuse("--allow-replaced goes with --pods only.");
    }
    return { ...values, maxAge, file, selector };
}

/** What stands after --pods is its selector, if it is no flag: a flag that may have a value, which parseArgs does not know. */
function withSelector(args) {
    const at = args.findIndex((arg) => arg === "--pods" || arg.startsWith("--pods="));
    if (at < 0) {
        return { rest: args, selector: "" };
    }
    const inline = args[at].slice("--pods=".length);
    const next = args[at + 1];
    const taken = inline === "" && next !== undefined && !next.startsWith("-");
    const rest = [...args.slice(0, at), "--pods", ...args.slice(at + (taken ? 2 : 1))];
    return { rest, selector: taken ? next : inline };
}

function readText(path) {
    try {
        return readFileSync(resolve(path), "utf8");
    } catch (error) {
        throw new Failure(`${resolve(path)} cannot be read: ${error.message.split(",")[0]}.`, { exitCode: 2 });
    }
}

/** Text of `pulumi stack output --json`; the schema is made ready meanwhile. */
async function outputText(stack, pulumi) {
    const args = ["stack", "output", "--json", "--stack", stack];
    const running = askPulumi(pulumi, args);
    compiled();
    const { code, stdout, stderr } = await running;
    if (code !== 0) {
        const reason = stderr
            .trim()
            .split("\n")
            .pop()
            ?.replace(/^error: /, "");
        throw new Failure(`the outputs of stack ${stack} cannot be read: ${reason}`, { exitCode: code });
    }
    return stdout;
}

/** Parsed outputs and what of them is not valid, as { outputs, workers, complaints }. */
function parse(text) {
    try {
        const outputs = JSON.parse(text);
        return { outputs, ...readOutputs(outputs) };
    } catch (error) {
        if (!(error instanceof SyntaxError)) {
            throw error;
        }
        return { outputs: undefined, workers: [], complaints: [`they are no JSON: ${error.message}`] };
    }
}

function isEmpty(outputs) {
    return typeof outputs === "object" && outputs !== null && Object.keys(outputs).length === 0;
}

/**
 * Reads and validates outputs.
 *
 * @param file path of a file, "-" for standard input, or undefined for those of the stack
 * @returns { label, stack, pulumi, outputs, workers, complaints, updates }: label names where they are from; stack,
 * pulumi and updates (see readHistory) are there for a stack only
 */
export async function readSource(file) {
    if (file !== undefined) {
        await setup("packages");
        const text = file === "-" ? await readAll(process.stdin) : readText(file);
        return {
            label: file === "-" ? "standard input" : file,
            next: `docs/outputs.md and ${schemaFile} say what they should be`,
            ...parse(text),
        };
    }
    const stack = stackName();
    if (stackInFiles(stack) === false) {
        throw missing(stack);
    }
    const pulumi = pulumiOf(await setup("preview"));
    if (!(await stackExists(stack, pulumi))) {
        throw missing(stack);
    }
    const [text, updates] = await Promise.all([outputText(stack, pulumi), readHistory(stack, pulumi)]);
    const found = parse(text);
    if (isEmpty(found.outputs)) {
        throw new Failure(`stack ${stack} has no outputs: it was never brought up, or was destroyed.`, {
            next: upOf(stack),
        });
    }
    return { label: `stack ${stack}`, stack, pulumi, updates, next: upOf(stack), ...found };
}

/** What valid outputs have against them, of themselves. @returns [{ kind, worker, message }] */
export function problemsIn(outputs, workers) {
    const of = (kind, found) => found.map((one) => ({ kind, ...one }));
    const failed = workers.flatMap(({ name, checks }) =>
        checks
            .filter(({ passed }) => !passed)
            .map((check) => ({ worker: name, message: `the check "${check.name}" has not passed: ${check.detail}` })),
    );
    const denied = workers
        .filter(({ proven, checks }) => !proven && checks.every(({ passed }) => passed))
        .map(({ name }) => ({ worker: name, message: `isolation.${name}.proven is false` }));
    const vulnerable = workers.flatMap(({ name, vulnerabilities }) =>
        vulnerabilities.filter(isRefused).map((one) => ({ worker: name, message: sentenceOf(one) })),
    );
    return [
        ...of("not proven", [...failed, ...denied]),
        ...of("contradictory", contradictions(outputs)),
        ...of("vulnerable", vulnerable),
        ...of("stale", mismatches(outputs)),
    ];
}

/** Workers with the verdict that their outputs bear out: one that contradicts itself proves nothing. */
export function judged(workers, problems) {
    const doubted = new Set(problems.filter(({ kind }) => kind === "contradictory").map(({ worker }) => worker));
    return workers.map((worker) => ({ ...worker, proven: worker.proven && !doubted.has(worker.name) }));
}

async function allProblems(source, { maxAge, live, kubeconfig, pods, selector, "allow-replaced": allowReplaced }) {
    const { outputs, workers, complaints, stack, pulumi, updates } = source;
    if (complaints.length > 0) {
        return complaints.map((message) => ({ kind: "invalid", message }));
    }
    const problems = problemsIn(outputs, workers);
    source.proves = problems.length === 0;
    if (pods) {
        const { lookAtPods } = await import("./pods.ts");
        const { problems: ofPods, ...found } = await lookAtPods(stack, pulumi, outputs, { selector, allowReplaced });
        source.pods = found;
        source.shown = ofPods;
        problems.push(...ofPods);
    }
    if (stack !== undefined) {
        problems.push(...ageProblems(updates, stack, maxAge));
    }
    if (live) {
        const { canaryProblems, kubeconfigOf, liveProblems } = await import("./check/live.ts");
        const admin = kubeconfig === undefined ? await kubeconfigOf(outputs, stack, pulumi) : readText(kubeconfig);
        const found = [liveProblems(outputs, admin)];
        if (stack !== undefined) {
            found.push(canaryProblems(stack, pulumi));
        } else {
            process.stderr.write("no new pods are tried: a file of outputs does not say how to reach its workers\n");
        }
        problems.push(...(await Promise.all(found)).flat());
    }
    return problems;
}

/** The kind of problem that decides, or undefined where there is none. */
function deciding(problems) {
    return Object.keys(exitCodes).find((kind) => problems.some((problem) => problem.kind === kind));
}

const advice = {
    "not proven": () => "look at the marked checks; `npm run up` captures the facts again where something has changed",
    "not starting": () =>
        "`npm run drift` says whether something was changed there; the reason is in containerd's log, too",
    contradictory: () =>
        "somebody has changed them, or they are put together from several runs: take them from the stack",
    unsandboxed: () => "see below each of them; `npm run check -- --pods` looks again",
    replaced: () => "delete them, so that they are recreated; or accept it: --allow-replaced",
    unseen: () => "what could not be looked at is neither right nor wrong: see to the reason, then look again",
    vulnerable: () =>
        "take a gVisor where it is fixed (setting gvisorVersion, or a newer release of this project), or accept it: " +
        "setting acceptVulnerabilities; then `npm run up`",
    stale: ({ stack, next }) =>
        stack === undefined
            ? "take the outputs again from their stack"
            : `${next}; where pods or kernels have changed since, delete the test pods first: they are recreated`,
};

/** What is wrong, for the person at the terminal: one sentence, and below it what does not fit into it. */
function failureOf(problems, source) {
    const { label, next, shown = [] } = source;
    const first = deciding(problems);
    const own = problems.filter(({ kind }) => kind === first);
    const list = own.map(({ message }) => clean(message)).join("; ");
    const workers = [...new Set(own.map(({ worker }) => worker))].filter((worker) => worker !== undefined).join(", ");
    // What is invalid is all there is to say; of the rest a list would be no sentence.
    const inline = first === "invalid" || own.length === 1;
    const said = inline ? list : `${own.length} complaints`;
    const message = {
        invalid: `the outputs of ${label} are not what they should be: ${said}.`,
        "not proven": `the sandbox is not proven on ${workers} of ${label}; the failed checks are marked ✗.`,
        "not starting": `no new sandbox starts on ${workers} of ${label}: ${said}.`,
        contradictory: `the outputs of ${label} contradict themselves: ${said}.`,
        unsandboxed: `pods are not in the sandbox that they should be in on ${workers} of ${label}: ${said}.`,
        replaced: `pods are in sandboxes of a gVisor that has been replaced on ${workers} of ${label}: ${said}.`,
        unseen: `not every pod of ${label} could be looked at: ${said}.`,
        vulnerable: `gVisor is vulnerable on ${workers} of ${label}: ${said}.`,
        stale: `the outputs of ${label} are stale: ${said}.`,
    }[first];
    const rest = first === "not proven" || inline ? problems.filter((one) => !own.includes(one)) : problems;
    return new Failure(message, {
        exitCode: exitCodes[first],
        tail: rest.filter((one) => !shown.includes(one)).map((one) => `${one.kind}: ${clean(one.message)}`),
        next: advice[first]?.(source) ?? next,
    });
}

/** What `check` found, as its machine-readable forms take it. */
function resultOf(source, problems) {
    const kind = deciding(problems);
    return {
        source: source.label,
        result: kind ?? "proven",
        exitCode: kind === undefined ? 0 : exitCodes[kind],
        updated: source.updates?.succeeded,
        workers: source.workers ?? [],
        pods: source.pods,
        problems,
    };
}

function tell(result, options) {
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

/** `check [FILE|-] [--json] [--junit FILE] [--github] [--max-age DURATION] [--live [--kubeconfig FILE]]`. */
export async function check(args = []) {
    const options = optionsOf(args);
    let source;
    try {
        source = await readSource(options.file);
    } catch (error) {
        if (error instanceof Failure && error.exitCode !== 2) {
            const label = options.file ?? `stack ${stackName()}`;
            tell(resultOf({ label }, [{ kind: "missing", message: error.message }]), options);
            // Pulumi's own exit codes mean other things than those of this command.
            error.exitCode = exitCodes.missing;
        }
        throw error;
    }
    const problems = await allProblems(source, options);
    source.workers = judged(source.workers, problems);
    if (!options.json && source.complaints.length === 0) {
        await printFound(source);
    }
    tell(resultOf(source, problems), options);
    if (problems.length > 0) {
        throw failureOf(problems, source);
    }
}

/** With --pods, the workers are shown only where something is wrong with them. */
async function printFound(source, out = process.stdout) {
    if (!source.pods || !source.proves) {
        printSummary(source);
    }
    if (source.pods) {
        const { renderPods } = await import("./pods/text.ts");
        out.write(`${renderPods(source.pods, coloursOf(out))}\n`);
    }
}

function printSummary({ workers, outputs }, out = process.stdout) {
    out.write(`\n${renderSummary(workers, outputs.runtimeClass, out.columns || 100, coloursOf(out))}\n`);
}

/**
 * Reads the outputs of a stack after an `up`; fails with one sentence where that cannot be done.
 *
 * @returns undefined where no worker of the stack has a sandbox
 */
export async function stackOutputs(stack, pulumi) {
    const found = parse(await outputText(stack, pulumi));
    if (found.outputs?.uname && Object.keys(found.outputs.uname).length === 0) {
        return undefined;
    }
    if (found.complaints.length > 0) {
        const problems = found.complaints.map((message) => ({ kind: "invalid", message }));
        throw Object.assign(failureOf(problems, { label: `stack ${stack}`, next: upOf(stack) }), { exitCode: 1 });
    }
    return found;
}

/** Prints the summary after an `up` and fails unless every worker is proven and all fits together. */
export function judge({ outputs, workers }, stack, out = process.stdout) {
    const problems = problemsIn(outputs, workers).filter(({ kind }) => kind !== "stale");
    printSummary({ outputs, workers: judged(workers, problems) }, out);
    if (problems.length > 0) {
        throw Object.assign(failureOf(problems, { label: `stack ${stack}`, next: upOf(stack) }), { exitCode: 1 });
    }
}
