import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { root, TestStack, traces } from "./stack";

interface Block {
    readonly page: string;
    readonly line: number;
    readonly text: string;
    /** Why it is not run, as the comment before it says. */
    readonly excuse: string | undefined;
}

/** The shell blocks of a page; one that is not to be run has a comment "not run here: REASON" or "run by TEST" before it. */
function blocks(page: string): Block[] {
    const lines = fs.readFileSync(path.join(root, page), "utf8").split("\n");
    return lines.flatMap((line, index) => {
        if (line !== "```sh") {
            return [];
        }
        const end = lines.indexOf("```", index);
        const [, excuse] = /^<!-- (?:not run here: |run by )(.+) -->$/.exec(lines[index - 1] ?? "") ?? [];
        return [{ page, line: index + 1, text: lines.slice(index + 1, end).join("\n"), excuse }];
    });
}

const pages = ["README.md", "CONTRIBUTING.md", "SECURITY.md"].concat(
    fs
        .readdirSync(path.join(root, "docs"))
        .filter((name) => name.endsWith(".md"))
        .map((name) => `docs/${name}`),
);
/** Pages whose blocks are run here, on one stack; the last block of the tutorial is the end of all. */
const run = [
    "tutorial",
    "cks-lab",
    "existing-clusters",
    "state-and-secrets",
    "how-to",
    "outputs",
    "mandatory-sandboxes",
].map((name) => `docs/${name}.md`);

describe("the documentation's commands", function () {
    this.timeout(600_000);
    const bridge = "sbxe2e3";
    const stack = new TestStack("e2e-docs", { workers: "1", bridge, addressRange: "10.85.0.0/24", sources: "mirror" });
    const before = traces(bridge, stack.files);

    after(async () => {
        await stack.remove();
        assert.deepEqual(traces(bridge, stack.files), before);
    });

    async function execute({ page, line, text }: Block): Promise<void> {
        const child = spawn("bash", ["-euo", "pipefail", "-c", text], {
            cwd: root,
            env: { ...process.env, STACK: stack.name, CI: "true" },
            stdio: ["ignore", "pipe", "pipe"],
        });
        let printed = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (part: string) => {
                printed += part;
            });
        }
        const code = await new Promise((resolve) => child.on("close", resolve));
        assert.equal(code, 0, `${page}:${line} ended with ${code}:\n${text}\n${printed.slice(-4000)}`);
    }

    it("are run here, or say why not", () => {
        const silent = pages
            .filter((page) => !run.includes(page))
            .flatMap(blocks)
            .filter(({ excuse }) => excuse === undefined);
        assert.deepEqual(
            silent.map(({ page, line }) => `${page}:${line}`),
            [],
        );
    });

    const wanted = run.filter((page) => fs.existsSync(path.join(root, page))).flatMap(blocks);
    const last = wanted.findIndex(({ text }) => /^npm run destroy$/m.test(text));
    const ordered = [...wanted.slice(0, last), ...wanted.slice(last + 1), ...wanted.slice(last, last + 1)];
    for (const block of ordered.filter(({ excuse }) => excuse === undefined)) {
        const [first = ""] = block.text.split("\n");
        it(`${block.page}:${block.line} ${first.slice(0, 70)}`, async () => await execute(block));
    }
});
