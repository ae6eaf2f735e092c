import { at, list, unknown, type Value, type ValueMap } from "./values";

/** Types of resources that are pods or make pods, with the path of the pod's spec. */
export const podSpecs: Readonly<Record<string, readonly string[]>> = {
    "kubernetes:core/v1:Pod": ["spec"],
    "kubernetes:core/v1:ReplicationController": ["spec", "template", "spec"],
    "kubernetes:apps/v1:DaemonSet": ["spec", "template", "spec"],
    "kubernetes:apps/v1:Deployment": ["spec", "template", "spec"],
    "kubernetes:apps/v1:ReplicaSet": ["spec", "template", "spec"],
    "kubernetes:apps/v1:StatefulSet": ["spec", "template", "spec"],
    "kubernetes:batch/v1:CronJob": ["spec", "jobTemplate", "spec", "template", "spec"],
    "kubernetes:batch/v1:Job": ["spec", "template", "spec"],
};

/** The containers of a pod's spec, each with its path; an unknown list is one container that is not known. */
export function containers(spec: Value): { path: string; container: Value }[] {
    return ["containers", "initContainers", "ephemeralContainers"].flatMap((field) => {
        const found = list(at(spec, field));
        return found === unknown
            ? [{ path: field, container: unknown }]
            : found.map((container, index) => ({ path: `${field}[${index}]`, container }));
    });
}

/** The pod's spec of a resource of one of these types. */
export function podSpec(type: string, props: ValueMap): Value {
    return at(props, ...(podSpecs[type] ?? []));
}
