import { attacksIn } from "../components/attacks.cjs";
import type { Order } from "../components/gvisor/turns";
import { reachableIn } from "../components/reachable.cjs";
import { surfaceIn } from "../components/surface.cjs";
import { allHandlers, defaultHandlerOf } from "./handlers";
import { plannedObjects } from "./planned";
import type { Settings } from "./schema";
import { handlersOf, workerSettings } from "./worker";

/** The classes that pods may ask for, one of each handler, with the taints of the workers that have it. */
function classesOf(settings: Settings) {
    const { workers, overhead, overrides } = settings;
    return allHandlers(settings).map((handler) => ({
        handler,
        overhead,
        taints: workers
            .filter((worker) => handlersOf(settings, worker).some(({ name }) => name === handler.name))
            .flatMap((worker) => overrides[worker]?.taints ?? []),
        existing: settings.existing?.runtimeClasses.includes(handler.runtimeClass),
        formerly: handler.name === defaultHandlerOf(settings) ? "sandbox" : undefined,
    }));
}

/**
 * How many workers may be changed at the same time: on a new cluster all, else one unless the setting says otherwise. A
 * percentage is rounded down, as that of a Deployment, but one worker it is at least.
 */
function atOnce({ maxUnavailable, target, workers }: Pick<Settings, "maxUnavailable" | "target" | "workers">): number {
    const wanted = maxUnavailable || (target === "existing" ? "1" : "0");
    const many = wanted.endsWith("%")
        ? Math.max(1, Math.floor((Number.parseInt(wanted, 10) * workers.length) / 100))
        : Number(wanted);
    return many === 0 ? workers.length : many;
}

/** Those that are changed before all others, and how many at the same time. */
function orderOf(settings: Settings): Order {
    const { canary = settings.target === "existing" ? 1 : 0, workers } = settings;
    return { canaries: typeof canary === "number" ? workers.slice(0, canary) : canary, atOnce: atOnce(settings) };
}

/** The settings, and what follows from them for the stack and for each worker: all that the program decides by them. */
export function stackSettings(settings: Settings) {
    const { workers, limits, mandatory, egress } = settings;
    const classes = classesOf(settings);
    const attacks = attacksIn(settings);
    const surface = surfaceIn(settings);
    const reachable = reachableIn(settings);
    const sandboxed = workers.filter((worker) => handlersOf(settings, worker).length > 0);
    return {
        ...settings,
        /** Name of the handler that sandboxes run on where nobody says otherwise. */
        defaultHandler: defaultHandlerOf(settings),
        classes,
        /** What the stack is going to have in its cluster. */
        plans: {
            objects: plannedObjects(settings, classes, sandboxed),
            drain: settings.drain,
            policies: mandatory !== undefined,
            attacks,
            surface,
            reachable,
            egress: egress && mandatory?.existingNamespaces,
        },
        /** What is shown of each worker with sandboxes. */
        proof: { limits, attacks, surface, reachable },
        /** How many workers that get sandboxes are in use. */
        inUse: settings.target === "existing" ? sandboxed.length : 0,
        /** In which order the workers are changed. */
        order: orderOf(settings),
        forWorker: (worker: string) => workerSettings(settings, worker),
    };
}
