// Which versions of a pin are available: asks the npm registry, the Go module proxy and gVisor's APT repository.
import { compareVersions } from "../components/vulnerabilities.cjs";
import { toolEnvironment } from "./environment.ts";
import type { Context, Pin, Source } from "./pins.ts";
import { type Captured, capture, lastLine } from "./run.ts";

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

/** Milliseconds that the next question may take. @throws where no time is left */
type TimeLeft = () => number;

/** What the sources have answered. */
export interface Answers extends Context {
    /** By pin: why its source is not reached. */
    readonly unreached: ReadonlyMap<string, string>;
    /** By pin: why it is not known which versions its source has and does not list. */
    readonly unfinished: ReadonlyMap<string, string>;
}

async function go(args: readonly string[], limit: number, more: NodeJS.ProcessEnv = {}): Promise<string> {
    const env = { ...toolEnvironment(), GOWORK: "off", GOFLAGS: "", ...more };
    return printed(await capture("go", ["list", "-m", ...args], { env, limit }));
}

/** What a client has printed. @throws with a few words of its complaint, if it has failed */
function printed({ code, stdout, stderr }: Captured, complaint = stderr): string {
    if (code !== 0) {
        throw new Error(reasonOf(complaint));
    }
    return stdout;
}

/** What a client says about its failure, in a few words. */
function reasonOf(text: string): string {
    const code = /"code": "(\w+)"/.exec(text)?.[1];
    const status = /: (\d{3} [A-Z][\w ]+)$/m.exec(text)?.[1];
    return code ?? status ?? lastLine(text).slice(0, 80);
}

/** Versions that a source lists, without "v" but for commits, oldest first. */
async function listed(source: Source, limit: number): Promise<string[]> {
    if ("apt" in source) {
        return await listedByApt(source.apt, source.package, limit);
    }
    if ("npm" in source) {
        const options = { env: toolEnvironment(), limit };
        const reply = await capture("npm", ["view", source.npm, "versions", "--json", "--no-update-notifier"], options);
        const found = JSON.parse(printed(reply, reply.stdout + reply.stderr)) as string | string[];
        return released([found].flat());
    }
    if (source.branch) {
        const newest = JSON.parse(await go(["-json", `${source.go}@${source.branch}`], limit)) as { Version: string };
        return [newest.Version];
    }
    const found = JSON.parse(await go(["-json", "-versions", source.go], limit)) as { Versions?: string[] };
    return released(found.Versions ?? []);
}

async function listedByApt(url: string, name: string, limit: number): Promise<string[]> {
    const response = await fetch(url, { signal: AbortSignal.timeout(limit) });
    const stanzas = response.ok ? (await response.text()).split("\n\n") : [];
    return stanzas
        .filter((stanza) => stanza.startsWith(`Package: ${name}\n`))
        .map((stanza) => /^Version: (\S+)$/m.exec(stanza)?.[1] ?? "")
        .sort(compareVersions);
}

/** Those that are no pre-releases, without "v", oldest first. */
function released(all: readonly string[]): string[] {
    return all
        .map((version) => version.replace(/^v/, ""))
        .filter((version) => /^\d+\.\d+\.\d+$/.test(version))
        .sort(compareVersions);
}

const branchOf = (version: string) => version.split(".").slice(0, 2).join(".");

/** The numbers that may follow: the next ones of the pinned branch and of the newest one, and the next branches. */
function successors(known: readonly string[], pinned: string): string[] {
    const sorted = [...known, pinned].sort(compareVersions);
    const newest = sorted.at(-1) ?? pinned;
    const ofPinned = sorted.findLast((version) => branchOf(version) === branchOf(pinned)) ?? pinned;
    const [major, minor] = newest.split(".").map(Number);
    return Array.from({ length: gap }, (_, index) => index + 1).flatMap((step) => [
        ...[...new Set([ofPinned, newest])].map((last) => `${branchOf(last)}.${Number(last.split(".")[2]) + step}`),
        `${major}.${Number(minor) + step}.0`,
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
async function unlisted(
    module: string,
    pinned: string,
    known: readonly string[],
    fits: (version: string) => boolean,
    timeLeft: TimeLeft,
): Promise<string[]> {
    const asked = new Set(known);
    const found: string[] = [];
    for (;;) {
        const candidates = successors([...known.filter(fits), ...found], pinned);
        const versions = candidates.filter((version) => !asked.has(version) && fits(version));
        if (versions.length === 0) {
            return found;
        }
        const format = '{{.Version}}{{with .Error}} {{printf "%q" .Err}}{{end}}';
        const queries = versions.map((version) => `${module}@v${version}`);
        // What a proxy lacks is not looked for in the repository: its tags are a list that omits nothing.
        const output = await go(["-e", "-f", format, ...queries], timeLeft(), { GOVCS: "*:off" });
        const lines = output.trim().split("\n");
        const unclear = lines.find((line) => line.includes(" ") && !missing.test(line));
        if (unclear) {
            throw new Error(reasonOf(JSON.parse(unclear.slice(unclear.indexOf('"'))) as string));
        }
        found.push(...lines.filter((line) => !line.includes(" ")).map((line) => line.slice(1)));
        for (const version of versions) {
            asked.add(version);
        }
    }
}

/** Asks about pins, some side by side. @returns why that has failed, by pin */
async function askEach<P extends Pin>(
    pins: readonly P[],
    end: number,
    ask: (pin: P, timeLeft: TimeLeft) => Promise<void>,
): Promise<Map<string, string>> {
    const failed = new Map<string, string>();
    const timeLeft = () => {
        const left = Math.min(questionLimit, end - Date.now());
        if (left <= 0) {
            throw new Error(`not asked within ${wholeLimit / 1000} s`);
        }
        return left;
    };
    const waiting = pins.values();
    const worker = async () => {
        for (const pin of waiting) {
            try {
                await ask(pin, timeLeft);
            } catch (error) {
                const { message, cause } = error as Error & { cause?: { code?: string } };
                failed.set(pin.pin, cause?.code ?? message);
            }
        }
    };
    await Promise.all(Array.from({ length: sideBySide }, worker));
    return failed;
}

/** Asks all sources, first for their lists, then for what those omit. */
export async function askAll(pins: readonly Pin[], packages: Context["packages"]): Promise<Answers> {
    const available = new Map<string, string[]>();
    const context = { packages, available };
    const end = Date.now() + wholeLimit;
    const asked = pins.flatMap((pin) => (pin.source ? [{ ...pin, source: pin.source }] : []));
    const unreached = await askEach(asked, end, async ({ pin, source }, timeLeft) => {
        const found = await listed(source, timeLeft());
        if (found.length === 0) {
            throw new Error("its source names no version");
        }
        available.set(pin, found);
    });
    const modules = asked.flatMap(({ source, ...pin }) =>
        "go" in source && !source.branch ? [{ ...pin, module: source.go, known: available.get(pin.pin) ?? [] }] : [],
    );
    const unfinished = await askEach(
        modules.filter(({ known }) => known.length > 0),
        end,
        async ({ pin, pinned, module, known, rule = () => undefined }, timeLeft) => {
            const fits = (version: string) => rule(version, context) === undefined;
            const found = await unlisted(module, pinned, known, fits, timeLeft);
            available.set(pin, [...known, ...found].sort(compareVersions));
        },
    );
    return { ...context, unreached, unfinished };
}
