// `npm run versions`: each pin against what is available and what is compatible. Changes nothing.
import { join } from "node:path";
import { compareVersions, sentenceOf, type Vulnerability, vulnerabilitiesIn } from "../components/vulnerabilities.cjs";
import { type Answers, askAll } from "./available.ts";
import { Failure } from "./failure.ts";
import { allPins, type Pin } from "./pins.ts";
import { readJson, root } from "./project.ts";

/** A pin is named this many days before its support ends. */
const noticeDays = 90;

/** A row of support.json. */
interface Support {
    readonly component: string;
    readonly branch: string;
    /** YYYY-MM-DD. */
    readonly ends: string;
    readonly source: string;
    readonly note?: string;
}

const support = readJson<readonly Support[]>(join(root, "support.json")) ?? [];

/** A pin, judged. */
interface Row {
    readonly pin: string;
    readonly where: string;
    readonly pinned: string;
    /** The newest version that can be taken, and the newest of all; "" where nobody is asked, or does not answer. */
    readonly compatible: string;
    readonly newest: string;
    readonly status: "current" | "update" | "held" | "not reached" | "not asked" | "vulnerable" | "wrong";
    readonly reason: string;
    readonly vulnerabilities: readonly Vulnerability[];
    readonly support?: (Support & { readonly days: number }) | undefined;
}

const idsOf = (vulnerabilities: readonly Vulnerability[]) => vulnerabilities.map(({ id }) => id).join(", ");

/** The row of support.json for a version, and the days that are left from a day (YYYY-MM-DD) on; undefined for none. */
export function supportOf(component: string | undefined, version: string, day: string): Row["support"] {
    const row = support.find((one) => one.component === component && `${version}.`.startsWith(`${one.branch}.`));
    return row && { ...row, days: (Date.parse(row.ends) - Date.parse(day)) / 86_400_000 };
}

function judge(pin: Pin, answers: Answers, day: string): Row {
    const { pinned, where, component } = pin;
    const vulnerabilities = knownAgainst(pin, pinned);
    const misfit = pin.rule?.(pinned, answers);
    const wrong = [...pin.pairs, ...(misfit ? [misfit] : [])];
    const { reasons, status, ...offered } = offerOf(pin, answers, idsOf(vulnerabilities));
    return {
        pin: pin.pin,
        where,
        pinned,
        ...offered,
        vulnerabilities,
        status: wrong.length > 0 ? "wrong" : vulnerabilities.length > 0 ? "vulnerable" : status,
        reason: (wrong.length > 0 ? wrong : reasons).join("; "),
        support: supportOf(component, pinned, day),
    };
}

function knownAgainst({ component = "", release = (one) => one }: Pin, version: string): Vulnerability[] {
    return vulnerabilitiesIn({ [component]: release(version) });
}

/**
 * What the source of a pin offers.
 *
 * @param ids of what is known against the pinned version
 */
function offerOf(
    pin: Pin,
    answers: Answers,
    ids: string,
): Pick<Row, "compatible" | "newest" | "status"> & { reasons: string[] } {
    const { pinned, release = (one) => one, source, reason } = pin;
    const available = answers.available.get(pin.pin);
    if (available === undefined) {
        return {
            compatible: "",
            newest: "",
            status: source ? "not reached" : "not asked",
            reasons: [
                ...(ids ? [`it has ${ids}; whether another is compatible and free of that is not known`] : []),
                reason ?? answers.unreached.get(pin.pin) ?? "",
            ],
        };
    }
    const against = (version: string) => {
        const known = knownAgainst(pin, version);
        return pin.rule?.(version, answers) ?? (known.length > 0 ? `it has ${idsOf(known)}` : undefined);
    };
    const newer = available.filter((version) => compareVersions(release(version), release(pinned)) > 0);
    const fitting = newer.filter((version) => against(version) === undefined);
    const newest = newer.at(-1) ?? pinned;
    const compatible = fitting.at(-1) ?? pinned;
    const unfinished = answers.unfinished.get(pin.pin);
    return {
        compatible,
        newest,
        status: compatible !== pinned ? "update" : newest === pinned ? "current" : "held",
        reasons: [
            ...(ids ? [`it has ${ids}; ${fitting[0] ?? "nothing"} is compatible and free of that`] : []),
            ...(newest === compatible ? [] : [`${newest}: ${against(newest)}`]),
            ...(unfinished ? [`what its list omits is not known: ${unfinished}`] : []),
        ],
    };
}

const columns = ["pin", "pinned", "compatible", "newest", "supported until", "status", "reason"] as const;

/** Rows as columns; names and reasons are shown whole. */
function table(rows: readonly Row[]): string[] {
    const short = (text: string) => (text.length > 24 ? `${text.slice(0, 23)}…` : text);
    const lines = [
        columns.map((name) => name.toUpperCase()),
        ...rows.map(({ pin, pinned, compatible, newest, support: row, status, reason }) => [
            pin,
            ...[pinned, compatible, newest, row?.ends ?? "", status].map(short),
            reason,
        ]),
    ];
    const width = columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
    return lines.map((line) =>
        line
            .map((text, index) => text.padEnd(width[index] ?? 0))
            .join("  ")
            .trimEnd(),
    );
}

/** What is known against pins, and whose support ends soon or has ended: a line each. */
function warnings(rows: readonly Row[]): string[] {
    return rows.flatMap(({ pin, pinned, vulnerabilities, support: row }) => {
        const known = vulnerabilities.map((one) => `${pin}: ${sentenceOf(one)} (${one.source})`);
        if (row === undefined || row.days > noticeDays) {
            return known;
        }
        const when = row.days < 0 ? `has ended on ${row.ends}` : `ends on ${row.ends}, in ${row.days} days`;
        return [...known, `${pin} ${pinned}: support of ${row.branch} ${when} (${row.source})`];
    });
}

/** `versions`. @param json whether the table is printed as JSON */
export async function versions({ json = false }: { readonly json?: boolean }): Promise<void> {
    const { packages, pins } = allPins();
    const answers = await askAll(pins, packages);
    const day = new Date().toISOString().slice(0, 10);
    const judged = pins.map((pin) => judge(pin, answers, day));
    const blocks = json ? [[JSON.stringify(judged, null, 2)]] : [table(judged), warnings(judged)];
    process.stdout.write(blocks.flatMap((lines) => (lines.length > 0 ? [`${lines.join("\n")}\n`] : [])).join("\n"));
    const bad = judged.filter(({ status }) => ["wrong", "vulnerable"].includes(status));
    if (bad.length > 0) {
        throw new Failure(`${bad.map(({ pin }) => pin).join(", ")} cannot be pinned like that.`, {
            next: "correct it where the table says, then `npm test`",
        });
    }
}
