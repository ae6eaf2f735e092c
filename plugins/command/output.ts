import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { Context } from "../shared/provider";

/** Which of a command's output is also streamed to the engine's log; undefined: both. */
export type Logging = "stdout" | "stderr" | "stdoutAndStderr" | "none" | undefined;

/** The longest piece of a line that is logged in one go, in UTF-16 units: a message must stay far below gRPC's bounds. */
const LONGEST_LINE = 32 * 1024;

function logsStdout(logging: Logging): boolean {
    return logging === undefined || logging === "stdout" || logging === "stdoutAndStderr";
}

function logsStderr(logging: Logging): boolean {
    return logging === undefined || logging === "stderr" || logging === "stdoutAndStderr";
}

/** Cuts text that arrives in pieces into lines; a line that is too long comes in several. */
export class Lines {
    private readonly decoder = new StringDecoder("utf8");
    private rest = "";

    push(chunk: Buffer): string[] {
        const parts = (this.rest + this.decoder.write(chunk)).split("\n");
        this.rest = parts.pop() ?? "";
        const lines = parts.flatMap((line) => cut(line.replace(/\r$/, "")));
        if (this.rest.length > LONGEST_LINE) {
            const pieces = cut(this.rest);
            this.rest = pieces.pop() ?? "";
            lines.push(...pieces);
        }
        return lines;
    }

    end(): string[] {
        const last = this.rest + this.decoder.end();
        this.rest = "";
        return last === "" ? [] : cut(last);
    }
}

function cut(line: string): string[] {
    const pieces = [line.slice(0, LONGEST_LINE)];
    for (let at = LONGEST_LINE; at < line.length; at += LONGEST_LINE) {
        pieces.push(line.slice(at, at + LONGEST_LINE));
    }
    return pieces;
}

/** The output of one run of a command. */
export class Output {
    private readonly stdout: Buffer[] = [];
    private readonly stderr: Buffer[] = [];
    private readonly both: Buffer[] = [];

    constructor(
        private readonly context: Context,
        private readonly logging: Logging,
    ) {}

    /**
     * Reads both streams to their end. Every line is sent to the engine before more is read, so a command that writes
     * faster than its output can be shown is slowed down instead of filling the memory.
     */
    async read(stdout: Readable, stderr: Readable): Promise<void> {
        await Promise.all([
            this.drain(stdout, this.stdout, logsStdout(this.logging)),
            this.drain(stderr, this.stderr, logsStderr(this.logging)),
        ]);
    }

    /** What the state keeps: the text without its final newline. */
    result(): { stdout: string; stderr: string } {
        return { stdout: trimmed(this.stdout), stderr: trimmed(this.stderr) };
    }

    /** The error of a failed run, with all that it wrote. */
    failure(reason: string, command: string): Error {
        return new Error(`${reason}: running ${command}:\n${Buffer.concat(this.both).toString("utf8")}`);
    }

    private async drain(stream: Readable, into: Buffer[], logged: boolean): Promise<void> {
        const lines = new Lines();
        try {
            for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
                into.push(chunk);
                this.both.push(chunk);
                for (const line of logged ? lines.push(chunk) : []) {
                    await this.context.status(line);
                }
            }
        } catch {
            // A stream that breaks has ended; why the command did not go well is told by its exit.
        }
        for (const line of logged ? lines.end() : []) {
            await this.context.status(line);
        }
    }
}

function trimmed(chunks: Buffer[]): string {
    return Buffer.concat(chunks).toString("utf8").replace(/\n$/, "");
}

/** Quotes as Go's %q does, for error texts that are the official plug-in's. */
export function quote(text: string): string {
    const named: Record<string, string> = {
        '"': '\\"',
        "\\": "\\\\",
        "\x07": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
    };
    const escaped = text.replace(/["\\\p{Cc}]/gu, (c) => {
        const code = c.charCodeAt(0);
        return named[c] ?? (code < 0x80 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u00${code.toString(16)}`);
    });
    return `"${escaped}"`;
}

/** The words for a run that was ended from outside, or undefined while it was not. */
export function interruption(signal: AbortSignal): string | undefined {
    if (!signal.aborted) {
        return undefined;
    }
    const timedOut = signal.reason instanceof DOMException && signal.reason.name === "TimeoutError";
    return timedOut ? "context deadline exceeded" : "context canceled";
}
