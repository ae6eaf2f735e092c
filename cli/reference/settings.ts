// @ts-nocheck
// The settings, by Pulumi.yaml and by the schema that checks them.
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { compileFunction } from "node:vm";
import { Failure } from "../failure.ts";
import { root } from "../project.ts";
import { code, prose, read, table } from "./markdown.ts";

/** Where the fields of structured settings are described: beside the components that take them. */
const described = () =>
    readdirSync(join(root, "components"), { recursive: true })
        .filter((file) => basename(file) === "settings.ts")
        .sort()
        .map((file) => `components/${file}`);

/** The schemas of the settings. */
async function settingSchemas() {
    const { buildSync } = await import("esbuild");
    const schema = join(root, "settings", "schema.ts");
    const { outputFiles } = buildSync({
        entryPoints: [schema],
        bundle: true,
        format: "cjs",
        packages: "external",
        platform: "node",
        write: false,
    });
    const module = { exports: {} };
    const load = compileFunction(outputFiles[0].text, ["module", "exports", "require"]);
    load(module, module.exports, createRequire(schema));
    return module.exports.schema.shape;
}

/** A schema with its wrappers taken off. */
function unwrap(schema) {
    const { type, innerType, in: from, out: to, defaultValue } = schema.def;
    if (type === "default" || type === "prefault") {
        return { ...unwrap(innerType), fallback: defaultValue, required: false };
    }
    if (type === "optional") {
        return { ...unwrap(innerType), required: false };
    }
    if (type === "pipe") {
        // What goes in is what people write; but of text that holds JSON, what it holds.
        return unwrap(to.def.type === "transform" ? from : to);
    }
    return { schema, type, fallback: undefined, required: true };
}

/** What a schema allows, in the words of its own complaint about a text that nobody would write. */
function allowedBy(schema) {
    const [first] = schema.safeParse("\0").error?.issues ?? [];
    return /; allowed: (.*)$/.exec(first?.message ?? "")?.[1];
}

/** What a schema allows, in the words of JSON Schema. */
function limitsOf({ enum: values, minimum, maximum, minItems }) {
    const range = minimum !== undefined && maximum !== undefined ? `${minimum} to ${maximum}` : undefined;
    return values?.join(", ") ?? range ?? (minItems === undefined ? "" : `at least ${minItems}`);
}

/** One row for each field below a structured setting. */
function fieldRows(zod, path, wrapped, docs) {
    const { schema, type, fallback, required } = unwrap(wrapped);
    const rowsBelow = (inner, name) => fieldRows(zod, `${path}${name}`, inner, docs);
    if (type === "object" || type === "record") {
        const fields = type === "record" ? { NAME: schema.valueType } : schema.shape;
        const rows = Object.entries(fields).flatMap(([name, inner]) => rowsBelow(inner, `.${name}`));
        return [...ownRow(), ...rows];
    }
    const element = type === "array" ? unwrap(schema.element) : undefined;
    return [...ownRow(), ...(element?.type === "object" ? rowsBelow(element.schema, "[]").slice(1) : [])];

    function ownRow() {
        const name = path.split(".").pop();
        if (name === path) {
            return []; // the setting itself
        }
        const json = zod.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
        const types = [json.anyOf ?? json].flat().flatMap((one) => one.type);
        const needed = required && name !== "NAME" ? "required" : "";
        return [
            [
                code(path),
                types.join(" or "),
                fallback === undefined ? needed : code(JSON.stringify(fallback)),
                prose(allowedBy(schema) ?? limitsOf(json)),
                prose(docs.get(name) ?? ""),
            ],
        ];
    }
}

/** @param source see typescript.ts */
export async function settings(source) {
    const { loadYaml } = await import("@kubernetes/client-node/dist/yaml.js");
    const zod = await import("zod");
    const file = loadYaml(read("Pulumi.yaml")).config;
    const docs = new Map(described().flatMap((one) => [...source.fieldDocs(one)]));
    const schemas = Object.entries(await settingSchemas());
    const silent = schemas.map(([name]) => name).filter((name) => !file[name]?.description);
    if (silent.length > 0) {
        throw new Failure(`Pulumi.yaml does not describe ${silent.join(", ")}.`, { next: "describe it there" });
    }
    const rows = schemas.map(([name, schema]) => {
        const { type, default: fallback, description } = file[name];
        const allowed = type === "object" ? `[fields](#fields-of-${name.toLowerCase()})` : allowedBy(schema);
        const shown = typeof fallback === "string" ? fallback : JSON.stringify(fallback);
        return [code(name), type, code(shown), allowed ?? "", prose(description)];
    });
    const fields = schemas
        .filter(([name]) => file[name].type === "object")
        .map(([name, schema]) => {
            const columns = ["Field", "Type", "Default", "Allowed", "Meaning"];
            return `### Fields of ${name}\n\n${table(columns, fieldRows(zod, name, schema, docs))}`;
        });
    return `Set with \`npm run pulumi -- config set NAME VALUE\`, a field of a structured setting with \`--path\`.

${table(["Setting", "Type", "Default", "Allowed", "Meaning"], rows)}
${fields.join("\n")}`;
}
