// Live lines: on a terminal one line a step, updated in place; otherwise a plain line at start, at end, and a sign of life.
import { stripVTControlCharacters } from "node:util";

/** Milliseconds. */
const signOfLife = 15_000;

/** Elapsed time for people: "0.4 s", "12 s", "2 min 05 s". */
export function elapsed(milliseconds: number): string {
    const seconds = milliseconds / 1000;
    if (seconds < 10) {
        return `${seconds.toFixed(1)} s`;
    }
    const whole = Math.round(seconds);
    return whole < 100 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

/** Names of the long steps of a first run. */
export const longSteps = {
    cli: "pulumi, built from its Go module",
    languageHost: "pulumi-language-nodejs, built from its Go module",
    base: "base image of the machines",
    sources: "sources of packages and images",
};

/**
 * Seconds that they took in a first run on two cores (bench/results.md). Only their proportions count: the steps that have
 * ended show how fast this machine is.
 */
const usual = new Map([
    [longSteps.cli, 253],
    [longSteps.languageHost, 19],
    [longSteps.base, 40],
    [longSteps.sources, 560],
]);

/** Long steps that are still to come. */
const ahead = new Set<string>();
/** Seconds of those that have ended: usual ones, and what they took here. */
const ended = { usual: 0, taken: 0 };

/** As it stands behind what is left; empty for no time. */
export function timeLeft(seconds: number): string {
    const minutes = Math.round(seconds / 60);
    return seconds === 0 ? "" : `, ${minutes < 1 ? "less than a minute" : `about ${minutes} min`} left`;
}

/** Announces long steps, so that the time left can be shown. */
export function expectSteps(names: readonly string[]): void {
    for (const name of names) {
        ahead.add(name);
    }
}

/** Changes the detail of a step's line. */
export type Say = (detail: string) => void;

interface Step {
    readonly name: string;
    /** Milliseconds since 1970. */
    readonly started: number;
    /** When it last had a line. */
    shown: number;
    detail: string;
}

interface StepOptions<T> {
    /** Whether the start has a line where lines cannot be updated; true by default. */
    readonly announce?: boolean;
    /** Milliseconds within which it may end without any line; 0 by default. */
    readonly after?: number;
    /** How the step has ended, by its result; "done" by default. */
    readonly word?: (result: T) => string;
}

/** A stream such as process.stderr. */
interface Out {
    write(text: string): unknown;
    readonly isTTY?: boolean;
    readonly columns?: number;
}

/** Shows steps that may run side by side. */
export class Progress {
    readonly #running = new Set<Step>();
    readonly #out: Out;
    readonly #live: boolean;
    #drawn = 0;
    #timer: NodeJS.Timeout | undefined;

    /** @param out is updated in place if it is a terminal and CI is not set */
    constructor(out: Out = process.stderr) {
        this.#out = out;
        this.#live = Boolean(out.isTTY) && !process.env.CI;
    }

    /**
     * Runs one step under a line of its own.
     *
     * @param name what is done, in a few words
     * @returns what `work` does
     */
    async step<T>(
        name: string,
        work: (say: Say) => T | Promise<T>,
        { announce = true, after = 0, word = () => "done" }: StepOptions<T> = {},
    ): Promise<T> {
        const step = { name, detail: "", started: Date.now(), shown: Date.now() };
        ahead.delete(name);
        const delayed = after > 0 ? setTimeout(() => this.#begin(step, announce), after) : undefined;
        if (delayed === undefined) {
            this.#begin(step, announce);
        }
        try {
            const result = await work((detail) => {
                step.detail = stripVTControlCharacters(detail).trim();
            });
            this.#finish(step, word(result));
            return result;
        } catch (error) {
            this.#finish(step, "FAILED");
            throw error;
        } finally {
            clearTimeout(delayed);
        }
    }

    /** Prints a line above the live ones. */
    note(text: string): void {
        this.#erase();
        this.#out.write(`${text}\n`);
        this.#draw();
    }

    #begin(step: Step, announce: boolean): void {
        this.#running.add(step);
        if (!this.#live && announce) {
            this.#out.write(`${step.name} ...\n`);
        }
        this.#timer ??= setInterval(() => this.#tick(), this.#live ? 200 : 1000).unref();
        this.#tick();
    }

    #finish(step: Step, word: string): void {
        if (!this.#running.delete(step)) {
            return; // It never had a line.
        }
        const seconds = (Date.now() - step.started) / 1000;
        const expected = usual.get(step.name);
        // One that had nothing to do says nothing about the machine.
        if (expected !== undefined && seconds > expected / 20) {
            ended.usual += expected;
            ended.taken += seconds;
        }
        const left = [...[...this.#running].map(({ name }) => name), ...ahead].filter((name) => usual.has(name));
        const rest = left.length === 0 ? "" : `; to do: ${left.join(", ")}${this.#timeLeft()}`;
        this.note(`${step.name}: ${word} (${elapsed(seconds * 1000)})${rest}`);
        if (this.#running.size === 0) {
            clearInterval(this.#timer);
            this.#timer = undefined;
        }
    }

    /** How long the long steps take that run or are to come. */
    #timeLeft(): string {
        const pace = ended.usual === 0 ? 1 : ended.taken / ended.usual;
        let seconds = 0;
        for (const { name, started } of this.#running) {
            const expected = usual.get(name);
            seconds += expected === undefined ? 0 : Math.max(expected * pace - (Date.now() - started) / 1000, 1);
        }
        for (const name of ahead) {
            seconds += (usual.get(name) ?? 0) * pace;
        }
        return timeLeft(seconds);
    }

    /** A step, what it does at the moment, and what is left of a long one. */
    #parts({ name, started, detail }: Step) {
        return {
            head: `${name} ... ${elapsed(Date.now() - started)}`,
            detail,
            left: usual.has(name) ? this.#timeLeft() : "",
        };
    }

    #tick(): void {
        if (this.#live) {
            this.#erase();
            this.#draw();
            return;
        }
        const now = Date.now();
        for (const step of this.#running) {
            if (now - step.shown >= signOfLife) {
                step.shown = now;
                const { head, detail, left } = this.#parts(step);
                this.#out.write(`${head}${detail && `: ${detail}`}${left}\n`);
            }
        }
    }

    #erase(): void {
        if (this.#drawn > 0) {
            this.#out.write(`\u001b[${this.#drawn}A\u001b[J`);
            this.#drawn = 0;
        }
    }

    #draw(): void {
        if (!this.#live) {
            return;
        }
        const width = (this.#out.columns || 80) - 1;
        for (const step of this.#running) {
            const { head, detail, left } = this.#parts(step);
            this.#out.write(`${`${head}${left}  ${detail}`.slice(0, width)}\n`);
            this.#drawn += 1;
        }
    }
}
