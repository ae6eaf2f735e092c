import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { loadYaml } from "@kubernetes/client-node";
import { root } from "../helpers/program";
import { complaints } from "../helpers/settings";

const read = (name: string) => fs.readFileSync(path.join(root, name), "utf8");
const pages = fs
    .globSync(["*.md", "{docs,bench,mirror,plugins}/*.md"], { cwd: root })
    .map((name) => ({ name, text: read(name) }));

/** Text without blocks and pieces of code, which may hold what looks like a link. */
const prose = (text: string) => text.replace(/^```[\s\S]*?^```$/gm, "").replace(/`[^`\n]*`/g, "code");

/** The anchors that GitHub gives the headings of a page. */
function anchors(text: string): Set<string> {
    const found = new Map<string, number>();
    for (const [, title = ""] of text.replace(/^```[\s\S]*?^```$/gm, "").matchAll(/^#+ (.*)$/gm)) {
        const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
        const anchor = plain.replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
        const count = found.get(anchor) ?? 0;
        found.set(anchor, count + 1);
        if (count > 0) found.set(`${anchor}-${count}`, 1);
    }
    return new Set(found.keys());
}

describe("the documents", () => {
    it("link to files and headings that there are", () => {
        assert.ok(pages.length > 20);
        const wrong = pages.flatMap(({ name, text }) =>
            [...prose(text).matchAll(/\]\(([^()\s]+)\)/g)].flatMap(([, link = ""]) => {
                // ../../actions is GitHub's own page of the repository.
                if (/^([a-z]+:|\.\.\/\.\.\/(actions|releases)\b)/.test(link)) return [];
                const [file = "", anchor] = link.split("#");
                const target = file === "" ? name : path.join(path.dirname(name), file);
                const isThere = fs.existsSync(path.join(root, target));
                const fits = anchor === undefined || !target.endsWith(".md") || anchors(read(target)).has(anchor);
                return isThere && fits ? [] : [`${name}: ${link}`];
            }),
        );
        assert.deepEqual(wrong, []);
    });

    it("are all in the README's list", () => {
        const readme = read("README.md");
        const missing = pages.filter(({ name }) => name.startsWith("docs/") && !readme.includes(`(${name}`));
        assert.deepEqual(
            missing.map(({ name }) => name),
            [],
        );
    });

    it("show settings of an existing cluster that the program takes", () => {
        const [, block = ""] = /```yaml\n(config:\n[\s\S]*?)```/.exec(read("docs/existing-clusters.md")) ?? [];
        const { config } = loadYaml<{ config: Record<string, unknown> }>(block);
        const raw = Object.entries(config).map(([key, value]) => [
            key.replace("runtime-sandboxes:", ""),
            typeof value === "string" ? value : JSON.stringify(value),
        ]);
        assert.deepEqual(complaints(Object.fromEntries(raw)), []);
    });
});
