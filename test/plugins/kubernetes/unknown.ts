/** A cluster whose kubeconfig is not known before the update, as when the same update makes the cluster. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { unknown } from "@pulumi/pulumi/output";

const kubeconfig = pulumi.secret(pulumi.output(unknown).apply(String));
const provider = new k8s.Provider("cluster", { kubeconfig, clusterIdentifier: "lab" });
const namespace = new k8s.core.v1.Namespace("sandboxes", {}, { provider });
const data = { name: namespace.metadata.name };
new k8s.core.v1.ConfigMap("settings", { metadata: { namespace: namespace.metadata.name }, data }, { provider });
