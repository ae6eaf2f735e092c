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
        this.note(`${state.name}: ${word} (${elapsed(Date.now() - state.started)})`);
        if (this.#running.size === 0) {
            clearInterval(this.#timer);
            this.#timer = undefined;
        }
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
                this.#out.write(`${state.name} ... ${elapsed(now - state.started)}${detail}\n`);
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
            const line = `${state.name} ... ${elapsed(Date.now() - state.started)}  ${state.detail}`;
            this.#out.write(`${line.slice(0, width)}\n`);
            this.#drawn += 1;
        }
    }
}
