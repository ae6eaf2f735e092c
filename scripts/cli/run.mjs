// Child processes: into a log, or with the terminal.
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "./failure.mjs";
import { logDir, readOr, root } from "./project.mjs";

const children = new Set();

/**
 * Lets a child finish on its own terms: a signal sent to this process is passed on, and this process ends after the
 * child. Ctrl-C reaches both from the terminal, so it is only not acted upon here.
 */
export function guardSignals() {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
        process.on(signal, () => {
            if (children.size === 0) {
                process.exit(128 + (signal === "SIGINT" ? 2 : signal === "SIGTERM" ? 15 : 1));
            }
            for (const child of children) {
                if (signal !== "SIGINT" || !process.stdin.isTTY) {
                    child.kill(signal);
                }
            }
        });
    }
}

/** Ends the children that still run, because what they are for has failed elsewhere. */
export function endChildren() {
    for (const child of children) {
        child.kill("SIGTERM");
    }
}

function start(command, args, options) {
    const child = spawn(command, args, { cwd: root, ...options });
    children.add(child);
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

/** Runs a command and resolves with { code, stdout, stderr }. */
export async function capture(command, args, options = {}) {
    const { child, done } = start(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    const result = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"]) {
        child[stream].setEncoding("utf8").on("data", (text) => {
            result[stream] += text;
        });
    }
    const { code, error } = await done;
    return { ...result, stderr: error ? error.message : result.stderr, code };
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
    const { child, done } = start(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let stdout = "";
    for (const stream of ["stdout", "stderr"]) {
        let rest = "";
        child[stream]?.setEncoding("utf8").on("data", (text) => {
            log.write(text);
            stdout += stream === "stdout" ? text : "";
            const lines = (rest + text).split(/\r?\n/);
            rest = lines.pop() ?? "";
            for (const line of lines.filter((line) => line.trim() !== "")) {
                say(line);
            }
        });
    }
    const { code, error } = await done;
    await new Promise((resolve) => log.end(error ? `${error.message}\n` : "", resolve));
    if (code !== 0) {
        throw new Failure(`${failure?.tried ?? `${command} failed`} (exit code ${code}).`, {
            tail: tailOf(path),
            log: path,
            next: failure?.next,
        });
    }
    return stdout;
}
