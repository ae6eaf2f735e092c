// @ts-nocheck
// Which versions of a pin are to be had: asks the npm registry, the Go module proxy and gVisor's APT repository.
import { compareVersions } from "../components/vulnerabilities.cjs";
import { toolEnvironment } from "./environment.ts";
import { capture } from "./run.ts";

/** Limits for one question and for all of them, in milliseconds. */
const questionLimit = 20_000;
const wholeLimit = 60_000;
/** Questions at the same time. */
const sideBySide = 6;
/**
 * How many numbers in a row a branch may leave out. A release is at times withdrawn and repeated under the next number, so
 * one that is missing ends nothing. Each further number costs a request for each branch of each module, every time.
 */
const gap = 3;

function go(args, timeout, more = {}) {
    return capture("go", ["list", "-m", ...args], {
        env: { ...toolEnvironment(), GOWORK: "off", GOFLAGS: "", ...more },
        timeout,
    });
}

/** What a client has printed, or an error that says why there is nothing. */
function answered({ code, stdout, stderr }, timeout, complaint = stderr) {
    if (code !== 0) {
        throw new Error(reasonOf(complaint) || `no answer in ${Math.round(timeout / 1000)} s`);
    }
    return stdout;
}

/** What a client says about its failure, in a few words. */
function reasonOf(text) {
    const code = /"code": "(\w+)"/.exec(text)?.[1];
    const status = /: (\d{3} [A-Z][\w ]+)$/m.exec(text)?.[1];
    return code ?? status ?? text.trim().split("\n").pop().slice(0, 80);
}

/** Released versions that a source lists, without "v", oldest first. */
async function listed({ npm, go: module, branch, apt, package: name }, timeout) {
    if (apt) {
        const response = await fetch(apt, { signal: AbortSignal.timeout(timeout) });
        const text = await response.text();
        const stanzas = response.ok ? text.split("\n\n").filter((one) => one.startsWith(`Package: ${name}\n`)) : [];
        return stanzas.map((one) => /^Version: (\S+)$/m.exec(one)?.[1] ?? "").sort();
    }
    if (branch) {
        return [JSON.parse(answered(await go(["-json", `${module}@${branch}`], timeout), timeout)).Version];
    }
    let found;
    if (npm) {
        const options = { env: toolEnvironment(), timeout };
        const reply = await capture("npm", ["view", npm, "versions", "--json", "--no-update-notifier"], options);
        found = JSON.parse(answered(reply, timeout, reply.stdout + reply.stderr));
    } else {
        found = JSON.parse(answered(await go(["-json", "-versions", module], timeout), timeout)).Versions ?? [];
    }
    return [found]
        .flat()
        .map((version) => version.replace(/^v/, ""))
        .filter((version) => /^\d+\.\d+\.\d+$/.test(version))
        .sort(compareVersions);
}

/** The numbers that may follow: the next ones of the pinned branch and of the newest one, and the next branches. */
function successors(known, pinned) {
    const branchOf = (version) => version.split(".").slice(0, 2).join(".");
    const sorted = [...known, pinned].sort(compareVersions);
    const newest = sorted.at(-1);
    const ofPinned = sorted.findLast((version) => branchOf(version) === branchOf(pinned));
    const [major, minor] = newest.split(".").map(Number);
    return Array.from({ length: gap }, (_, index) => index + 1).flatMap((step) => [
        ...[...new Set([ofPinned, newest])].map((last) => `${branchOf(last)}.${Number(last.split(".")[2]) + step}`),
        `${major}.${minor + step}.0`,
    ]);
}

/** How Go says that a version is not there. */
const missing = /: (403|404|410) |unknown revision|no such file|GOVCS disallows/;

/**
 * Releases of a Go module that its proxy has but does not list (seen: Kubernetes 1.36.4 and 1.36.5). `go list MODULE@v1.36`
 * is no way to them: it chooses from the same list. So they are asked for by their numbers, as long as there are some.
 *
 * @param fits whether a version is worth a question
 */
async function unlisted(module, known, pinned, fits, timeLeft) {
    const asked = new Set(known);
    const found = [];
    const next = () => {
        const candidates = successors([...known.filter(fits), ...found], pinned);
        return candidates.filter((version) => !asked.has(version) && fits(version));
    };
    for (let versions = next(); versions.length > 0; versions = next()) {
        const timeout = timeLeft();
        const format = '{{.Version}}{{with .Error}} {{printf "%q" .Err}}{{end}}';
        const queries = versions.map((version) => `${module}@v${version}`);
        // What a proxy lacks is not looked for in the repository: its tags are a list that omits nothing.
        const reply = await go(["-e", "-f", format, ...queries], timeout, { GOVCS: "*:off" });
        const lines = answered(reply, timeout).trim().split("\n");
        const unclear = lines.find((line) => line.includes(" ") && !missing.test(line));
        if (unclear) {
            throw new Error(reasonOf(JSON.parse(unclear.slice(unclear.indexOf('"')))));
        }
        found.push(...lines.filter((line) => !line.includes(" ")).map((line) => line.slice(1)));
        for (const version of versions) {
            asked.add(version);
        }
    }
    return found;
}

/**
 * Asks all sources, some side by side: first for their lists, then for what those omit.
 *
 * @returns { available, unreached, unfinished }: versions by pin; reasons by pin where a source is not reached; reasons by
 * pin where it is not known what its list omits
 */
export async function askAll(pins, packages) {
    const context = { packages, available: new Map(), unreached: new Map(), unfinished: new Map() };
    const end = Date.now() + wholeLimit;
    const each = async (some, reasons, work) => {
        const waiting = [...some];
        const worker = async () => {
            for (let one = waiting.shift(); one; one = waiting.shift()) {
                let limit;
                const timeLeft = () => {
                    limit = Math.min(questionLimit, end - Date.now());
                    if (limit <= 0) {
                        throw new Error(`not asked within ${wholeLimit / 1000} s`);
                    }
                    return limit;
                };
                try {
                    await work(one, timeLeft);
                } catch (error) {
                    const late =
                        error.name === "TimeoutError" ? `no answer in ${Math.round(limit / 1000)} s` : undefined;
                    reasons.set(one.pin, late ?? error.cause?.code ?? error.message);
                }
            }
        };
        await Promise.all(Array.from({ length: sideBySide }, worker));
    };
    await each(
        pins.filter(({ source }) => source),
        context.unreached,
        async ({ pin, source }, timeLeft) => {
            const found = await listed(source, timeLeft());
            if (found.length === 0) {
                throw new Error("its source names no version");
            }
            context.available.set(pin, found);
        },
    );
    await each(
        pins.filter(({ pin, source }) => source?.go && !source.branch && context.available.has(pin)),
        context.unfinished,
        async ({ pin, pinned, source, rule = () => undefined }, timeLeft) => {
            const known = context.available.get(pin);
            const fits = (version) => rule(version, context) === undefined;
            const found = await unlisted(source.go, known, pinned, fits, timeLeft);
            context.available.set(pin, [...known, ...found].sort(compareVersions));
        },
    );
    return context;
}
