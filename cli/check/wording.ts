// What is wrong, for the person at the terminal.
import { Failure } from "../failure.ts";
import { clean } from "../summary.ts";
import { deciding, type Kind, kinds, type Problem } from "./problems.ts";
import type { Source } from "./source.ts";

type Place = Pick<Source, "label" | "next" | "stack">;

/** The sentence of each kind. @param said the complaint, or how many there are; @param workers that they are about */
const sentences: Readonly<Record<Kind, (label: string, said: string, workers: string) => string>> = {
    missing: (label, said) => `the outputs of ${label} are missing: ${said}.`,
    invalid: (label, said) => `the outputs of ${label} are not what they should be: ${said}.`,
    "not proven": (label, _, workers) =>
        `the sandbox is not proven on ${workers} of ${label}; the failed checks are marked ✗.`,
    "not starting": (label, said, workers) => `no new sandbox starts on ${workers} of ${label}: ${said}.`,
    contradictory: (label, said) => `the outputs of ${label} contradict themselves: ${said}.`,
    unsandboxed: (label, said, workers) =>
        `pods are not in the sandbox that they should be in on ${workers} of ${label}: ${said}.`,
    replaced: (label, said, workers) =>
        `pods are in sandboxes of a gVisor that has been replaced on ${workers} of ${label}: ${said}.`,
    unseen: (label, said) => `not every pod of ${label} could be looked at: ${said}.`,
    vulnerable: (label, said, workers) => `gVisor is vulnerable on ${workers} of ${label}: ${said}.`,
    stale: (label, said) => `the outputs of ${label} are stale: ${said}.`,
};

/** What to do next, by kind; default: what the outputs' source says. */
const advice: Readonly<Partial<Record<Kind, string>>> = {
    "not proven": "correct what the marked checks found, then `npm run up`, which makes them again",
    "not starting": "`npm run drift` says whether something was changed there; the reason is in containerd's log, too",
    contradictory: "somebody has changed them, or they are put together from several runs: take them from the stack",
    unsandboxed: "see below each of them; `npm run check -- --pods` looks again",
    replaced: "delete them, so that they are recreated; or accept it: --allow-replaced",
    unseen: "what could not be looked at is neither right nor wrong: see to the reason, then look again",
    vulnerable:
        "take a gVisor where it is fixed (setting gvisorVersion, or a newer release of this project), or accept it: " +
        "setting acceptVulnerabilities; then `npm run up`",
};

function adviceFor(kind: Kind, { next, stack }: Place): string {
    if (kind !== "stale") {
        return advice[kind] ?? next;
    }
    return stack === undefined
        ? "take the outputs again from their stack"
        : `${next}; where pods or kernels have changed since, delete the test pods first: they are recreated`;
}

/**
 * One sentence about the kind that decides, and below it what does not fit into it.
 *
 * @param problems at least one
 * @param place where the outputs are from
 * @param shown those that are shown already
 * @param exitCode default: that of the kind
 */
export function failureOf(
    problems: readonly Problem[],
    place: Place,
    { shown = [], exitCode }: { readonly shown?: readonly Problem[]; readonly exitCode?: number } = {},
): Failure {
    const kind = deciding(problems) ?? "missing";
    const own = problems.filter((one) => one.kind === kind);
    const workers = [...new Set(own.flatMap(({ worker }) => worker ?? []))].join(", ");
    // Invalid outputs say all there is to say; a list of the rest would not be a sentence.
    const inline = kind === "invalid" || own.length === 1;
    const said = inline ? own.map(({ message }) => clean(message)).join("; ") : `${own.length} complaints`;
    const rest = kind === "not proven" || inline ? problems.filter((one) => !own.includes(one)) : problems;
    return new Failure(sentences[kind](place.label, said, workers), {
        exitCode: exitCode ?? kinds[kind].exitCode,
        tail: rest.filter((one) => !shown.includes(one)).map((one) => `${one.kind}: ${clean(one.message)}`),
        next: adviceFor(kind, place),
    });
}
