// Child processes: with the terminal, beside others, for what they print, or into a log. Not by execa: to load it takes most of
// what a command takes to start, and it ends no process groups.
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { constants } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { Failure } from "./failure.ts";
import { logDir, readOr, root } from "./project.ts";

interface RunOptions {
    /** By default the root of the checkout. */
    readonly cwd?: string;
    /** By default that of this process. */
    readonly env?: NodeJS.ProcessEnv;
    /** Milliseconds after which the command is ended. No limit by default. */
    readonly limit?: number;
}

/** How a command has ended: 127 if it could not be started, 124 if it was late, 128 and more if a signal has ended it. */
interface End {
    readonly code: number;
    /** Why it could not be started, or that it was late. */
    readonly error?: Error;
}

/** Signals that end a command of this command line. */
export const guarded = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Exit code of what a signal has ended, as shells have it. */
export const exitCodeOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

/** Running children, and whether each leads a process group of its own. */
const children = new Map<ChildProcess, boolean>();
let interrupted: NodeJS.Signals | undefined;

function signalChild(child: ChildProcess, signal: NodeJS.Signals): void {
    if (child.pid === undefined) {
        return;
    }
    try {
        process.kill(children.get(child) ? -child.pid : child.pid, signal);
    } catch {
        // It has just ended.
    }
}

/** Lets children finish on their own terms: a signal to this process is passed on, and this process ends after them. */
export function guardSignals(): void {
    for (const signal of guarded) {
        process.on(signal, () => {
            interrupted = signal;
            if (children.size === 0) {
                process.exit(exitCodeOf(signal));
            }
            for (const [child, ownGroup] of children) {
                // Ctrl-C reaches those in the terminal's own process group without this.
                if (ownGroup || signal !== "SIGINT" || !process.stdin.isTTY) {
                    signalChild(child, signal);
                }
            }
        });
    }
}

/** Fails if a signal has ended a run: it may have reported success, and the next one must not start. */
export function endIfInterrupted(): void {
    if (interrupted) {
        throw new Failure(`interrupted by ${interrupted}.`, { exitCode: 130 });
    }
}

/** Waits for work done side by side. The first failure ends all children; it is thrown once the others have ended. */
export async function together<T>(work: readonly Promise<T>[]): Promise<T[]> {
    try {
        return await Promise.all(work);
    } catch (error) {
        for (const child of children.keys()) {
            signalChild(child, "SIGTERM");
        }
        await Promise.allSettled(work);
        throw error;
    }
}

function start(command: string, args: readonly string[], { limit, ...options }: RunOptions & SpawnOptions) {
    const child = spawn(command, args, { cwd: root, ...options });
    children.set(child, options.detached === true);
    child.stdout?.setEncoding("utf8");
    child.stderr?.setEncoding("utf8");
    const ended = new Promise<End>((resolve) => {
        child.on("error", (error) => resolve({ code: 127, error }));
        child.on("close", (code, signal) => resolve({ code: code ?? exitCodeOf(signal ?? "SIGTERM") }));
    }).finally(() => children.delete(child));
    return { child, ended: limit === undefined ? ended : withinLimit(child, ended, limit) };
}

/** Ends a child after `limit` milliseconds, in the end without asking it. */
async function withinLimit(child: ChildProcess, ended: Promise<End>, limit: number): Promise<End> {
    let error: Error | undefined;
    const ask = setTimeout(() => {
        const [command = "", ...args] = child.spawnargs;
        const name = [basename(command), ...args.slice(0, 2)].join(" ");
        error = new Error(`${name} has not answered within ${limit / 1000} s`);
        signalChild(child, "SIGTERM");
    }, limit);
    const kill = setTimeout(() => {
        signalChild(child, "SIGKILL");
        // What it has started may hold them open.
        child.stdout?.destroy();
        child.stderr?.destroy();
    }, limit + 5000);
    const end = await ended;
    clearTimeout(ask);
    clearTimeout(kill);
    return error ? { code: 124, error } : end;
}

/** Calls `take` with each line that a child prints. */
function onLine({ stdout, stderr }: ChildProcess, take: (line: string) => void): void {
    for (const input of [stdout, stderr]) {
        if (input) {
            createInterface({ input }).on("line", take);
        }
    }
}

function notStarted(command: string, { message }: Error): Failure {
    return new Failure(`${command} could not be started: ${message}.`);
}

/** Runs a command with this terminal, unless `stdio` says otherwise. @returns its exit code */
export async function runInTerminal(
    command: string,
    args: readonly string[],
    options: RunOptions & Pick<SpawnOptions, "stdio"> = {},
): Promise<number> {
    const { code, error } = await start(command, args, { stdio: "inherit", ...options }).ended;
    if (error) {
        throw notStarted(command, error);
    }
    return code;
}

