// @ts-nocheck
// Errors that are meant for the person at the terminal.

/**
 * One clear sentence, and what helps to go on. Printed without a stack trace.
 *
 * @property {number} exitCode exit code of the command, default 1
 * @property {string[]} tail last lines of the log of what was tried
 * @property {string | undefined} log path of that log
 * @property {string | undefined} next what to do
 */
export class Failure extends Error {
    constructor(message, { exitCode = 1, tail = [], log = undefined, next = undefined } = {}) {
        super(message);
        this.exitCode = exitCode;
        this.tail = tail;
        this.log = log;
        this.next = next;
    }
}

/** Prints any error and returns the exit code. */
export function report(error, out = process.stderr) {
    if (!(error instanceof Failure)) {
        out.write(`${error?.stack ?? error}\n`);
        return 1;
    }
    out.write(`error: ${error.message}\n`);
    for (const line of error.tail) {
        out.write(`  | ${line}\n`);
    }
    if (error.log) {
        out.write(`  log: ${error.log}\n`);
    }
    if (error.next) {
        out.write(`  next: ${error.next}\n`);
    }
    return error.exitCode;
}
