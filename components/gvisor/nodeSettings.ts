import type { types } from "@pulumi/kubernetes";
import type { Taint } from "./settings";

/** What a node is to carry beside the labels of its handlers. */
export interface NodeSettings {
    readonly labels: Readonly<Record<string, string>>;
    /** Beside those that others give the node: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ */
    readonly taints: readonly Taint[];
}

/** What lets a pod onto nodes with these taints. */
export function tolerations(taints: readonly Taint[]): types.input.core.v1.Toleration[] {
    // The API server drops an empty value.
    const each = taints.map(({ key, value, effect }) => ({ key, operator: "Equal", ...(value && { value }), effect }));
    return [...new Map(each.map((one) => [JSON.stringify(one), one])).values()];
}
