// `npm run test:walk`: one walk of a seed, and its row in bench/walk.md.
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { root } from "../e2e/stack";
import { type Walked, walk } from "./walk";
import { World } from "./world";

const usage = `Usage: npm run test:walk -- [--seed N] [--steps M] [--peace N] [--shrink MINUTES | --keep] [--path PATH [--replay REPLAY]]

  --seed N          which walk; default: another one each time
  --steps M         how many steps, default 20; a step takes half a minute to a minute
  --peace N         each Nth step is not cut off, on average; default 4
  --shrink MINUTES  after a failure, for how long a shorter walk that fails too is looked for, default 60. Each try makes a
                    stack of its own. 0 looks for none
  --keep            leaves the stack walk-N as it was when the walk failed
  --path, --replay  of the report of a failure (path, replayPath): only the shorter walk that it is about
`;

const { values } = parseArgs({
    options: {
        seed: { type: "string", default: String(Date.now() % 2 ** 31) },
        steps: { type: "string", default: "20" },
        peace: { type: "string", default: "4" },
        shrink: { type: "string", default: "60" },
        path: { type: "string" },
        replay: { type: "string" },
        keep: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
    },
});
const page = path.join(root, "bench", "walk.md");
const head = [
    "# Random walks",
    "",
    "Written by `npm run test:walk`, one row for each seed. What a step does, and what is asserted after it, is in test/walk.",
    "A kill is counted where it has hit something: `up` or `destroy` and all that it had started (operator), what it ran on",
    "a machine (steps), or the machine (power). After each the next one came through, `up` PROVEN, or the walk has failed.",
    "",
    "| Seed | Steps | Changes drawn | Kills: operator, steps, power | Result | Minutes | Commit |",
    "|---:|---:|---|---:|---|---:|---|",
];

const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();

/** "3 gVisor, 2 limits" of a list of words. */
function counted(words: readonly string[]): string {
    const counts = [...new Set(words)].sort().map((word) => `${words.filter((one) => one === word).length} ${word}`);
    return counts.join(", ");
}

/** What is tested: to be asked before the first step. */
function commit(): string {
    const changed = git("status", "--porcelain", "--", ".", ":!bench/walk.md") === "" ? "" : ", with changes";
    return `${git("rev-parse", "--short", "HEAD")}${changed}`;
}

function write(seed: number, { done, failure }: Walked, minutes: number, tested: string): void {
    const { operator, steps, power } = done.kills;
    const result = failure ? `**FAILED** at: ${done.said.at(-1)}` : "passed";
    const cells = [
        ...[String(seed), String(done.said.length), counted(done.kinds)],
        `${operator + steps + power}: ${operator}, ${steps}, ${power}`,
        ...[result, minutes.toFixed(0), tested],
    ];
    const row = `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
    const rows = (fs.existsSync(page) ? fs.readFileSync(page, "utf8").split("\n") : []).filter(
        (line) => /^\| \d/.test(line) && !line.startsWith(`| ${seed} |`),
    );
    fs.writeFileSync(page, [...head, ...rows, row, ""].join("\n"));
}

async function main(): Promise<number> {
    const [seed, steps, peace, shrink] = [values.seed, values.steps, values.peace, values.shrink].map(Number) as [
        number,
        number,
        number,
        number,
    ];
    if (values.help || !Number.isInteger(seed) || !(steps >= 1) || !(peace >= 2) || !(shrink >= 0)) {
        process.stdout.write(usage);
        return values.help ? 0 : 2;
    }
    const started = performance.now();
    const tested = commit();
    const walked = await walk({
        ...{ seed, steps, peace, shrink, keep: values.keep },
        // Walks of several seeds may go on at once.
        world: () =>
            new World(`walk-${seed}`, { bridge: `sbxw${seed % 100}`, addressRange: `10.${120 + (seed % 100)}.0.0/24` }),
        say: (line) => process.stdout.write(`${line}\n`),
        ...(values.path === undefined ? {} : { path: values.path }),
        ...(values.replay === undefined ? {} : { replayPath: values.replay }),
    });
    const { done, failure } = walked;
    if (failure) {
        process.stdout.write(
            `\n${failure.report}\n\nThe shortest walk that was found to fail:\n` +
                failure.shortest.map((line, index) => `  ${index + 1}. ${line}\n`).join(""),
        );
    }
    if (values.path === undefined) {
        write(seed, walked, (performance.now() - started) / 60_000, tested);
    }
    process.stdout.write(`\nseed ${seed}: ${done.said.length} steps, ${failure ? "FAILED" : "passed"}\n`);
    return failure ? 1 : 0;
}

main().then(
    (code) => {
        process.exitCode = code;
    },
    (error) => {
        process.stderr.write(`${error.stack}\n`);
        process.exitCode = 1;
    },
);
