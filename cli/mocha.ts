// Runs mocha's suites, side by side where they do not disturb each other, and counts passed and failed tests.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { toolEnvironment } from "./environment.ts";
import { Progress } from "./progress.ts";
import { cacheDir, moduleBin, readJson } from "./project.ts";
import { endIfInterrupted, runInBlocks, runInTerminal, together } from "./run.ts";
import type { Counted, SpecCounts } from "./totals.ts";

/** How a suite, or one file, went. */
export interface Ran {
    readonly part: string;
    readonly ms: number;
    readonly passed: number;
    /** Each begins with the part. */
    readonly failures: readonly string[];
    readonly skipped: readonly string[];
    /** By file. */
    readonly specs: Readonly<Record<string, SpecCounts>>;
}

/** Runs a command. @returns its exit code */
type Run = (command: string, args: readonly string[], options: { readonly env: NodeJS.ProcessEnv }) => Promise<number>;

/**
 * What may run at the same time, stage after stage, and how many of a stage's suites or files. Of the first stage only scripts
 * change the host's network and its kernel's settings, which is what some of them look at; the others stay on loopback.
 */
const stages = [
    { parts: ["test/scripts", "test/unit", "test/plugins", "test/policy"], atOnce: 2 },
    { parts: ["test/e2e"], atOnce: 1 },
] as const;

/** The line with which totals.ts ends a file. */
const endOfSpec = /^test\/\S+: \d+ passed, \d+ failed \(\S+ s\)$/;

/**
 * Runs a suite, or one file; what runs no test, or dies, has failed. Where CI is set a test that was skipped has failed too:
 * nobody would notice.
 */
async function runPart(part: string, run: Run): Promise<Ran> {
    const totals = join(cacheDir, `totals-${part.replaceAll("/", "-")}-${process.pid}.json`);
    mkdirSync(cacheDir, { recursive: true });
    const started = Date.now();
    try {
        const files = part.endsWith(".ts") ? part : `${part}/**/*.spec.ts`;
        const args = ["--reporter", join("cli", "totals.ts"), files];
        const code = await run(join(moduleBin, "mocha"), args, { env: { ...toolEnvironment(), TEST_TOTALS: totals } });
        const written: Counted | undefined = readJson(totals);
        const counted = written ?? { passed: 0, failures: [], skipped: [], specs: {} };
        const skipped = counted.skipped.map((title) => `${part}: ${title}`);
        const failures = counted.failures.map((text) => `${part}: ${text}`);
        const result = { part, ms: Date.now() - started, passed: counted.passed, skipped, specs: counted.specs };
        if (counted.passed + failures.length === 0) {
            return { ...result, failures: [`${part}: no test was run (mocha ended with ${code})`] };
        }
        // An end in the middle is not among the counted failures.
        if (failures.length === 0 && code !== 0) {
            failures.push(`${part}: mocha ended with ${code}`);
        }
        if (process.env.CI) {
            failures.push(...skipped.splice(0).map((title) => `${title}\nskipped, which CI does not take`));
        }
        return { ...result, failures };
    } finally {
        rmSync(totals, { force: true });
    }
}

/**
 * Runs suites or files. One at a time they have the terminal; beside others what a part prints is shown file by file, each
 * when it has ended.
 *
 * @returns in the order of `parts`
 */
export async function runParts(parts: readonly string[], atOnce: number): Promise<Ran[]> {
    const progress = new Progress(process.stdout);
    const results = new Map<string, Ran>();
    const one = async (part: string) => {
        if (atOnce === 1 || parts.length === 1) {
            process.stdout.write(`\n== ${part}\n`);
            return await runPart(part, runInTerminal);
        }
        const word = ({ failures }: Ran) => (failures.length === 0 ? "done" : "FAILED");
        const show = (text: string) => progress.note(text);
        return await progress.step(
            part,
            (say) =>
                runPart(part, (command, args, options) =>
                    runInBlocks(command, args, { say, show, isEnd: endOfSpec, ...options }),
                ),
            { word },
        );
    };
    const waiting = [...parts];
    const lane = async () => {
        for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
            results.set(part, await one(part));
            endIfInterrupted();
        }
    };
    await together(Array.from({ length: atOnce }, lane));
    return parts.flatMap((part) => results.get(part) ?? []);
}

/** Runs one suite, or all of them but the matrix. */
export async function runSuites(suite: string): Promise<Ran[]> {
    if (suite !== "all") {
        return await runParts([`test/${suite}`], 1);
    }
    const results: Ran[] = [];
    for (const { parts, atOnce } of stages) {
        results.push(...(await runParts(parts, atOnce)));
    }
    return results;
}
