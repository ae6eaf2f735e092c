import { at, type KubeObject, maps, nameOf, text } from "../objects";
import type { Look } from "./types";

function count(object: KubeObject, ...path: string[]): number {
    const value = at(object, ...path);
    return typeof value === "number" ? value : 0;
}

function condition(object: KubeObject, type: string) {
    return maps(object, "status", "conditions").find((candidate) => candidate.type === type);
}

/** Messages of the conditions that speak of trouble. */
function troubles(object: KubeObject, ...types: string[]): string[] {
    return maps(object, "status", "conditions")
        .filter(({ type, status }) => types.includes(`${String(type)}=${String(status)}`))
        .map((found) => `[${text(found, "reason")}] ${text(found, "message")}`);
}

function waiting(what: string, object: KubeObject, ready: boolean, problems: string[]): Look {
    const kind = text(object, "kind");
    return { ready, progress: [`Waiting for ${kind} "${nameOf(object)}" ${what}`], problems: ready ? [] : problems };
}

/** Whether the controller has acted on the object as it is now. */
function isObserved(object: KubeObject): boolean {
    return count(object, "status", "observedGeneration") >= count(object, "metadata", "generation");
}

function deployment(object: KubeObject): Look {
    const wanted = count(object, "spec", "replicas");
    const ready =
        isObserved(object) &&
        count(object, "status", "updatedReplicas") >= wanted &&
        count(object, "status", "availableReplicas") >= wanted &&
        count(object, "status", "replicas") <= count(object, "status", "updatedReplicas");
    return waiting("to roll out", object, ready, [
        "Minimum number of live Pods was not attained",
        ...troubles(object, "Progressing=False", "ReplicaFailure=True", "Available=False"),
    ]);
}

function statefulSet(object: KubeObject): Look {
    const wanted = count(object, "spec", "replicas");
    const partition = count(object, "spec", "updateStrategy", "rollingUpdate", "partition");
    const isCurrent = text(object, "status", "currentRevision") === text(object, "status", "updateRevision");
    const ready =
        isObserved(object) &&
        count(object, "status", "readyReplicas") >= wanted &&
        (partition > 0 || isCurrent || text(object, "spec", "updateStrategy", "type") === "OnDelete");
    return waiting("to roll out", object, ready, [
        `${count(object, "status", "readyReplicas")} out of ${wanted} replicas succeeded readiness checks`,
    ]);
}

function daemonSet(object: KubeObject): Look {
    const wanted = count(object, "status", "desiredNumberScheduled");
    const available = count(object, "status", "numberAvailable");
    const isUpdated =
        text(object, "spec", "updateStrategy", "type") === "OnDelete" ||
        count(object, "status", "updatedNumberScheduled") >= wanted;
    const ready = isObserved(object) && isUpdated && available >= wanted;
    return waiting("to roll out", object, ready, [`${available} out of ${wanted} Pods are available`]);
}

function job(object: KubeObject): Look {
    const ready = condition(object, "Complete")?.status === "True" || at(object, "spec", "suspend") === true;
    return waiting("to succeed", object, ready, troubles(object, "Failed=True"));
}

function bound(object: KubeObject): Look {
    const phase = text(object, "status", "phase");
    return waiting("to be bound", object, phase === "Bound" || phase === "Available", [
        `phase is ${phase || "unknown"}`,
    ]);
}

interface Waitable {
    look(object: KubeObject): Look;
    /** Seconds. */
    limit: number;
}

/** How to tell that an object of a type is ready, and how long to wait for it. Pods and Services have files of their own. */
export const WORKLOADS: Record<string, Waitable> = {
    "apps/v1/Deployment": { look: deployment, limit: 600 },
    "apps/v1/StatefulSet": { look: statefulSet, limit: 600 },
    "apps/v1/DaemonSet": { look: daemonSet, limit: 600 },
    "batch/v1/Job": { look: job, limit: 600 },
    "v1/PersistentVolume": { look: bound, limit: 300 },
};
