// @ts-nocheck
// Shows an update as it goes on: one line a step, from the events of Pulumi's engine.
import { elapsed, Progress } from "./progress.ts";

/** Operations that change something, in plain words. */
const words = {
    create: "create",
    update: "update",
    delete: "delete",
    "create-replacement": "replace",
    "delete-replaced": "delete the old",
    import: "import",
};

const nameOf = (urn) => urn.split("::").pop();
const plain = (message) => message.replace(/<\{%.*?%\}>/g, "").trim();

/** True for what stands for nothing outside of the state: components, providers, the stack. */
function isInner(type) {
    return /^(runtime-sandboxes|pulumi):/.test(type);
}

/** Follows the events of one run. */
export class UpdateView {
    #progress;
    /** By operation and URN: how the step of that name ends. */
    #steps = new Map();

    constructor(progress = new Progress()) {
        this.#progress = progress;
    }

    /** Takes one event as the engine's log has it. */
    take(event) {
        const {
            resourcePreEvent: begun,
            resOutputsEvent: done,
            resOpFailedEvent: failed,
            diagnosticEvent,
            summaryEvent,
        } = event;
        if (begun && words[begun.metadata.op] && !isInner(begun.metadata.type)) {
            this.#begin(begun.metadata);
        } else if (done) {
            this.#steps.get(key(done.metadata))?.end();
        } else if (failed) {
            this.#steps.get(key(failed.metadata))?.fail(new Error("failed"));
        } else if (diagnosticEvent?.severity === "warning") {
            this.#progress.note(`warning: ${plain(diagnosticEvent.message)}`);
        } else if (diagnosticEvent?.urn && diagnosticEvent.severity !== "error") {
            const text = plain(diagnosticEvent.message);
            for (const step of this.#steps.values()) {
                if (step.urn === diagnosticEvent.urn && text !== "") {
                    step.say(text.split("\n").pop());
                }
            }
        } else if (summaryEvent) {
            this.#progress.note(summary(summaryEvent));
        }
    }

    #begin(metadata) {
        const step = { urn: metadata.urn };
        const running = this.#progress.step(
            `${words[metadata.op]} ${nameOf(metadata.urn)}`,
            (say) =>
                new Promise((resolve, reject) => {
                    step.say = say;
                    step.end = resolve;
                    step.fail = reject;
                }),
            { announce: false },
        );
        this.#steps.set(key(metadata), step);
        // Why it failed is told at the end, with all other failures.
        running.catch(() => {}).finally(() => this.#steps.delete(key(metadata)));
    }

    /** Ends what an interrupted run has left open. */
    close() {
        for (const step of this.#steps.values()) {
            step.fail(new Error("interrupted"));
        }
    }
}

const key = ({ op, urn }) => `${op} ${urn}`;

function summary({ resourceChanges = {}, durationSeconds }) {
    const counts = Object.entries(resourceChanges).filter(([op, count]) => count > 0 && op !== "same");
    const changed = counts.map(([op, count]) => `${count} ${words[op] ?? op}`).join(", ") || "nothing to do";
    return `${changed}; ${resourceChanges.same ?? 0} unchanged (${elapsed(durationSeconds * 1000)})`;
}
