// @ts-nocheck
// What the outputs say: the table for people, and whether every worker is proven.
import { linesOf } from "../components/vulnerabilities.cjs";
import { invalidities } from "./check/schema.ts";
import { isRefused, knownOf } from "./known.ts";

/**
 * Checks the stack outputs against their contract, schema/outputs.v1.schema.json. Needs the npm packages.
 *
 * @param outputs parsed `pulumi stack output --json`
 * @returns { complaints, workers }: complaints name each output that is missing or malformed; workers is
 * [{ name, kernels, dmesg, proven, checks, vulnerabilities }] as far as there are no complaints; limits that were tried are
 * checks too, and vulnerabilities are those that are known today
 */
export function readOutputs(outputs) {
    const complaints = invalidities(outputs);
    if (complaints.length > 0) {
        return { complaints, workers: [] };
    }
    const names = Object.keys(outputs.workers).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const workers = names.map((name) => {
        const verdict = outputs.isolation[name];
        const checks = [...verdict.checks, ...limitChecks(outputs.limits?.[name])];
        return {
            name,
            kernels: outputs.uname[name],
            dmesg: outputs.dmesg[name],
            proven: verdict.proven && checks.every(({ passed }) => passed),
            checks,
            vulnerabilities: knownOf(outputs.workers[name]),
        };
    });
    return { complaints, workers };
}

/** What was found out about limits on sandboxed pods, as checks. */
function limitChecks({ memory, cpu } = {}) {
    const checks = [];
    if (memory) {
        const limit = memory.limitMiB === undefined ? "" : `, limit ${memory.limitMiB} MiB`;
        checks.push({
            name: "a memory limit on a sandboxed pod binds",
            passed: memory.passed,
            detail: memory.outcome + limit,
        });
    }
    if (cpu) {
        const detail = `${cpu.usedMillicores ?? "?"} millicores used, limit ${cpu.limitMillicores ?? "?"}`;
        checks.push({ name: "a CPU limit on a sandboxed pod binds", passed: cpu.passed, detail });
    }
    return checks;
}

/** Text with a sign in place of each character that is not seen but does something: a pod decides what is in its log. */
export function visible(text) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "�");
}

/** One line of text, harmless where it is printed: it neither steers a terminal nor is a workflow command of a CI runner. */
export function clean(text) {
    return visible(text)
        .replaceAll("\t", " ")
        .replaceAll("\n", "�")
        .replace(/^(\s*)(::|##\[)/, "$1\\$2");
}

/** First and last line of a kernel log, trimmed to `width`. */
function ends(text, width) {
    const lines = text
        .split("\n")
        .map((line) => clean(line.trimEnd()))
        .filter((line) => line !== "");
    const chosen = lines.length > 1 ? [lines[0], lines.at(-1)] : [lines[0] ?? "(nothing)"];
    return chosen.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
}

/** Colours for a stream: none where it is no terminal, or where NO_COLOR or CI says so. */
export function coloursOf(out, env = process.env) {
    const on = Boolean(out.isTTY) && !env.NO_COLOR && !env.CI;
    const colour = (code) => (text) => (on ? `\u001b[${code}m${text}\u001b[0m` : text);
    return { good: colour("32"), bad: colour("1;31"), strong: colour("1") };
}

/**
 * The summary after `up`.
 *
 * @param workers as readOutputs gives them
 * @param width columns of the terminal
 * @param colours as coloursOf gives them
 */
export function renderSummary(workers, runtimeClass, width = 100, { good, bad, strong } = coloursOf({})) {
    const lines = [];
    for (const worker of workers) {
        lines.push(strong(worker.name));
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
            const detail = check.detail === "" ? "" : `: ${clean(check.detail.split("\n")[0])}`;
            lines.push(`  ${check.passed ? good("✓") : bad("✗")} ${clean(check.name)}${detail}`);
        }
        const refused = worker.vulnerabilities.filter(isRefused);
        const others = worker.vulnerabilities.filter((one) => !isRefused(one));
        lines.push(...linesOf(refused).map((line) => `  ${bad("✗")} ${clean(line)}`));
        lines.push(...linesOf(others).map((line) => `  ! ${clean(line)}`));
        const verdict = worker.proven ? good("PROVEN") : bad("NOT PROVEN");
        lines.push(`  ${verdict}${refused.length > 0 ? bad(", VULNERABLE") : ""}`, "");
    }
    const namesOf = (which) => workers.filter(which).map((worker) => worker.name);
    const open = namesOf((worker) => !worker.proven).join(", ");
    const vulnerable = namesOf((worker) => worker.vulnerabilities.some(isRefused)).join(", ");
    lines.push(
        `verdict: ${open === "" ? `${good("PROVEN")} on every worker` : `${bad("NOT PROVEN")} on ${open}`}` +
            `${vulnerable === "" ? "" : `, ${bad("VULNERABLE")} on ${vulnerable}`}`,
    );
    return lines.join("\n");
}
