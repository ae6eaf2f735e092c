// What both forms of the report show, drawn from valid outputs.
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
    const vulnerable = workers
        .filter(({ name }) => stateOf(name, problems) === words.vulnerable)
        .map(({ name }) => name);
    if (vulnerable.length > 0) {
        return `Proven, but vulnerable on ${vulnerable.join(", ")}`;
    }
    return problems.length > 0 ? "Out of date: proven once" : "Proven on every worker";
}

const words = {
    "not proven": "Not proven",
    contradictory: "Contradicts itself",
    vulnerable: "Vulnerable",
    stale: "Out of date",
};

/** A worker's verdict in words: the worst that is said of it, or "Proven". */
function stateOf(name, problems) {
    const kinds = problems.filter(({ worker }) => worker === name).map(({ kind }) => kind);
    return Object.entries(words).find(([kind]) => kinds.includes(kind))?.[1] ?? "Proven";
}

/**
 * The report's content.
 *
 * @param source as readSource of check.mjs gives it
 * @param problems as check.mjs finds them
 * @param changes { since, list } or undefined; list as changesBetween gives it
 */
export function modelOf({ label, outputs, workers, updates }, problems, changes, now = new Date()) {
    return {
        label,
        runtimeClass: outputs.runtimeClass,
        proven: problems.length === 0,
        headline: headlineOf(workers, problems),
        problems: problems.map(({ message }) => message),
        updated: updates?.succeeded,
        made: now.toISOString(),
        changes,
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

/** gVisor's platform, as the check of the options that arrived in the sandbox has seen it. */
function platformOf(checks) {
    return checks.map(({ detail }) => /(?:^|\s)platform=(\w+)/.exec(detail)?.[1]).find((name) => name !== undefined);
}

/** "2026-11-25 19:25 UTC". */
export function moment(time) {
    return `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
