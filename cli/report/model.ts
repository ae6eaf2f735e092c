// What both forms of the report show, drawn from valid outputs.
import type { Outputs } from "../../schema/outputs.ts";
import type { Kind, Problem, Worker } from "../check/problems.ts";
import type { Source } from "../check/source.ts";
import type { PodRow } from "../pods/judge.ts";
import { count, flagsOf, runtimeOf } from "../pods/text.ts";
import type { PodsFound } from "../pods.ts";
import type { Change } from "./changes.ts";
import { surfaceOf } from "./surfaceModel.ts";

/** What has changed since earlier outputs, or the `reason` why nobody knows. */
export interface Changes {
    readonly since?: string;
    readonly list: readonly Change[];
    readonly reason?: string;
}

export type Model = ReturnType<typeof modelOf>;
export type ReportedWorker = Model["workers"][number];
/** A test pod: the kernel that it sees, and whether that is the worker's. */
export type ReportedPod = ReportedWorker["pods"][number];
export type ReportedPods = NonNullable<Model["pods"]>;

type OutputWorker = Outputs["workers"][string];
type Attempts = NonNullable<Outputs["attacks"]>[string];
type Reachable = NonNullable<Outputs["reachable"]>[string];

/** Facts of a worker as lines of a list: path and value. */
function lines(value: unknown, path = ""): [path: string, value: string][] {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        return Object.entries(value).flatMap(([key, inner]) => lines(inner, path === "" ? key : `${path} ${key}`));
    }
    const text = Array.isArray(value) ? value.join(", ") : String(value ?? "none");
    return [[path, text === "" ? "none" : text]];
}

/** The handlers of a worker with the class of each, and whether it is declared, loaded and serving, where that is known. */
function handlersOf({ evidence, handlers }: OutputWorker, classes: Outputs["handlers"] = {}) {
    const levels = evidence ? [evidence.declared.handlers, evidence.loaded, evidence.serving] : [];
    const names = evidence ? new Set(levels.flat()) : handlers;
    return [...names].map((name) => ({
        name,
        runtimeClass: classes[name],
        levels: levels.map((level) => level.includes(name)),
    }));
}

function headlineOf(workers: readonly Worker[], problems: readonly Problem[]): string {
    const open = workers.filter((worker) => !worker.proven).map((worker) => worker.name);
    if (open.length > 0) {
        return `Not proven on ${open.join(", ")}`;
    }
    if (problems.some(({ kind }) => kind === "contradictory")) {
        return "These outputs contradict themselves";
    }
    for (const [kind, said] of Object.entries(buts)) {
        const places = [
            ...new Set(problems.filter((one) => one.kind === kind).map(({ worker }) => worker ?? "this stack")),
        ];
        if (places.length > 0) {
            return `Proven, but ${said} on ${places.join(", ")}`;
        }
    }
    return problems.length > 0 ? "Out of date: proven once" : "Proven on every worker";
}

const words: Readonly<Partial<Record<Kind, string>>> = {
    "not proven": "Not proven",
    contradictory: "Contradicts itself",
    unsandboxed: "Pods without their sandbox",
    vulnerable: "Vulnerable",
    replaced: "Pods on a replaced gVisor",
    unseen: "Pods not seen",
    stale: "Out of date",
};

/** What makes a headline of proven workers, the worst first. */
const buts: Readonly<Partial<Record<Kind, string>>> = {
    unsandboxed: "pods are without their sandbox",
    vulnerable: "vulnerable",
    replaced: "pods are on a replaced gVisor",
    unseen: "not every pod was seen",
};

/** A worker's verdict in words: the worst that is said of it, or "Proven". */
function stateOf(name: string, problems: readonly Problem[]): string {
    const own = problems.filter(({ worker }) => worker === name);
    return Object.entries(words).find(([kind]) => own.some((one) => one.kind === kind))?.[1] ?? "Proven";
}

/**
 * The report's content.
 *
 * @param problems of the outputs, and of pods that were looked at
 */
