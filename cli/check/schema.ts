// The contract of the outputs, and what does not fit it in sentences.
import { join } from "node:path";
import type { z } from "zod";
import { outputs as contract, type Outputs } from "../../schema/outputs.ts";

/** The published JSON Schema, relative to the project. */
export const schemaFile = join("schema", "outputs.v1.schema.json");

/** A value as it is shown in a sentence. */
export function show(value: unknown): string {
    const text = JSON.stringify(value) ?? "nothing";
    return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** "isolation.worker-1.checks[0]". */
const pathOf = (parts: readonly PropertyKey[]) =>
    parts.reduce<string>((path, part) => {
        if (typeof part === "number") {
            return `${path}[${part}]`;
        }
        return path === "" ? String(part) : `${path}.${String(part)}`;
    }, "");

const kinds: Readonly<Record<string, string>> = {
    ...{ object: "an object", record: "an object", array: "a list", string: "a text" },
    ...{ boolean: "true or false", number: "a number", int: "integer" },
};

const expectedBy = (issue: z.core.$ZodIssue) =>
    issue.code === "invalid_type" ? (kinds[issue.expected] ?? issue.expected) : issue.message;

function sentence(issue: z.core.$ZodIssue): string {
    const path = pathOf(issue.path) || "the whole";
    const but = (allowed: string) => `${path} is ${show(issue.input)}; allowed: ${allowed}`;
    if (issue.input === undefined) {
        return `${path} is missing`;
    }
    switch (issue.code) {
        case "invalid_type":
        case "invalid_format":
            return but(expectedBy(issue));
        case "invalid_union":
            return but(issue.errors.flat().map(expectedBy).join(" or "));
        case "invalid_value":
            return but(issue.values.map(show).join(", "));
        case "invalid_key": {
            const place = pathOf(issue.path.slice(0, -1));
            return `a name in ${place} is ${show(issue.path.at(-1))}; allowed: ${issue.issues.map(expectedBy).join(", ")}`;
        }
        case "too_small":
            return issue.origin === "number"
                ? `${path} is ${show(issue.input)}: it must be >= ${issue.minimum}`
                : `${path} is empty`;
        case "custom":
            return `${issue.message} is in ${path}`;
        default:
            return `${path} is ${show(issue.input)}: ${issue.message}`;
    }
}

const byWorker = ["uname", "dmesg", "isolation", "workers"] as const;

/** By-worker outputs have to name the same workers. */
function missingWorkers(outputs: Outputs): string[] {
    const names = new Set(byWorker.flatMap((key) => Object.keys(outputs[key])));
    return byWorker.flatMap((key) =>
        [...names].filter((name) => !Object.hasOwn(outputs[key], name)).map((name) => `${key}.${name} is missing`),
    );
}

/**
 * What in the outputs does not fit their contract: all of it, as sentences that name the output and the value.
 *
 * @param outputs parsed `pulumi stack output --json`
 */
export function invalidities(outputs: unknown): string[] {
    const { error, data } = contract.safeParse(outputs, { reportInput: true });
    return error ? error.issues.map(sentence) : missingWorkers(data);
}
