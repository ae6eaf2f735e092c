// Looks at machines and cluster with what a stack's state holds, and says what differs. A process of its own, see drift.ts: one
// that never ends can be ended.
//
// stdin:  Asked as JSON; holds secrets
// stdout: Found as JSON
import { text } from "node:stream/consumers";
import { lookAtCluster, type ObjectLook } from "./look/cluster.ts";
import {
    lookAtCanaries,
    lookAtMachines,
    lookAtScripts,
    type MachineLook,
    type Versions,
    workersOf,
} from "./look/machines.ts";
import type { Resource } from "./state.ts";
import type { Unseen } from "./summary.ts";

export interface Asked {
    readonly resources: readonly Resource[];
    /** Names of local machines that do not run: somebody else may have their addresses. */
    readonly down: readonly string[];
    /** Whether a new pod of each class is started on each worker. */
    readonly canaries: boolean;
}

export interface Found {
    /** How many machines and objects were looked at. */
    readonly looked: number;
    /** Those that differ. */
    readonly machines: readonly Pick<MachineLook, "worker" | "differences" | "restart" | "moved" | "down">[];
    readonly objects: readonly Pick<ObjectLook, "object" | "differences" | "down">[];
    readonly unseen: readonly Unseen[];
    /** Names of the steps that have to be run again. */
    readonly again: readonly string[];
    /** By worker, as they are now. */
    readonly versions: Readonly<Record<string, Versions>>;
}

async function lookAt({ resources, down, canaries }: Asked): Promise<Found> {
    const [workers, objects, flaws, others] = await Promise.all([
        lookAtMachines(resources, down),
        lookAtCluster(resources, down),
        canaries ? lookAtCanaries(resources, down) : undefined,
        lookAtScripts(resources, down, workersOf(resources)),
    ]);
    const machines = workers.map((one) => ({
        ...one,
        differences: [...one.differences, ...(flaws?.get(one.worker) ?? [])],
    }));
    const differs = ({ differences }: Pick<MachineLook, "differences">) => differences.length > 0;
    return {
        looked: machines.length + objects.length,
        machines: [...machines, ...others].filter(differs).map((one) => ({
            worker: one.worker,
            differences: one.differences,
            restart: one.restart,
            moved: one.moved,
            down: one.down,
        })),
        objects: objects
            .filter(differs)
            .map((one) => ({ object: one.object, differences: one.differences, down: one.down })),
        unseen: [
            ...machines.map(({ worker, unseen }) => ({ what: worker, why: unseen })),
            ...objects.map(({ object, unseen }) => ({ what: object, why: unseen })),
        ].flatMap(({ what, why }) => (why === undefined ? [] : { what, why })),
        again: [
            ...objects.flatMap(({ again = [] }) => again),
            ...[...machines, ...others].flatMap(({ worker, lost }) => (lost ? `${worker}-scripts` : [])),
        ],
        versions: Object.fromEntries(
            machines.flatMap(({ worker, versions }) => (versions ? [[worker, versions]] : [])),
        ),
    };
}

const asked = JSON.parse(await text(process.stdin)) as Asked;
process.stdout.write(JSON.stringify(await lookAt(asked)));
