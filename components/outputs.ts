import * as pulumi from "@pulumi/pulumi";
import type { Machine } from "./targets/target";

/** An output with one entry for each worker, under the worker's name. */
export function byWorker<W extends { readonly machine: Machine }, T>(
    workers: readonly W[],
    entry: (worker: W) => pulumi.Output<T>,
): pulumi.Output<Record<string, T>> {
    return pulumi
        .all(workers.map((worker) => entry(worker).apply((value) => [worker.machine.name, value] as const)))
        .apply((entries) => Object.fromEntries(entries) as Record<string, T>);
}
