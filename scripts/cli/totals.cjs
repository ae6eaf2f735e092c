// Mocha's spec reporter that also leaves how many have passed, what has failed, and what was left out, in the file named by
// TEST_TOTALS.
const { writeFileSync } = require("node:fs");
const { reporters, Runner } = require("mocha");

module.exports = class Totals extends reporters.Spec {
    #skipped = [];

    constructor(runner, options) {
        super(runner, options);
        runner.on(Runner.constants.EVENT_TEST_PENDING, (test) => this.#skipped.push(test.fullTitle()));
    }

    epilogue() {
        super.epilogue();
        const failures = this.failures.map((test) => `${test.fullTitle()}\n${test.err?.stack ?? test.err}`);
        const totals = { passed: this.stats.passes, failures, skipped: this.#skipped };
        writeFileSync(process.env.TEST_TOTALS, JSON.stringify(totals));
    }
};
