// What failed, from the event log of a Pulumi run.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { logDir, readOr } from "./project.mjs";

/** Makes an empty log that only its owner can read; Pulumi keeps the mode when it writes into it. */
export function newEventLog(name) {
    mkdirSync(logDir, { recursive: true });
    const path = join(logDir, `${name}.events.json`);
    writeFileSync(path, "", { mode: 0o600 });
    return path;
}

/** Last part of a URN: the resource's name. */
function nameOf(urn) {
    return urn.split("::").pop();
}

/** Text without Pulumi's colour marks. */
function plain(text) {
    return text.replace(/<\{%.*?%\}>/g, "").trim();
}

/**
 * Reads an event log.
 *
 * @returns { steps, messages }: names of the resources whose operation failed, with the operation; error messages
 */
export function failuresIn(path) {
    const steps = [];
    const messages = [];
    for (const line of readOr(path, "").split("\n")) {
        let event;
        try {
            event = JSON.parse(line);
        } catch {
            continue; // The last line of a run that was killed.
        }
        const failed = event.resOpFailedEvent?.metadata;
        if (failed) {
            steps.push(`${failed.op} of ${nameOf(failed.urn)} (${failed.type})`);
        }
        const diagnostic = event.diagnosticEvent;
        if (diagnostic?.severity === "error") {
            const text = plain(diagnostic.message);
            messages.push(diagnostic.urn ? `${nameOf(diagnostic.urn)}: ${text}` : text);
        }
    }
    return { steps, messages };
}
