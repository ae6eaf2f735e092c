import * as pulumi from "@pulumi/pulumi";
import { admissionSpec, bindingSpec, namespaceLabels } from "../components/admission/admission";
import { egressManifest } from "../components/admission/egressPolicy";
import type { PlannedObject } from "../components/contracts";
import { type ClassSettings, classManifest } from "../components/gvisor/sandboxClass";
import { patchedBy, project, testPods } from "../components/names";
import { limitsPod } from "../components/proof/limitsProbe";
import { podManifest, testPod } from "../components/proof/testPod";
import type { Settings } from "./schema";
import { testHandlerOf } from "./worker";

const apiVersions = {
    RuntimeClass: "node.k8s.io/v1",
    Pod: "v1",
    Namespace: "v1",
    ValidatingAdmissionPolicy: "admissionregistration.k8s.io/v1",
    ValidatingAdmissionPolicyBinding: "admissionregistration.k8s.io/v1",
    NetworkPolicy: "networking.k8s.io/v1",
};

const planned = (
    kind: keyof typeof apiVersions,
    remedy: string,
    manifest: Omit<PlannedObject["manifest"], "apiVersion" | "kind">,
    more: Partial<PlannedObject> = {},
): PlannedObject => ({ manifest: { apiVersion: apiVersions[kind], kind, ...manifest }, remedy, ...more });

const elsewhere = "existing.namespace to a namespace that takes such pods";

/** The pods that stay on a worker. They get their image when it is known. */
function podsOf(settings: Settings, worker: string): PlannedObject[] {
    const place = { nodeName: worker, namespace: settings.existing?.namespace, image: "", unprivileged: true };
    const sandboxed = { ...place, runtimeClassName: testHandlerOf(settings, worker)?.runtimeClass };
    return [
        ...testPods.map((key) =>
            planned("Pod", `set ${elsewhere}`, podManifest(key === "test-1" ? place : sandboxed, testPod(key, place))),
        ),
        ...(settings.limits
            ? [planned("Pod", `set limits to false, or ${elsewhere}`, podManifest(sandboxed, limitsPod(worker)))]
            : []),
    ];
}

function policyOf({ mandatory, egress }: Settings, classes: readonly string[]): PlannedObject[] {
    if (mandatory === undefined) {
        return [];
    }
    const { label, mode, namespaces, existingNamespaces } = mandatory;
    const metadata = { name: project };
    const labels = namespaceLabels(label, mode);
    const annotations = patchedBy(pulumi.getStack());
    const policy = { metadata, spec: admissionSpec([...classes, ...mandatory.classes], label) };
    const binding = { metadata, spec: bindingSpec(project, label, mode) };
    return [
        planned("ValidatingAdmissionPolicy", "leave mandatory out", policy),
        planned("ValidatingAdmissionPolicyBinding", "leave mandatory out", binding),
        ...namespaces.map((name) =>
            planned("Namespace", "change mandatory.namespaces", { metadata: { name, labels } }),
        ),
        ...existingNamespaces.map((name) =>
            planned(
                "Namespace",
                "change mandatory.existingNamespaces",
                { metadata: { name, labels, annotations } },
                { patched: true },
            ),
        ),
        ...(egress
            ? [...namespaces, ...existingNamespaces].map((namespace) =>
                  planned("NetworkPolicy", "change egress", egressManifest(namespace, egress)),
              )
            : []),
    ];
}

/**
 * What the stack is going to have in its cluster, beside what lives for seconds.
 *
 * @param sandboxed names of the workers that take sandboxes
 */
export function plannedObjects(
    settings: Settings,
    classes: readonly ClassSettings[],
    sandboxed: readonly string[],
): PlannedObject[] {
    return [
        ...classes.map((one) =>
            planned("RuntimeClass", "change handlers, overhead or the taints of overrides", classManifest(one), {
                adopted: one.existing,
            }),
        ),
        ...policyOf(
            settings,
            classes.map(({ handler }) => handler.runtimeClass),
        ),
        ...sandboxed.flatMap((worker) => podsOf(settings, worker)),
    ];
}
