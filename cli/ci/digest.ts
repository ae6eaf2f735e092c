// What a preview would change, small and without values: made from the event log of `npm run preview`, shown on a pull
// request, and compared before the update that was reviewed.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { EngineEvent, StepEventMetadata, SummaryEvent } from "@pulumi/pulumi/automation/events.js";
import * as z from "zod";
import { restartsIn } from "../events.ts";
import { Failure } from "../failure.ts";
import { readOr } from "../project.ts";
import { containerdOf } from "../settings.ts";

/** Most that a digest may hold: more is cut off when it is made, and refused when it is read. */
const most = { steps: 1000, changed: 40, errors: 20, text: 2000, length: 2_000_000 };

const text = (limit = most.text + 1) => z.string().max(limit);
/** Of a package ("2.3.7-*" where the repository decides the rest), or a hash; empty for one that is not known. */
const version = z.string().regex(/^[\w.+~:*-]{0,64}$/);

const digestSchema = z.object({
    version: z.literal(1),
    stack: z.string().regex(/^[\w.-]{1,100}$/),
    result: z.enum(["succeeded", "failed"]),
    /** Whether the preview knew a state of the stack. */
    existing: z.boolean(),
    steps: z
        .array(
            z.object({
                op: text(40),
                type: text(300),
                name: text(300),
                /** Names of properties. */
                changed: z.array(text(500)).max(most.changed),
                /** A hash. */
                inputs: z
                    .string()
                    .regex(/^[0-9a-f]{1,64}$/)
                    .optional(),
            }),
        )
        .max(most.steps),
    restarts: z
        .array(
            z.object({
                worker: text(100),
                what: z.enum(["package", "configuration", "removal"]),
                before: version.optional(),
                after: version.optional(),
            }),
        )
        .max(100),
    errors: z.array(text()).max(most.errors),
    policies: z.array(z.object({ level: text(), policy: text(), resource: text(), message: text() })).max(most.errors),
});

export type Digest = z.infer<typeof digestSchema>;

/** Operations that are no change, or a half of a replacement that its "replace" stands for. */
const silent = ["same", "read", "refresh", "read-replacement", "create-replacement", "delete-replaced", "discard"];

/** The SDK does not declare the result. */
type Event = EngineEvent & { summaryEvent?: SummaryEvent & { result?: string } };

/** Events of an event log; a line that a killed run has cut off is left out. */
function eventsOf(log: string): Event[] {
    return log.split("\n").flatMap((line) => {
        try {
            return [JSON.parse(line)];
        } catch {
            return [];
        }
    });
}

const nameOf = (urn: string) => urn.split("::").at(-1) ?? "";
const plain = (message: string) => message.replace(/<\{%.*?%\}>/g, "").trim();
const cut = (message: string) => (message.length > most.text ? `${message.slice(0, most.text)}…` : message);

/**
 * Digest of a preview.
 *
 * @param path event log of the preview; where there is none, or the preview did not come to its end, it counts as failed
 */
export function digestOf(stack: string, path: string): Digest {
    const events = eventsOf(readOr(path, ""));
    const summary = events.map((event) => event.summaryEvent).find((found) => found !== undefined);
    const metadata = events.flatMap((event) => event.resourcePreEvent?.metadata ?? []);
    const errors = events
        .flatMap((event) => event.diagnosticEvent ?? [])
        .filter(({ severity }) => severity === "error")
        .map(({ urn, message }) => cut(`${urn ? `${nameOf(urn)}: ` : ""}${plain(message)}`));
    if (!summary && errors.length === 0) {
        errors.push("the preview did not come to its end; the run's log says why");
    }
    const policies = events
        .flatMap((event) => event.policyEvent ?? [])
        .map(({ enforcementLevel, policyName, resourceUrn, message }) => ({
            level: enforcementLevel,
            policy: policyName,
            resource: resourceUrn ? nameOf(resourceUrn) : "",
            message: cut(plain(message)),
        }));
    const failed =
        summary?.result !== "succeeded" || errors.length > 0 || policies.some(({ level }) => level === "mandatory");
    return {
        version: 1,
        stack,
        result: failed ? "failed" : "succeeded",
        existing: metadata.some(({ old }) => old),
        steps: metadata.filter(isChange).slice(0, most.steps).map(stepOf),
        restarts: restartsIn(path, containerdOf(stack)),
        errors: errors.slice(0, most.errors),
        policies: policies.slice(0, most.errors),
    };
}

/** Components are only brackets around what changes. */
function isChange({ op, old, new: wanted }: StepEventMetadata): boolean {
    return !silent.includes(op) && (wanted ?? old)?.custom === true;
}

function stepOf({ op, urn, type, new: wanted, detailedDiff, diffs }: StepEventMetadata): Digest["steps"][number] {
    const changed = op === "create" || op === "delete" ? [] : Object.keys(detailedDiff ?? {});
    return {
        op,
        type,
        name: nameOf(urn),
        changed: (changed.length > 0 ? changed : (diffs ?? [])).sort().slice(0, most.changed),
        inputs: createHash("sha256")
            .update(JSON.stringify(sorted(wanted?.inputs)))
            .digest("hex")
            .slice(0, 12),
    };
}

/** The same value with the keys of its objects in order. */
function sorted(value: unknown): unknown {
    if (Array.isArray(value)) {
        return value.map(sorted);
    }
    if (typeof value === "object" && value !== null) {
        const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
        return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
    }
    return value ?? null;
}

/**
 * Reads a digest that somebody else may have written: a pull request of a stranger makes its own.
 *
 * @returns the digest, with nothing in it but what belongs there
 * @throws {Failure} that names the file and what is wrong with it
 */
export function readDigest(file: string): Digest {
    try {
        return parsed(readFileSync(file, "utf8"));
    } catch (error) {
        throw new Failure(`${file} ${error instanceof Error ? error.message : error}.`);
    }
}

function parsed(json: string): Digest {
    if (json.length > most.length) {
        throw new Error(`is ${json.length} characters long; allowed: ${most.length}`);
    }
    const { data, error } = digestSchema.safeParse(JSON.parse(json));
    if (error) {
        const wrong = new Set(error.issues.map(({ path }) => path[0] ?? "all of it"));
        throw new Error(`is not a digest of a preview: wrong ${[...wrong].join(", ")}`);
    }
    return data;
}

/**
 * Where what would be done now is not what was reviewed, one sentence each. Secret values are no part of a digest: that
 * one changes shows by the name of its property.
 */
export function differences(reviewed: Digest, now: Digest): string[] {
    const byStep = ({ steps }: Digest) =>
        new Map(steps.map((step) => [`${step.op} of ${step.name} (${step.type})`, step]));
    const [was, is] = [byStep(reviewed), byStep(now)];
    const found = [reviewed, now]
        .filter(({ result }) => result !== "succeeded")
        .map(({ stack, result }) => `a preview of ${stack} has ${result}`);
    if (reviewed.stack !== now.stack) {
        found.unshift(`the stack was ${reviewed.stack}, is ${now.stack}`);
    }
    found.push(...[...was.keys()].filter((step) => !is.has(step)).map((step) => `gone: ${step}`));
    found.push(...[...is.keys()].filter((step) => !was.has(step)).map((step) => `new: ${step}`));
    for (const [step, { changed, inputs }] of is) {
        const before = was.get(step);
        if (before && (before.inputs !== inputs || before.changed.join() !== changed.join())) {
            found.push(`other inputs: ${step}`);
        }
    }
    return found;
}
