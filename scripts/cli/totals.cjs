// Mocha's spec reporter that also leaves the totals, and what has failed, in the file named by TEST_TOTALS.
const { writeFileSync } = require("node:fs");
const { reporters } = require("mocha");

module.exports = class Totals extends reporters.Spec {
    epilogue() {
        super.epilogue();
        const { passes, failures, pending } = this.stats;
        const failed = this.failures.map((test) => `${test.fullTitle()}\n${test.err?.stack ?? test.err}`);
        writeFileSync(process.env.TEST_TOTALS, JSON.stringify({ passes, failures, pending, failed }));
    }
};
