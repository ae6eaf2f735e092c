// What failed, from the event log of a Pulumi run.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, createWriteStream, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Failure } from "./failure.mjs";
import { logDir, readOr } from "./project.mjs";

/**
 * Keeps the event log of a run, without the SDK's debug messages and the settings: these may hold secrets in clear. So that
 * they never come to the disk, Pulumi writes into a pipe.
 *
 * @param take gets each event that is kept, as it comes
 * @returns { pipe, path, close }: what Pulumi writes into; the log, complete after close()
 */
export function openEventLog(name, take = () => {}) {
    mkdirSync(logDir, { recursive: true });
    for (const left of readdirSync(logDir).filter((file) => file.startsWith(`${name}.`) && file.endsWith(".pipe"))) {
        rmSync(join(logDir, left)); // by a run that was killed: the stack's lock is ours now
    }
    const path = join(logDir, `${name}.events.json`);
    const pipe = join(logDir, `${name}.${process.pid}.pipe`);
    const { status, error } = spawnSync("mkfifo", ["-m", "600", pipe]);
    if (status !== 0) {
        throw new Failure(`${pipe} could not be made${error ? `: ${error.message}` : ""}.`, {
            next: "see that .cache is on a file system of Linux's own",
        });
    }
    const log = createWriteStream(path, { mode: 0o600 });
    const reader = new Socket({
        fd: openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK),
        readable: true,
        writable: false,
    });
    // Held until the run is over: a pipe without a writer is at its end.
    const writer = openSync(pipe, constants.O_WRONLY);
    const lines = createInterface({ input: reader }).on("line", (line) => {
        const event = kept(line);
        if (event) {
            log.write(`${line}\n`);
            take(event);
        }
    });
    const close = async () => {
        const end = once(lines, "close");
        closeSync(writer);
        await end;
        rmSync(pipe);
        await new Promise((resolve) => log.end(resolve));
    };
    return { pipe, path, close };
}

function kept(line) {
    try {
        const event = JSON.parse(line);
        return event.preludeEvent || event.diagnosticEvent?.severity === "debug" ? undefined : event;
    } catch {
        return undefined; // Cut off: it may be anything.
    }
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

/** What Pulumi writes for a value that only the update will know. */
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/**
 * Workers whose containerd an update would restart, from the event log of a preview.
 *
 * @returns [{ worker, before, after }]: hashes of what containerd reads of ours; before is undefined where gVisor is new
 *     there, after is undefined where the worker has to be looked at first
 */
export function restartsIn(path) {
    const found = new Map();
    for (const line of readOr(path, "").split("\n")) {
        const metadata = line.includes("-runtime-install") ? JSON.parse(line).resourcePreEvent?.metadata : undefined;
        const [, worker] = /::([^:]+)-runtime-install$/.exec(metadata?.urn ?? "") ?? [];
        if (worker === undefined || metadata.op === "same") {
            continue;
        }
        const before = configuration(metadata.old?.inputs?.create);
        const after = configuration(metadata.new?.inputs?.create);
        if (before !== after) {
            found.set(worker, { worker, before, after });
        }
    }
    return [...found.values()];
}

function configuration(create) {
    return create === unknown ? undefined : / # containerd configuration ([0-9a-f]+)$/.exec(create ?? "")?.[1];
}

/** What `restartsIn` has found, one line a worker. */
export function restartLines(restarts) {
    return restarts.map(({ worker, before, after }) => {
        const from = before === undefined ? "gVisor is new there" : `configuration ${before}`;
        const to = after === undefined ? "decided when the worker has been looked at" : `configuration ${after}`;
        return `containerd restarts on ${worker}: ${from} -> ${to}`;
    });
}
