import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { patchedBy, project } from "../names";
import { admissionSpec, bindingSpec, namespaceLabels } from "./admission";
import { type NamespaceLabel, untrusted } from "./namespaceLabel";

export interface SandboxPolicyArgs {
    /** RuntimeClasses that are sandboxes; at least one. */
    readonly classes: readonly pulumi.Input<string>[];
    /** Label of the namespaces whose pods must be sandboxed. Default: runtime-sandboxes/untrusted=true. */
    readonly namespaceLabel?: NamespaceLabel;
    /** "audit" lets everything through, with a warning and a note in the audit log. Default: enforce. */
    readonly mode?: "enforce" | "audit";
    /** Namespaces that are made, with the label. They go away with all that is in them. */
    readonly namespaces?: readonly string[];
    /** Namespaces that are there already, and get the label. */
    readonly existingNamespaces?: readonly string[];
    readonly provider: k8s.Provider;
    /** After this the cluster may be changed. */
    readonly after?: readonly pulumi.Resource[];
    /** What the cluster goes away with, if the same stack made it. */
    readonly cluster?: pulumi.Resource;
}

/**
 * Makes sandboxes mandatory: in namespaces with a label the API server admits only pods that use one of the classes and
 * have no way around the sandbox (the host's namespaces and paths, privileges, tokens of the API server). It is a rule in
 * the API server itself, not a webhook, so there is nothing that could be down.
 */
export class SandboxPolicy extends pulumi.ComponentResource {
    public readonly policy: k8s.admissionregistration.v1.ValidatingAdmissionPolicy;
    public readonly binding: k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding;
    /** The namespaces, by name: pods that are made after them come under the policy. */
    public readonly namespaces: Readonly<Record<string, pulumi.Resource>>;

    constructor(name: string, args: SandboxPolicyArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:policy:SandboxPolicy`, name, {}, opts);
        const {
            classes,
            namespaceLabel = untrusted,
            mode = "enforce",
            namespaces = [],
            existingNamespaces = [],
        } = args;
        refuse(name, classes, namespaceLabel, [...namespaces, ...existingNamespaces]);
        const child = {
            parent: this,
            provider: args.provider,
            dependsOn: [...(args.after ?? [])],
            deletedWith: args.cluster,
        };
        this.policy = new k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            `${name}-admission`,
            {
                metadata: { name: project },
                spec: pulumi.all([...classes]).apply((names) => admissionSpec(names, namespaceLabel)),
            },
            child,
        );
        this.binding = new k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            `${name}-binding`,
            { metadata: { name: project }, spec: bindingSpec(this.policy.metadata.name, namespaceLabel, mode) },
            child,
        );
        // A namespace that is marked before the policy is there would take any pod meanwhile.
        const marked = { ...child, dependsOn: [...child.dependsOn, this.binding] };
        const labels = namespaceLabels(namespaceLabel, mode);
        const metadata = (one: string, annotations?: Record<string, string>) => ({
            metadata: { name: one, labels, annotations },
        });
        this.namespaces = Object.fromEntries([
            ...namespaces.map((one) => [one, new k8s.core.v1.Namespace(`${name}-${one}`, metadata(one), marked)]),
            ...existingNamespaces.map((one) => [
                one,
                new k8s.core.v1.NamespacePatch(`${name}-${one}`, metadata(one, patchedBy(pulumi.getStack())), marked),
            ]),
        ]);
        this.registerOutputs({});
    }
}

/** @throws {pulumi.RunError} all that is wrong with the arguments, before anything is made */
function refuse(name: string, classes: readonly unknown[], label: NamespaceLabel, namespaces: readonly string[]): void {
    const complaints: string[] = [];
    if (classes.length === 0) {
        complaints.push("classes is empty; allowed: at least one RuntimeClass, else no pod could be admitted");
    }
    if (!/^([a-z0-9][a-z0-9.-]{0,252}\/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/.test(label.key)) {
        complaints.push(`namespaceLabel.key is "${label.key}"; allowed: a label's name, such as ${untrusted.key}`);
    }
    if (!/^[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/.test(label.value)) {
        complaints.push(
            `namespaceLabel.value is "${label.value}"; allowed: a label's value, such as ${untrusted.value}`,
        );
    }
    const twice = namespaces.filter((one, index) => namespaces.indexOf(one) !== index);
    for (const one of new Set(twice)) {
        complaints.push(`the namespace "${one}" is named twice; allowed: once, as a new or as an existing one`);
    }
    for (const one of namespaces.filter((one) => one.startsWith("kube-"))) {
        complaints.push(`the namespace "${one}" is the cluster's own; allowed: one for the pods that you do not trust`);
    }
    if (complaints.length > 0) {
        throw new pulumi.RunError(`The policy ${name} cannot be made; nothing was changed: ${complaints.join("; ")}.`);
    }
}
