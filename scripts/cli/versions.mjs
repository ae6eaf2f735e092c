// `npm run versions`: each pin against what is available and what is compatible. Zero dependencies, changes nothing.
import { fileURLToPath } from "node:url";
import { toolEnvironment } from "./environment.mjs";
import { Failure, report } from "./failure.mjs";
import { allPins } from "./pins.mjs";
import { capture, guardSignals } from "./run.mjs";
import { compareVersions } from "./toolchain.mjs";

/** Limits for one question and for all of them, in milliseconds. */
const questionLimit = 20_000;
const wholeLimit = 60_000;
/** Questions at the same time. */
const sideBySide = 6;

/** Released versions that a source knows, without "v", oldest first. */
async function ask({ npm, go, branch, apt, package: name }, timeout) {
    if (apt) {
        const response = await fetch(apt, { signal: AbortSignal.timeout(timeout) });
        const text = await response.text();
        const stanzas = response.ok ? text.split("\n\n").filter((one) => one.startsWith(`Package: ${name}\n`)) : [];
        return stanzas.map((one) => /^Version: (\S+)$/m.exec(one)?.[1] ?? "").sort();
    }
    const [command, ...args] = npm
        ? ["npm", "view", npm, "versions", "--json", "--no-update-notifier"]
        : ["go", "list", "-m", "-json", ...(branch ? [`${go}@${branch}`] : ["-versions", go])];
    const options = { env: { ...toolEnvironment(), GOWORK: "off", GOFLAGS: "" }, timeout };
    const { code, stdout, stderr } = await capture(command, args, options);
    if (code !== 0) {
        throw new Error(reasonOf(npm ? stdout + stderr : stderr) || `no answer in ${Math.round(timeout / 1000)} s`);
    }
    const found = JSON.parse(stdout);
    if (branch) {
        return [found.Version];
    }
    return [npm ? found : (found.Versions ?? [])]
        .flat()
        .map((version) => version.replace(/^v/, ""))
        .filter((version) => /^\d+\.\d+\.\d+$/.test(version))
        .sort(compareVersions);
}

/** What a client says about its failure, in a few words. */
function reasonOf(text) {
    const code = /"code": "(\w+)"/.exec(text)?.[1];
    const status = /: (\d{3} [A-Z][\w ]+)$/m.exec(text)?.[1];
    return code ?? status ?? text.trim().split("\n").pop().slice(0, 80);
}

/** Asks all sources, some side by side. @returns versions by pin, and reasons by pin where one cannot be reached */
async function askAll(pins) {
    const available = new Map();
    const unreached = new Map();
    const end = Date.now() + wholeLimit;
    const waiting = pins.filter(({ source }) => source);
    const work = async () => {
        for (let one = waiting.shift(); one; one = waiting.shift()) {
            const left = Math.min(questionLimit, end - Date.now());
            try {
                if (left <= 0) {
                    throw new Error(`not asked within ${wholeLimit / 1000} s`);
                }
                available.set(one.pin, await ask(one.source, left));
            } catch (error) {
                const timeout = error.name === "TimeoutError" ? `no answer in ${Math.round(left / 1000)} s` : undefined;
                unreached.set(one.pin, timeout ?? error.cause?.code ?? error.message);
            }
            if (available.get(one.pin)?.length === 0) {
                available.delete(one.pin);
                unreached.set(one.pin, "its source names no version");
            }
        }
    };
    await Promise.all(Array.from({ length: sideBySide }, work));
    return { available, unreached };
}

/** Judges one pin. status: current, update, held, not reached, not asked, wrong */
function judge({ pin, where, pinned, source, rule = () => undefined, reason, pairs }, context) {
    const row = { pin, where, pinned, compatible: "", newest: "", status: "current", reason: "" };
    const wrong = [...pairs, ...(rule(pinned, context) ? [rule(pinned, context)] : [])];
    const all = context.available.get(pin);
    if (all) {
        const newer = all.filter((version) =>
            (source.go || source.npm) && !source.branch ? compareVersions(version, pinned) > 0 : version > pinned,
        );
        const fitting = newer.filter((version) => rule(version, context) === undefined);
        row.newest = newer.at(-1) ?? pinned;
        row.compatible = fitting.at(-1) ?? pinned;
        row.reason = row.newest === row.compatible ? "" : `${row.newest}: ${rule(row.newest, context)}`;
        row.status = row.compatible !== pinned ? "update" : row.newest === pinned ? "current" : "held";
    } else {
        row.status = source ? "not reached" : "not asked";
        row.reason = reason ?? context.unreached.get(pin);
    }
    return wrong.length === 0 ? row : { ...row, status: "wrong", reason: wrong.join("; ") };
}

/** Every pin, judged. @returns [{ pin, where, pinned, compatible, newest, status, reason }] */
async function judgedPins() {
    const { packages, pins } = allPins();
    const context = { packages, ...(await askAll(pins)) };
    return pins.map((pin) => judge(pin, context));
}

/** Rows as columns; names and reasons are shown whole. */
function table(rows) {
    const columns = ["pin", "pinned", "compatible", "newest", "status", "reason"];
    const head = Object.fromEntries(columns.map((name) => [name, name.toUpperCase()]));
    const lines = [head, ...rows].map((row) =>
        columns.map((name) => {
            const text = row[name];
            return text.length > 24 && !["pin", "reason"].includes(name) ? `${text.slice(0, 23)}…` : text;
        }),
    );
    const width = columns.map((_, index) => Math.max(...lines.map((line) => line[index].length)));
    return lines
        .map((line) =>
            line
                .map((text, index) => text.padEnd(width[index]))
                .join("  ")
                .trimEnd(),
        )
        .join("\n");
}

async function main(args) {
    const unknown = args.find((arg) => arg !== "--json");
    if (unknown !== undefined) {
        throw new Failure(`versions does not know "${unknown}"; allowed: --json.`, { exitCode: 2 });
    }
    const rows = await judgedPins();
    process.stdout.write(args.includes("--json") ? `${JSON.stringify(rows, null, 2)}\n` : `${table(rows)}\n`);
    const wrong = rows.filter(({ status }) => status === "wrong");
    if (wrong.length > 0) {
        throw new Failure(`${wrong.map(({ pin }) => pin).join(", ")} cannot be pinned like that.`, {
            next: "correct it where the table says, then `npm test`",
        });
    }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    guardSignals();
    try {
        await main(process.argv.slice(2).filter((arg) => arg !== "--"));
    } catch (error) {
        process.exitCode = report(error);
    }
}
