// How long the tests take: a page with each suite and each file.
import { execFileSync } from "node:child_process";
import { availableParallelism, loadavg, release, totalmem } from "node:os";
import type { Ran } from "./mocha.ts";
import { elapsed } from "./progress.ts";
import { root } from "./project.ts";

/** Where the times of the whole of `npm test` are kept. */
export const timesPage = "bench/tests.md";

/** A stretch of a run, and how many of its parts have passed and failed, if it has any. */
interface Lap {
    readonly name: string;
    readonly ms: number;
    readonly counted?: { readonly passed: number; readonly failed: number } | undefined;
}

const row = (...cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
const seconds = (ms: number) => (ms / 1000).toFixed(1);
const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
const header = (title: string) => [row(title, "Passed", "Failed", "Skipped", "Seconds"), "|---|---:|---:|---:|---:|"];

/** The commit, and whether there are changes beside it; "unknown" where this is no checkout. */
function commit(): string {
    try {
        const git = (...args: string[]) =>
            execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: "pipe" }).trim();
        const changed = git("status", "--porcelain", "--", ".", `:!${timesPage}`) !== "";
        return `${git("rev-parse", "HEAD")}${changed ? ", with changes that are not in it" : ""}`;
    } catch {
        return "unknown";
    }
}

/** Takes the time of a run of the tests. */
export class Watch {
    readonly #begun = new Date();
    readonly #load = (loadavg()[0] ?? 0).toFixed(1);
    readonly #commit = commit();
    readonly #laps: Lap[] = [];
    #last = Date.now();

    /** Notes what was done since the last time. */
    lap(name: string, counted?: Lap["counted"]): void {
        const now = Date.now();
        this.#laps.push({ name, ms: now - this.#last, counted });
        this.#last = now;
    }

    /**
     * The page.
     *
     * @param suite a suite, or "all"
     * @param results of its suites
     * @param passed how many have passed of all, with the parts of `verify`
     */
    page(suite: string, results: readonly Ran[], passed: number, failed: number): string {
        const specs = results.flatMap((result) => Object.entries(result.specs));
        const folderOf = (path: string) => path.split("/").slice(0, 2).join("/");
        const folders = [...new Set(results.map(({ part }) => folderOf(part)))];
        const counts = (name: string, within: typeof specs, ms: number) => {
            const count = (field: "passed" | "failed" | "skipped") => sum(within.map(([, spec]) => spec[field]));
            return row(name, count("passed"), count("failed"), count("skipped"), seconds(ms));
        };
        const day = this.#begun.toISOString().slice(0, 16).replace("T", " ");
        return [
            "# How long the tests take",
            "",
            `Written by \`npm test -- ${suite === "all" ? "" : `${suite} `}--times\`. Begun ${day} UTC, at commit ${this.#commit}.`,
            `Host: ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, kernel ${release()}, load ${this.#load} before.`,
            "",
            `${passed} passed, ${failed} failed, in ${elapsed(Date.now() - this.#begun.getTime())}. Suites run side by`,
            "side where they may: their times add up to more than that, and each is longer than alone. A file's time is that of",
            "its tests and hooks; a suite's also has the start of mocha.",
            "",
            ...header("Part"),
            ...this.#laps.map(({ name, ms, counted }) =>
                row(name, counted?.passed ?? "", counted?.failed ?? "", "", seconds(ms)),
            ),
            ...folders.map((name) => {
                const own = results.filter(({ part }) => folderOf(part) === name);
                const within = specs.filter(([file]) => folderOf(file) === name);
                return counts(name, within, sum(own.map(({ ms }) => ms)));
            }),
            "",
            ...header("File"),
            ...specs
                .toSorted(([, a], [, b]) => b.ms - a.ms)
                .map(([file, spec]) => counts(file, [[file, spec]], spec.ms)),
            "",
        ].join("\n");
    }
}
