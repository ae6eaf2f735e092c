// What the report shows of what a sandbox keeps of the kernel, and of what it costs.
import { costs as kinds } from "../../components/surface.cjs";
import type { Outputs } from "../../schema/outputs.ts";

type Classes = NonNullable<Outputs["surface"]>[string];
type Class = Classes[string];

/** A cost as the report shows it. */
interface CostRow {
    readonly title: string;
    readonly inside: string;
    readonly control: string;
    /** How both compare, in words; or why nothing is known. */
    readonly words: string;
    readonly how: string;
    /** Parts of the larger one, from 0 to 1; none where nothing is known. */
    readonly bars: readonly [inside: number, control: number] | undefined;
}

/** System calls as the report shows them. */
export interface CallsRow {
    readonly title: string;
    readonly words: string;
    readonly how: string;
    readonly reachable: number | undefined;
    readonly of: number | undefined;
}

export interface SurfaceModel {
    readonly runtimeClass: string;
    /** One sentence for everybody. */
    readonly sentence: string;
    readonly calls: readonly CallsRow[];
    readonly costs: readonly CostRow[];
}

const places = {
    inside: "In the sandbox",
    control: "Outside, an ordinary pod",
    runtimeDefault: "Outside, with the profile RuntimeDefault",
};

/** What a worker's output says, class by class. */
export function surfaceOf(classes: Classes = {}): SurfaceModel[] {
    return Object.entries(classes).map(([runtimeClass, { systemCalls, costs }]) => ({
        runtimeClass,
        sentence: sentenceOf(systemCalls),
        calls: (["inside", "control", "runtimeDefault"] as const).flatMap((key) => {
            const calls = systemCalls[key];
            return calls === undefined ? [] : [callsOf(places[key], calls)];
        }),
        // A state keeps them in another order.
        costs: [...new Set([...Object.keys(kinds), ...Object.keys(costs)])].flatMap((name) => {
            const cost = costs[name];
            return cost === undefined ? [] : [costOf(kinds[name]?.title ?? name, cost)];
        }),
    }));
}

function sentenceOf({ inside, control }: Class["systemCalls"]): string {
    if (inside.reachable === undefined) {
        return `How many of the kernel's system calls a process in the sandbox reaches is not known: ${inside.filter}.`;
    }
    const outside = control.reachable === undefined ? `; outside ${control.filter}` : `; outside ${control.reachable}`;
    return `A process in the sandbox reaches ${inside.reachable} of the kernel's ${inside.of} system calls${outside}.`;
}

function callsOf(title: string, { filter, reachable, of, how }: Class["systemCalls"]["inside"]): CallsRow {
    const words = reachable === undefined ? filter : `${reachable} of ${of}; filters: ${filter}`;
    return { title, words, how, reachable, of };
}

function costOf(title: string, { inside, control, ratio, unit, how, failed }: Class["costs"][string]): CostRow {
    const shown = (value: number | undefined) =>
        value === undefined ? "" : `${value < 1e9 ? value.toLocaleString("en") : value} ${unit}`;
    const known = inside !== undefined && control !== undefined && ratio !== undefined;
    const most = known ? Math.max(inside, control) || 1 : 1;
    return {
        title,
        inside: shown(inside),
        control: shown(control),
        words: known ? compared(ratio, unit) : `not measured: ${failed ?? "no reason is given"}`,
        how,
        bars: known ? [inside / most, control / most] : undefined,
    };
}

/** "2.1 times as long". */
function compared(ratio: number, unit: string): string {
    const times = (value: number) => `${Number(value.toPrecision(2))} times`;
    if (ratio > 0.95 && ratio < 1.05) {
        return "about the same";
    }
    if (unit.endsWith("/s")) {
        return ratio > 1 ? `${times(ratio)} slower` : `${times(1 / ratio)} faster`;
    }
    return `${times(ratio)} as ${unit.endsWith("B") ? "much" : "long"}`;
}
