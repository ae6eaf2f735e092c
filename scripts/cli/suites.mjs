// verify and test: each part is counted, the last line is the sum.
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { toolEnvironment } from "./environment.mjs";
import { Failure } from "./failure.mjs";
import { prepareTests } from "./host.mjs";
import { elapsed, Progress } from "./progress.mjs";
import { cacheDir, logDir, moduleBin, readJson, root } from "./project.mjs";
import { capture, endIfInterrupted, runInTerminal } from "./run.mjs";
import { setup } from "./setup.mjs";
import { writeAtomically } from "./stamps.mjs";

/** Lines of a failed part of verify that are shown. */
const longest = 100;
/** Lines of each failure that are said again at the end of all suites. */
const recalled = 15;
/** The matrix takes long, and is left out of "all". */
const mochaSuites = ["unit", "scripts", "plugins", "policy", "e2e", "matrix"];

/** What each suite needs to be set up. The walk is a program of its own: it has arguments. */
const needs = {
    unit: "packages",
    policy: "test",
    scripts: "test",
    plugins: "test",
    e2e: "test",
    matrix: "matrix",
    walk: "test",
    all: "test",
};

/** Shell scripts of the project. */
export function shellScripts(folders = ["scripts", "test", "bench", ".ci"]) {
    const found = [];
    const visit = (folder) => {
        for (const entry of existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : []) {
            const path = join(folder, entry.name);
            if (entry.isDirectory()) {
                visit(path);
            } else if (entry.name.endsWith(".sh") || relative(root, path) === join(".ci", "run")) {
                found.push(relative(root, path));
            }
        }
    };
    for (const folder of folders) {
        visit(join(root, folder));
    }
    return found.sort();
}

/** Format and lint, types, shell: side by side. Resolves with { passed, failures }: how many, and texts. */
async function verifyParts() {
    const parts = [
        ["format and lint (biome)", join(moduleBin, "biome"), ["ci", "--colors=off", "."]],
        ["types (tsc)", join(moduleBin, "tsc"), ["--noEmit", "--pretty", "false"]],
        ["shell (shellcheck)", "shellcheck", ["-x", ...shellScripts()]],
        ["docs/reference.md (npm run reference)", join(moduleBin, "node"), ["scripts/cli/reference.mjs", "--check"]],
    ];
    const progress = new Progress();
    const results = await Promise.all(
        parts.map(async ([name, command, args]) => {
            const started = Date.now();
            const { code, stdout, stderr } = await capture(command, args, { env: toolEnvironment() });
            progress.note(`${code === 0 ? "✓" : "✗"} ${name} (${elapsed(Date.now() - started)})`);
            if (code !== 0) {
                progress.note(shorten(name, `${stdout}${stderr}`.trimEnd()));
            }
            return code === 0 ? [] : [`${name}: ended with ${code}`];
        }),
    );
    const failures = results.flat();
    return { passed: results.length - failures.length, failures };
}

/** The first lines of what a part has to say; the rest is in a log. */
function shorten(name, text) {
    const lines = text.split("\n");
    if (lines.length <= longest) {
        return text;
    }
    const log = join(logDir, `verify-${/\((\w+)\)/.exec(name)?.[1]}.log`);
    writeAtomically(log, `${text}\n`);
    return [...lines.slice(0, longest), `... ${lines.length - longest} more lines: ${log}`].join("\n");
}

/** `verify`. */
export async function verify() {
    await setup("verify");
    const { failures } = await verifyParts();
    return failures.length === 0 ? 0 : 1;
}

/**
 * Runs one mocha suite with live output; a suite that runs no test, or dies, has failed. Where CI is set a test that was
 * skipped has failed too: nobody would notice.
 *
 * @returns { passed, failures, skipped }: how many, and the failures and skipped tests as texts, each with the suite's name
 */
async function runSuite(suite) {
    const folder = join("test", suite);
    const totals = join(cacheDir, `totals-${suite}-${process.pid}.json`);
    mkdirSync(cacheDir, { recursive: true });
    try {
        process.stdout.write(`\n== ${folder}\n`);
        const args = ["--reporter", join("scripts", "cli", "totals.cjs"), `${folder}/**/*.spec.ts`];
        const env = { ...toolEnvironment(), TEST_TOTALS: totals };
        const code = await runInTerminal(join(moduleBin, "mocha"), args, { env });
        const counted = readJson(totals) ?? { passed: 0, failures: [], skipped: [] };
        const skipped = counted.skipped.map((title) => `${folder}: ${title}`);
        if (counted.passed + counted.failures.length === 0) {
            return { passed: 0, failures: [`${folder}: no test was run (mocha ended with ${code})`], skipped };
        }
        const failures = counted.failures.map((text) => `${folder}: ${text}`);
        // An end in the middle is not among the counted failures.
        if (failures.length === 0 && code !== 0) {
            failures.push(`${folder}: mocha ended with ${code}`);
        }
        if (process.env.CI) {
            failures.push(...skipped.splice(0).map((title) => `${title}\nskipped, which CI does not take`));
        }
        return { passed: counted.passed, failures, skipped };
    } finally {
        rmSync(totals, { force: true });
    }
}

/**
 * `test [unit|scripts|plugins|policy|e2e|matrix|walk|all]`; the walk's further arguments are its own. What has failed is said
 * again at the end, where the end of a long log still shows it; so are the tests that were skipped. The last line is
 * "N passed, N failed".
 *
 * @returns exit code: 0 only if every part passed
 */
export async function test([what = "all", ...rest]) {
    if (!(what in needs) || (rest.length > 0 && what !== "walk")) {
        throw new Failure(
            `test "${[what, ...rest].join(" ")}" is not known; allowed: ${Object.keys(needs).join(", ")}.`,
            {
                exitCode: 2,
            },
        );
    }
    await setup(needs[what]);
    const sum = what === "all" ? await verifyParts() : { passed: 0, failures: [] };
    if (["all", "scripts", "plugins", "policy", "e2e", "matrix", "walk"].includes(what)) {
        await prepareTests();
    }
    if (what === "walk") {
        const args = [join("test", "walk", "main.ts"), ...rest];
        return await runInTerminal(join(moduleBin, "tsx"), args, { env: toolEnvironment() });
    }
    const left = [];
    const wanted = mochaSuites.filter((suite) => (what === "all" ? suite !== "matrix" : suite === what));
    for (const suite of wanted) {
        const { passed, failures, skipped } = await runSuite(suite);
        endIfInterrupted();
        sum.passed += passed;
        sum.failures.push(...failures);
        left.push(...skipped);
    }
    if (left.length > 0) {
        process.stdout.write(`\n${left.map((title) => `skipped: ${title}\n`).join("")}${left.length} skipped\n`);
    }
    for (const failure of sum.failures) {
        process.stdout.write(`\nfailed: ${failure.split("\n").slice(0, recalled).join("\n  ")}\n`);
    }
    process.stdout.write(`\n${sum.passed} passed, ${sum.failures.length} failed\n`);
    return sum.failures.length === 0 ? 0 : 1;
}
