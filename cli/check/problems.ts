// What is wrong with outputs, of themselves, and which of all that is wrong decides.
import { sentenceOf } from "../../components/vulnerabilities.cjs";
import type { Outputs } from "../../schema/outputs.ts";
import { isRefused } from "../known.ts";
import type { readOutputs } from "../summary.ts";
import { contradictions, mismatches } from "./coherence.ts";

/**
 * What may be wrong, the most telling first: where several things are, the first one decides the exit code (2 is usage).
 * docs/reference.md says what each means.
 */
export const kinds = {
    missing: { exitCode: 1, meaning: "there is no stack, it has no outputs, or they cannot be read" },
    invalid: { exitCode: 3, meaning: "the outputs are not what the schema says" },
    "not proven": { exitCode: 1, meaning: "a check of a worker has not passed" },
    "not starting": { exitCode: 1, meaning: "a new pod of a class does not start in its sandbox (`--live`)" },
    contradictory: { exitCode: 4, meaning: "the outputs say proven, and the facts in them say otherwise" },
    unsandboxed: { exitCode: 7, meaning: "a pod is not in the sandbox that it should be in (`--pods`)" },
    vulnerable: {
        exitCode: 6,
        meaning:
            "a worker has a gVisor that an update would refuse, see [known vulnerabilities](#known-vulnerabilities)",
    },
    replaced: {
        exitCode: 8,
        meaning: "a pod is in a sandbox of a gVisor that has been replaced (`--pods`, without `--allow-replaced`)",
    },
    unseen: {
        exitCode: 9,
        meaning:
            "a worker or the API server could not be asked for its pods, or no pod was there to be looked at (`--pods`)",
    },
    stale: { exitCode: 5, meaning: "the outputs are of another time than what they are about" },
};

export type Kind = keyof typeof kinds;

/** A complaint; without a worker it is about the whole. */
export interface Problem {
    readonly kind: Kind;
    readonly worker?: string;
    readonly message: string;
}

/** A worker as readOutputs gives it. */
export type Worker = ReturnType<typeof readOutputs>["workers"][number];

/** The kind of problem that decides, or undefined where there is none. */
export function deciding(problems: readonly Problem[]): Kind | undefined {
    return (Object.keys(kinds) as Kind[]).find((kind) => problems.some((problem) => problem.kind === kind));
}

/** What valid outputs have against them, of themselves. */
export function problemsIn(outputs: Outputs, workers: readonly Worker[]): Problem[] {
    const of = (kind: Kind, found: readonly Omit<Problem, "kind">[]) => found.map((one) => ({ kind, ...one }));
    const failed = workers.flatMap(({ name, checks }) =>
        checks
            .filter(({ passed }) => !passed)
            .map((check) => ({ worker: name, message: `the check "${check.name}" has not passed: ${check.detail}` })),
    );
    const denied = workers
        .filter(({ proven, checks }) => !proven && checks.every(({ passed }) => passed))
        .map(({ name }) => ({ worker: name, message: `isolation.${name}.proven is false` }));
    const vulnerable = workers.flatMap(({ name, vulnerabilities }) =>
        vulnerabilities.filter(isRefused).map((one) => ({ worker: name, message: sentenceOf(one) })),
    );
    return [
        ...of("not proven", [...failed, ...denied]),
        ...of("contradictory", contradictions(outputs)),
        ...of("vulnerable", vulnerable),
        ...of("stale", mismatches(outputs)),
    ];
}

/** Workers with the verdict that their outputs bear out: one that contradicts itself proves nothing. */
export function judged(workers: readonly Worker[], problems: readonly Problem[]): Worker[] {
    const doubted = new Set(problems.filter(({ kind }) => kind === "contradictory").map(({ worker }) => worker));
    return workers.map((worker) => ({ ...worker, proven: worker.proven && !doubted.has(worker.name) }));
}
