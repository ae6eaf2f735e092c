// verify and test: each part is counted, the last line is the sum.
import { globSync } from "node:fs";
import { join, resolve } from "node:path";
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
/** Lines of each failure that are repeated at the end of all suites. */
const recalled = 15;

/** What each suite needs to be set up. */
const needs = {
    unit: "packages",
    policy: "test",
    scripts: "test",
    plugins: "test",
    e2e: "test",
    matrix: "matrix",
    all: "test",
} as const;
type Suite = keyof typeof needs;

/** What .dependency-cruiser.cjs has rules for. */
const importers = ["index.ts", "settings", "components", "cli", "scripts", "mirror", "plugins", "policy-pack"];

const isSuite = (name: string): name is Suite => Object.hasOwn(needs, name);

/** Format and lint, types, imports, shell: side by side. @returns how many have passed, and what of the others is repeated at the end */
async function verifyParts(): Promise<{ passed: number; failures: string[] }> {
    const scripts = globSync(["{scripts,mirror,test,bench,.ci}/**/*.sh", ".ci/run"], { cwd: root }).sort();
    const parts = [
        ["format and lint (biome)", join(moduleBin, "biome"), ["ci", "--colors=off", "."]],
        ["types (tsc)", join(moduleBin, "tsc"), ["--noEmit", "--pretty", "false"]],
        ["what imports what (depcruise)", join(moduleBin, "depcruise"), importers],
        ["shell (shellcheck)", "shellcheck", ["-x", ...scripts]],
        [
            "pages from the code (npm run reference)",
            join(moduleBin, "node"),
            ["cli/bootstrap.mjs", "reference", "--check"],
        ],
    ] as const;
    const progress = new Progress();
    const results = await Promise.all(
        parts.map(async ([name, command, args]) => {
            const started = Date.now();
            const { code, stdout, stderr } = await capture(command, args, { env: toolEnvironment() });
            progress.note(`${code === 0 ? "✓" : "✗"} ${name} (${elapsed(Date.now() - started)})`);
            if (code !== 0) {
                progress.note(shorten(name, `${stdout}${stderr}`.trimEnd()));
            }
            return code === 0 ? [] : `${name}: ended with ${code}`;
        }),
    );
    const failures = results.flat();
    return { passed: results.length - failures.length, failures };
}

/** The first lines of what a part has to say; the rest is in a log. */
function shorten(name: string, text: string): string {
    const lines = text.split("\n");
    if (lines.length <= longest) {
        return text;
    }
    const log = join(logDir, `verify-${/\((\w+)/.exec(name)?.[1]}.log`);
    writeAtomically(log, `${text}\n`);
    return [...lines.slice(0, longest), `... ${lines.length - longest} more lines: ${log}`].join("\n");
}

/** `verify`. @returns exit code: 0 only if every part passed */
export async function verify(): Promise<number> {
    await setup("verify");
    const { failures } = await verifyParts();
    return failures.length === 0 ? 0 : 1;
}

/** `test walk`: a random walk, a program with arguments of its own. @returns its exit code */
export async function walk(args: readonly string[]): Promise<number> {
    await setup("test");
    await prepareTests();
    const program = [join("test", "walk", "main.ts"), ...args];
    return await runInTerminal(join(moduleBin, "tsx"), program, { env: toolEnvironment() });
}

/**
 * `test`. What has failed is repeated at the end, where the end of a long log still shows it; so are the tests that were
 * skipped. The last line is "N passed, N failed".
 *
 * @param times where the times are kept: a file, or true for bench/tests.md
 * @returns exit code: 0 only if every part passed
 */
export async function test(suite = "all", times?: string | true): Promise<number> {
    const refuse = (message: string, next?: string) => new Failure(message, { exitCode: 2, next });
    if (!isSuite(suite)) {
        throw refuse(`test "${suite}" is not known; allowed: ${[...Object.keys(needs), "walk"].join(", ")}.`);
    }
    const file = times === true ? timesPage : times;
    if (file !== undefined && isSuite(file)) {
        throw refuse(`--times is "${file}"; allowed: a file.`, `npm test -- ${file} --times=FILE`);
    }
    if (file === timesPage && suite !== "all") {
        throw refuse(
            `${timesPage} has the times of all suites, not of ${suite} alone.`,
            `npm test -- ${suite} --times=FILE`,
        );
    }
    const watch = new Watch();
    await setup(needs[suite], { later: suite === "all" ? stepsOfHost("dev") : [] });
    watch.lap("set-up");
    let [passed, failures]: [number, string[]] = [0, []];
    if (suite === "all") {
        ({ passed, failures } = await verifyParts());
        watch.lap("verify", { passed, failed: failures.length });
    }
    if (suite !== "unit") {
        await prepareTests();
        watch.lap("mirror and base image");
    }
    const results = await runSuites(suite);
    for (const result of results) {
        passed += result.passed;
        failures.push(...result.failures);
    }
    if (file !== undefined) {
        writeAtomically(resolve(root, file), watch.page(suite, results, passed, failures.length));
    }
    const skipped = results.flatMap((result) => result.skipped);
    if (skipped.length > 0) {
        process.stdout.write(`\n${skipped.map((title) => `skipped: ${title}\n`).join("")}${skipped.length} skipped\n`);
    }
    for (const failure of failures) {
        process.stdout.write(`\nfailed: ${failure.split("\n").slice(0, recalled).join("\n  ")}\n`);
    }
    process.stdout.write(`\n${passed} passed, ${failures.length} failed\n`);
    return failures.length === 0 ? 0 : 1;
}
