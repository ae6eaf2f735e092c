// What counts as evidence of a sandbox: the verdict, the canary pods and the command line all ask here. CommonJS, which every
// Node and every loader takes; the types are in the file beside it.
"use strict";

/** Names of the checks that every verdict holds. */
const checks = {
    plainKernel: "test-1 shares the worker's kernel",
    ownKernel: "test-2 has a kernel of its own",
    gvisorLog: "test-2's kernel log is gVisor's",
    plainLog: "test-1's kernel log is not gVisor's",
    plainRuntime: "the worker runs test-1 with runc",
    sandboxed: "the worker runs test-2 with runsc",
    options: "test-2's sandbox has the options of its handler",
    canary: "a new pod of each class starts in its sandbox",
};

/** Names of those that it holds where a setting asks for them. */
const optionalChecks = { attacks: "attacks", egress: "egress" };

/**
 * Options as they stand in a handler's file: the handler's own, and one that means nothing to runsc (no command of that name
 * is kept from being logged) and tells in a sandbox which file it was made with.
 */
const optionsInFile = ({ name, options }) => ({ "debug-command": `!runtime-sandboxes/${name}`, ...options });

/** gVisor draws most of its log at random; the first and the last line are always the same. */
function isGvisorLog(text) {
    const lines = text.trimEnd().split("\n");
    return /\] Starting gVisor\.\.\.$/.test(lines[0]) && /\] Ready!$/.test(lines.at(-1));
}

/** Whether a log holds the line that gVisor's starts with. */
const mentionsGvisor = (text) => /\] Starting gVisor\.\.\.$/m.test(text);

/** First and last line of a log, in one line. */
function endsOf(text) {
    const lines = text.trimEnd().split("\n");
    return lines.length > 1 ? `${lines[0]} … ${lines.at(-1)}` : lines[0];
}

// A pod has two containers at least: the pause container is one.
const runOnly = (runtimes, wanted, least = 2) =>
    runtimes.length >= least && runtimes.every((runtime) => runtime === wanted);

/** Whether the worker runs all containers of a pod with runc. */
const isPlain = ({ runtimes, runscRunning }) => runOnly(runtimes, "io.containerd.runc.v2") && runscRunning === 0;

/** Whether the worker runs all containers of a pod with runsc. A pod between two starts of its container has but one. */
const isSandboxed = ({ runtimes, runscRunning, sandboxExecutable }, least = 2) =>
    runOnly(runtimes, "io.containerd.runsc.v1", least) && runscRunning === runtimes.length && sandboxExecutable !== "";

const unitSeconds = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

/** A flag's value, however it was written: runsc hands "1m" on as "1m0s", and "T" as "true" (Go's time and strconv). */
function meaningOf(value) {
    if (value === undefined) return undefined;
    if (/^([\d.]+(ns|us|µs|ms|s|m|h))+$/.test(value)) {
        const parts = value.matchAll(/([\d.]+)([a-zµ]+)/g);
        return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * unitSeconds[unit], 0);
    }
    if (/^(t|true)$/i.test(value)) return "true";
    return /^(f|false)$/i.test(value) ? "false" : value;
}

/** Whether a pod's sandbox was made with the file of its handler. */
const hasOptions = ({ sandboxOptions }, handler) =>
    Object.entries(optionsInFile(handler)).every(
        ([name, value]) => meaningOf(sandboxOptions[name]) === meaningOf(value),
    );

/** What the worker says of a pod's containers, in a few words. */
function describeRuntime({ runtimes, runscRunning, sandboxExecutable }) {
    const seen = [...new Set(runtimes)].join(", ") || "no container";
    const where = sandboxExecutable === "" ? "" : ` in ${sandboxExecutable}`;
    return `containerd: ${seen}; runsc: ${runscRunning} running${where}`;
}

/** The options that are wanted in a sandbox, with the values that it has. */
const describeOptions = ({ sandboxOptions }, handler) =>
    Object.keys(optionsInFile(handler))
        .map((name) => `${name}=${sandboxOptions[name] ?? "?"}`)
        .join(" ");

module.exports = {
    checks,
    optionalChecks,
    optionsInFile,
    isGvisorLog,
    mentionsGvisor,
    endsOf,
    isPlain,
    isSandboxed,
    hasOptions,
    describeRuntime,
    describeOptions,
};
