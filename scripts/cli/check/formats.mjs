// What `check` found, for machines: JSON, JUnit XML, and the annotations of GitHub's workflows.
import { clean } from "../summary.mjs";

/** The result as one JSON document. */
export function asJson({ workers, ...result }) {
    const byWorker = Object.fromEntries(workers.map(({ name, proven, checks }) => [name, { proven, checks }]));
    return `${JSON.stringify({ ...result, workers: byWorker }, null, 2)}\n`;
}

function xml(text) {
    const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
    return clean(text.replaceAll("\n", " ")).replace(/[&<>"]/g, (character) => escapes[character]);
}

/** What is tested by name, with the messages of what has failed. */
function casesOf({ workers, problems }) {
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
    for (const { name, checks } of workers) {
        const others = messages(name, "not proven").filter((message) => !message.startsWith("the check "));
        suites.push({
            name,
            cases: [
                ...checks.map((check) => [check.name, check.passed ? [] : [check.detail || "not passed"]]),
                ["the outputs say that it is proven", others],
                ["the verdict fits the facts", messages(name, "contradictory")],
                ["the worker is as it was recorded", messages(name, "stale")],
            ],
        });
    }
    return suites;
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
    for (const { name, cases } of suites) {
        lines.push(`  <testsuite name="${xml(name)}" tests="${cases.length}" failures="${failed(cases)}">`);
        for (const [title, messages] of cases) {
            const test = `    <testcase classname="${xml(name)}" name="${xml(title)}"`;
            lines.push(
                messages.length === 0
                    ? `${test}/>`
                    : `${test}><failure message="${xml(messages.join("; "))}"/></testcase>`,
            );
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

/** The result as annotations of a workflow run: an error for each problem, or one notice. */
export function annotations({ source, workers, problems }) {
    if (problems.length === 0) {
        const names = workers.map(({ name }) => name).join(", ");
        return `::notice title=${property("Sandboxes proven")}::${data(`${names} of ${source}`)}\n`;
    }
    return problems
        .map(({ kind, worker, message }) => {
            const title = property(`Sandboxes ${kind}: ${worker ?? source}`);
            return `::error title=${title}::${data(message)}\n`;
        })
        .join("");
}
