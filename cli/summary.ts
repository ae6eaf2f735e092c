// What the outputs say: the table for people, and whether every worker is proven.
import { linesOf, type Vulnerability } from "../components/vulnerabilities.cjs";
import type { Outputs } from "../schema/outputs.ts";
import { invalidities } from "./check/schema.ts";
import { isRefused, knownOf } from "./known.ts";

/** What the outputs say of one worker. */
interface WorkerSummary {
    readonly name: string;
    readonly kernels: Outputs["uname"][string];
    readonly dmesg: Outputs["dmesg"][string];
    readonly proven: boolean;
    /** Limits that were tried are checks, too. */
    readonly checks: Outputs["isolation"][string]["checks"];
    /** What is known today. */
    readonly vulnerabilities: readonly Vulnerability[];
    /** Why it was not looked at, so that this is as of the last update; undefined where it was. */
    readonly unseen?: string | undefined;
}

/**
 * Checks the stack outputs against their contract, schema/outputs.ts.
 *
 * @param outputs parsed `pulumi stack output --json`
 * @returns complaints, which name each output that is missing or malformed; and the workers, where there are none
 */
export function readOutputs(outputs: unknown): { complaints: string[]; workers: WorkerSummary[] } {
    const complaints = invalidities(outputs);
    return { complaints, workers: complaints.length > 0 ? [] : workersIn(outputs as Outputs) };
}

function workersIn({ uname, dmesg, isolation, workers, limits }: Outputs): WorkerSummary[] {
    const names = Object.keys(workers).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    return names.flatMap((name) => {
        const [kernels, logs, verdict] = [uname[name], dmesg[name], isolation[name]];
        if (!kernels || !logs || !verdict) {
            return []; // By the contract all of them name the same workers.
        }
        const checks = [...verdict.checks, ...limitChecks(limits?.[name])];
        const proven = verdict.proven && checks.every(({ passed }) => passed);
        return { name, kernels, dmesg: logs, proven, checks, vulnerabilities: knownOf(workers[name]) };
    });
}

/** What was found out about limits on sandboxed pods, as checks. */
function limitChecks({ memory, cpu }: NonNullable<Outputs["limits"]>[string] = {}): WorkerSummary["checks"] {
    const limit = memory?.limitMiB === undefined ? "" : `, limit ${memory.limitMiB} MiB`;
    const used = `${cpu?.usedMillicores ?? "?"} millicores used, limit ${cpu?.limitMillicores ?? "?"}`;
    return [
        memory && {
            name: "a memory limit on a sandboxed pod binds",
            passed: memory.passed,
            detail: memory.outcome + limit,
        },
        cpu && { name: "a CPU limit on a sandboxed pod binds", passed: cpu.passed, detail: used },
    ].filter((check) => check !== undefined);
}

/** What a look could not see, and why: the worker of that name, or an object of the cluster, "KIND NAME". */
export interface Unseen {
    readonly what: string;
    readonly why: string;
}

/**
 * Workers with what the look before an update could not see of them. The objects of the cluster concern all of them.
 *
 * @param captured names of the workers whose evidence the update has captured since
 */
export function withUnseen(
    workers: readonly WorkerSummary[],
    unseen: readonly Unseen[],
    captured: readonly string[],
): WorkerSummary[] {
    const cluster = unseen.find(({ what }) => what.includes(" "));
    return workers.map((worker) => {
        const own = unseen.find(({ what }) => what === worker.name)?.why;
        const why = own ?? (cluster && `${cluster.what}: ${cluster.why}`);
        return captured.includes(worker.name) ? worker : { ...worker, unseen: why };
    });
}

/** Text with a sign in place of each character that is not seen but does something: a pod decides what is in its log. */
export function visible(text: string): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "�");
}

