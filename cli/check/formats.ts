// @ts-nocheck
// What `check` found, for machines: JSON, JUnit XML, and the annotations of GitHub's workflows.
import { linesOf } from "../../components/vulnerabilities.cjs";
import { isRefused } from "../known.ts";
import { clean } from "../summary.ts";

/** The result as one JSON document. */
export function asJson({ workers, ...result }) {
    const byWorker = Object.fromEntries(
        workers.map(({ name, proven, checks, vulnerabilities }) => [name, { proven, checks, vulnerabilities }]),
    );
    return `${JSON.stringify({ ...result, workers: byWorker }, null, 2)}\n`;
}

function xml(text) {
    const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
    return clean(text.replaceAll("\n", " ")).replace(/[&<>"]/g, (character) => escapes[character]);
}

/** What is known against a worker, is accepted by nobody, and is no reason to refuse it. */
const warningsOf = ({ vulnerabilities }) => linesOf(vulnerabilities.filter((one) => !one.accepted && !isRefused(one)));

/** What is tested by name, with the messages of what has failed, and what else is to be said. */
function casesOf({ workers, problems, pods }) {
    const messages = (worker, ...kinds) =>
        problems
            .filter((problem) => problem.worker === worker && kinds.includes(problem.kind))
            .map(({ message }) => message);
    const suites = [
        {
            name: "outputs",
            cases: [
                ["the outputs can be read", messages(undefined, "missing")],
                ["the outputs are valid by their schema", messages(undefined, "invalid")],
                ["the outputs are of the last update", messages(undefined, "stale")],
            ],
        },
    ];
    for (const worker of workers) {
        const { name, checks } = worker;
        const others = messages(name, "not proven").filter((message) => !message.startsWith("the check "));
        suites.push({
            name,
            cases: [
                ...checks.map((check) => [check.name, check.passed ? [] : [check.detail || "not passed"]]),
                ["the outputs say that it is proven", others],
                ["the verdict fits the facts", messages(name, "contradictory")],
                ["gVisor has no known vulnerability that is not accepted", messages(name, "vulnerable")],
                ["the worker is as it was recorded", messages(name, "stale")],
                ["a new sandbox starts now", messages(name, "not starting")],
            ],
            warnings: warningsOf(worker),
        });
    }
    if (pods === undefined) {
        return suites;
    }
    return [
        ...suites,
        { name: "pods", cases: [["the pods can be looked at", messages(undefined, "unseen")]] },
        ...podSuites(pods),
    ];
}

/** A suite for each machine whose pods were looked at: a case for its answer, and one for each pod that has to be somewhere. */
function podSuites({ machines, pods }) {
    const names = [...new Set([...machines, ...pods].map(({ worker }) => worker))];
    return names.map((name) => ({
        name: `pods of ${name}`,
        cases: [
            ["it says which pods it runs", machines.flatMap(({ worker, error }) => (worker === name && error) || [])],
            ...pods
                .filter(({ worker, required, inSandbox }) => worker === name && (required !== undefined || inSandbox))
                .map(({ namespace, name: pod, flaws }) => [
                    `${namespace}/${pod}`,
                    flaws.map(({ kind, seen, wanted }) => `${kind}: ${seen}; wanted: ${wanted}`),
                ]),
        ],
    }));
}

/** The result as JUnit XML: one suite for the outputs, and one for each worker. */
export function junit(result) {
    const suites = casesOf(result);
    const failed = (cases) => cases.filter(([, messages]) => messages.length > 0).length;
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
function data(text) {
    return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function property(text) {
    return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}

/** The result as annotations of a workflow run: an error for each problem, or one notice; and warnings. */
export function annotations({ source, workers, problems }) {
    const line = (level, title, message) => `::${level} title=${property(title)}::${data(message)}\n`;
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
