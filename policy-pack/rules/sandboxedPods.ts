import { untrusted } from "../../components/admission/namespaceLabel";
import { podSpec, podSpecs } from "../pods";
import type { StackRule } from "../rule";
import { any, at, every, type Maybe, shown, unknown, type Value } from "../values";

/** Settings of this rule, for what the stack's own resources do not say. */
interface Config {
    readonly namespaces?: readonly string[];
    readonly classes?: readonly string[];
    readonly label?: string;
}

const namespaceTypes = ["kubernetes:core/v1:Namespace", "kubernetes:core/v1:NamespacePatch"];

export const configSchema = {
    properties: {
        namespaces: {
            type: "array" as const,
            items: { type: "string" as const },
            description: "Untrusted namespaces beside those that the stack labels.",
        },
        classes: {
            type: "array" as const,
            items: { type: "string" as const },
            description: "RuntimeClasses that are sandboxes beside those of the stack.",
        },
        label: {
            type: "string" as const,
            description: `Label of untrusted namespaces, as KEY=VALUE; default ${untrusted.key}=${untrusted.value}.`,
        },
    },
};

const same = (one: Value, other: Value): Maybe => ([one, other].includes(unknown) ? unknown : one === other);

/** What the cluster's own admission would refuse, said before anything is changed; about this stack's pods only. */
export const sandboxedPods: StackRule = {
    name: "sandboxed-pods",
    description: "Pods in untrusted namespaces use a sandbox class.",
    check(resources, judge, config) {
        const { namespaces = [], classes = [], label = `${untrusted.key}=${untrusted.value}` } = config as Config;
        const [key = "", value = ""] = label.split("=");
        const metadata = (types: readonly string[], ...path: readonly string[]) =>
            resources.filter(({ type }) => types.includes(type)).map(({ props }) => at(props, "metadata", ...path));
        const labelled = metadata(namespaceTypes);
        const allowed = [...classes, ...metadata(["kubernetes:node.k8s.io/v1:RuntimeClass"], "name")];

        for (const { type, name, urn, props } of resources.filter((one) => Object.hasOwn(podSpecs, one.type))) {
            const namespace = at(props, "metadata", "namespace") ?? "default";
            const runtimeClass = at(podSpec(type, props), "runtimeClassName");
            const inside = any([
                ...namespaces.map((one) => same(one, namespace)),
                ...labelled.map((one) =>
                    every([same(at(one, "name"), namespace), same(at(one, "labels", key), value)]),
                ),
            ]);
            const sandboxed = runtimeClass !== undefined && any(allowed.map((one) => same(one, runtimeClass)));
            if (inside === true && sandboxed === false) {
                judge.violation(
                    `runtimeClassName is ${shown(runtimeClass)} in the untrusted namespace ${String(namespace)}; ` +
                        `allowed: ${allowed.map(String).join(", ") || "none is known, set this policy's classes"}`,
                    urn,
                );
            } else if (inside !== false && sandboxed !== true) {
                judge.undecided(name);
            }
        }
    },
};
