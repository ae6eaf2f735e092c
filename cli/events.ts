// What the event log of a Pulumi run says: what failed, which containerd restarts, which Kubernetes stays.
import type { EngineEvent, StepEventMetadata, StepEventStateMetadata } from "@pulumi/pulumi/automation/events.js";
import { resultIn } from "../components/step.cjs";
import { readOr } from "./project.ts";
import { nameIn } from "./state.ts";

/** A restart of containerd that an update would bring. */
interface Restart {
    /** Name of the machine. */
    readonly worker: string;
    readonly what: "package" | "configuration" | "removal";
    /**
     * A version, or a hash of what containerd reads of ours. Undefined where gVisor is new there, empty where an earlier version
     * of this program has configured it.
     */
    readonly before?: string | undefined;
    /** Undefined where the worker has to be looked at first, or gVisor is removed. */
    readonly after?: string | undefined;
}

/** An operation of a run on a machine's resource. */
type Step = Pick<StepEventMetadata, "op" | "old" | "new"> & { readonly name: string };

/** A message without Pulumi's colour marks. */
export const withoutColours = (message: string): string => message.replace(/<\{%.*?%\}>/g, "").trim();

/** The events of the lines of a log that match. */
function eventsIn(path: string, pattern: RegExp): EngineEvent[] {
    const lines = readOr(path, "").split("\n");
    return lines.flatMap((line) => (pattern.test(line) ? parsed(line) : []));
}

function parsed(line: string): EngineEvent | [] {
    try {
        return JSON.parse(line) as EngineEvent;
    } catch {
        return []; // The last line of a run that was killed.
    }
}

/** @returns the resources whose operation failed, with the operation; and error messages, as lines */
export function failuresIn(path: string): { readonly steps: string[]; readonly messages: string[] } {
    const events = eventsIn(path, /"(resOpFailedEvent|diagnosticEvent)"/);
    return {
        steps: events.flatMap(({ resOpFailedEvent: failed }) =>
            failed ? `${failed.metadata.op} of ${nameIn(failed.metadata.urn)} (${failed.metadata.type})` : [],
        ),
        messages: events.flatMap(({ diagnosticEvent: said }) =>
            said?.severity === "error"
                ? `${said.urn ? `${nameIn(said.urn)}: ` : ""}${withoutColours(said.message)}`.split("\n")
                : [],
        ),
    };
}

/** The operations on resources whose names match the pattern, whose group is the machine's name. */
function stepsIn(path: string, pattern: string): Step[] {
    return eventsIn(path, new RegExp(`::${pattern}"`)).flatMap(({ resourcePreEvent: begun }) => {
        const [, name] = new RegExp(`::${pattern}$`).exec(begun?.metadata.urn ?? "") ?? [];
        const machine = name === "cluster" ? "control-plane" : name;
        return begun === undefined || machine === undefined ? [] : { ...begun.metadata, name: machine };
    });
}

/** Those that prepare a machine which stays. */
const preparedIn = (path: string) => stepsIn(path, "([^:]+)-node-step").filter(({ op }) => op !== "delete");

/** Names of the workers whose evidence a run has captured again. */
export function capturedIn(path: string): string[] {
    const probes = stepsIn(path, "([^:]+)-probe-host");
    return probes.filter(({ op }) => /^(create|update)/.test(op)).map(({ name }) => name);
}

/** A text among the inputs or outputs of a step's resource; empty where there is none. */
const textOf = (properties: Readonly<Record<string, unknown>> | undefined, name: string) =>
    `${properties?.[name] ?? ""}`;

/** Versions of packages that a step has prepared its machine with, by name. */
function packagesOf(step: StepEventStateMetadata | undefined): ReadonlyMap<string, string> {
    const [, list = ""] = /^readonly PACKAGES='([^']*)'$/m.exec(textOf(step?.inputs, "stdin")) ?? [];
    return new Map(
        list.split("\n").map((line) => {
            const [name = "", version = ""] = line.split("=");
            return [name, version];
        }),
    );
}

/** The hash of what containerd reads of ours that a step installs. */
function configurationOf(step: StepEventStateMetadata | undefined): string | undefined {
    return / # containerd configuration ([0-9a-f]+)$/.exec(textOf(step?.inputs, "create"))?.[1];
}

/**
 * Machines whose containerd an update would restart.
 *
 * @param path event log of a preview
 * @param version of containerd that is wanted
 */
export function restartsIn(path: string, version: string): Restart[] {
    const packages = preparedIn(path).flatMap(({ name: worker, old }): Restart | [] => {
        const before = packagesOf(old).get("containerd.io");
        const stays = before === undefined || before.startsWith(`${version}-`);
        return stays ? [] : { worker, what: "package", before, after: version };
    });
    // Nothing runs yet on a machine that is new, and nothing any more on one that is deleted.
    const machines = ["local-machine-([^:]+)", "gcp-([^:]+)-instance"].flatMap((pattern) => stepsIn(path, pattern));
    const comeOrGo = machines.filter(({ op }) => op === "create" || op === "delete").map(({ name }) => name);
    const configurations = stepsIn(path, "([^:]+)-runtime-install").flatMap((step): Restart | [] => {
        const { op, name: worker, old, new: wanted } = step;
        const before = old ? (configurationOf(old) ?? "") : undefined;
        const after = configurationOf(wanted);
        if (op === "same" || comeOrGo.includes(worker)) return [];
        if (op === "delete") return { worker, what: "removal", before };
        return op !== "create" && before === after ? [] : { worker, what: "configuration", before, after };
    });
    return [...packages, ...configurations];
}

/** A restart in words. @param shown how a version or a hash is shown */
export function restartText({ what, before, after }: Restart, shown = (text: string) => text): string {
    if (what === "removal") return "gVisor is taken away there";
    const from = before === "" ? "of an earlier version" : shown(before ?? "");
    const to = after === undefined ? "decided when the worker has been looked at" : shown(after);
    return `${before === undefined ? "gVisor is new there" : `${what} ${from}`} -> ${to}`;
}

/**
 * Nodes in use with another Kubernetes than is wanted: scripts/on-machine/node/prepare-node.sh leaves them theirs.
 *
 * @param path event log of a run
 * @param asked version of the settings, if they name one
 * @param pinned version that a new stack gets
 * @returns a line for each version that they have
 */
export function kubernetesLines(path: string, asked: string | undefined, pinned: string): string[] {
    const nodes = new Map<string, string[]>();
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

function kubeletOf(step: StepEventStateMetadata | undefined): string | undefined {
    const printed = textOf(step?.outputs, "stdout");
    if (printed.includes("kubelet")) {
        return (
            (JSON.parse(resultIn(printed)) as { readonly kubelet?: string }).kubelet ?? packagesOf(step).get("kubelet")
        );
    }
    return packagesOf(step).get("kubelet"); // Version 0.1.0 printed none, and installed what it was given.
}
