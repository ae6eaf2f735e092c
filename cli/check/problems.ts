// What is wrong with outputs, of themselves, and which of all that is wrong decides.
import { sentenceOf } from "../../components/vulnerabilities.cjs";
import type { Outputs } from "../../schema/outputs.ts";
import { isRefused } from "../known.ts";
import type { readOutputs } from "../summary.ts";
import { contradictions, mismatches } from "./coherence.ts";

/** Exit codes by what is wrong, the most telling first: where several things are, the first one decides. 2 is usage. */
export const exitCodes = {
    missing: 1,
    invalid: 3,
    "not proven": 1,
    "not starting": 1,
    contradictory: 4,
    unsandboxed: 7,
    vulnerable: 6,
    replaced: 8,
    unseen: 9,
    stale: 5,
};

export type Kind = keyof typeof exitCodes;

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
    const kinds = Object.keys(exitCodes) as Kind[];
    return kinds.find((kind) => problems.some((problem) => problem.kind === kind));
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
