// No test: hooks around those of all other files here, which keep the page of what was seen up to date.
import * as fs from "node:fs";
import * as path from "node:path";
import { begin, circumstances, page } from "./record";

/** `npm run test:matrix`, which counts the tests, is about all of them: its page is the one to keep. */
const file = process.env.MATRIX_PAGE ?? (process.env.TEST_TOTALS ? "bench/matrix.md" : ".cache/matrix.md");
const head = circumstances();

function write(suite: Mocha.Suite | undefined): void {
    let top = suite;
    while (top?.parent) {
        top = top.parent;
    }
    if (top) {
        fs.writeFileSync(path.resolve(__dirname, "../..", file), page(top, head));
    }
}

beforeEach(function () {
    begin(this.currentTest);
});

// After each test, because a run that is ended by force says nothing at its end.
afterEach(function () {
    begin(undefined);
    write(this.currentTest?.parent);
});

after(function () {
    write(this.test?.parent);
});
