// What a sandbox keeps of the kernel from a process, and what it costs: what is measured, and what the output makes of it. The script
// that measures, the component and the report all ask here. CommonJS, which every Node and every loader takes; the types are in the
// file beside it.
"use strict";

const { attacksIn } = require("./attacks.cjs");

const peers = {
    true: "in a third pod on the same worker, of the default runtime",
    false: "in the same pod, because the third pod was not reached",
};
const ownFiles = "of the container's own file system";

/**
 * What is measured on both sides, by name: in plain words, in which unit, and how. `more` marks those of which more is better; of
 * `how` it is a function where it depends on whether TCP went to the third pod.
 */
const costs = {
    podStart: {
        title: "Starting a pod",
        unit: "ms",
        how: "from its creation until the API server says that it runs; once, one pod after the other, with the image there",
    },
    systemCall: { title: "A system call", unit: "ns", how: "getppid; the median of rounds of 100" },
    openRead: {
        title: "Opening a small file",
        unit: "µs",
        how: `open, read and close a file of 4 KiB ${ownFiles}, which was just written; the median of rounds over 100 of them`,
    },
    write: {
        title: "Writing to a file",
        unit: "MiB/s",
        more: true,
        how: `8 MiB in pieces of 64 KiB into a new file ${ownFiles}, without fsync; the median of rounds`,
    },
    tcpThroughput: {
        title: "Sending over TCP",
        unit: "MiB/s",
        more: true,
        how: (peer) => `for 50 ms to a server ${peers[peer]}, until it has all; the median of rounds`,
    },
    tcpLatency: {
        title: "Asking over TCP",
        unit: "µs",
        how: (peer) =>
            `64 bytes there and back on an open connection, with a server ${peers[peer]}; the median of rounds`,
    },
    memory: {
        title: "Memory at rest",
        unit: "MiB",
        how: "what the pod's control group on the worker holds while it sleeps, without what can be dropped at once",
    },
};

/** Whether a stack measures: on machines that the program makes here, unless the setting says otherwise. */
function surfaceIn({ surface, target }) {
    return attacksIn({ attacks: surface, target });
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value) && value > 0;
const rounded = (value) => Number(value.toPrecision(3));

/** What the program in a pod has printed, as far as it is what it should be: a pod can print anything. */
function measuredIn(text) {
    let said;
    try {
        said = JSON.parse(text);
    } catch {
        said = {};
    }
    const given = Array.isArray(said?.costs) ? said.costs : [];
    const entries = Object.keys(costs).flatMap((name) => {
        const { value, failed } = given.find((one) => one?.name === name) ?? {};
        if (typeof failed === "string" && failed !== "") {
            return [[name, { failed: failed.slice(0, 200) }]];
        }
        return isNumber(value) ? [[name, { value }]] : [];
    });
    return { peer: said?.peer === true, costs: Object.fromEntries(entries) };
}

/** What containerd runs pods with outside of a sandbox, and in one. */
const runtimes = { control: /^io\.containerd\.runc\./, inside: /^io\.containerd\.runsc\./ };
const otherRuntime = ({ runtime }, side) =>
    runtimes[side].test(runtime) ? undefined : `the worker runs this pod with ${runtime}`;
/** Milliseconds between two measurements that are compared. */
const apart = 60_000;

/** @param of what the process is */
function systemCallsOf(pod, side, of, place) {
    const how =
        `the seccomp filters of ${of}, read on ${place} (PTRACE_SECCOMP_GET_FILTER); a call counts where any arguments ` +
        "let it through";
    const { count, instructions, reachable, of: all, unreadable } = pod.filters;
    const reason = otherRuntime(pod, side) ?? unreadable;
    if (reason !== undefined) {
        return { filter: `unreadable: ${reason}`, how };
    }
    const filter = count === 0 ? "none" : `${count} with ${instructions} instructions`;
    return { filter, reachable, of: all, how };
}

/** What a pod has taken, or why that is not known. */
function takenOf(name, pod, side) {
    const { started, memory, measured } = pod;
    const other = otherRuntime(pod, side);
    if (other !== undefined) {
        return { failed: other };
    }
    const own = { podStart: { value: started }, memory: { value: memory / 2 ** 20 } };
    const found = own[name] ?? measured.costs[name] ?? { failed: "the program in the pod says nothing of it" };
    return found.failed === undefined && !isNumber(found.value) ? { failed: `it is ${found.value}` } : found;
}

function costOf(name, inside, control) {
    const { unit, how, more } = costs[name];
    const text = typeof how === "function" ? how(inside.measured.peer) : how;
    const [here, there] = [takenOf(name, inside, "inside"), takenOf(name, control, "control")];
    const failed = [
        ...(here.failed ? [`in the sandbox: ${here.failed}`] : []),
        ...(there.failed ? [`on the control: ${there.failed}`] : []),
        ...(typeof how === "function" && inside.measured.peer !== control.measured.peer
            ? ["only one of both has reached the third pod"]
            : []),
        ...(Math.abs(inside.at - control.at) > apart ? ["they were measured more than a minute apart"] : []),
    ];
    if (failed.length > 0) {
        return { unit, how: text, failed: failed.join("; ") };
    }
    const ratio = more ? there.value / here.value : here.value / there.value;
    return { inside: rounded(here.value), control: rounded(there.value), ratio: rounded(ratio), unit, how: text };
}

/** The output, by class. */
function surfaceOf({ place, control, runtimeDefault, inside }) {
    const plain = {
        control: systemCallsOf(control, "control", "the pod's process on the default runtime", place),
        runtimeDefault: systemCallsOf(
            runtimeDefault,
            "control",
            "a pod's process on the default runtime with the profile RuntimeDefault",
            place,
        ),
    };
    return Object.fromEntries(
        Object.entries(inside).map(([runtimeClass, pod]) => {
            const own = systemCallsOf(pod, "inside", "the pod's Sentry", place);
            return [
                runtimeClass,
                {
                    systemCalls: { inside: own, ...plain },
                    costs: Object.fromEntries(Object.keys(costs).map((name) => [name, costOf(name, pod, control)])),
                },
            ];
        }),
    );
}

module.exports = { costs, surfaceIn, measuredIn, surfaceOf };
