/** Puts a pod without a sandbox into an untrusted namespace; run by the engine in a project of its own. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

const cluster = { name: "lab", cluster: { server: "https://127.0.0.1:9" } };
const kubeconfig = pulumi.jsonStringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [cluster],
    users: [{ name: "lab", user: { token: pulumi.secret("secret") } }],
    contexts: [{ name: "lab", context: { cluster: "lab", user: "lab" } }],
    "current-context": "lab",
});
const provider = new k8s.Provider("cluster", { kubeconfig, clusterIdentifier: "lab" });
const opts = { provider };

const labels = { "runtime-sandboxes/untrusted": "true" };
const namespace = new k8s.core.v1.Namespace("untrusted", { metadata: { name: "untrusted", labels } }, opts);
const sandbox = new k8s.node.v1.RuntimeClass("sandbox", { metadata: { name: "gvisor" }, handler: "runsc" }, opts);

function pod(name: string, runtimeClassName?: pulumi.Input<string>): void {
    const metadata = { name, namespace: namespace.metadata.name };
    const spec = { runtimeClassName, containers: [{ name: "main", image: "example.com/main:1" }] };
    new k8s.core.v1.Pod(name, { metadata, spec }, opts);
}
pod("sandboxed", sandbox.metadata.name);
pod("plain");