export function modelOf(
    { label, outputs, workers, stack }: Source,
    problems: readonly Problem[],
    changes: Changes,
    pods?: PodsFound,
) {
    const reported = workers.flatMap((worker) => {
        const found = outputs.workers[worker.name];
        return found ? workerOf(worker, found, outputs, problems) : [];
    });
    const drawn = reported.find(({ state }) => state !== "Proven") ?? reported[0];
    if (drawn === undefined) {
        throw new Error("valid outputs name a worker");
    }
    return {
        label,
        runtimeClass: outputs.runtimeClass,
        proven: problems.length === 0,
        headline: headlineOf(workers, problems),
        problems: problems.map(({ message }) => message),
        updated: stack?.updates.succeeded,
        made: new Date().toISOString(),
        changes,
        pods: pods && podsOf(pods),
        workers: reported,
        drawn,
    };
}

function workerOf(worker: Worker, found: OutputWorker, outputs: Outputs, problems: readonly Problem[]) {
    const { name, kernels, checks } = worker;
    const podOf = (key: "test-1" | "test-2") => ({
        key,
        kernel: kernels[key],
        shared: kernels[key] === kernels.worker,
    });
    return {
        ...found,
        ...worker,
        state: stateOf(name, problems),
        handlers: handlersOf(found, outputs.handlers),
        hasEvidence: found.evidence !== undefined,
        facts: lines(found.facts ?? {}),
        limits: outputs.limits?.[name],
        attacks: attacksOf(outputs.attacks?.[name]),
        surface: surfaceOf(outputs.surface?.[name]),
        reachable: reachableOf(outputs.reachable?.[name]),
        pods: [podOf("test-1"), podOf("test-2")] as const,
        platform: platformOf(checks),
    };
}

/** Attempts to leave a sandbox, each as a row: what was tried, the state, what was seen on the control and in each class. */
function attacksOf(attempts: Attempts = []) {
    return attempts.map(({ name, state, control, inside }) => ({
        name,
        state,
        control: control?.saw ?? "",
        inside: Object.entries(inside).map(([runtimeClass, { saw }]) => `${runtimeClass}: ${saw}`),
    }));
}

/** What pods reach over the network, each as a row: from which class and namespace, what came of it, and who says so. */
function reachableOf(byClass: Reachable = {}) {
    return Object.entries(byClass).flatMap(([runtimeClass, rows]) =>
        rows.map(({ target, address, namespace, reached, by, detail, control, allowed }) => ({
            from: `${runtimeClass} in ${namespace}`,
            target,
            address,
            bad: allowed === false && reached && by !== "pod",
            outcome: `${reached ? "reached" : "not reached"}, says the ${by}`,
            rule: allowed === undefined ? "none" : allowed ? "allows it" : "forbids it",
            control: control ? "reached" : "not reached",
            detail,
        })),
    );
}

/** Every pod as a row: those with something wrong first, then those in sandboxes. */
function podsOf({ asked, machines, pods }: PodsFound) {
    const rank = ({ flaws, inSandbox }: PodRow) => (flaws.length > 0 ? 0 : inSandbox ? 1 : 2);
    const answered = machines.filter(({ error }) => error === undefined);
    return {
        asked,
        summary: `${count(pods.length, "pod")}, by the word of ${count(answered.length, "machine")}`,
        rows: [...pods]
            .sort((a, b) => rank(a) - rank(b))
            .map((pod) => ({
                name: `${pod.namespace}/${pod.name}`,
                worker: pod.worker,
                runtimeClass: pod.runtimeClass ?? "none",
                runtime: runtimeOf(pod),
                flags: flagsOf(pod),
                since: pod.since,
                inSandbox: pod.inSandbox,
                runsc: `${pod.containers.filter(({ runsc }) => runsc).length} of ${pod.containers.length}`,
                flaws: pod.flaws.map(({ seen, wanted }) => `${seen}; wanted: ${wanted}`),
            })),
    };
}

/** gVisor's platform, as the check of the options that arrived in the sandbox has seen it. */
function platformOf(checks: Worker["checks"]): string | undefined {
    return checks.map(({ detail }) => /(?:^|\s)platform=(\w+)/.exec(detail)?.[1]).find((name) => name !== undefined);
}

/** "2026-11-25 19:25 UTC". */
export function moment(time: string): string {
    return `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
