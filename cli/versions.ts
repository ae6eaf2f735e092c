// @ts-nocheck
// `npm run versions`: each pin against what is available and what is compatible. Zero dependencies, changes nothing.
import { join } from "node:path";
import { compareVersions, sentenceOf, vulnerabilitiesIn } from "../components/vulnerabilities.cjs";
import { askAll } from "./available.ts";
import { Failure } from "./failure.ts";
import { allPins } from "./pins.ts";
import { readJson, root } from "./project.ts";

/** So many days before its support ends a pin is named. */
const noticeDays = 90;

const support = readJson(join(root, "support.json"));

const idsOf = (vulnerabilities) => vulnerabilities.map(({ id }) => id).join(", ");

/**
 * The row of support.json for a version, and the days that are left from a day (YYYY-MM-DD) on; undefined for none.
 *
 * @returns { branch, ends, note, source, days }
 */
export function supportOf(component, version, day) {
    const row = support.find((one) => one.component === component && `${version}.`.startsWith(`${one.branch}.`));
    return row && { ...row, days: (Date.parse(row.ends) - Date.parse(day)) / 86_400_000 };
}

/**
 * Judges one pin.
 *
 * @returns { pin, where, pinned, compatible, newest, status, reason, vulnerabilities, support }; status is one of current,
 * update, held, not reached, not asked, vulnerable, wrong
 */
function judge(pin, context, day) {
    const { pinned, component, release = (version) => version, source, rule = () => undefined, reason, pairs } = pin;
    const row = { pin: pin.pin, where: pin.where, pinned, compatible: "", newest: "", status: "current", reason: "" };
    const knownAgainst = (version) => vulnerabilitiesIn({ [component]: release(version) });
    const vulnerabilities = knownAgainst(pinned);
    const against = (version) => {
        const known = knownAgainst(version);
        return rule(version, context) ?? (known.length > 0 ? `it has ${idsOf(known)}` : undefined);
    };
    const reasons = [];
    const all = context.available.get(pin.pin);
    if (all) {
        const newer = all.filter((version) => compareVersions(release(version), release(pinned)) > 0);
        const fitting = newer.filter((version) => against(version) === undefined);
        row.newest = newer.at(-1) ?? pinned;
        row.compatible = fitting.at(-1) ?? pinned;
        row.status = row.compatible !== pinned ? "update" : row.newest === pinned ? "current" : "held";
        if (vulnerabilities.length > 0) {
            reasons.push(`it has ${idsOf(vulnerabilities)}; ${fitting[0] ?? "nothing"} is compatible and free of that`);
        }
        if (row.newest !== row.compatible) {
            reasons.push(`${row.newest}: ${against(row.newest)}`);
        }
        if (context.unfinished.has(pin.pin)) {
            reasons.push(`what its list omits is not known: ${context.unfinished.get(pin.pin)}`);
        }
    } else {
        row.status = source ? "not reached" : "not asked";
        reasons.push(reason ?? context.unreached.get(pin.pin));
        if (vulnerabilities.length > 0) {
            reasons.unshift(
                `it has ${idsOf(vulnerabilities)}; whether another is compatible and free of that is not known`,
            );
        }
    }
    row.status = vulnerabilities.length > 0 ? "vulnerable" : row.status;
    const misfit = rule(pinned, context);
    const wrong = misfit ? [...pairs, misfit] : pairs;
    return {
        ...row,
        status: wrong.length > 0 ? "wrong" : row.status,
        reason: (wrong.length > 0 ? wrong : reasons).join("; "),
        vulnerabilities,
        support: supportOf(component, pinned, day),
    };
}

/** Every pin, judged. @returns see judge */
async function judgedPins(day) {
    const { packages, pins } = allPins();
    const context = await askAll(pins, packages);
    return pins.map((pin) => judge(pin, context, day));
}

/** Rows as columns; names and reasons are shown whole. */
function table(rows) {
    const columns = ["pin", "pinned", "compatible", "newest", "supported until", "status", "reason"];
    const head = Object.fromEntries(columns.map((name) => [name, name.toUpperCase()]));
    const lines = [head, ...rows.map((row) => ({ ...row, "supported until": row.support?.ends ?? "" }))].map((row) =>
        columns.map((name) => {
            const text = row[name];
            return text.length > 24 && !["pin", "reason"].includes(name) ? `${text.slice(0, 23)}…` : text;
        }),
    );
    const width = columns.map((_, index) => Math.max(...lines.map((line) => line[index].length)));
    return lines.map((line) =>
        line
            .map((text, index) => text.padEnd(width[index]))
            .join("  ")
            .trimEnd(),
    );
}

/** What is known against pins, and whose support ends soon or has ended: a line each. */
function warnings(rows) {
    return rows.flatMap(({ pin, pinned, vulnerabilities, support: row }) => [
        ...vulnerabilities.map((one) => `${pin}: ${sentenceOf(one)} (${one.source})`),
        ...(row && row.days <= noticeDays
            ? [
                  `${pin} ${pinned}: support of ${row.branch} ${row.days < 0 ? "has ended" : "ends"} on ${row.ends}` +
                      `${row.days < 0 ? "" : `, in ${row.days} days`} (${row.source})`,
              ]
            : []),
    ]);
}

/** `versions [--json]`. */
export async function versions(args) {
    const unknown = args.find((arg) => arg !== "--json");
    if (unknown !== undefined) {
        throw new Failure(`versions does not know "${unknown}"; allowed: --json.`, { exitCode: 2 });
    }
    const rows = await judgedPins(new Date().toISOString().slice(0, 10));
    const blocks = args.includes("--json") ? [[JSON.stringify(rows, null, 2)]] : [table(rows), warnings(rows)];
    process.stdout.write(blocks.flatMap((lines) => (lines.length > 0 ? [`${lines.join("\n")}\n`] : [])).join("\n"));
    const bad = rows.filter(({ status }) => ["wrong", "vulnerable"].includes(status));
    if (bad.length > 0) {
        throw new Failure(`${bad.map(({ pin }) => pin).join(", ")} cannot be pinned like that.`, {
            next: "correct it where the table says, then `npm test`",
        });
    }
}
