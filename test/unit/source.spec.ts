import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { root } from "../helpers/program";

/** The program's files, with the text of each. */
const files = ["index.ts"]
    .concat(
        ["components", "settings"].flatMap((folder) =>
            fs
                .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
                .filter((file) => file.endsWith(".ts"))
                .map((file) => path.join(folder, file)),
        ),
    )
    .map((file) => ({ file, text: fs.readFileSync(path.join(root, file), "utf8") }));

const holding = (pattern: RegExp) => files.filter(({ text }) => pattern.test(text)).map(({ file }) => file);

describe("the program's source", () => {
    it("makes remote commands in one place", () => {
        assert.deepEqual(holding(/new\s+([\w.]+\.)?remote\s*\.\s*(Command|CopyToRemote|CopyFile)\b/), [
            "components/remoteStep.ts",
        ]);
    });

    it("calls scripts of the operator's machine in one place", () => {
        assert.deepEqual(holding(/scripts\/on-host\.mjs/), ["components/hostStep.ts"]);
    });

    it("reads Pulumi's configuration in one place", () => {
        assert.deepEqual(holding(/\bnew\s+([\w.]+\.)?Config\b|\b(allConfig|getConfig)\s*\(/), ["settings/index.ts"]);
        // Of the environment nothing is read; one variable is kept from the SDK.
        assert.deepEqual(holding(/(?<!delete )process\.env\b/), []);
    });

    it("keeps index.ts to at most 80 lines of code", () => {
        const index = files.find(({ file }) => file === "index.ts")?.text ?? "";
        const code = index
            .replace(/\/\*[\s\S]*?\*\//g, "")
            .split("\n")
            .filter((line) => line.trim() !== "" && !line.trim().startsWith("//"));
        assert.ok(code.length > 20 && code.length <= 80, `${code.length} lines of code`);
    });

    it("ends each component's constructor with registerOutputs", () => {
        const components = holding(/extends pulumi\.ComponentResource\b/);
        assert.equal(components.length, 22);
        assert.deepEqual(holding(/^ {8}this\.registerOutputs\(.*\);\n {4}}$/m), components);
    });

    it("keeps files to at most 400 lines", () => {
        const long = files.filter(({ text }) => text.split("\n").length > 401).map(({ file }) => file);
        assert.deepEqual(long, []);
    });
});
