// @ts-nocheck
// What `check --pods` found, for people.
import { clean, coloursOf } from "../summary.ts";
import { short } from "./judge.ts";

/** Names of pods that are shown of a worker and a runtime. */
const most = 10;

export const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

/** "platform=systrap debug=true". */
export const flagsOf = ({ flags = {} }) =>
    Object.entries(flags)
        .map(([name, value]) => `${name}=${value}`)
        .join(" ");

/** What runs a pod, in a few words: gVisor with its release, or containerd's name of the runtime. */
export function runtimeOf({ inSandbox, release, replaced, runtimes }) {
    if (inSandbox) {
        return `gVisor ${short(release) || "of an unknown release"}${replaced ? ", replaced since" : ""}`;
    }
    return runtimes.join(" and ") || "nothing that its worker tells";
}

/** Pods by what runs them, the most common first. @returns [{ runtime, flags, pods }] */
export function byRuntime(pods) {
    const groups = new Map();
    for (const pod of pods) {
        const key = JSON.stringify([runtimeOf(pod), flagsOf(pod)]);
        groups.set(key, [...(groups.get(key) ?? []), pod]);
    }
    return [...groups]
        .map(([key, own]) => {
            const [runtime, flags] = JSON.parse(key);
            return { runtime, flags, pods: own };
        })
        .sort((a, b) => b.pods.length - a.pods.length || (a.runtime < b.runtime ? -1 : 1));
}

/** "worker-1: default/a, default/b", one for each worker. */
function places(pods) {
    return [...new Set(pods.map(({ worker }) => worker))].map((worker) => {
        const names = pods.filter((pod) => pod.worker === worker).map(({ namespace, name }) => `${namespace}/${name}`);
        const rest = names.length > most ? `, and ${names.length - most} more (--json has all)` : "";
        return `${worker}: ${names.slice(0, most).join(", ")}${rest}`;
    });
}

/**
 * The pods by runtime, then what is wrong, each with what is seen, what is wanted and what to do next.
 *
 * @param found as lookAtPods gives it
 */
export function renderPods({ asked, selector, machines, pods, refused }, { good, bad, strong } = coloursOf({})) {
    const wrong = pods.filter(({ flaws }) => flaws.length > 0);
    const silent = machines.filter(({ error }) => error !== undefined);
    const answered = machines.length - silent.length;
    const lines = [];
    if (refused === undefined) {
        const which = selector === "" ? "" : ` with the labels ${selector}`;
        const told = `${count(pods.length, "pod")}${which}, by the word of ${count(answered, "machine")} at ${asked}`;
        lines.push(strong(clean(told)));
    }
    for (const { runtime, flags, pods: own } of byRuntime(pods)) {
        const what = clean(`${runtime}${flags === "" ? "" : ` (${flags})`}`);
        lines.push(
            `${String(own.length).padStart(6)}  ${what}`,
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
