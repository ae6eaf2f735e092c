// What `check` found, for machines: JSON, JUnit XML, and the annotations of GitHub's workflows.
import { linesOf } from "../../components/vulnerabilities.cjs";
import { isRefused } from "../known.ts";
import type { PodRow } from "../pods/judge.ts";
import type { PodsFound } from "../pods.ts";
import { clean } from "../summary.ts";
import type { Kind, Problem, Worker } from "./problems.ts";

/** What `check` found. */
export interface Result {
    /** Where the outputs are from. */
    readonly source: string;
    readonly result: Kind | "proven";
    readonly exitCode: number;
    /** End of the last update that came through; of a stack only. */
    readonly updated?: string;
    readonly workers: readonly Worker[];
    readonly pods?: PodsFound;
    readonly problems: readonly Problem[];
}

/** What is tested by name, with the messages of what has failed, and what else is to be said. */
interface Suite {
    readonly name: string;
    readonly cases: readonly (readonly [title: string, messages: readonly string[]])[];
    readonly warnings?: readonly string[];
}

/** The result as one JSON document. */
export function asJson({ workers, ...result }: Result): string {
    const byWorker = Object.fromEntries(
        workers.map(({ name, proven, checks, vulnerabilities }) => [name, { proven, checks, vulnerabilities }]),
    );
    return `${JSON.stringify({ ...result, workers: byWorker }, null, 2)}\n`;
}

function xml(text: string): string {
    const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
    return clean(text.replaceAll("\n", " ")).replace(/[&<>"]/g, (character: string) => escapes[character] ?? "");
}

/** What is known against a worker, is accepted by nobody, and is no reason to refuse it. */
const warningsOf = ({ vulnerabilities }: Worker) =>
    linesOf(vulnerabilities.filter((one) => !one.accepted && !isRefused(one)));

function suitesOf({ workers, problems, pods }: Result): Suite[] {
    const messages = (worker: string | undefined, ...kinds: Kind[]) =>
        problems
            .filter((problem) => problem.worker === worker && kinds.includes(problem.kind))
            .map(({ message }) => message);
    const suiteOf = (worker: Worker): Suite => {
        const { name, checks } = worker;
        const others = messages(name, "not proven").filter((message) => !message.startsWith("the check "));
        return {
            name,
            cases: [
                ...checks.map((check) => [check.name, check.passed ? [] : [check.detail || "not passed"]] as const),
                ["the outputs say that it is proven", others],
                ["the verdict fits the facts", messages(name, "contradictory")],
                ["gVisor has no known vulnerability that is not accepted", messages(name, "vulnerable")],
                ["the worker is as it was recorded", messages(name, "stale")],
                ["a new sandbox starts now", messages(name, "not starting")],
            ],
            warnings: warningsOf(worker),
        };
    };
    return [
        {
            name: "outputs",
            cases: [
                ["the outputs can be read", messages(undefined, "missing")],
                ["the outputs are valid by their schema", messages(undefined, "invalid")],
                ["the outputs are of the last update", messages(undefined, "stale")],
            ],
        },
        ...workers.map(suiteOf),
        ...(pods ? podSuites(pods, messages(undefined, "unseen")) : []),
    ];
}

/** A suite for each machine whose pods were looked at: a case for its answer, and one for each pod that has to be somewhere. */
function podSuites({ machines, pods }: PodsFound, unseen: readonly string[]): Suite[] {
    const caseOf = ({ namespace, name, flaws }: PodRow) =>
        [`${namespace}/${name}`, flaws.map(({ kind, seen, wanted }) => `${kind}: ${seen}; wanted: ${wanted}`)] as const;
    const names = [...new Set([...machines, ...pods].map(({ worker }) => worker))];
    return [
        { name: "pods", cases: [["the pods can be looked at", unseen]] },
        ...names.map((name) => ({
            name: `pods of ${name}`,
            cases: [
                [
                    "it says which pods it runs",
                    machines.flatMap(({ worker, error }) => (worker === name && error) || []),
                ] as const,
                ...pods
                    .filter((pod) => pod.worker === name && (pod.required !== undefined || pod.inSandbox))
                    .map(caseOf),
            ],
        })),
    ];
}

/** The result as JUnit XML: one suite for the outputs, and one for each worker. */
export function junit(result: Result): string {
    const suites = suitesOf(result);
    const failed = (cases: Suite["cases"]) => cases.filter(([, messages]) => messages.length > 0).length;
    const all = suites.flatMap(({ cases }) => cases);
    const lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        `<testsuites name="${xml(`sandboxes of ${result.source}`)}" tests="${all.length}" failures="${failed(all)}">`,
    ];
    for (const { name, cases, warnings = [] } of suites) {
        lines.push(`  <testsuite name="${xml(name)}" tests="${cases.length}" failures="${failed(cases)}">`);
        for (const [title, messages] of cases) {
            const test = `    <testcase classname="${xml(name)}" name="${xml(title)}"`;
            lines.push(
                messages.length === 0
                    ? `${test}/>`
                    : `${test}><failure message="${xml(messages.join("; "))}"/></testcase>`,
            );
        }
        if (warnings.length > 0) {
            lines.push(`    <system-out>${xml(warnings.join("; "))}</system-out>`);
        }
        lines.push("  </testsuite>");
    }
    return `${[...lines, "</testsuites>"].join("\n")}\n`;
}

/** https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands: data and properties. */
function data(text: string): string {
    return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function property(text: string): string {
    return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}

/** The result as annotations of a workflow run: an error for each problem, or one notice; and warnings. */
export function annotations({ source, workers, problems }: Result): string {
    const line = (level: string, title: string, message: string) =>
        `::${level} title=${property(title)}::${data(message)}\n`;
    const names = workers.map(({ name }) => name).join(", ");
    return [
        ...problems.map(({ kind, worker, message }) =>
            line("error", `Sandboxes ${kind}: ${worker ?? source}`, message),
        ),
        ...(problems.length === 0 ? [line("notice", "Sandboxes proven", `${names} of ${source}`)] : []),
        ...workers.flatMap((worker) =>
            warningsOf(worker).map((text) => line("warning", `Known vulnerabilities: ${worker.name}`, text)),
        ),
    ].join("");
}
