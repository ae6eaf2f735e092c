// @ts-nocheck
// Child processes: into a log, or with the terminal.
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { Failure } from "./failure.ts";
import { logDir, readOr, root } from "./project.ts";

/** Running children; the value tells whether the child leads a process group of its own. */
const children = new Map();
let interrupted;

function signalChild(child, signal) {
    try {
        process.kill(children.get(child) ? -child.pid : child.pid, signal);
    } catch {
        // It has just ended.
    }
}

/**
 * Lets a child finish on its own terms: a signal sent to this process is passed on, and this process ends after the
 * child. Ctrl-C reaches those in the terminal's own process group without that.
 */
export function guardSignals() {
    for (const [signal, code] of [
        ["SIGINT", 130],
        ["SIGTERM", 143],
        ["SIGHUP", 129],
    ]) {
        process.on(signal, () => {
            interrupted = signal;
            if (children.size === 0) {
                process.exit(code);
            }
            for (const [child, ownGroup] of children) {
                if (ownGroup || signal !== "SIGINT" || !process.stdin.isTTY) {
                    signalChild(child, signal);
                }
            }
        });
    }
}

/** Ends what is done in several runs after one that a signal has ended, which may well have called itself successful. */
export function endIfInterrupted() {
    if (interrupted) {
        throw new Failure(`interrupted by ${interrupted}.`, { exitCode: 130 });
    }
}

/** Waits for work done side by side; if one fails the children of the others are ended. */
export async function together(work) {
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

function start(command, args, options) {
    const child = spawn(command, args, { cwd: root, ...options });
    children.set(child, Boolean(options.detached));
    const done = new Promise((resolve) => {
        child.on("error", (error) => {
            children.delete(child);
            resolve({ code: 127, error });
        });
        child.on("close", (code, signal) => {
            children.delete(child);
            resolve({ code: code ?? 128 + (signal === "SIGINT" ? 2 : 15), signal });
        });
    });
    return { child, done };
}

/** Runs a command with this terminal; resolves with its exit code. */
export async function runInTerminal(command, args, options = {}) {
    const { done } = start(command, args, { stdio: "inherit", ...options });
    const { code, error } = await done;
    if (error) {
        throw new Failure(`${command} could not be started: ${error.message}.`);
    }
    return code;
}

/**
 * Runs a command beside others: what it says is held back until a line that matches `isEnd`, or its own end, and then shown
 * as a whole.
 *
 * @param show gets such a block
 * @param say gets each line as it comes
 * @returns its exit code
 */
export async function runInBlocks(command, args, { isEnd, show, say = () => {}, ...options }) {
    const { child, done } = start(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let held = [];
    const add = (line) => {
        held.push(line);
        say(line);
        if (isEnd.test(line)) {
            showHeld();
        }
    };
    const showHeld = () => {
        if (held.some((line) => line.trim() !== "")) {
            show(held.join("\n").replace(/^\n+/, "\n").trimEnd());
        }
        held = [];
    };
    const rests = [child.stdout, child.stderr].map((stream) => readLines(stream, add));
    const { code, error } = await done;
    for (const rest of rests) {
        rest();
    }
    showHeld();
    if (error) {
        throw new Failure(`${command} could not be started: ${error.message}.`);
    }
    return code;
}

/** Calls `add` with each line of a stream. @returns a function that does so with what has no end of line */
function readLines(stream, add) {
    let rest = "";
    stream?.setEncoding("utf8").on("data", (text) => {
        const lines = (rest + text).split(/\r?\n/);
        rest = lines.pop() ?? "";
        lines.forEach(add);
    });
    return () => rest !== "" && add(rest);
}

/**
 * Runs a command, with `input` (a text, or a promise of one) as its standard input, and resolves with
 * { code, stdout, stderr }. Where the promise fails the command is ended, and this fails with its reason. After `limit`
 * milliseconds, if one is given, the command is ended too, and the last line of its standard error says so.
 */
export async function capture(command, args, { input, limit, ...options } = {}) {
    const stdin = input === undefined ? "ignore" : "pipe";
    const { child, done } = start(command, args, { stdio: [stdin, "pipe", "pipe"], ...options });
    const ended = limit === undefined ? undefined : endAfter(limit, child);
    child.stdin?.on("error", () => {}); // one that ends without reading says why by its code
    const result = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"]) {
        child[stream].setEncoding("utf8").on("data", (text) => {
            result[stream] += text;
        });
    }
    try {
        child.stdin?.end(await input);
    } catch (reason) {
        signalChild(child, "SIGTERM");
        await done;
        ended?.();
        throw reason;
    }
    const { code, error } = await done;
    if (ended?.()) {
        const said = `${basename(command)} ${args.slice(0, 2).join(" ")} has not answered within ${limit / 1000} s`;
        return { ...result, stderr: `${result.stderr}\n${said}`, code: 124 };
    }
    return { ...result, stderr: error ? error.message : result.stderr, code };
}

/** Ends a child after a while. @returns a function that stops the clock and tells whether it had to be ended */
function endAfter(milliseconds, child) {
    let late = false;
    let timer = setTimeout(() => {
        late = true;
        signalChild(child, "SIGTERM");
        timer = setTimeout(() => {
            signalChild(child, "SIGKILL");
            // What it has started may hold them open.
            child.stdout.destroy();
            child.stderr.destroy();
        }, 5000);
    }, milliseconds);
    return () => {
        clearTimeout(timer);
        return late;
    };
}

/**
 * Asks Pulumi something that its backend answers in seconds: a remote one may also never answer.
 *
 * @param pulumi { path, env, limit }: limit in milliseconds, by default five minutes
 * @returns what capture gives
 */
export async function askPulumi({ path, env, limit = 300_000 }, args, options = {}) {
    return await capture(path, args, { env, limit, ...options });
}

/** Last lines of a log that say something. */
export function tailOf(path, count = 12) {
    return readOr(path, "")
        .split("\n")
        .map((line) => line.trimEnd())
        .filter((line) => line !== "")
        .slice(-count);
}

/**
 * Runs a command whose output goes to a log, and fails with the log's last lines.
 *
 * @param name file name of the log in .cache/logs, without ".log"
 * @param say gets each line of output as it comes
 * @param failure { tried, next }: sentence of the failure and what to do
 * @returns the text of standard output
 */
export async function runLogged(name, command, args, { say = () => {}, failure, ...options } = {}) {
    mkdirSync(logDir, { recursive: true });
    const path = join(logDir, `${name}.log`);
    const log = createWriteStream(path, { mode: 0o600 });
    log.write(`$ ${[command, ...args].join(" ")}\n`);
    // A group of its own, so that what a script has started ends with it.
    const { child, done } = start(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, ...options });
    let stdout = "";
    for (const stream of ["stdout", "stderr"]) {
        child[stream]?.setEncoding("utf8").on("data", (text) => {
            log.write(text);
            stdout += stream === "stdout" ? text : "";
        });
        readLines(child[stream], (line) => line.trim() !== "" && say(line));
    }
    const { code, error } = await done;
    await new Promise((resolve) => log.end(error ? `${error.message}\n` : "", resolve));
    if (code !== 0 && interrupted) {
        throw new Failure(`interrupted by ${interrupted}: ${command} was ended.`, {
            exitCode: 130,
            next: "run again: what is done is kept",
        });
    }
    if (code !== 0) {
        throw new Failure(`${failure?.tried ?? `${command} failed`} (exit code ${code}).`, {
            tail: tailOf(path),
            log: path,
            next: failure?.next,
        });
    }
    return stdout;
}
