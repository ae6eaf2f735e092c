// What the command line makes of the stack outputs.
import * as assert from "node:assert/strict";
import { CliProject, goodOutputs } from "./cliProject";

describe("command line: the outputs", () => {
    let project: CliProject;

    before(() => {
        project = new CliProject();
    });
    after(() => project.remove());

    /** What renderSummary prints for outputs. */
    const summary = async (outputs: unknown, colours = "undefined"): Promise<string> => {
        project.write("outputs.json", JSON.stringify(outputs));
        const { stdout, stderr } = await project.evaluate(
            'import { readFileSync } from "node:fs";' +
                'import { coloursOf, readOutputs, renderSummary } from "./cli/summary.ts";' +
                'const { workers } = readOutputs(JSON.parse(readFileSync("outputs.json", "utf8")));' +
                `console.log(renderSummary(workers, "myclass", 60, ${colours}));`,
        );
        assert.equal(stderr, "");
        return stdout;
    };

    it("renders the summary", async () => {
        const limits = {
            "worker-1": {
                memory: { limitMiB: 128, outcome: "OOMKilled", passed: true },
                cpu: { limitMillicores: 250, usedMillicores: 400, passed: false },
            },
        };
        assert.equal(
            await summary({ ...goodOutputs(), limits }),
            [
                "worker-1",
                "  kernel of worker  6.1.0-42-amd64  (the node itself)",
                "  kernel of test-1  6.1.0-42-amd64  (default runtime)",
                "  kernel of test-2  4.19.0-gvisor   (runtime class myclass)",
                "  dmesg of test-1   dmesg: read kernel buffer failed: Operat…",
                "  dmesg of test-2   [    0.000000] Starting gVisor...",
                "                    [    2.9] Ready!",
                ...goodOutputs().isolation["worker-1"].checks.map(({ name, detail }) => `  ✓ ${name}: ${detail}`),
                "  ✓ a memory limit on a sandboxed pod binds: OOMKilled, limit 128 MiB",
                "  ✗ a CPU limit on a sandboxed pod binds: 400 millicores used, limit 250",
                "  NOT PROVEN",
                "",
                "verdict: NOT PROVEN on worker-1",
                "",
            ].join("\n"),
        );
    });

    it("takes colours on a terminal only, and where neither NO_COLOR nor CI is set", async () => {
        const on = await summary(goodOutputs(), "coloursOf({ isTTY: true }, {})");
        assert.ok(on.includes("  \u001b[32m✓\u001b[0m test-1 shares"), on);
        assert.ok(on.includes("verdict: \u001b[32mPROVEN\u001b[0m on every worker"), on);
        for (const off of [
            "{ isTTY: false }, {}",
            "{ isTTY: true }, { NO_COLOR: '1' }",
            "{ isTTY: true }, { CI: '1' }",
        ]) {
            assert.equal((await summary(goodOutputs(), `coloursOf(${off})`)).includes("\u001b"), false, off);
        }
    });

    it("lets no text of a pod steer the terminal", async () => {
        const outputs = goodOutputs();
        outputs.dmesg["worker-1"]["test-1"] = "\u001b[2J\u202eevil\u0085\ttext\n::warning::x";
        const text = await summary(outputs);
        assert.ok(text.includes("  dmesg of test-1   �[2J�evil� text\n                    \\::warning::x\n"), text);
    });

    it("believes no output that lacks a part or contradicts itself", async () => {
        const good = goodOutputs();
        const verdict = good.isolation["worker-1"];
        const failed = { name: "a", passed: false, detail: "" };
        const cases: [unknown, string[] | boolean][] = [
            [good, true],
            [[], ["the whole is []; allowed: an object"]],
            [{ ...good, uname: undefined }, ["uname is missing"]],
            [{ ...good, workers: [] }, ["workers is []; allowed: an object"]],
            [
                { ...good, uname: { "worker-1": {} } },
                ["worker", "test-1", "test-2"].map((key) => `uname.worker-1.${key} is missing`),
            ],
            [
                { ...good, isolation: { "worker-1": { proven: "true", checks: [] } } },
                ['isolation.worker-1.proven is "true"; allowed: true or false', "isolation.worker-1.checks is empty"],
            ],
            [{ ...good, isolation: { "worker-1": { ...verdict, proven: false } } }, false],
            [{ ...good, isolation: { "worker-1": { proven: true, checks: [failed] } } }, false],
        ];
        project.write("cases.json", JSON.stringify(cases.map(([outputs]) => outputs)));
        const { stdout, stderr } = await project.evaluate(
            'import { readFileSync } from "node:fs"; import { readOutputs } from "./cli/summary.ts";' +
                'const cases = JSON.parse(readFileSync("cases.json", "utf8"));' +
                "console.log(JSON.stringify(cases.map((outputs) => { const { complaints, workers } = readOutputs(outputs);" +
                "return complaints.length > 0 ? complaints : workers.every(({ proven }) => proven); })));",
        );
        assert.equal(stderr, "");
        assert.deepEqual(
            JSON.parse(stdout),
            cases.map(([, expected]) => expected),
        );
    });
});
