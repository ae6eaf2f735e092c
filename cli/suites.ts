// @ts-nocheck
// verify and test: each part is counted, the last line is the sum.
import { existsSync, readdirSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { toolEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import { prepareTests, stepsOfHost } from "./host.ts";
import { runSuites } from "./mocha.ts";
import { elapsed, Progress } from "./progress.ts";
import { logDir, moduleBin, root } from "./project.ts";
import { capture, runInTerminal } from "./run.ts";
import { setup } from "./setup.ts";
import { writeAtomically } from "./stamps.ts";
import { timesPage, Watch } from "./times.ts";

/** Lines of a failed part of verify that are shown. */
const longest = 100;
/** Lines of each failure that are said again at the end of all suites. */
const recalled = 15;

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

/** What .dependency-cruiser.cjs has rules for. */
const importers = ["index.ts", "settings", "components", "cli", "scripts", "mirror", "plugins", "policy-pack"];

/** Shell scripts of the project. */
export function shellScripts(folders = ["scripts", "mirror", "test", "bench", ".ci"]) {
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

/** Format and lint, types, imports, shell: side by side. Resolves with { passed, failures }: how many, and texts. */
async function verifyParts() {
    const parts = [
        ["format and lint (biome)", join(moduleBin, "biome"), ["ci", "--colors=off", "."]],
        ["types (tsc)", join(moduleBin, "tsc"), ["--noEmit", "--pretty", "false"]],
        ["what imports what (depcruise)", join(moduleBin, "depcruise"), importers],
        ["shell (shellcheck)", "shellcheck", ["-x", ...shellScripts()]],
        [
            "docs/reference.md (npm run reference)",
            join(moduleBin, "node"),
            ["cli/bootstrap.mjs", "reference", "--check"],
        ],
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

/** Takes the flag --times, with the file after "=", out of the arguments. */
function timesFlag(args) {
    const [flag] = args.filter((arg) => /^--times(=.+)?$/.test(arg));
    const file = flag?.split("=")[1] ?? (flag && timesPage);
    return { file, rest: args.filter((arg) => arg !== flag) };
}

/**
 * `test [unit|scripts|plugins|policy|e2e|matrix|walk|all] [--times[=FILE]]`; the walk's further arguments are its own. What
 * has failed is said again at the end, where the end of a long log still shows it; so are the tests that were skipped. The
 * last line is "N passed, N failed".
 *
 * @returns exit code: 0 only if every part passed
 */
export async function test(args) {
    const { file, rest } = args[0] === "walk" ? { rest: args } : timesFlag(args);
    const [what = "all", ...more] = rest;
    if (!(what in needs) || (more.length > 0 && what !== "walk")) {
        throw new Failure(`test "${rest.join(" ")}" is not known; allowed: ${Object.keys(needs).join(", ")}.`, {
            exitCode: 2,
        });
    }
    if (file === timesPage && what !== "all") {
        throw new Failure(`${timesPage} has the times of all suites, not of ${what} alone.`, {
            exitCode: 2,
            next: `npm test -- ${what} --times=FILE`,
        });
    }
    const watch = new Watch();
    await setup(needs[what], { later: what === "all" ? stepsOfHost("dev") : [] });
    watch.lap("set-up");
    const sum = { passed: 0, failures: [] };
    if (what === "all") {
        Object.assign(sum, await verifyParts());
        watch.lap("verify", { passed: sum.passed, failed: sum.failures.length });
    }
    if (["all", "scripts", "plugins", "policy", "e2e", "matrix", "walk"].includes(what)) {
        await prepareTests();
        watch.lap("mirror and base image");
    }
    if (what === "walk") {
        const args = [join("test", "walk", "main.ts"), ...more];
        return await runInTerminal(join(moduleBin, "tsx"), args, { env: toolEnvironment() });
    }
    const results = await runSuites(what);
    const left = results.flatMap(({ skipped }) => skipped);
    for (const { passed, failures } of results) {
        sum.passed += passed;
        sum.failures.push(...failures);
    }
    if (file) {
        writeAtomically(resolve(root, file), watch.page(what, results, sum));
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
