// What `check --pods` found, for people.
import type { PodsFound } from "../pods.ts";
import { clean, type coloursOf } from "../summary.ts";
import { short } from "./flaws.ts";
import type { PodRow } from "./judge.ts";

/** Names of pods that are shown of a worker and a runtime. */
const most = 10;

export const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;

/** "platform=systrap debug=true". */
export const flagsOf = ({ flags = {} }: PodRow) =>
    Object.entries(flags)
        .map(([name, value]) => `${name}=${value}`)
        .join(" ");

/** What runs a pod, in a few words: gVisor with its release, or containerd's name of the runtime. */
export function runtimeOf({ inSandbox, release, replaced, runtimes }: PodRow): string {
    if (inSandbox) {
        return `gVisor ${short(release) || "of an unknown release"}${replaced ? ", replaced since" : ""}`;
    }
    return runtimes.join(" and ") || "nothing that its worker tells";
}

/** Pods by what runs them, with its flags; the most common first. */
function byRuntime(pods: readonly PodRow[]) {
    const groups = new Map<string, PodRow[]>();
    for (const pod of pods) {
        const flags = flagsOf(pod);
        const what = `${runtimeOf(pod)}${flags === "" ? "" : ` (${flags})`}`;
        groups.set(what, [...(groups.get(what) ?? []), pod]);
    }
    return [...groups].sort(([a, one], [b, other]) => other.length - one.length || (a < b ? -1 : 1));
}

/** "worker-1: default/a, default/b", one for each worker. */
function places(pods: readonly PodRow[]): string[] {
    return [...new Set(pods.map(({ worker }) => worker))].map((worker) => {
        const names = pods.filter((pod) => pod.worker === worker).map(({ namespace, name }) => `${namespace}/${name}`);
        const rest = names.length > most ? `, and ${names.length - most} more (--json has all)` : "";
        return `${worker}: ${names.slice(0, most).join(", ")}${rest}`;
    });
}

/** The pods by runtime, then what is wrong, each with what is seen, what is wanted and what to do next. */
export function renderPods(found: PodsFound, { good, bad, strong }: ReturnType<typeof coloursOf>): string {
    const { asked, selector, machines, pods, refused } = found;
    const wrong = pods.filter(({ flaws }) => flaws.length > 0);
    const silent = machines.filter(({ error }) => error !== undefined);
    const answered = machines.length - silent.length;
    const lines: string[] = [];
    if (refused === undefined) {
        const which = selector === "" ? "" : ` with the labels ${selector}`;
        const summary = `${count(pods.length, "pod")}${which}, by the word of ${count(answered, "machine")} at ${asked}`;
        lines.push(strong(clean(summary)));
    }
    for (const [runtime, own] of byRuntime(pods)) {
        lines.push(
            `${String(own.length).padStart(6)}  ${clean(runtime)}`,
            ...places(own).map((line) => `          ${clean(line)}`),
        );
    }
    for (const { worker, namespace, name, flaws } of wrong) {
        for (const { kind, seen, wanted, next } of flaws) {
            lines.push(`${bad("✗")} ${clean(`${kind}: ${namespace}/${name} on ${worker}`)}`);
            lines.push(
                ...[`seen    ${seen}`, `wanted  ${wanted}`, `next    ${next}`].map((line) => `    ${clean(line)}`),
            );
        }
    }
    lines.push(
        ...silent.map(({ worker, error }) => `${bad("✗")} ${clean(`unseen: ${worker} cannot be asked: ${error}`)}`),
    );
    if (wrong.length === 0 && silent.length === 0 && pods.length > 0) {
        const inside = pods.filter(({ required }) => required !== undefined).length;
        lines.push(
            `${good("✓")} ${count(inside, "pod")} of ${pods.length} must be in a sandbox${inside === 0 ? "" : ", and every one is"}`,
        );
    }
    return lines.join("\n");
}
