// What a machine says of its pods.
import { readFileSync } from "node:fs";
import { resultIn, resultMark, stepCall } from "../../components/step.cjs";
import { runOn } from "../machines.ts";
import type { recordedMachines } from "../state.ts";
import { podsIn, type WorkerPod } from "./worker.ts";

/** Seconds that a machine may take. */
const limit = 60;

/** What runs on a machine. It goes with the call, so that it needs nothing of what an update has brought there. */
const script = [
    `printf '\\n%s\\n' '${resultMark}'`,
    ...["lib.sh", "gvisor/node.sh", "probe/pods-host.sh"].map((file) =>
        readFileSync(new URL(`../../scripts/on-machine/${file}`, import.meta.url), "utf8"),
    ),
].join("\n");

export type Machine = ReturnType<typeof recordedMachines>[number];

/** What it says, or why it says nothing. */
export type Answer =
    | { readonly worker: string; readonly error: string }
    | {
          readonly worker: string;
          readonly error?: undefined;
          readonly seconds: number;
          /** Release of gVisor that new sandboxes get. */
          readonly installed: string;
          readonly pods: readonly WorkerPod[];
      };

/** @param down names of machines that do not run */
export async function askMachine(
    { name: worker, connection, shell }: Machine,
    down: readonly string[] = [],
): Promise<Answer> {
    if (down.includes(worker)) {
        return { worker, error: "the machine is down" };
    }
    const start = performance.now();
    try {
        const call = stepCall(shell, limit, "look");
        const { code, stdout, stderr } = await runOn(connection, call, script, (limit + 15) * 1000);
        if (code !== 0) {
            throw new Error(stderr.trim().split("\n").pop() || `bash ended with ${code}`);
        }
        return { worker, ...podsIn(resultIn(stdout)), seconds: (performance.now() - start) / 1000 };
    } catch (error) {
        return { worker, error: (error as Error).message };
    }
}
