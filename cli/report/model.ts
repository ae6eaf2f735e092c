// @ts-nocheck
// What both forms of the report show, drawn from valid outputs.
import { count, flagsOf, runtimeOf } from "../pods/text.ts";

/** Facts of a worker as lines of a list: path and value. */
function lines(value, path = "") {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        return Object.entries(value).flatMap(([key, inner]) => lines(inner, path === "" ? key : `${path} ${key}`));
    }
    const text = Array.isArray(value) ? value.join(", ") : String(value ?? "none");
    return [[path, text === "" ? "none" : text]];
}

/** The handlers of a worker with the class of each, and how far each has come. */
function handlersOf({ evidence, handlers }, classes = {}) {
    const { declared = { handlers: [] }, loaded = [], serving = [] } = evidence ?? {};
    const names = evidence ? [...new Set([...declared.handlers, ...loaded, ...serving])] : handlers;
    return names.map((name) => ({
        name,
        runtimeClass: classes[name],
        levels: evidence && [declared.handlers.includes(name), loaded.includes(name), serving.includes(name)],
    }));
}

function headlineOf(workers, problems) {
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

const words = {
    "not proven": "Not proven",
    contradictory: "Contradicts itself",
    unsandboxed: "Pods without their sandbox",
    vulnerable: "Vulnerable",
    replaced: "Pods on a replaced gVisor",
    unseen: "Pods not seen",
    stale: "Out of date",
};

/** What makes a headline of proven workers, the worst first. */
const buts = {
    unsandboxed: "pods are without their sandbox",
    vulnerable: "vulnerable",
    replaced: "pods are on a replaced gVisor",
    unseen: "not every pod was seen",
};

/** A worker's verdict in words: the worst that is said of it, or "Proven". */
function stateOf(name, problems) {
    const kinds = problems.filter(({ worker }) => worker === name).map(({ kind }) => kind);
    return Object.entries(words).find(([kind]) => kinds.includes(kind))?.[1] ?? "Proven";
}

/**
 * The report's content.
 *
 * @param source as readSource of check.ts gives it
 * @param problems as check.ts finds them
 * @param changes { since, list } or undefined; list as changesBetween gives it
 */
export function modelOf({ label, outputs, workers, updates, pods }, problems, changes, now = new Date()) {
    return {
        label,
        runtimeClass: outputs.runtimeClass,
        proven: problems.length === 0,
        headline: headlineOf(workers, problems),
        problems: problems.map(({ message }) => message),
        updated: updates?.succeeded,
        made: now.toISOString(),
        changes,
        pods: pods && podsOf(pods),
        workers: workers.map((worker) => {
            const found = outputs.workers[worker.name];
            return {
                ...found,
                ...worker,
                state: stateOf(worker.name, problems),
                handlers: handlersOf(found, outputs.handlers),
                hasEvidence: found.evidence !== undefined,
                facts: lines(found.facts ?? {}),
                limits: outputs.limits?.[worker.name],
                attacks: attacksOf(outputs.attacks?.[worker.name]),
                pods: ["test-1", "test-2"].map((key) => ({
                    key,
                    kernel: worker.kernels[key],
                    shared: worker.kernels[key] === worker.kernels.worker,
                })),
                platform: platformOf(worker.checks),
            };
        }),
    };
}

/** Attempts to leave a sandbox, each as a row: what was tried, the state, what was seen on the control and in each class. */
function attacksOf(attempts = []) {
    return attempts.map(({ name, state, control, inside }) => ({
        name,
        state,
        control: control?.saw ?? "",
        inside: Object.entries(inside).map(([runtimeClass, { saw }]) => `${runtimeClass}: ${saw}`),
    }));
}

/** Every pod as a row: those with something wrong first, then those in sandboxes. */
function podsOf({ asked, machines, pods }) {
    const rank = ({ flaws, inSandbox }) => (flaws.length > 0 ? 0 : inSandbox ? 1 : 2);
    return {
        asked,
        summary: `${count(pods.length, "pod")}, by the word of ${count(machines.filter(({ error }) => !error).length, "machine")}`,
        rows: [...pods]
            .sort((a, b) => rank(a) - rank(b))
            .map((pod) => ({
                ...{
                    name: `${pod.namespace}/${pod.name}`,
                    worker: pod.worker,
                    runtimeClass: pod.runtimeClass ?? "none",
                },
                ...{ runtime: runtimeOf(pod), flags: flagsOf(pod), since: pod.since, inSandbox: pod.inSandbox },
                runsc: `${pod.containers.filter(({ runsc }) => runsc).length} of ${pod.containers.length}`,
                flaws: pod.flaws.map(({ seen, wanted }) => `${seen}; wanted: ${wanted}`),
            })),
    };
}

/** gVisor's platform, as the check of the options that arrived in the sandbox has seen it. */
function platformOf(checks) {
    return checks.map(({ detail }) => /(?:^|\s)platform=(\w+)/.exec(detail)?.[1]).find((name) => name !== undefined);
}

/** "2026-11-25 19:25 UTC". */
export function moment(time) {
    return `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
