import type { Handler } from "../contracts";
import {
    describeOptions,
    describeRuntime,
    endsOf,
    type HostPodFacts,
    hasOptions,
    isGvisorLog,
    isPlain,
    isSandboxed,
    mentionsGvisor,
    checks as names,
    optionalChecks,
} from "../evidence.cjs";
import type { TestPodKey } from "../names";

/** What was seen from inside a pod. */
export interface PodFacts {
    /** `uname -r`. */
    readonly kernel: string;
    /** Output of `dmesg`: the log, without its middle where it is long, or the error where the kernel refuses it. */
    readonly dmesg: string;
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

/**
 * Whether test-2 is really behind gVisor on this worker, and test-1 really is not.
 *
 * No kernel version is a constant of the test: gVisor's has changed (4.4.0, then 4.19.0-gvisor) and a real kernel may
 * carry either. A pod can fake what it says of itself, so the evidence from the worker decides; what the pods say must fit it.
 * gVisor draws most of its dmesg at random; the first and the last line are always the same
 * (https://github.com/google/gvisor/blob/master/pkg/sentry/kernel/syslog.go).
 *
 * @param handler of test-2: its options must have arrived in the sandbox
 * @param canaries classes of which a new pod has started in its sandbox
 * @param attacks what came of attempts to leave the sandboxes; undefined where none are made
 * @param egress whether network policies are enforced; undefined where there are none
 */
export function verdict(
    { host, pods }: Facts,
    handler: Pick<Handler, "name" | "options">,
    canaries: readonly string[],
    attacks?: Pick<Check, "passed" | "detail">,
    egress?: Pick<Check, "passed" | "detail">,
): Verdict {
    const { "test-1": plain, "test-2": sandboxed } = pods;
    const { "test-1": plainHost, "test-2": sandboxHost } = host.pods;
    const made: Record<keyof typeof names, Omit<Check, "name">> = {
        plainKernel: {
            passed: plain.kernel !== "" && plain.kernel === host.kernel,
            detail: `test-1 ${plain.kernel || "nothing"}, worker ${host.kernel || "nothing"}`,
        },
        ownKernel: {
            passed: sandboxed.kernel !== "" && host.kernel !== "" && sandboxed.kernel !== host.kernel,
            detail: `test-2 ${sandboxed.kernel || "nothing"}, worker ${host.kernel || "nothing"}`,
        },
        gvisorLog: { passed: isGvisorLog(sandboxed.dmesg), detail: endsOf(sandboxed.dmesg) || "empty" },
        plainLog: { passed: !mentionsGvisor(plain.dmesg), detail: plain.dmesg.split("\n")[0] || "empty" },
        plainRuntime: { passed: isPlain(plainHost), detail: describeRuntime(plainHost) },
        sandboxed: { passed: isSandboxed(sandboxHost), detail: describeRuntime(sandboxHost) },
        options: { passed: hasOptions(sandboxHost, handler), detail: describeOptions(sandboxHost, handler) },
        canary: { passed: canaries.length > 0, detail: canaries.join(", ") || "none was started" },
    };
    const checks = [
        ...Object.entries(made).map(([key, check]) => ({ name: names[key as keyof typeof names], ...check })),
        ...(attacks ? [{ name: optionalChecks.attacks, passed: attacks.passed, detail: attacks.detail }] : []),
        ...(egress ? [{ name: optionalChecks.egress, passed: egress.passed, detail: egress.detail }] : []),
    ];
    return { proven: checks.every((check) => check.passed), checks };
}
