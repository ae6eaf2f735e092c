// @ts-nocheck
// What failed, from the event log of a Pulumi run.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, createWriteStream, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { resultIn } from "../components/step.cjs";
import { Failure } from "./failure.ts";
import { logDir, readOr } from "./project.ts";

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

/**
 * Operations in an event log on the resources whose names match: what stands in the state and is wanted, with the machine's
 * name, which the pattern's group is.
 */
function stepsIn(path, pattern) {
    const named = new RegExp(`::${pattern}"`);
    return readOr(path, "")
        .split("\n")
        .filter((line) => named.test(line))
        .flatMap((line) => JSON.parse(line).resourcePreEvent?.metadata ?? [])
        .flatMap((metadata) => {
            const [, name] = new RegExp(`::${pattern}$`).exec(metadata.urn) ?? [];
            return name === undefined ? [] : { ...metadata, name: name === "cluster" ? "control-plane" : name };
        });
}

/** Those that prepare a machine which stays. */
const preparedIn = (path) => stepsIn(path, "([^:]+)-node-step").filter(({ op }) => op !== "delete");

/** Versions of packages that a step has prepared its machine with, by name. */
function packagesOf(step) {
    const lines = /^readonly PACKAGES='([^']*)'$/m.exec(step?.inputs?.stdin ?? "")?.[1]?.split("\n") ?? [];
    return Object.fromEntries(lines.map((line) => line.split("=")));
}

/**
 * Machines whose containerd an update would restart, from the event log of a preview.
 *
 * @param version of containerd that is wanted
 * @returns [{ worker, what: "package" | "configuration" | "removal", before, after }]: versions, or hashes of what containerd
 *     reads of ours; before is undefined where gVisor is new there, and empty where an earlier version of this program has
 *     configured it; after is undefined where the worker has to be looked at first, or gVisor is taken away
 */
export function restartsIn(path, version) {
    const packages = preparedIn(path).flatMap(({ name, old }) => {
        const before = packagesOf(old)["containerd.io"];
        return before === undefined || before.startsWith(`${version}-`)
            ? []
            : { worker: name, what: "package", before, after: version };
    });
    // Nothing runs yet on a machine that is new, and nothing any more on one that goes away.
    const comeAndGo = new Set(
        ["local-machine-([^:]+)", "gcp-([^:]+)-instance"].flatMap((pattern) =>
            stepsIn(path, pattern).flatMap(({ op, name }) => (["create", "delete"].includes(op) ? name : [])),
        ),
    );
    const configurations = stepsIn(path, "([^:]+)-runtime-install").flatMap(({ op, name, old, new: wanted }) => {
        const before = old ? (configuration(old) ?? "") : undefined;
        const after = configuration(wanted);
        if (op === "same" || comeAndGo.has(name)) return [];
        if (op === "delete") return { worker: name, what: "removal", before };
        return op !== "create" && before === after ? [] : { worker: name, what: "configuration", before, after };
    });
    return [...packages, ...configurations];
}

/**
 * What `restartsIn` has found of one machine, in words.
 *
 * @param shown how a version or a hash is shown
 */
export function restartText({ what, before, after }, shown = (text) => text) {
    if (what === "removal") return "gVisor is taken away there";
    const from = before === "" ? "of an earlier version" : shown(before ?? "");
    const to = after === undefined ? "decided when the worker has been looked at" : shown(after);
    return `${before === undefined ? "gVisor is new there" : `${what} ${from}`} -> ${to}`;
}

function configuration(step) {
    return / # containerd configuration ([0-9a-f]+)$/.exec(step?.inputs?.create ?? "")?.[1];
}

/**
 * Nodes in use with another Kubernetes than is wanted, from the event log of a run: scripts/on-machine/node/prepare-node.sh leaves
 * them theirs.
 *
 * @param asked version of the settings, if they name one
 * @param pinned version that a new stack gets
 * @returns a line for each version that they have
 */
export function kubernetesLines(path, asked, pinned) {
    const nodes = new Map();
    for (const { name, old } of preparedIn(path)) {
        const version = kubeletOf(old);
        if (version !== undefined && !version.startsWith(`${asked ?? pinned}-`)) {
            nodes.set(version, [...(nodes.get(version) ?? []), name]);
        }
    }
    return [...nodes].map(([version, names]) => {
        const are = `Kubernetes ${version.replace(/-.*/, "")} stays on ${names.sort().join(", ")}`;
        return asked === undefined
            ? `${are}: nodes in use keep theirs, a new stack gets ${pinned}`
            : `${are}: kubernetesVersion ${asked} is refused for nodes in use, empty it or make a new stack`;
    });
}

function kubeletOf(step) {
    const printed = step?.outputs?.stdout;
    // Version 0.1.0 printed none, and installed what it was given.
    return (
        (printed?.includes("kubelet") ? JSON.parse(resultIn(printed)).kubelet : undefined) ?? packagesOf(step).kubelet
    );
}
