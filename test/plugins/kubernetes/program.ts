/** The part of the recorded program that uses the kubernetes plug-in; run by the engine in a project of its own. */
import * as fs from "node:fs";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

const step = new pulumi.Config().getNumber("step") || 1;
const kubeconfig = pulumi.secret(fs.readFileSync("kubeconfig", "utf8"));
const provider = new k8s.Provider("cluster", { kubeconfig, clusterIdentifier: "lab", enableServerSideApply: true });
const opts = { provider };

const namespace = new k8s.core.v1.Namespace("untrusted", { metadata: { labels: { sandbox: "required" } } }, opts);
const metadata = { namespace: namespace.metadata.name };
new k8s.core.v1.ConfigMap("settings", { metadata, data: { step: `${step}` } }, opts);
new k8s.core.v1.Secret("token", { metadata, stringData: { token: pulumi.secret("abc") } }, opts);
const runtime = new k8s.node.v1.RuntimeClass(
    "rec",
    { metadata: { name: "rec" }, handler: "runsc" },
    { provider, replaceOnChanges: ["handler"], deleteBeforeReplace: true },
);
const label = { "sandbox/runtime": `gvisor-${step}` };
new k8s.core.v1.NodePatch("worker-label", { metadata: { name: "worker-1", labels: label } }, opts);

function pod(name: string, value: string, runtimeClassName?: pulumi.Input<string>): k8s.core.v1.Pod {
    const env = [{ name: "STEP", value }];
    const container = { name, image: "nginx", imagePullPolicy: "IfNotPresent", ports: [{ containerPort: 80 }], env };
    const spec = { nodeName: "worker-1", runtimeClassName, containers: [container] };
    return new k8s.core.v1.Pod(name, { metadata: { name, labels: { run: name } }, spec }, opts);
}

const first = pod("rec-1", "same");
const second = pod("rec-2", `${step}`, runtime.metadata.name);
const ports = [{ port: 80 }];
new k8s.core.v1.Service(
    "rec",
    { metadata: { name: "rec" }, spec: { selector: { run: "rec-1" }, ports } },
    { provider, dependsOn: first },
);
const rules = [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }];
const policy = new k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
    "sandbox",
    {
        metadata: { name: "sandbox" },
        spec: {
            failurePolicy: "Fail",
            matchConstraints: { resourceRules: rules },
            validations: [{ expression: "has(object.spec.runtimeClassName)", message: "set runtimeClassName" }],
        },
    },
    opts,
);
const selector = { matchLabels: { sandbox: "required" } };
new k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
    "sandbox",
    {
        metadata: { name: "sandbox" },
        spec: {
            policyName: policy.metadata.name,
            validationActions: ["Deny"],
            matchResources: { namespaceSelector: selector },
        },
    },
    opts,
);

export const podUids = [first.metadata.uid, second.metadata.uid];
