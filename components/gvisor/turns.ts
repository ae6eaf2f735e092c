import type * as pulumi from "@pulumi/pulumi";
import type { Machine } from "../contracts";

/**
 * Works on machines in their order, on some at the same time: the next one waits until the first of these is done.
 *
 * @param atOnce how many; at least 1
 * @param work is given what the machine has to wait for
 * @returns what came of each
 */
export function inTurns<W extends { readonly done: readonly pulumi.Resource[] }>(
    machines: readonly Machine[],
    atOnce: number,
    work: (machine: Machine, turn: readonly pulumi.Resource[]) => W,
): W[] {
    const works: W[] = [];
    for (const machine of machines) {
        works.push(work(machine, works.at(-atOnce)?.done ?? []));
    }
    return works;
}