/** How the output of a command is shown block by block: other output would mix with it. */
interface Blocks {
    /** Matches the last line of a block. */
    readonly isEnd: RegExp;
    /** Gets each block, once it has ended. */
    readonly show: (block: string) => void;
    /** Gets each line as it comes. */
    readonly say?: (line: string) => void;
}

/** Runs a command beside others. @returns its exit code */
export async function runInBlocks(
    command: string,
    args: readonly string[],
    { isEnd, show, say = () => {}, ...options }: Blocks & RunOptions,
): Promise<number> {
    const { child, ended } = start(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let held: string[] = [];
    const showHeld = () => {
        if (held.some((line) => line.trim() !== "")) {
            show(held.join("\n").replace(/^\n+/, "\n").trimEnd());
        }
        held = [];
    };
    onLine(child, (line) => {
        held.push(line);
        say(line);
        if (isEnd.test(line)) {
            showHeld();
        }
    });
    const { code, error } = await ended;
    showHeld();
    if (error) {
        throw notStarted(command, error);
    }
    return code;
}

export interface Captured {
    /** As a shell has it; 127 if it could not be started, 124 if it was late. */
    readonly code: number;
    readonly stdout: string;
    /** Its last line says why it could not be started, or that it was late. */
    readonly stderr: string;
}

/**
 * Runs a command for what it prints.
 *
 * @param options.input for its standard input; if the promise of it fails, the command is ended, and this fails likewise
 */
export async function capture(
    command: string,
    args: readonly string[],
    { input = "", ...options }: RunOptions & { readonly input?: string | Promise<string> } = {},
): Promise<Captured> {
    const { child, ended } = start(command, args, options);
    const printed = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
        child[stream]?.on("data", (text: string) => {
            printed[stream] += text;
        });
    }
    child.stdin?.on("error", () => {}); // One that ends without reading says why by its code.
    try {
        child.stdin?.end(await input);
    } catch (reason) {
        signalChild(child, "SIGTERM");
        await ended;
        throw reason;
    }
    const { code, error } = await ended;
    return { code, stdout: printed.stdout, stderr: error ? `${printed.stderr}\n${error.message}` : printed.stderr };
}

/** The chosen Pulumi. */
export interface Pulumi {
    readonly path: string;
    readonly env: NodeJS.ProcessEnv;
    /** Milliseconds that a question may take, five minutes by default. */
    readonly limit?: number;
}

/** Asks Pulumi something that its backend answers in seconds: a remote one may also never answer. */
export async function askPulumi(
    { path, env, limit = 300_000 }: Pulumi,
    args: readonly string[],
    options: RunOptions = {},
): Promise<Captured> {
    return await capture(path, args, { env, limit, ...options });
}

/** The last line of what a command has printed. */
export const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "";

/** The last lines of a log that say something. */
function tailOf(path: string): string[] {
    const lines = readOr(path, "").split("\n");
    return lines
        .map((line) => line.trimEnd())
        .filter((line) => line !== "")
        .slice(-12);
}

export interface Logged {
    /** Gets each line of output as it comes. */
    readonly say?: (line: string) => void;
    /** The error's sentence, without its end, and what to do next. */
    readonly failure?: { readonly tried: string; readonly next?: string };
}

/**
 * Runs a command whose output goes to a log.
 *
 * @param name file name of the log in .cache/logs, without ".log"
 * @returns its standard output
 * @throws {Failure} with the last lines of the log, if its exit code is not 0
 */
export async function runLogged(
    name: string,
    command: string,
    args: readonly string[],
    { say = () => {}, failure, ...options }: Logged & RunOptions = {},
): Promise<string> {
    mkdirSync(logDir, { recursive: true });
    const path = join(logDir, `${name}.log`);
    const log = createWriteStream(path, { mode: 0o600 });
    log.write(`$ ${[command, ...args].join(" ")}\n`);
    // A group of its own, so that what a script has started ends with it.
    const { child, ended } = start(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, ...options });
    let stdout = "";
    child.stdout?.on("data", (text: string) => {
        stdout += text;
        log.write(text);
    });
    child.stderr?.on("data", (text: string) => log.write(text));
    onLine(child, (line) => line.trim() !== "" && say(line));
    const { code, error } = await ended;
    await new Promise<void>((closed) => {
        log.end(error ? `${error.message}\n` : "", closed);
    });
    if (code === 0) {
        return stdout;
    }
    if (interrupted) {
        throw new Failure(`interrupted by ${interrupted}: ${command} was ended.`, {
            exitCode: 130,
            next: "run again: what is done is kept",
        });
    }
    throw new Failure(`${failure?.tried ?? `${command} failed`} (exit code ${code}).`, {
        tail: tailOf(path),
        log: path,
        next: failure?.next,
    });
}
