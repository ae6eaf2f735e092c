// Mocha's spec reporter that also leaves how many have passed, and what has failed, in the file named by TEST_TOTALS.
const { writeFileSync } = require("node:fs");
const { reporters } = require("mocha");

module.exports = class Totals extends reporters.Spec {
    epilogue() {
        super.epilogue();
        const failures = this.failures.map((test) => `${test.fullTitle()}\n${test.err?.stack ?? test.err}`);
        writeFileSync(process.env.TEST_TOTALS, JSON.stringify({ passed: this.stats.passes, failures }));
    }
};
