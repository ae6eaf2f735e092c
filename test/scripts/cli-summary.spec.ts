// What the command line makes of the stack outputs.
import * as assert from "node:assert/strict";
import { CliProject, goodOutputs } from "./cliProject";

describe("command line: the outputs", () => {
    let project: CliProject;

    before(() => {
        project = new CliProject();
    });
    after(() => project.remove());

    it("renders the summary", async () => {
        project.write("outputs.json", JSON.stringify(goodOutputs()));
        const { stdout, stderr } = await project.evaluate(
            'import { readFileSync } from "node:fs"; import { readOutputs, renderSummary } from "./scripts/cli/summary.mjs";' +
                'const { workers } = readOutputs(JSON.parse(readFileSync("outputs.json", "utf8")));' +
                'console.log(renderSummary(workers, "myclass", 60));',
        );
        assert.equal(stderr, "");
        assert.equal(
            stdout,
            [
                "worker-1",
                "  kernel of worker  6.1.0-42-amd64  (the node itself)",
                "  kernel of test-1  6.1.0-42-amd64  (default runtime)",
                "  kernel of test-2  4.19.0-gvisor   (runtime class myclass)",
                "  dmesg of test-1   dmesg: read kernel buffer failed: Operat…",
                "  dmesg of test-2   [    0.000000] Starting gVisor...",
                "                    [    2.9] Ready!",
                "  ✓ test-2 has another kernel: 4.19.0-gvisor",
                "  ✓ the host runs test-2 by runsc: runsc-sandbox",
                "  PROVEN",
                "",
                "verdict: PROVEN on every worker",
                "",
            ].join("\n"),
        );
    });

    it("believes no output that lacks a part or contradicts itself", async () => {
        const good = goodOutputs();
        const verdict = good.isolation["worker-1"];
        const cases: [unknown, string[] | boolean][] = [
            [good, true],
            [[], ["the outputs are no JSON object"]],
            [{ ...good, uname: undefined }, ["uname is missing"]],
            [{ ...good, workers: [] }, ["workers is no object by worker"]],
            [
                { ...good, uname: {} },
                ["uname.worker-1.worker is", "uname.worker-1.test-1 is", "uname.worker-1.test-2 is"],
            ],
            [{ ...good, workers: { "worker-1": {}, "worker-2": {} } }, ["uname.worker-2.worker is"]],
            [
                { ...good, isolation: { "worker-1": { proven: "true", checks: verdict.checks } } },
                ["proven is missing or"],
            ],
            [{ ...good, isolation: { "worker-1": { proven: true, checks: [] } } }, ["checks is missing or empty"]],
            [{ ...good, isolation: { "worker-1": { ...verdict, proven: false } } }, false],
            [{ ...good, isolation: { "worker-1": { proven: true, checks: [{ name: "a", passed: false }] } } }, false],
            [{ ...good, uname: {}, dmesg: {}, isolation: {}, workers: {} }, ["no worker is in them"]],
        ];
        project.write("cases.json", JSON.stringify(cases.map(([outputs]) => outputs)));
        const { stdout, stderr } = await project.evaluate(
            'import { readFileSync } from "node:fs"; import { allProven, readOutputs } from "./scripts/cli/summary.mjs";' +
                'const cases = JSON.parse(readFileSync("cases.json", "utf8"));' +
                "console.log(JSON.stringify(cases.map((outputs) => { const { complaints, workers } = readOutputs(outputs);" +
                "return complaints.length > 0 ? complaints : allProven(workers); })));",
        );
        assert.equal(stderr, "");
        const answers = JSON.parse(stdout) as (string[] | boolean)[];
        for (const [index, [, expected]] of cases.entries()) {
            const answer = answers[index];
            if (typeof expected === "boolean" || typeof answer === "boolean" || answer === undefined) {
                assert.equal(answer, expected, `case ${index}`);
            } else {
                for (const part of expected) {
                    assert.ok(
                        answer.some((complaint) => complaint.includes(part)),
                        `case ${index}: ${answer.join("; ")}`,
                    );
                }
            }
        }
    });
});
