// @ts-nocheck
// How long the tests take: a page with each suite and each file.
import { execFileSync } from "node:child_process";
import { availableParallelism, loadavg, release, totalmem } from "node:os";
import { elapsed } from "./progress.ts";
import { root } from "./project.ts";

/** Where the times of the whole of `npm test` are kept. */
export const timesPage = "bench/tests.md";

const row = (...cells) => `| ${cells.join(" | ")} |`;
const seconds = (ms) => (ms / 1000).toFixed(1);
const sumOf = (all, field) => all.reduce((sum, one) => sum + one[field], 0);

/** The commit, and whether files are not as they are there; "unknown" where this is no checkout. */
function commit() {
    try {
        const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: "pipe" }).trim();
        const changed = git("status", "--porcelain", "--", ".", `:!${timesPage}`) !== "";
        return `${git("rev-parse", "HEAD")}${changed ? ", with changes that are not in it" : ""}`;
    } catch {
        return "unknown";
    }
}

/** Takes the time of a run of the tests. */
export class Watch {
    #begun = new Date();
    #load = loadavg()[0].toFixed(1);
    #commit = commit();
    #last = Date.now();
    #laps = [];

    /** Notes what was done since the last time, and what it counts: { passed, failed }, if anything. */
    lap(name, counted) {
        const now = Date.now();
        this.#laps.push({ name, ms: now - this.#last, counted });
        this.#last = now;
    }

    /**
     * @param what the suite, or "all"
     * @param results what runSuites gives
     * @param sum { passed, failures } of all
     */
    page(what, results, sum) {
        const specs = results.flatMap((result) => Object.entries(result.specs));
        const folder = (path) => path.split("/").slice(0, 2).join("/");
        const folders = [...new Set(results.map(({ part }) => folder(part)))];
        const counts = (all) => ["passed", "failed", "skipped"].map((field) => sumOf(all, field));
        const day = this.#begun.toISOString().slice(0, 16).replace("T", " ");
        return [
            "# How long the tests take",
            "",
            `Written by \`npm test -- ${what === "all" ? "" : `${what} `}--times\`. Begun ${day} UTC, at commit ${this.#commit}.`,
            `Host: ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, kernel ${release()}, load ${this.#load} before.`,
            "",
            `${sum.passed} passed, ${sum.failures.length} failed, in ${elapsed(Date.now() - this.#begun.getTime())}. Suites run side by`,
            "side where they may: their times add up to more than that, and each is longer than alone. A file's time is that of",
            "its tests and hooks; a suite's also has the start of mocha.",
            "",
            row("Part", "Passed", "Failed", "Skipped", "Seconds"),
            "|---|---:|---:|---:|---:|",
            ...this.#laps.map(({ name, ms, counted }) =>
                row(name, counted?.passed ?? "", counted?.failed ?? "", "", seconds(ms)),
            ),
            ...folders.map((name) => {
                const within = specs.flatMap(([file, spec]) => (folder(file) === name ? [spec] : []));
                const ms = sumOf(
                    results.filter(({ part }) => folder(part) === name),
                    "ms",
                );
                return row(name, ...counts(within), seconds(ms));
            }),
            "",
            row("File", "Passed", "Failed", "Skipped", "Seconds"),
            "|---|---:|---:|---:|---:|",
            ...specs
                .sort(([, a], [, b]) => b.ms - a.ms)
                .map(([file, spec]) => row(file, ...counts([spec]), seconds(spec.ms))),
            "",
        ].join("\n");
    }
}