/** One line of text, harmless where it is printed: it neither steers a terminal nor is a workflow command of a CI runner. */
export function clean(text: string): string {
    return visible(text)
        .replaceAll("\t", " ")
        .replaceAll("\n", "�")
        .replace(/^(\s*)(::|##\[)/, "$1\\$2");
}

/** First and last line of a kernel log, trimmed to `width`. */
function endsOf(text: string, width: number): string[] {
    const lines = text
        .split("\n")
        .map((line) => clean(line.trimEnd()))
        .filter((line) => line !== "");
    const [first = "(nothing)", ...rest] = lines;
    return [first, ...rest.slice(-1)].map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
}

/** How texts are coloured: as they should be, as they should not be, and as titles. */
type Colours = Readonly<Record<"good" | "bad" | "strong", (text: string) => string>>;

/** Colours for a stream: none where it is no terminal, or where NO_COLOR or CI says so. */
export function coloursOf(out: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Colours {
    const on = Boolean(out.isTTY) && !env.NO_COLOR && !env.CI;
    const colour = (code: string) => (text: string) => (on ? `\u001b[${code}m${text}\u001b[0m` : text);
    return { good: colour("32"), bad: colour("1;31"), strong: colour("1") };
}

/**
 * The summary after `up`.
 *
 * @param workers as readOutputs gives them
 * @param width columns of the terminal
 */
export function renderSummary(
    workers: readonly WorkerSummary[],
    runtimeClass: string,
    width: number = 100,
    colours: Colours = coloursOf({}),
): string {
    const { good, bad } = colours;
    const namesOf = (which: (worker: WorkerSummary) => boolean) => workers.filter(which).map(({ name }) => name);
    const open = namesOf(({ proven }) => !proven).join(", ");
    const vulnerable = namesOf(({ vulnerabilities }) => vulnerabilities.some(isRefused)).join(", ");
    const unseen = namesOf((worker) => worker.unseen !== undefined).join(", ");
    return [
        ...workers.flatMap((worker) => [...linesOfWorker(worker, runtimeClass, width, colours), ""]),
        `verdict: ${open === "" ? `${good("PROVEN")} on every worker` : `${bad("NOT PROVEN")} on ${open}`}` +
            `${vulnerable === "" ? "" : `, ${bad("VULNERABLE")} on ${vulnerable}`}` +
            `${unseen === "" ? "" : `; as of the last update on ${unseen}, which could not be looked at`}`,
    ].join("\n");
}

function linesOfWorker(
    { name, kernels, dmesg, checks, vulnerabilities, proven, unseen }: WorkerSummary,
    runtimeClass: string,
    width: number,
    { good, bad, strong }: Colours,
): string[] {
    const rows = [
        ["worker", "the node itself"],
        ["test-1", "default runtime"],
        ["test-2", `runtime class ${runtimeClass}`],
    ] as const;
    const longest = Math.max(...rows.map(([key]) => kernels[key].length));
    const logs = (["test-1", "test-2"] as const).flatMap((key) => {
        const [first, last] = endsOf(dmesg[key], Math.max(width - 19, 30));
        return [`  dmesg of ${key}   ${first}`, ...(last === undefined ? [] : [`                    ${last}`])];
    });
    const refused = vulnerabilities.filter(isRefused);
    const others = vulnerabilities.filter((one) => !isRefused(one));
    return [
        strong(name),
        ...rows.map(([key, what]) => `  kernel of ${key}  ${kernels[key].padEnd(longest)}  (${what})`),
        ...logs,
        ...checks.map(({ passed, name: title, detail }) => {
            const seen = detail === "" ? "" : `: ${clean(detail.split("\n")[0] ?? "")}`;
            return `  ${passed ? good("✓") : bad("✗")} ${clean(title)}${seen}`;
        }),
        ...linesOf(refused).map((line) => `  ${bad("✗")} ${clean(line)}`),
        ...linesOf(others).map((line) => `  ! ${clean(line)}`),
        `  ${proven ? good("PROVEN") : bad("NOT PROVEN")}${refused.length > 0 ? bad(", VULNERABLE") : ""}` +
            `${unseen === undefined ? "" : ` as of the last update; it could not be looked at now: ${clean(unseen)}`}`,
    ];
}
