import type * as pulumi from "@pulumi/pulumi";
import type { Machine } from "../contracts";

/** The order in which machines are changed. */
export interface Order {
    /** Names of those that come before all others. */
    readonly canaries: readonly string[];
    /** How many may be worked on at the same time; at least 1. */
    readonly atOnce: number;
}

/** What comes of a machine. */
interface Work {
    /** After this the next machine may be changed. Asked only where one waits. */
    done(): readonly pulumi.Resource[];
}

/**
 * Works on machines in their order, canaries first: the next one waits until one of those before it is done, and the first that are no
 * canaries wait for all canaries.
 *
 * @param work is given what the machine has to wait for
 * @returns what came of each
 */
export function inTurns<W extends Work>(
    machines: readonly Machine[],
    { canaries, atOnce }: Order,
    work: (machine: Machine, turn: readonly pulumi.Resource[]) => W,
): W[] {
    const isCanary = ({ name }: Machine) => canaries.includes(name);
    const inTurn = (some: readonly Machine[], after: readonly pulumi.Resource[]) => {
        const works: W[] = [];
        for (const machine of some) {
            works.push(work(machine, works.at(-atOnce)?.done() ?? after));
        }
        return works;
    };
    const others = machines.filter((machine) => !isCanary(machine));
    const first = inTurn(machines.filter(isCanary), []);
    return [...first, ...inTurn(others, others.length > 0 ? first.flatMap((one) => one.done()) : [])];
}
