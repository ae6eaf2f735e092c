// The outputs, by their schema.
import { schemaFile } from "../check/schema.ts";
import { code, prose, type Row, read, table } from "./markdown.ts";

/** The keywords of JSON Schema that the outputs' schema uses and the reference shows. */
interface Schema {
    readonly $ref?: string;
    readonly type?: string | readonly string[];
    readonly enum?: readonly unknown[];
    readonly description?: string;
    readonly properties?: Readonly<Record<string, Schema>>;
    readonly required?: readonly string[];
    readonly additionalProperties?: Schema | boolean;
    readonly items?: Schema;
}

type Definitions = Readonly<Record<string, Schema>>;

const byWorker = "#/$defs/byWorker";

/** One row for each output and what is in it. */
function rowsOf(defs: Definitions, raw: Schema, path: string, always: boolean): Row[] {
    const schema = resolved(defs, raw);
    const { type = [], enum: values, description = "", properties = {}, additionalProperties, items } = schema;
    const rows = Object.entries(properties).flatMap(([name, inner]) =>
        rowsOf(defs, inner, path === "" ? name : `${path}.${name}`, schema.required?.includes(name) ?? false),
    );
    if (typeof additionalProperties === "object") {
        const isByWorker = raw.$ref === byWorker || /^By worker\b/.test(description);
        rows.push(...rowsOf(defs, additionalProperties, `${path}.${isByWorker ? "WORKER" : "NAME"}`, true));
    }
    if (items !== undefined && resolved(defs, items).properties) {
        rows.push(...rowsOf(defs, items, `${path}[]`, true));
    }
    if (path === "" || (rows.length > 0 && description === "")) {
        return rows; // it only holds the others
    }
    const kind = values ? values.map((value) => JSON.stringify(value)).join(", ") : [type].flat().join(" or ");
    return [[code(path), kind, always ? "yes" : "", prose(description)], ...rows];
}

function resolved(defs: Definitions, { $ref, ...own }: Schema): Schema {
    const named = defs[$ref?.split("/").at(-1) ?? ""];
    return named === undefined ? own : { ...resolved(defs, named), ...own };
}

export function outputs(): string {
    const schema: Schema & { $defs: Definitions } = JSON.parse(read(schemaFile));
    const rows = rowsOf(schema.$defs, schema, "", true);
    return `By [${schemaFile}](../${schemaFile}). ${prose(schema.description ?? "")} How they are checked: [outputs](outputs.md).

${table(["Output", "Type", "Always there", "Meaning"], rows)}`;
}
