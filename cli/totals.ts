// Mocha's spec reporter that also says how the tests of each file went, and how long it took; it leaves that, what
// has failed, and what was skipped, in the file named by TEST_TOTALS.
import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import { type MochaOptions, Runner, reporters, type Suite, type Test } from "mocha";

/** How the tests of one file went. */
export interface SpecCounts {
    readonly passed: number;
    readonly failed: number;
    readonly skipped: number;
    /** Milliseconds, with those of hooks. */
    readonly ms: number;
}

/** What the file named by TEST_TOTALS holds. */
export interface Counted {
    readonly passed: number;
    /** Title and stack of each. */
    readonly failures: readonly string[];
    /** Titles. */
    readonly skipped: readonly string[];
    readonly specs: Readonly<Record<string, SpecCounts>>;
}

export default class Totals extends reporters.Spec {
    readonly #skipped: string[] = [];
    readonly #specs: Record<string, { -readonly [Field in keyof SpecCounts]: number }> = {};
    #since = Date.now();

    constructor(runner: Runner, options?: MochaOptions) {
        super(runner, options);
        const { EVENT_SUITE_END, EVENT_TEST_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } =
            Runner.constants;
        runner.on(EVENT_TEST_PASS, (test) => this.#spec(test).passed++);
        runner.on(EVENT_TEST_FAIL, (test) => this.#spec(test).failed++);
        runner.on(EVENT_TEST_PENDING, (test) => {
            this.#spec(test).skipped++;
            this.#skipped.push(test.fullTitle());
        });
        runner.on(EVENT_TEST_END, (test) => test.parent?.root && this.#spend(test));
        runner.on(EVENT_SUITE_END, (suite) => {
            if (suite.parent?.root) {
                this.#spend(suite);
                this.#endFile(suite, suite.parent);
            }
        });
    }

    #spec({ file }: Pick<Test | Suite, "file">) {
        const name = relative(process.cwd(), file ?? ".");
        this.#specs[name] ??= { passed: 0, failed: 0, skipped: 0, ms: 0 };
        return this.#specs[name];
    }

    #spend(what: Pick<Test | Suite, "file">): void {
        const now = Date.now();
        this.#spec(what).ms += now - this.#since;
        this.#since = now;
    }

    /** A line after the last suite of a file, by which mocha.ts knows that the file has ended. */
    #endFile(suite: Suite, { suites }: Suite): void {
        if (suite === suites.findLast(({ file }) => file === suite.file)) {
            const { passed, failed, ms } = this.#spec(suite);
            const name = relative(process.cwd(), suite.file ?? ".");
            reporters.Base.consoleLog(`${name}: ${passed} passed, ${failed} failed (${(ms / 1000).toFixed(1)} s)\n`);
        }
    }

    override epilogue(): void {
        super.epilogue();
        const counted: Counted = {
            passed: this.stats.passes,
            failures: this.failures.map((test) => `${test.fullTitle()}\n${test.err?.stack ?? test.err}`),
            skipped: this.#skipped,
            specs: this.#specs,
        };
        writeFileSync(process.env.TEST_TOTALS ?? "totals.json", JSON.stringify(counted));
    }
}
