import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { versions } from "../../components/versions";

const root = path.resolve(__dirname, "../..");

/** What a matrix could be like in which not all goes well. */
const specs = `
const { saw } = require(${JSON.stringify(path.join(root, "test/matrix/record"))});
describe("containerd as it is found", () => {
    it("the pinned one", () => saw({ containerd: "${versions.containerd.version}", said: "a | b" }));
    it("Debian's", () => {
        saw({ containerd: "1.6.20~ds1" });
        throw new Error(${JSON.stringify(root)} + "/x ended\\nwith 1: " + "so ".repeat(300) + "full");
    });
    it.skip("another", () => {});
});
describe("faults", () => {
    describe("the disk is full", () => {
        it("here", () => saw({ runsc: "20991231.0" }));
        it("there", () => { throw new Error("no room"); });
    });
    describe("two runs at once", () => it("both", () => {}));
});
describe("k0s", () => {
    before("its build", () => { throw new Error("no compiler"); });
    it("is used", () => {});
});
describe("all", () => it("has an end", () => process.env.END && process.kill(process.pid, "SIGKILL")));
`;

describe("the page of the matrix", () => {
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "matrix-record-"));
    const file = path.join(scratch, "page.md");
    after(() => fs.rmSync(scratch, { recursive: true }));

    /** Runs them as the matrix is run. */
    function run(env: Readonly<Record<string, string>> = {}): string {
        fs.rmSync(file, { force: true });
        fs.writeFileSync(path.join(scratch, "some.spec.js"), specs);
        const mocha = path.join(root, "node_modules/mocha/bin/mocha.js");
        const args = [mocha, "--reporter", "min", path.join(root, "test/matrix/record.spec.ts"), scratch];
        spawnSync(process.execPath, args, { cwd: root, env: { ...process.env, ...env, MATRIX_PAGE: file } });
        return fs.readFileSync(file, "utf8");
    }

    it("has each test with what was seen and how it ended, of whatever has failed why", () => {
        const page = run();
        const { version } = versions.containerd;
        const after = page
            .slice(page.indexOf("\nResult: "))
            .replace(/ \d+ \|$/gm, " N |")
            .replace(/[so ]+…[so ]+/, " … ");
        assert.equal(
            after,
            `
Result: 4 passed, 3 failed, 2 not run.

| Program | Version, by its own word | Built |
|---|---|---|
| containerd | 1.6.20~ds1 | as Debian's package |
| containerd | ${version} | with the recipe mirror/build/containerd from the Go module github.com/containerd/containerd/v2 v${version} |
| runsc | 20991231.0 | by no recipe of this project |

## Containerd as it is found

| Row | Test | Seen | Outcome | Seconds |
|---:|---|---|---|---:|
| 1 | the pinned one | containerd ${version}; said a \\| b | passed | N |
| 2 | Debian's | containerd 1.6.20~ds1 | **FAILED**: x ended with 1: … full | N |
| 3 | another |  | skipped | N |

## Faults

| Row | Test | Seen | Outcome | Seconds |
|---:|---|---|---|---:|
|  | the disk is full | runsc 20991231.0 | 1 of 2 passed | N |
|  | the disk is full: there |  | **FAILED**: no room |  |
|  | two runs at once |  | 1 of 1 passed | N |

## K0s

| Row | Test | Seen | Outcome | Seconds |
|---:|---|---|---|---:|
|  | "before all" hook: its build for "is used" |  | **FAILED**: no compiler |  |
| 1 | is used |  | not run | N |

## All

| Row | Test | Seen | Outcome | Seconds |
|---:|---|---|---|---:|
| 1 | has an end |  | passed | N |
`,
        );
    });

    it("names commit, host and module, and is there as far as a run came that was ended by force", () => {
        const page = run({ END: "now" });
        const commit = execFileSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
        assert.match(page, new RegExp(`^Begun 20\\d\\d-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC, at commit ${commit}\\b`, "m"));
        assert.ok(page.includes(`Host: kernel ${os.release()}, ${os.cpus().length} cores, `));
        assert.match(page, /^Result: 3 passed, 2 failed, 3 not run\.$/m);
    });
});
