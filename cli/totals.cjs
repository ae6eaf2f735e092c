// Mocha's spec reporter that also says of each file what has become of its tests, and how long it took; it leaves that, what
// has failed, and what was left out, in the file named by TEST_TOTALS.
const { writeFileSync } = require("node:fs");
const { relative } = require("node:path");
const { reporters, Runner } = require("mocha");

module.exports = class Totals extends reporters.Spec {
    #skipped = [];
    /** By file: { passed, failed, skipped, ms }. Of hooks, too, the time is their file's. */
    #specs = {};
    #since = Date.now();

    constructor(runner, options) {
        super(runner, options);
        const { EVENT_SUITE_END, EVENT_TEST_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } =
            Runner.constants;
        runner.on(EVENT_TEST_PASS, (test) => this.#spec(test).passed++);
        runner.on(EVENT_TEST_FAIL, (test) => this.#spec(test).failed++);
        runner.on(EVENT_TEST_PENDING, (test) => {
            this.#spec(test).skipped++;
            this.#skipped.push(test.fullTitle());
        });
        runner.on(EVENT_TEST_END, (test) => test.parent.root && this.#spend(test));
        runner.on(EVENT_SUITE_END, (suite) => {
            if (suite.parent?.root) {
                this.#spend(suite);
                this.#sayLast(suite);
            }
        });
    }

    #spec({ file }) {
        const name = relative(process.cwd(), file ?? ".");
        this.#specs[name] ??= { passed: 0, failed: 0, skipped: 0, ms: 0 };
        return this.#specs[name];
    }

    #spend(what) {
        const now = Date.now();
        this.#spec(what).ms += now - this.#since;
        this.#since = now;
    }

    /** A line after the last suite of a file; mocha.ts knows by it that the file is through. */
    #sayLast(suite) {
        if (suite === suite.parent.suites.findLast(({ file }) => file === suite.file)) {
            const { passed, failed, ms } = this.#spec(suite);
            const name = relative(process.cwd(), suite.file);
            reporters.Base.consoleLog(`${name}: ${passed} passed, ${failed} failed (${(ms / 1000).toFixed(1)} s)\n`);
        }
    }

    epilogue() {
        super.epilogue();
        const failures = this.failures.map((test) => `${test.fullTitle()}\n${test.err?.stack ?? test.err}`);
        const totals = { passed: this.stats.passes, failures, skipped: this.#skipped, specs: this.#specs };
        writeFileSync(process.env.TEST_TOTALS, JSON.stringify(totals));
    }
};
