import type { TestPodKey } from "../names";

/** What was seen from inside a pod. */
export interface PodFacts {
    /** `uname -r`. */
    readonly kernel: string;
    /** Output of `dmesg`: the log, or the error where the kernel refuses it. */
    readonly dmesg: string;
}

/** What the worker says about a pod's containers (the pause container is one of them). */
export interface HostPodFacts {
    /** containerd's runtime of each container, for example "io.containerd.runsc.v1". */
    readonly runtimes: readonly string[];
    /** How many of the containers `runsc list` shows as running. */
    readonly runscRunning: number;
    /** What executes the sandbox, for example "/usr/bin/runsc"; empty if no sandbox runs. */
    readonly sandboxExecutable: string;
    /** Flags of runsc and their values in that sandbox, of those that its handler sets. */
    readonly sandboxOptions: Readonly<Record<string, string>>;
}

export interface HostFacts {
    /** `uname -r` of the worker. */
    readonly kernel: string;
    /** /proc/version of the worker. */
    readonly version: string;
    readonly pods: Readonly<Record<TestPodKey, HostPodFacts>>;
}

export interface Facts {
    readonly host: HostFacts;
    readonly pods: Readonly<Record<TestPodKey, PodFacts>>;
}

export interface Check {
    readonly name: string;
    readonly passed: boolean;
    /** What was seen, in a few words. */
    readonly detail: string;
}

export interface Verdict {
    /** Whether all checks passed. */
    readonly proven: boolean;
    readonly checks: readonly Check[];
}

const gvisorRuntime = "io.containerd.runsc.v1";
const defaultRuntime = "io.containerd.runc.v2";

/**
 * Whether test-2 is really behind gVisor on this worker, and test-1 really is not.
 *
 * No kernel version is a constant of the test: gVisor's has changed (4.4.0, then 4.19.0-gvisor) and a real kernel may
 * carry either. A pod can fake what it says of itself, so the worker's own word decides; the pods' words must fit it.
 * gVisor draws most of its dmesg at random; the first and the last line are always the same
 * (https://github.com/google/gvisor/blob/master/pkg/sentry/kernel/syslog.go).
 *
 * @param options flags of runsc that the handler of test-2 sets: they must have arrived in its sandbox
 */
export function verdict(facts: Facts, options: Readonly<Record<string, string>> = {}): Verdict {
    const { host, pods } = facts;
    const control = pods["test-1"];
    const sandboxed = pods["test-2"];
    const seen = (runtimes: readonly string[]) => [...new Set(runtimes)].join(", ") || "no container";
    const all = (runtimes: readonly string[], wanted: string) =>
        runtimes.length >= 2 && runtimes.every((runtime) => runtime === wanted);

    const controlHost = host.pods["test-1"];
    const sandboxHost = host.pods["test-2"];
    const lines = sandboxed.dmesg.trimEnd().split("\n");
    const first = lines[0] ?? "";
    const last = lines[lines.length - 1] ?? "";

    const checks: Check[] = [
        {
            name: "test-1 shares the worker's kernel",
            passed: control.kernel !== "" && control.kernel === host.kernel,
            detail: `test-1 ${control.kernel || "nothing"}, worker ${host.kernel || "nothing"}`,
        },
        {
            name: "test-2 has a kernel of its own",
            passed: sandboxed.kernel !== "" && host.kernel !== "" && sandboxed.kernel !== host.kernel,
            detail: `test-2 ${sandboxed.kernel || "nothing"}, worker ${host.kernel || "nothing"}`,
        },
        {
            name: "test-2's kernel log is gVisor's",
            passed: /\] Starting gVisor\.\.\.$/.test(first) && /\] Ready!$/.test(last),
            detail: lines.length > 1 ? `${first} … ${last}` : first || "empty",
        },
        {
            name: "test-1's kernel log is not gVisor's",
            passed: !/\] Starting gVisor\.\.\.$/m.test(control.dmesg),
            detail: control.dmesg.split("\n")[0] || "empty",
        },
        {
            name: "the worker runs test-1 with runc",
            passed: all(controlHost.runtimes, defaultRuntime) && controlHost.runscRunning === 0,
            detail: `containerd: ${seen(controlHost.runtimes)}; runsc: ${controlHost.runscRunning} running`,
        },
        {
            name: "the worker runs test-2 with runsc",
            passed:
                all(sandboxHost.runtimes, gvisorRuntime) &&
                sandboxHost.runscRunning === sandboxHost.runtimes.length &&
                sandboxHost.sandboxExecutable !== "",
            detail:
                `containerd: ${seen(sandboxHost.runtimes)}; runsc: ${sandboxHost.runscRunning} running` +
                (sandboxHost.sandboxExecutable === "" ? "" : ` in ${sandboxHost.sandboxExecutable}`),
        },
        {
            name: "test-2's sandbox has the options of its handler",
            passed: Object.entries(options).every(([name, value]) => sandboxHost.sandboxOptions[name] === value),
            detail:
                Object.keys(options)
                    .map((name) => `${name}=${sandboxHost.sandboxOptions[name] ?? "?"}`)
                    .join(" ") || "none are set",
        },
    ];
    return { proven: checks.every((check) => check.passed), checks };
}
