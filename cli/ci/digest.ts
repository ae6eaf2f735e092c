// @ts-nocheck
// What a preview would change, small and without values: made from the event log of `npm run preview`, shown on a pull
// request, and compared before the update that was reviewed.
import { createHash } from "node:crypto";
import { restartsIn } from "../events.ts";
import { readOr } from "../project.ts";
import { containerdOf } from "../settings.ts";

/** Most that a digest may hold: more is cut off when it is made, and refused when it is read. */
const most = { steps: 1000, changed: 40, errors: 20, text: 2000 };

/** Operations that are no change, or a half of a replacement that its "replace" stands for. */
const silent = ["same", "read", "refresh", "read-replacement", "create-replacement", "delete-replaced", "discard"];

/** Events of an event log; a line that a killed run has cut off is left out. */
function eventsOf(text) {
    return text.split("\n").flatMap((line) => {
        try {
            return [JSON.parse(line)];
        } catch {
            return [];
        }
    });
}

const nameOf = (urn) => urn.split("::").pop();
const plain = (text) => text.replace(/<\{%.*?%\}>/g, "").trim();
const cut = (text) => (text.length > most.text ? `${text.slice(0, most.text)}…` : text);

/**
 * Digest of a preview.
 *
 * @param path event log of the preview; where there is none, or the preview did not come to its end, it counts as failed
 * @returns { version, stack, result: "succeeded" | "failed", existing: whether the preview knew a state of the stack,
 * steps: [{ op, type, name, changed, inputs }], restarts: [{ worker, what, before, after }], errors, policies: [{ level, policy,
 * resource, message }] }; changed holds names of properties, inputs is a hash
 */
export function digestOf(stack, path) {
    const events = eventsOf(readOr(path, ""));
    const summary = events.map((event) => event.summaryEvent).find((found) => found !== undefined);
    const metadata = events.flatMap((event) => event.resourcePreEvent?.metadata ?? []);
    const errors = events
        .filter(({ diagnosticEvent }) => diagnosticEvent?.severity === "error")
        .map(({ diagnosticEvent: { urn, message } }) => cut(`${urn ? `${nameOf(urn)}: ` : ""}${plain(message)}`));
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
    const failed = summary?.result !== "succeeded" || errors.length > 0 || policies.some(isMandatory);
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

function isMandatory({ level }) {
    return level === "mandatory";
}

/** Components are only brackets around what changes. */
function isChange({ op, old, new: wanted }) {
    return !silent.includes(op) && (wanted ?? old)?.custom === true;
}

function stepOf({ op, urn, type, new: wanted, detailedDiff, diffs }) {
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
function sorted(value) {
    if (Array.isArray(value)) {
        return value.map(sorted);
    }
    if (typeof value === "object" && value !== null) {
        return Object.fromEntries(
            Object.keys(value)
                .sort()
                .map((key) => [key, sorted(value[key])]),
        );
    }
    return value ?? null;
}

const isText = (value, limit = most.text + 1) => typeof value === "string" && value.length <= limit;
const isList = (value, limit, check) => Array.isArray(value) && value.length <= limit && value.every(check);
/** Of a package ("2.3.7-*" where the repository decides the rest), or a hash; none, or empty for one that is not known. */
const isVersion = (value) => value === undefined || (isText(value) && /^[\w.+~:*-]{0,64}$/.test(value));
const isHash = (value) => value === undefined || (isText(value) && /^[0-9a-f]{1,64}$/.test(value));
const shape = {
    version: (value) => value === 1,
    stack: (value) => isText(value) && /^[A-Za-z0-9._-]{1,100}$/.test(value),
    result: (value) => ["succeeded", "failed"].includes(value),
    existing: (value) => typeof value === "boolean",
    steps: (value) =>
        isList(
            value,
            most.steps,
            (step) =>
                isText(step?.op, 40) &&
                [step.type, step.name].every((text) => isText(text, 300)) &&
                isHash(step.inputs) &&
                isList(step.changed, most.changed, (text) => isText(text, 500)),
        ),
    restarts: (value) =>
        isList(
            value,
            100,
            (one) =>
                isText(one?.worker, 100) &&
                ["package", "configuration", "removal"].includes(one.what) &&
                isVersion(one.before) &&
                isVersion(one.after),
        ),
    errors: (value) => isList(value, most.errors, (text) => isText(text)),
    policies: (value) =>
        isList(value, most.errors, (one) =>
            [one?.level, one?.policy, one?.resource, one?.message].every((text) => isText(text)),
        ),
};

/**
 * Reads a digest that somebody else may have written: a pull request of a stranger makes its own.
 *
 * @returns the digest, with nothing in it but what belongs there
 * @throws {Error} that names what is wrong
 */
export function parseDigest(text) {
    if (text.length > 2_000_000) {
        throw new Error(`is ${text.length} characters long; allowed: 2000000`);
    }
    const found = JSON.parse(text);
    const wrong = Object.entries(shape).filter(([key, right]) => !right(found?.[key]));
    if (wrong.length > 0) {
        throw new Error(`is no digest of a preview: wrong ${wrong.map(([key]) => key).join(", ")}`);
    }
    return Object.fromEntries(Object.keys(shape).map((key) => [key, found[key]]));
}

/**
 * Where what would be done now is not what was reviewed, one sentence each. Secret values are no part of a digest: that
 * one changes shows by the name of its property.
 */
export function differences(reviewed, now) {
    const key = ({ type, name, op }) => `${op} of ${name} (${type})`;
    const was = new Map(reviewed.steps.map((step) => [key(step), step]));
    const is = new Map(now.steps.map((step) => [key(step), step]));
    const told = [];
    if (reviewed.stack !== now.stack) {
        told.push(`the stack was ${reviewed.stack}, is ${now.stack}`);
    }
    for (const { stack, result } of [reviewed, now].filter((one) => one.result !== "succeeded")) {
        told.push(`a preview of ${stack} has ${result}`);
    }
    told.push(...[...was.keys()].filter((step) => !is.has(step)).map((step) => `gone: ${step}`));
    told.push(...[...is.keys()].filter((step) => !was.has(step)).map((step) => `new: ${step}`));
    for (const [step, { changed, inputs }] of is) {
        const before = was.get(step);
        if (before && (before.inputs !== inputs || before.changed.join() !== changed.join())) {
            told.push(`other inputs: ${step}`);
        }
    }
    return told;
}
