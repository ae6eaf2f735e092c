// What two looks at pods agree on: between two answers a pod may have started or ended. Pure.
import type { Flaw } from "./flaws.ts";
import type { PodRow } from "./judge.ts";

/** containerd's runtime of gVisor's shim. */
const gvisorRuntime = "io.containerd.runsc.v1";

const isDoubtful = ({ kind }: Flaw) => kind === "unsandboxed" || kind === "unseen";

/** A pod without what one look alone cannot tell. */
export const undoubted = (row: PodRow): PodRow => ({ ...row, flaws: row.flaws.filter((flaw) => !isDoubtful(flaw)) });

/** Whether a pod seems to be elsewhere than it should, which it may only seem to be while it starts or ends. */
export const isWrong = ({ flaws }: PodRow): boolean => flaws.some(isDoubtful);

/** Whether all that is wrong is that runsc does not know what containerd has it run: containerd may be late to see its end. */
export const isEnding = (row: PodRow): boolean =>
    isWrong(row) && row.runtimes.every((runtime) => runtime === gvisorRuntime);

const isSame = (flaw: Flaw, { kind, containers = [] }: Flaw) =>
    kind === flaw.kind && (containers.length === 0 || containers.some((id) => flaw.containers?.includes(id)));

/** The later of two looks, where a pod is elsewhere than it should only if it was so in both, by the same container. */
export function confirmed(first: readonly PodRow[], again: readonly PodRow[]): PodRow[] {
    const before = new Map(first.map((row) => [row.uid, row.flaws]));
    return again.map((row) => ({
        ...row,
        flaws: row.flaws.filter((flaw) => !isDoubtful(flaw) || before.get(row.uid)?.some((one) => isSame(flaw, one))),
    }));
}
