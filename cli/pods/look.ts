// Asks the API server and each machine of a stack for all pods, side by side. A process of its own, which ../pods.ts ends where
// nobody answers. Changes nothing.
//
// stdin:  Input; holds secrets
// stdout: Looked
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { KubeConfig } from "@kubernetes/client-node";
import { Refusal } from "../apiServer.ts";
import { confirmed, isEnding, isWrong, undoubted } from "./again.ts";
import { askCluster } from "./cluster.ts";
import { type PodRow, rowsOf, type Wanted } from "./judge.ts";
import { askMachine, type Machine } from "./machine.ts";

/** Milliseconds after which what seemed wrong is looked at again. */
const pause = 1000;

export interface Input {
    readonly kubeconfig: string;
    /** Of pods' labels; empty for all. */
    readonly selector: string;
    readonly machines: readonly Machine[];
    /** Names of those that do not run. */
    readonly down: readonly string[];
    readonly wanted: Wanted;
    /** Seconds for which containerd may be late to see that a container has ended. */
    readonly patience: number;
}

export type Looked =
    | {
          readonly refused?: undefined;
          /** When all had answered. */
          readonly asked: string;
          /** What each machine took to answer and how many pods it has, or why it did not answer. */
          readonly machines: readonly {
              readonly worker: string;
              readonly seconds?: number;
              readonly pods?: number;
              readonly error?: string;
          }[];
          readonly pods: readonly PodRow[];
      }
    | {
          /** Why the API server cannot be asked. */
          readonly refused: string;
          /** Whether it is the selector that it does not take. */
          readonly selector: boolean;
      };

async function look({ kubeconfig, selector, machines, down, wanted, patience }: Input): Promise<Looked> {
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    const all = machines.map(({ name }) => name);
    const ask = async (which: readonly Machine[]) => {
        const [cluster, ...said] = await Promise.all([
            askCluster(config, selector),
            ...which.map((machine) => askMachine(machine, down)),
        ]);
        return { said, rows: rowsOf({ cluster, said, all, selector, wanted }) };
    };
    let { said, rows } = await ask(machines);
    // Between two answers a pod may have started or ended: what is wrong must be so again, and what may be an end must last.
    const end = Date.now() + patience * 1000;
    for (let left = rows.filter(isWrong); left.length > 0; left = Date.now() < end ? rows.filter(isEnding) : []) {
        await sleep(pause);
        const doubtful = new Set(left.map(({ worker }) => worker));
        const again = await ask(machines.filter(({ name }) => doubtful.has(name)));
        const silent = new Map(again.said.filter(({ error }) => error !== undefined).map((one) => [one.worker, one]));
        said = said.map((one) => silent.get(one.worker) ?? one);
        const settled = rows
            .filter(({ worker }) => !doubtful.has(worker) || silent.has(worker))
            // What it has said before stands, as far as one look can tell it.
            .map((row) => (silent.has(row.worker) ? undoubted(row) : row));
        const answered = again.rows.filter(({ worker }) => doubtful.has(worker) && !silent.has(worker));
        rows = [...settled, ...confirmed(rows, answered)];
    }
    return {
        asked: new Date().toISOString(),
        machines: said.map((one) =>
            one.error === undefined
                ? { worker: one.worker, seconds: one.seconds, pods: one.pods.length }
                : { worker: one.worker, error: one.error },
        ),
        pods: rows,
    };
}

const found = await look(JSON.parse(await text(process.stdin)) as Input).catch((error: Error): Looked => {
    const { message } = error.cause instanceof Error ? error.cause : error;
    return { refused: `the API server: ${message}`, selector: error instanceof Refusal && error.status === 400 };
});
process.stdout.write(JSON.stringify(found));
