// @ts-nocheck
// Live lines: on a terminal one line a step, updated in place; otherwise a plain line at start, at end, and a sign of life.

import { stripVTControlCharacters } from "node:util";

const signOfLife = 15_000;

/** Elapsed time for people: "0.4 s", "12 s", "2 min 05 s". */
export function elapsed(milliseconds) {
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
 * Seconds that they took in a first run on two cores (bench/results.md). Only their proportions count: how quick this machine
 * is, those that have ended tell.
 */
const usual = {
    [longSteps.cli]: 253,
    [longSteps.languageHost]: 19,
    [longSteps.base]: 40,
    [longSteps.sources]: 560,
};

/** Those that are still to come, and what those that have ended took. */
const ahead = new Set();
const ended = { usual: 0, taken: 0 };

/** Tells which of the long steps are to come, so that it can be said what is left. */
export function expectSteps(names) {
    for (const name of names) {
        ahead.add(name);
    }
}

/** Shows steps that may run side by side. */
export class Progress {
    #running = new Map();
    #drawn = 0;
    #timer;
    #out;
    #live;

    /** @param out stream to write to; updated in place if it is a terminal and CI is not set */
    constructor(out = process.stderr) {
        this.#out = out;
        this.#live = Boolean(out.isTTY) && !process.env.CI;
    }

    /**
     * Runs one step under a line of its own.
     *
     * @param name what is done, a few words
     * @param work gets `say(detail)`, which changes the line's detail; its result is the step's
     * @param announce whether the start has a line of its own where lines cannot be updated
     * @param word how the step has ended, by its result
     */
    async step(name, work, { announce = true, word = () => "done" } = {}) {
        const state = { name, detail: "", started: Date.now(), told: Date.now() };
        this.#running.set(name, state);
        ahead.delete(name);
        if (!this.#live && announce) {
            this.#out.write(`${name} ...\n`);
        }
        this.#start();
        try {
            const result = await work((detail) => {
                state.detail = stripVTControlCharacters(detail).trim();
            });
            this.#finish(state, word(result));
            return result;
        } catch (error) {
            this.#finish(state, "FAILED");
            throw error;
        }
    }

    /** Prints a line above the live ones. */
    note(text) {
        this.#erase();
        this.#out.write(`${text}\n`);
        this.#draw();
    }

    #start() {
        if (!this.#timer) {
            this.#timer = setInterval(() => this.#tick(), this.#live ? 200 : 1000);
            this.#timer.unref();
        }
        this.#tick();
    }

    #finish(state, word) {
        this.#running.delete(state.name);
        const taken = (Date.now() - state.started) / 1000;
        // Where nothing had to be done, that tells nothing about the machine.
        if (taken > (usual[state.name] ?? Number.POSITIVE_INFINITY) / 20) {
            ended.usual += usual[state.name];
            ended.taken += taken;
        }
        const left = [...this.#running.keys(), ...ahead].filter((name) => name in usual);
        const rest = left.length === 0 ? "" : `; to do: ${left.join(", ")}${this.#timeLeft()}`;
        this.note(`${state.name}: ${word} (${elapsed(taken * 1000)})${rest}`);
        if (this.#running.size === 0) {
            clearInterval(this.#timer);
            this.#timer = undefined;
        }
    }

    /** What the long steps that go on and those to come will take, if there are any. */
    #timeLeft() {
        const pace = ended.usual === 0 ? 1 : ended.taken / ended.usual;
        const running = [...this.#running.values()]
            .filter(({ name }) => name in usual)
            .map(({ name, started }) => Math.max(usual[name] * pace - (Date.now() - started) / 1000, 1));
        const seconds = [...running, ...[...ahead].map((name) => usual[name] * pace)].reduce(
            (sum, one) => sum + one,
            0,
        );
        const minutes = Math.round(seconds / 60);
        return seconds === 0 ? "" : `, ${minutes < 1 ? "less than a minute" : `about ${minutes} min`} left`;
    }

    #tick() {
        if (this.#live) {
            this.#erase();
            this.#draw();
            return;
        }
        const now = Date.now();
        for (const state of this.#running.values()) {
            if (now - state.told >= signOfLife) {
                state.told = now;
                const detail = state.detail ? `: ${state.detail}` : "";
                const left = state.name in usual ? this.#timeLeft() : "";
                this.#out.write(`${state.name} ... ${elapsed(now - state.started)}${detail}${left}\n`);
            }
        }
    }

    #erase() {
        if (this.#drawn > 0) {
            this.#out.write(`\u001b[${this.#drawn}A\u001b[J`);
            this.#drawn = 0;
        }
    }

    #draw() {
        if (!this.#live) {
            return;
        }
        const width = (this.#out.columns || 80) - 1;
        for (const state of this.#running.values()) {
            const left = state.name in usual ? this.#timeLeft() : "";
            const line = `${state.name} ... ${elapsed(Date.now() - state.started)}${left}  ${state.detail}`;
            this.#out.write(`${line.slice(0, width)}\n`);
            this.#drawn += 1;
        }
    }
}
