// Looks at the machines of a stack, and starts new pods on them.
import { resultIn, scriptsLost } from "../../components/step.cjs";
import type { Component } from "../../components/vulnerabilities.cjs";
import { startCanaries } from "../../scripts/on-host/canary.ts";
import { areThere } from "../../scripts/on-host/scripts.ts";
import { runOn } from "../machines.ts";
import { type RecordedMachine, type Resource, recordedCanaries, recordedMachines } from "../state.ts";

export type Versions = Readonly<Partial<Record<Component, string>>>;

export interface MachineLook {
    readonly worker: string;
    /** Sentences. */
    readonly differences: readonly string[];
    /** Why containerd would be restarted there. */
    readonly restart: readonly string[];
    /** Whether containerd is another one than was planned for; undefined where nobody knows. */
    readonly moved?: boolean;
    /** The machine does not run. */
    readonly down?: boolean;
    /** Why it cannot be looked at. */
    readonly unseen?: string;
    /** It has not the scripts that were brought to it. */
    readonly lost?: boolean;
    readonly versions?: Versions;
}

/** What the step that looks at a worker prints. */
interface Inspected extends Pick<MachineLook, "differences" | "restart" | "versions"> {
    /** What was planned by; it changes with containerd and its configuration. */
    readonly basis: unknown;
}

const inspectedIn = (printed: string) => JSON.parse(resultIn(printed)) as Inspected;

/** Names of the workers with gVisor. */
export const workersOf = (resources: readonly Resource[]) =>
    resources.flatMap(({ name, leaving }) => (leaving ? [] : (/^(.+)-runtime-install$/.exec(name)?.[1] ?? [])));

/** Looks at each worker again as its last update has, by the step that did: with the script and the constants of then. */
export async function lookAtMachines(resources: readonly Resource[], down: readonly string[]): Promise<MachineLook[]> {
    const steps = new Map(resources.filter(({ leaving }) => !leaving).map((one) => [one.name, one]));
    return await Promise.all(
        workersOf(resources).map((worker) =>
            down.includes(worker)
                ? unlike(worker, "the machine is down", { down: true })
                : lookAtMachine(worker, steps.get(`${worker}-runtime-look`)),
        ),
    );
}

async function lookAtMachine(worker: string, step: Resource | undefined): Promise<MachineLook> {
    const { connection, create, stdin } = step?.inputs ?? {};
    if (step === undefined || connection === undefined || create === undefined) {
        return unlike(worker, "an earlier version of this program has set it up");
    }
    try {
        const { code, stdout, stderr } = await runOn(connection, create, stdin ?? "");
        if (code === scriptsLost) {
            return withoutScripts(worker);
        }
        if (code !== 0) {
            return unlike(worker, `it cannot be looked at: ${stderr.trim()}`);
        }
        const found = inspectedIn(stdout);
        return { worker, ...found, moved: found.basis !== inspectedIn(step.outputs.stdout ?? "").basis };
    } catch (error) {
        return { worker, differences: [], restart: [], unseen: `it cannot be reached: ${reasonOf(error)}` };
    }
}

const unlike = (worker: string, difference: string, more: Partial<MachineLook> = {}): MachineLook => ({
    worker,
    differences: [difference],
    restart: [],
    ...more,
});

const withoutScripts = (worker: string) => unlike(worker, "its scripts are gone or were changed", { lost: true });

/** Machines that no such step looks at, such as the control plane's: those that have lost the scripts that were brought to them. */
export async function lookAtScripts(
    resources: readonly Resource[],
    down: readonly string[],
    looked: readonly string[],
    ask: (machine: Omit<RecordedMachine, "name">) => Promise<boolean> = areThere,
): Promise<MachineLook[]> {
    const others = recordedMachines(resources).filter(({ name }) => !down.includes(name) && !looked.includes(name));
    const found = others.map(async ({ name, ...machine }) =>
        // The cluster's objects say whether one that cannot be reached is in use.
        (await ask(machine).catch(() => true)) ? [] : withoutScripts(name),
    );
    return (await Promise.all(found)).flat();
}

/** Starts a new pod of each class on each worker, as its last update has. @returns by worker, what is wrong */
export async function lookAtCanaries(
    resources: readonly Resource[],
    down: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
    const asked = recordedCanaries(resources).filter(
        ({ worker }) => !down.includes(worker) && !down.includes("control-plane"),
    );
    const found = asked.map(async ({ worker, stdin }): Promise<[string, readonly string[]]> => {
        try {
            return [worker, (await startCanaries(JSON.parse(stdin))).flaws];
        } catch (error) {
            return [worker, [`no new pods can be tried: ${reasonOf(error)}`]];
        }
    });
    return new Map(await Promise.all(found));
}

/** Why something failed, in one line: the cause says most. */
export function reasonOf(error: unknown): string {
    const { message, cause } = error instanceof Error ? error : new Error(String(error));
    return (cause instanceof Error ? cause.message : message).split("\n")[0] ?? "";
}
