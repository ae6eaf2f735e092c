// @ts-nocheck
// The published schema of the outputs, and what does not fit it in sentences.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../project.ts";

/** The published JSON Schema, relative to the project. */
export const schemaFile = join("schema", "outputs.v1.schema.json");

const byWorker = ["uname", "dmesg", "isolation", "workers"];
let validator;

/** Makes the schema ready. ajv is an npm package: this module can be read before it is installed, and used after. */
export function compiled() {
    if (!validator) {
        const { Ajv2020 } = createRequire(import.meta.url)("ajv/dist/2020.js");
        const schema = JSON.parse(readFileSync(join(root, schemaFile), "utf8"));
        validator = new Ajv2020({ allErrors: true, verbose: true, strictTypes: false, allowUnionTypes: true }).compile(
            schema,
        );
    }
    return validator;
}

/** A value as it is shown in a sentence. */
export function show(value) {
    const text = JSON.stringify(value) ?? "nothing";
    return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** "/isolation/worker-1/checks/0" as isolation.worker-1.checks[0]. */
function pathOf(pointer, ...more) {
    const parts = pointer
        .split("/")
        .slice(1)
        .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    return [...parts, ...more].reduce((path, part) => {
        if (/^\d+$/.test(part)) {
            return `${path}[${part}]`;
        }
        return path === "" ? part : `${path}.${part}`;
    }, "");
}

const kinds = { object: "an object", array: "a list", string: "a text", boolean: "true or false", number: "a number" };

function sentence({ keyword, instancePath, params, parentSchema, data, propertyName, message }) {
    const path = pathOf(instancePath) || "the whole";
    switch (keyword) {
        case "required":
            return `${pathOf(instancePath, params.missingProperty)} is missing`;
        case "type": {
            const allowed = [params.type].flat().map((type) => kinds[type] ?? type);
            return `${path} is ${show(data)}; allowed: ${allowed.join(" or ")}`;
        }
        case "enum":
            return `${path} is ${show(data)}; allowed: ${params.allowedValues.map(show).join(", ")}`;
        case "pattern": {
            const where = propertyName === undefined ? path : `a name in ${path}`;
            return `${where} is ${show(data)}; allowed: ${parentSchema.description}`;
        }
        case "minLength":
        case "minItems":
            return `${path} is empty`;
        case "minProperties":
            return `no worker is in ${path}`;
        default:
            return `${path} is ${show(data)}: it ${message}`;
    }
}

/**
 * What in the outputs does not fit their contract: all of it, as sentences that name the output and the value.
 *
 * @param outputs parsed `pulumi stack output --json`
 */
export function invalidities(outputs) {
    const validate = compiled();
    if (!validate(outputs)) {
        return validate.errors.filter(({ keyword }) => keyword !== "propertyNames").map(sentence);
    }
    const names = new Set(byWorker.flatMap((key) => Object.keys(outputs[key])));
    return byWorker.flatMap((key) =>
        [...names].filter((name) => !Object.hasOwn(outputs[key], name)).map((name) => `${key}.${name} is missing`),
    );
}
