// Errors that are meant for the person at the terminal.

interface FailureDetails {
    /** Exit code of the command, 1 by default. */
    readonly exitCode?: number;
    /** Last lines of the log of what was tried. */
    readonly tail?: readonly string[];
    /** Path of that log. */
    readonly log?: string | undefined;
    /** What to do. */
    readonly next?: string | undefined;
}

/** One clear sentence, and what helps to go on. Printed without a stack trace. */
export class Failure extends Error {
    readonly exitCode: number;
    readonly tail: readonly string[];
    readonly log: string | undefined;
    readonly next: string | undefined;

    constructor(message: string, { exitCode = 1, tail = [], log, next }: FailureDetails = {}) {
        super(message);
        this.exitCode = exitCode;
        this.tail = tail;
        this.log = log;
        this.next = next;
    }
}

/** Prints any error. @returns the exit code of the command that it ended */
export function report(error: unknown, out: { write(text: string): unknown } = process.stderr): number {
    if (!(error instanceof Failure)) {
        out.write(`${error instanceof Error ? error.stack : error}\n`);
        return 1;
    }
    const { message, tail, log, next, exitCode } = error;
    const lines = [
        `error: ${message}`,
        ...tail.map((line) => `  | ${line}`),
        ...(log ? [`  log: ${log}`] : []),
        ...(next ? [`  next: ${next}`] : []),
    ];
    out.write(`${lines.join("\n")}\n`);
    return exitCode;
}
