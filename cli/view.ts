// Shows an update as it runs: one line a step, from the events of Pulumi's engine.
import type { EngineEvent, StepEventMetadata, SummaryEvent } from "@pulumi/pulumi/automation/events.js";
import { withoutColours } from "./events.ts";
import { elapsed, Progress, timeLeft } from "./progress.ts";
import { nameIn } from "./state.ts";

/** Operations that change something, in plain words. */
const words: Readonly<Record<string, string>> = {
    create: "create",
    update: "update",
    delete: "delete",
    "create-replacement": "replace",
    "delete-replaced": "delete the old",
    import: "import",
};

/** A step under a line of its own, as its promise and what is said of it. */
interface Step {
    readonly urn: string;
    say(detail: string): void;
    end(): void;
    fail(reason: Error): void;
}

type Operation = Pick<StepEventMetadata, "op" | "urn">;

const keyOf = ({ op, urn }: Operation) => `${op} ${urn}`;

/** True for what stands for nothing outside of the state: components, providers, the stack. */
const isInner = (type: string) => /^(runtime-sandboxes|pulumi):/.test(type);

/** Follows the events of one run. */
export class UpdateView {
    readonly #progress: Progress;
    readonly #steps = new Map<string, Step>();

    readonly #workers: number;
    readonly #began = Date.now();
    /** Workers that are proven, and how many of them by this run. */
    readonly #proven = { all: 0, now: 0 };

    /** @param workers how many the stack has */
    constructor(workers: number, progress = new Progress()) {
        this.#progress = progress;
        this.#workers = workers;
    }

    /** Takes one event as the engine's log has it. */
    take(event: EngineEvent): void {
        const { resourcePreEvent: begun, resOutputsEvent: done, resOpFailedEvent: failed } = event;
        if (begun && !isInner(begun.metadata.type)) {
            this.#begin(begun.metadata);
        } else if (done) {
            this.#steps.get(keyOf(done.metadata))?.end();
            this.#countProven(done.metadata);
        } else if (failed) {
            this.#steps.get(keyOf(failed.metadata))?.fail(new Error("failed"));
        } else if (event.diagnosticEvent) {
            this.#diagnose(event.diagnosticEvent);
        } else if (event.summaryEvent) {
            this.#progress.note(summaryOf(event.summaryEvent));
        }
    }

    #begin(operation: Operation): void {
        const word = words[operation.op];
        if (word === undefined) {
            return;
        }
        const work = (say: Step["say"]) =>
            new Promise<void>((end, fail) => {
                this.#steps.set(keyOf(operation), { urn: operation.urn, say, end, fail });
            });
        this.#progress
            .step(`${word} ${nameIn(operation.urn)}`, work, { announce: false })
            .catch(() => {}) // Why it failed is said at the end, with all other failures.
            .finally(() => this.#steps.delete(keyOf(operation)));
    }

    /** How far a rollout has come in which workers wait for others. */
    #countProven({ op, urn }: Operation): void {
        if (!nameIn(urn).endsWith("-proven") || op.startsWith("delete")) {
            return;
        }
        this.#proven.all++;
        if (op !== "same") {
            this.#proven.now++;
            const pace = (Date.now() - this.#began) / 1000 / this.#proven.now;
            const rest = timeLeft(pace * (this.#workers - this.#proven.all));
            this.#progress.note(`${this.#proven.all} of ${this.#workers} workers proven${rest}`);
        }
    }

    #diagnose({ severity, urn, message }: NonNullable<EngineEvent["diagnosticEvent"]>): void {
        const text = withoutColours(message);
        if (severity === "warning") {
            this.#progress.note(`warning: ${text}`);
        } else if (severity !== "error" && text !== "") {
            for (const step of [...this.#steps.values()].filter((one) => one.urn === urn)) {
                step.say(text.split("\n").at(-1) ?? "");
            }
        }
    }

    /** Ends what an interrupted run has left open. */
    close(): void {
        for (const step of this.#steps.values()) {
            step.fail(new Error("interrupted"));
        }
    }
}

function summaryOf({ resourceChanges, durationSeconds }: SummaryEvent): string {
    const counts = Object.entries(resourceChanges ?? {}).filter(([op, count]) => count > 0 && op !== "same");
    const changed = counts.map(([op, count]) => `${count} ${words[op] ?? op}`).join(", ") || "nothing to do";
    return `${changed}; ${resourceChanges?.same ?? 0} unchanged (${elapsed(durationSeconds * 1000)})`;
}
