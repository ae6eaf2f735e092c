// The components, by their classes.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { projectName, root } from "../project.ts";
import { table } from "./markdown.ts";
import { type Component, componentsOf } from "./typescript.ts";

export function components(): string {
    const files = readdirSync(join(root, "components"), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts"))
        .map((name) => `components/${name}`)
        .sort();
    const sections = files.flatMap((file) => componentsOf(file).map((one) => section(file, one)));
    return `Each is made with a name, its arguments and Pulumi's options of a component. Types are those of its file.

${sections.join("\n")}`;
}

function section(file: string, { name, token, doc, args, properties }: Component): string {
    const missing = Object.entries({ "type token": token, description: doc, "interface of its arguments": args })
        .filter(([, value]) => !value)
        .map(([what]) => what);
    if (missing.length > 0) {
        throw new Failure(`the component ${name} has no ${missing.join(", no ")}.`, { next: `see ${file}` });
    }
    const tables = [
        table(["Argument", "Type", "Required", "Meaning"], args ?? []),
        table(["Property", "Type", "Meaning"], properties),
    ];
    return `### ${name}

[${file}](../${file}), \`${projectName}${token}\`. ${doc}

${tables.filter((text) => text !== "").join("\n")}`;
}
