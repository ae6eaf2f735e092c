// @ts-nocheck
// The outputs, by their schema.
import { schemaFile } from "../check/schema.ts";
import { code, prose, read, table } from "./markdown.ts";

const worker = "#/$defs/byWorker";

/** One row for each output and what is in it. */
function rowsOf(defs, raw, path, always) {
    const schema = resolved(defs, raw);
    const {
        type,
        enum: values,
        description = "",
        properties = {},
        required = [],
        additionalProperties,
        items,
    } = schema;
    const rows = Object.entries(properties).flatMap(([name, inner]) =>
        rowsOf(defs, inner, path === "" ? name : `${path}.${name}`, required.includes(name)),
    );
    if (typeof additionalProperties === "object") {
        const byWorker = raw.$ref === worker || /^By worker\b/.test(description);
        rows.push(...rowsOf(defs, additionalProperties, `${path}.${byWorker ? "WORKER" : "NAME"}`, true));
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

function resolved(defs, { $ref, ...own }) {
    return $ref === undefined ? own : { ...resolved(defs, defs[$ref.split("/").pop()]), ...own };
}

export function outputs() {
    const schema = JSON.parse(read(schemaFile));
    const rows = rowsOf(schema.$defs, schema, "", true);
    return `By [${schemaFile}](../${schemaFile}). ${prose(schema.description)} How they are checked: [outputs](outputs.md).

${table(["Output", "Type", "Always there", "Meaning"], rows)}`;
}
