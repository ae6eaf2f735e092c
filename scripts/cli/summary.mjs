// What the outputs say: the table for people, and whether every worker is proven.

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value) => typeof value === "string" && value !== "";

/**
 * Checks the stack outputs against their contract.
 *
 * @param outputs parsed `pulumi stack output --json`
 * @returns { complaints, workers }: complaints name each output that is missing or malformed; workers is
 * [{ name, kernels, dmesg, proven, checks }] as far as there are no complaints
 */
export function readOutputs(outputs) {
    if (!isObject(outputs)) {
        return { complaints: ["the outputs are no JSON object"], workers: [] };
    }
    const complaints = ["uname", "dmesg", "isolation", "workers"]
        .filter((key) => !isObject(outputs[key]))
        .map((key) => (outputs[key] === undefined ? `${key} is missing` : `${key} is no object by worker`));
    if (!isText(outputs.runtimeClass)) {
        complaints.push(outputs.runtimeClass === undefined ? "runtimeClass is missing" : "runtimeClass is no text");
    }
    if (complaints.length > 0) {
        return { complaints, workers: [] };
    }
    const { uname, dmesg, isolation } = outputs;
    const names = [...new Set([uname, dmesg, isolation, outputs.workers].flatMap((part) => Object.keys(part)))].sort(
        (a, b) => a.localeCompare(b, "en", { numeric: true }),
    );
    if (names.length === 0) {
        complaints.push("no worker is in them");
    }
    for (const name of names) {
        complaints.push(...workerComplaints(name, outputs));
    }
    const workers = names.map((name) => ({
        name,
        kernels: uname[name],
        dmesg: dmesg[name],
        proven:
            isolation[name]?.proven === true && (isolation[name].checks ?? []).every((check) => check?.passed === true),
        checks: isolation[name]?.checks,
    }));
    return { complaints, workers: complaints.length > 0 ? [] : workers };
}

function workerComplaints(name, { uname, dmesg, isolation, workers }) {
    const complaints = [];
    for (const key of ["worker", "test-1", "test-2"]) {
        if (!isText(uname[name]?.[key])) {
            complaints.push(`uname.${name}.${key} is missing or no text`);
        }
    }
    for (const key of ["test-1", "test-2"]) {
        if (typeof dmesg[name]?.[key] !== "string") {
            complaints.push(`dmesg.${name}.${key} is missing or no text`);
        }
    }
    if (!isObject(workers[name])) {
        complaints.push(`workers.${name} is missing or no object`);
    }
    const verdict = isolation[name];
    if (typeof verdict?.proven !== "boolean") {
        complaints.push(`isolation.${name}.proven is missing or neither true nor false`);
    }
    const checks = Array.isArray(verdict?.checks) ? verdict.checks : [];
    if (checks.length === 0) {
        complaints.push(`isolation.${name}.checks is missing or empty`);
    }
    for (const [index, check] of checks.entries()) {
        if (!isText(check?.name) || typeof check.passed !== "boolean") {
            complaints.push(`isolation.${name}.checks[${index}] has no name or no passed`);
        }
    }
    return complaints;
}

/** True if there are workers and each is proven, every single check passed. */
export function allProven(workers) {
    return workers.length > 0 && workers.every((worker) => worker.proven);
}

/** First and last line of a kernel log, trimmed to `width`. */
function ends(text, width) {
    const lines = text
        .split("\n")
        .map((line) => line.trimEnd())
        .filter((line) => line !== "");
    const chosen = lines.length > 1 ? [lines[0], lines.at(-1)] : [lines[0] ?? "(nothing)"];
    return chosen.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
}

/**
 * The summary after `up`.
 *
 * @param workers as readOutputs gives them
 * @param width columns of the terminal
 */
export function renderSummary(workers, runtimeClass, width = 100) {
    const lines = [];
    for (const worker of workers) {
        lines.push(worker.name);
        const rows = [
            ["worker", "the node itself"],
            ["test-1", "default runtime"],
            ["test-2", `runtime class ${runtimeClass}`],
        ];
        const longest = Math.max(...rows.map(([key]) => worker.kernels[key].length));
        for (const [key, what] of rows) {
            lines.push(`  kernel of ${key}  ${worker.kernels[key].padEnd(longest)}  (${what})`);
        }
        for (const key of ["test-1", "test-2"]) {
            const [first, last] = ends(worker.dmesg[key], Math.max(width - 19, 30));
            lines.push(`  dmesg of ${key}   ${first}`);
            if (last !== undefined) {
                lines.push(`                    ${last}`);
            }
        }
        for (const check of worker.checks) {
            const detail = isText(check.detail) ? `: ${check.detail.split("\n")[0]}` : "";
            lines.push(`  ${check.passed ? "✓" : "✗"} ${check.name}${detail}`);
        }
        lines.push(`  ${worker.proven ? "PROVEN" : "NOT PROVEN"}`, "");
    }
    const open = workers.filter((worker) => !worker.proven).map((worker) => worker.name);
    lines.push(open.length === 0 ? "verdict: PROVEN on every worker" : `verdict: NOT PROVEN on ${open.join(", ")}`);
    return lines.join("\n");
}
