// Modules of the program, whose files are CommonJS for Pulumi, which Node does not load by itself.
import { createRequire } from "node:module";
import { join } from "node:path";
import { compileFunction } from "node:vm";
import { buildSync } from "esbuild";
import { root } from "../project.ts";

/** What a file of the program exports. */
export function programModule<T extends object>(name: string): T {
    const file = join(root, name);
    const { outputFiles } = buildSync({
        entryPoints: [file],
        bundle: true,
        format: "cjs",
        packages: "external",
        platform: "node",
        write: false,
    });
    const module = { exports: {} };
    const evaluate = compileFunction(outputFiles[0]?.text ?? "", ["module", "exports", "require"]);
    evaluate(module, module.exports, createRequire(file));
    return module.exports as T;
}
