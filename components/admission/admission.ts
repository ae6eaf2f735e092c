import type { NamespaceLabel } from "./namespaceLabel";

/** What is looked at: pods, containers added to them later, and what makes pods, so that it is refused at once. */
const resourceRules = [
    ["", "pods", "pods/ephemeralcontainers", "replicationcontrollers"],
    ["apps", "daemonsets", "deployments", "replicasets", "statefulsets"],
    ["batch", "cronjobs", "jobs"],
].map(([apiGroup = "", ...resources]) => ({
    apiGroups: [apiGroup],
    apiVersions: ["v1"],
    operations: ["CREATE", "UPDATE"],
    resources,
    scope: "Namespaced",
}));

/** By resource, else for all others: where an object has the spec of its pods. */
const specPath = { pods: "spec", cronjobs: "spec.jobTemplate.spec.template.spec", others: "spec.template.spec" };

/** Where an object has what it makes pods of, annotations included: a change of one rolls them out. A pod has its spec. */
const template = (path: string): string => path.replace(/\.spec$/, "");

/** A string of CEL, which has JSON's escapes. */
const text = (value: string): string => JSON.stringify(value);

/** One of three values of CEL, by the resource of the request. */
function byResource(value: (path: string) => string): string {
    const { pods, cronjobs, others } = specPath;
    const isA = (resource: string) => `request.resource.resource == ${text(resource)}`;
    return `${isA("pods")} ? ${value(pods)} : ${isA("cronjobs")} ? ${value(cronjobs)} : ${value(others)}`;
}

/** A field of the pod's spec, an empty list where it is not set. */
const listOf = (field: string): string => `(has(variables.pod.${field}) ? variables.pod.${field} : [])`;

/** A list of complaints about a field of the pod's spec, empty unless the condition holds. */
const complaint = (condition: string, field: string, said: string): string =>
    `(${condition} ? [variables.at + ${text(`.${field} `)} + ${said}] : [])`;

/** Complaints about those elements of a list in the pod's spec that a condition, on "it", holds for. */
const complaints = (field: string, condition: string, said: string): string =>
    `${listOf(field)}.filter(it, ${condition}).map(it, variables.at + ${text(`.${field}[`)} + it.name + ${text(`]${said}`)})`;

/**
 * The admission policy, in CEL: its complaints about a pod are put together, so that they come all at once (the API
 * server shows one failed validation only).
 *
 * @param classes RuntimeClasses that are sandboxes
 * @param label of the namespaces that it is bound to, for its messages
 */
export function admissionSpec(classes: readonly string[], label: NamespaceLabel) {
    const allowed = classes.map((name) => `"${name}"`);
    const wanted = allowed.length === 1 ? `write ${allowed[0]}` : `write one of ${allowed.join(", ")}`;
    const tokenOff = "(has(variables.pod.automountServiceAccountToken) && !variables.pod.automountServiceAccountToken)";
    const rules = {
        runtimeClassName: complaint(
            `!(has(variables.pod.runtimeClassName) && variables.pod.runtimeClassName in [${classes.map(text).join(", ")}])`,
            "runtimeClassName",
            `(has(variables.pod.runtimeClassName) ? "is \\"" + variables.pod.runtimeClassName + "\\"" : "is not set") + ${text(`: ${wanted}`)}`,
        ),
        ...Object.fromEntries(
            ["hostNetwork", "hostPID", "hostIPC"].map((field) => [
                field,
                complaint(
                    `has(variables.pod.${field}) && variables.pod.${field}`,
                    field,
                    text("is true: leave it out, a sandboxed pod shares nothing with its node"),
                ),
            ]),
        ),
        hostPath: complaints(
            "volumes",
            "has(it.hostPath)",
            ".hostPath is set: write emptyDir, configMap, secret or persistentVolumeClaim instead",
        ),
        privileged: ["containers", "initContainers", "ephemeralContainers"]
            .map((field) =>
                complaints(
                    field,
                    "has(it.securityContext) && has(it.securityContext.privileged) && it.securityContext.privileged",
                    ".securityContext.privileged is true: leave it out",
                ),
            )
            .join(" + "),
        token: complaint(
            `!${tokenOff}`,
            "automountServiceAccountToken",
            text("is not false: write automountServiceAccountToken: false"),
        ),
        // Where the token is mounted by itself, the API server has put such a volume in; that is complained about above.
        projected: `(${tokenOff} ? ${complaints(
            "volumes",
            "has(it.projected) && has(it.projected.sources) && " +
                "it.projected.sources.exists(source, has(source.serviceAccountToken) || has(source.podCertificate))",
            ".projected has a token of the API server: leave serviceAccountToken and podCertificate out",
        )} : [])`,
    };
    const names = Object.keys(rules);
    const what = `pods of a namespace with the label ${label.key}=${label.value} must be sandboxed`;
    return {
        failurePolicy: "Fail",
        matchConstraints: { resourceRules, matchPolicy: "Equivalent" },
        matchConditions: [
            {
                // Else nobody could finish what was there before the namespace had its label, or scale it down.
                name: "new-or-another-pod",
                expression: `request.operation == "CREATE" || (${byResource((path) => `dyn(object).${template(path)} != dyn(oldObject).${template(path)}`)})`,
            },
        ],
        variables: [
            { name: "at", expression: byResource(text) },
            // "dyn": fields are looked for in the object, not in one of the types that it may have.
            { name: "pod", expression: byResource((path) => `dyn(object).${path}`) },
            ...Object.entries(rules).map(([name, expression]) => ({ name, expression })),
            { name: "complaints", expression: names.map((name) => `variables.${name}`).join(" + ") },
        ],
        validations: [
            {
                expression: "size(variables.complaints) == 0",
                messageExpression: `${text(`${what}: `)} + variables.complaints.join("; ")`,
                // Where the complaints are too long to be shown.
                message: `${what}, without privileges, host access or tokens`,
                reason: "Forbidden",
            },
        ],
    };
}

/** Where the policy of that name holds, and what comes of it. */
export function bindingSpec<Name>(policyName: Name, label: NamespaceLabel, mode: "enforce" | "audit") {
    return {
        policyName,
        validationActions: mode === "enforce" ? ["Deny", "Audit"] : ["Warn", "Audit"],
        matchResources: { namespaceSelector: { matchLabels: { [label.key]: label.value } } },
    };
}

/** Labels of an untrusted namespace: its mark, and Kubernetes' own level "restricted", which holds beside the policy. */
export function namespaceLabels(label: NamespaceLabel, mode: "enforce" | "audit"): Record<string, string> {
    const modes = mode === "enforce" ? ["enforce", "audit", "warn"] : ["audit", "warn"];
    return {
        [label.key]: label.value,
        ...Object.fromEntries(modes.map((one) => [`pod-security.kubernetes.io/${one}`, "restricted"])),
    };
}
