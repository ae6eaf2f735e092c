import type { types } from "@pulumi/kubernetes";

/** What a node is to carry beside the labels of its handlers. */
export interface NodeSettings {
    readonly labels: Readonly<Record<string, string>>;
    /** The whole list of the node's taints, if it is not empty: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ */
    readonly taints: readonly Taint[];
}

export interface Taint {
    readonly key: string;
    /** None if undefined; never empty. */
    readonly value?: string | undefined;
    readonly effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
}

/** What lets a pod onto nodes with these taints. */
export function tolerations(taints: readonly Taint[]): types.input.core.v1.Toleration[] {
    const each = taints.map(({ key, value, effect }) => ({ key, operator: "Equal", value, effect }));
    return [...new Map(each.map((one) => [JSON.stringify(one), one])).values()];
}
