// The settings, by Pulumi.yaml and by the schema that checks them.
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { load } from "js-yaml";
import * as z from "zod";
import { Failure } from "../failure.ts";
import { root } from "../project.ts";
import { programModule } from "./bundle.ts";
import { code, prose, type Row, read, table } from "./markdown.ts";
import { fieldDocs } from "./typescript.ts";

/** Where the fields of structured settings are described: beside the components that take them. */
const described = () =>
    readdirSync(join(root, "components"), { recursive: true, encoding: "utf8" })
        .filter((file) => basename(file) === "settings.ts")
        .sort()
        .map((file) => `components/${file}`);

/** A setting in Pulumi.yaml. */
interface Declared {
    readonly type: string;
    readonly default?: unknown;
    readonly description?: string;
}

/** The schemas of the settings. */
const settingSchemas = () =>
    programModule<{ schema?: z.ZodObject<Record<string, z.ZodType>> }>("settings/schema.ts").schema?.shape ?? {};

interface Unwrapped {
    readonly schema: z.ZodType;
    readonly fallback?: unknown;
    readonly required: boolean;
}

/** A schema with its wrappers taken off. */
function unwrap(wrapped: z.core.SomeType): Unwrapped {
    if (wrapped instanceof z.ZodDefault || wrapped instanceof z.ZodPrefault) {
        return { ...unwrap(wrapped.def.innerType), fallback: wrapped.def.defaultValue, required: false };
    }
    if (wrapped instanceof z.ZodOptional) {
        return { ...unwrap(wrapped.def.innerType), required: false };
    }
    if (wrapped instanceof z.ZodPipe) {
        // What goes in is what people write; but of text that holds JSON, what it holds.
        return unwrap(wrapped.def.out instanceof z.ZodTransform ? wrapped.def.in : wrapped.def.out);
    }
    return { schema: wrapped as z.ZodType, required: true };
}

/** What a schema allows, in the words of its own complaint about a text that nobody would write. */
function allowedBy(schema: z.ZodType): string | undefined {
    const [first] = schema.safeParse("\0").error?.issues ?? [];
    return /; allowed: (.*)$/.exec(first?.message ?? "")?.[1];
}

/** What a schema allows, in the words of JSON Schema. */
function limitsOf({ enum: values, minimum, maximum, minItems }: z.core.JSONSchema.BaseSchema): string {
    const range = minimum !== undefined && maximum !== undefined ? `${minimum} to ${maximum}` : undefined;
    return values?.join(", ") ?? range ?? (minItems === undefined ? "" : `at least ${minItems}`);
}

/** One row for each field below a structured setting. */
function fieldRows(path: string, wrapped: z.core.SomeType, docs: ReadonlyMap<string, string>): Row[] {
    const unwrapped = unwrap(wrapped);
    const { schema } = unwrapped;
    const rowsBelow = (name: string, inner: z.core.SomeType) => fieldRows(`${path}${name}`, inner, docs);
    const own = path.includes(".") ? [rowOf(path, unwrapped, docs)] : []; // else it is the setting itself
    if (schema instanceof z.ZodRecord) {
        return [...own, ...rowsBelow(".NAME", schema.valueType)];
    }
    if (schema instanceof z.ZodObject) {
        return [...own, ...Object.entries(schema.shape).flatMap(([name, inner]) => rowsBelow(`.${name}`, inner))];
    }
    const element = schema instanceof z.ZodArray ? unwrap(schema.element).schema : undefined;
    return element instanceof z.ZodObject ? [...own, ...rowsBelow("[]", element).slice(1)] : own;
}

function rowOf(path: string, { schema, fallback, required }: Unwrapped, docs: ReadonlyMap<string, string>): Row {
    const name = path.split(".").at(-1) ?? "";
    const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    const types = (json.anyOf ?? [json]).flatMap(({ type }) => type ?? []);
    const needed = required && name !== "NAME" ? "required" : "";
    return [
        code(path),
        types.join(" or "),
        fallback === undefined ? needed : code(JSON.stringify(fallback)),
        prose(allowedBy(schema) ?? limitsOf(json)),
        prose(docs.get(name) ?? ""),
    ];
}

export function settings(): string {
    const { config: declared } = load(read("Pulumi.yaml")) as { config: Record<string, Declared> };
    const docs = new Map(described().flatMap((file) => [...fieldDocs(file)]));
    const schemas = Object.entries(settingSchemas());
    const silent = schemas.map(([name]) => name).filter((name) => !declared[name]?.description);
    if (silent.length > 0) {
        throw new Failure(`Pulumi.yaml does not describe ${silent.join(", ")}.`, { next: "describe it there" });
    }
    const all = schemas.map(([name, schema]) => ({ name, schema, ...(declared[name] ?? { type: "string" }) }));
    const rows = all.map(({ name, schema, type, default: fallback, description = "" }) => {
        const allowed = type === "object" ? `[fields](#fields-of-${name.toLowerCase()})` : allowedBy(schema);
        const shown = typeof fallback === "string" ? fallback : JSON.stringify(fallback);
        return [code(name), type, code(shown), allowed ?? "", prose(description)];
    });
    const fields = all
        .filter(({ type }) => type === "object")
        .map(({ name, schema }) => {
            const columns = ["Field", "Type", "Default", "Allowed", "Meaning"];
            return `### Fields of ${name}\n\n${table(columns, fieldRows(name, schema, docs))}`;
        });
    return `Set with \`npm run pulumi -- config set NAME VALUE\`, a field of a structured setting with \`--path\`.

${table(["Setting", "Type", "Default", "Allowed", "Meaning"], rows)}
${fields.join("\n")}`;
}
