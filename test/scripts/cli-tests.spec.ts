// `npm test`: what is counted, shown and kept of suites, one after the other and side by side.
import * as assert from "node:assert/strict";
import { eventually } from "../helpers/eventually";
import { CliProject } from "./cliProject";

describe("command line: tests", function () {
    this.timeout(180_000);
    let project: CliProject;

    beforeEach(() => {
        project = new CliProject();
    });
    afterEach(() => project.remove());

    it("sums up the tests of a suite, and calls a suite without tests failed", async () => {
        const passes = 'it("passes", () => {});';
        const none = "failed: test/unit: no test was run (mocha ended with";
        const cases: [string, string, number, string][] = [
            [`${passes}\n${passes}`, "2 passed, 0 failed", 0, ""],
            [
                `${passes}\nit("fails", () => { throw new Error("no"); });`,
                "1 passed, 1 failed",
                1,
                "failed: test/unit: fails\n  Error: no\n",
            ],
            [
                `${passes}\nbefore(() => { throw new Error("hook"); });`,
                "0 passed, 1 failed",
                1,
                'failed: test/unit: "before all" hook for "passes"\n  Error: hook\n',
            ],
            ['it.skip("later", () => {});', "0 passed, 1 failed", 1, none],
            [
                `${passes}\nit.skip("later", () => {});`,
                "1 passed, 1 failed",
                1,
                "failed: test/unit: later\n  skipped, which CI does not take\n",
            ],
            [`${passes}\nit("ends it all", () => process.exit(0));`, "0 passed, 1 failed", 1, none],
            ["throw new Error('broken');", "0 passed, 1 failed", 1, none],
        ];
        for (const [text, last, expected, recalled] of cases) {
            project.write("test/unit/a.spec.ts", text);
            const { code, stdout } = await project.run("test", "unit");
            assert.equal(code, expected, stdout);
            assert.equal(stdout.trimEnd().split("\n").pop(), last);
            const end = stdout.slice(stdout.indexOf("\nfailed: ") + 1);
            assert.ok(recalled === "" ? !stdout.includes("\nfailed: ") : end.startsWith(recalled), stdout);
        }
    });

    it("counts and names the tests that were skipped, also by a hook", async () => {
        delete project.env.CI;
        const skips =
            'describe("on root", () => { before(function () { this.skip(); }); it("b", () => {}); it("c", () => {}); });';
        project.write("test/unit/a.spec.ts", `it("passes", () => {});\nit.skip("later", () => {});\n${skips}`);
        const { code, stdout } = await project.run("test", "unit");
        assert.equal(code, 0, stdout);
        const names = ["later", "on root b", "on root c"].map((title) => `skipped: test/unit: ${title}\n`).join("");
        assert.ok(stdout.endsWith(`\n${names}3 skipped\n\n1 passed, 0 failed\n`), stdout);
    });

    it("ends with the suite that a signal has ended", async () => {
        const waits = 'require("fs").writeFileSync("running", ""); setTimeout(done, 15_000);';
        project.write("test/unit/a.spec.ts", `it("waits", (done) => { ${waits} });`);
        const { child, finished } = project.start("test", "unit");
        await eventually("the test to run", () => project.exists("running"));
        child.kill("SIGTERM");
        const { code, stdout, stderr } = await finished;
        assert.equal(code, 130, stdout);
        assert.match(stderr, /error: interrupted by SIGTERM\./);
        assert.doesNotMatch(stdout, /passed, /);
    });

    describe("side by side", () => {
        /** Two suites, where each test waits for one of the other: they end only if they run at the same time. */
        function meeting(): void {
            const until = (name: string) => `until(() => fs.existsSync("${name}"), done)`;
            const helper =
                'const fs = require("fs");' +
                "const until = (is, done) => is() ? done() : void setTimeout(() => until(is, done), 20);";
            const one = 'describe("one", () => { it("meets two", (done) => { fs.writeFileSync("one", "");';
            const two = 'describe("two", () => { it("meets one", (done) => { fs.writeFileSync("two", "");';
            project.write("test/a/1.spec.ts", `${helper}${one}${until("two")}; }); });`);
            project.write(
                "test/a/2.spec.ts",
                'describe("three", () => { it("fails", () => { console.log("beside"); throw new Error("no"); }); });',
            );
            project.write("test/b/1.spec.ts", `${helper}${two}${until("one")}; }); it.skip("later", () => {}); });`);
        }

        const parts =
            'import { runParts } from "./cli/mocha.ts"; import { guardSignals } from "./cli/run.ts";' +
            'guardSignals(); const results = await runParts(["test/a", "test/b"], 2);';

        it("shows each file as a whole, with its count and time, and counts them all", async () => {
            delete project.env.CI;
            meeting();
            const { stdout } = await project.evaluate(`${parts} console.log("RESULTS" + JSON.stringify(results));`);
            const [shown = "", json = ""] = stdout.split("RESULTS");
            for (const file of ["test/a/1", "test/a/2", "test/b/1"]) {
                assert.match(shown, new RegExp(`^${file}\\.spec\\.ts: \\d passed, \\d failed \\(\\S+ s\\)$`, "m"));
            }
            assert.match(shown, / {2}three\nbeside\n {4}1\) fails\n\n+test\/a\/2\.spec\.ts: 0 passed, 1 failed/);
            // All of a failure, where the suite ends.
            assert.match(shown, /1 failing\n\n {2}1\) three\n {7}fails:\n {5}Error: no\n {6}at /);
            assert.match(shown, /^test\/a: FAILED \(/m);
            assert.match(shown, /^test\/b: done \(/m);
            const results = JSON.parse(json) as Record<"part" | "passed" | "failures" | "skipped" | "specs", object>[];
            assert.deepEqual(
                results.map(({ part, passed, failures, skipped }) => [
                    ...[part, passed, JSON.stringify(failures).split("\\n")[0], skipped],
                ]),
                [
                    ["test/a", 1, '["test/a: three fails', []],
                    ["test/b", 1, "[]", ["test/b: two later"]],
                ],
            );
        });

        it("ends all of them with a signal, and begins no other", async () => {
            const waits = (name: string) =>
                `it("waits", (done) => { require("fs").writeFileSync("${name}", ""); setTimeout(done, 30_000); });`;
            project.write("test/a/1.spec.ts", waits("a"));
            project.write("test/b/1.spec.ts", waits("b"));
            project.write("test/c/1.spec.ts", waits("c"));
            const { child, finished } = project.startModule(parts.replace('"test/b"', '"test/b", "test/c"'));
            await eventually("both suites to run", () => project.exists("a") && project.exists("b"));
            child.kill("SIGTERM");
            const { code, stderr } = await finished;
            assert.notEqual(code, 0);
            assert.match(stderr, /interrupted by SIGTERM/);
            assert.equal(project.exists("c"), false);
        });
    });

    it("keeps the times of suites and files as a page, without a path of the machine", async () => {
        project.write("test/unit/fast.spec.ts", 'describe("fast", () => { it("passes", () => {}); });');
        project.write(
            "test/unit/slow.spec.ts",
            'describe("slow", () => { before((done) => void setTimeout(done, 300)); it("passes", () => {}); it("too", () => {}); });',
        );
        const { code, stdout } = await project.run("test", "unit", "--times=kept/times.md");
        assert.equal(code, 0, stdout);
        assert.match(stdout, /\n3 passed, 0 failed\n$/);
        const page = project.read("kept/times.md");
        assert.match(page, /^Written by `npm test -- unit --times`\. Begun \d{4}-\S+ \S+ UTC, at commit unknown\.$/m);
        assert.match(page, /^Host: \d+ cores, \d+ GiB, kernel \S+, load \S+ before\.$/m);
        assert.match(page, /^3 passed, 0 failed, in .* s\. /m);
        assert.match(page, /^\| set-up \| {2}\| {2}\| {2}\| \S+ \|\n\| test\/unit \| 3 \| 0 \| 0 \| \S+ \|$/m);
        // The slowest first; the time of hooks is theirs.
        const files = [...page.matchAll(/^\| (test\/unit\/\S+) \| (\d) \| 0 \| 0 \| (\S+) \|$/gm)];
        assert.deepEqual(
            files.map(([, file, passed]) => [file, passed]),
            [
                ["test/unit/slow.spec.ts", "2"],
                ["test/unit/fast.spec.ts", "1"],
            ],
        );
        assert.ok(Number(files[0]?.[3]) >= 0.3, page);
        assert.ok(!page.includes(project.directory), page);
    });
});
