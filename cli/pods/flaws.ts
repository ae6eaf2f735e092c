// What is wrong with a pod, and what to do about it. Pure.
import evidence, { type HostPodFacts } from "../../components/evidence.cjs";
import { sentenceOf, vulnerabilitiesIn } from "../../components/vulnerabilities.cjs";
import type { Kind } from "../check/problems.ts";
import type { Sandbox, WorkerPod } from "./worker.ts";

/** What is wrong with a pod. */
export interface Flaw {
    readonly kind: Extract<Kind, "unsandboxed" | "vulnerable" | "replaced" | "unseen">;
    readonly seen: string;
    readonly wanted: string;
    readonly next: string;
    /** Ids of those that are not in the sandbox. */
    readonly containers?: readonly string[];
}

/** A pod as its worker reports it. */
export interface SeenPod extends WorkerPod {
    readonly worker: string;
    readonly installed: string;
    readonly accepted: readonly string[];
}

/** A pod's containers as the worker's evidence has them. */
export const factsOf = ({ containers, sandbox }: WorkerPod): HostPodFacts => ({
    runtimes: containers.map(({ runtime }) => runtime),
    runscRunning: containers.filter(({ runsc }) => runsc).length,
    sandboxExecutable: sandbox?.executable ?? "",
    sandboxOptions: sandbox?.flags ?? {},
});

/** What is wrong with the sandbox that a pod is in. */
export function flawsOfSandbox({ release, replaced, flags }: Sandbox, pod: SeenPod, allowReplaced: boolean): Flaw[] {
    const { installed, accepted } = pod;
    const known = vulnerabilitiesIn({ gvisor: release }, { options: [flags], accepted });
    const recreate = "delete the pod, so that it is recreated";
    return [
        ...known
            .filter((one) => !one.accepted)
            .map(
                (one): Flaw => ({
                    kind: "vulnerable",
                    seen: sentenceOf(one),
                    wanted: "a gVisor without a known vulnerability, or its id in the setting acceptVulnerabilities",
                    next: replaced
                        ? recreate
                        : "take a gVisor where it is fixed, `npm run up`, then delete the pod, so that it is recreated",
                }),
            ),
        ...(replaced && !allowReplaced
            ? [
                  {
                      kind: "replaced" as const,
                      seen: `its sandbox runs gVisor ${short(release) || "of an unknown release"}, which has been replaced`,
                      wanted: installed ? `gVisor ${short(installed)}` : "the gVisor that is installed there",
                      next: `${recreate}; or accept it: --allow-replaced`,
                  },
              ]
            : []),
    ];
}

/** "20260905.0" of "release-20260905.0". */
export const short = (release = "") => release.replace(/^release-/, "");

/**
 * What is wrong with a pod that must be in a sandbox and is in none.
 *
 * @param why it must
 * @param classes that it could ask for; default: it has asked for one
 */
export function unsandboxed(pod: SeenPod, why: string, classes?: ReadonlySet<string>): Flaw {
    return {
        kind: "unsandboxed",
        containers: pod.containers.filter(({ runsc }) => !runsc).map(({ id }) => id),
        seen: evidence.describeRuntime(factsOf(pod)),
        wanted: `a sandbox: ${why}`,
        next: classes
            ? `write runtimeClassName: ${[...classes].join(" or ")} where it is made, then delete the pod, so that it is recreated`
            : `\`npm run drift\` names what was changed on ${pod.worker}, \`npm run up\` repairs it; then delete the pod, so that it is recreated`,
    };
}
