import * as pulumi from "@pulumi/pulumi";
import { ExistingCluster } from "../../components/cluster/existingCluster";
import { SandboxClass } from "../../components/gvisor/sandboxClass";
import { SandboxNode } from "../../components/gvisor/sandboxNode";
import { SandboxRuntime } from "../../components/gvisor/sandboxRuntime";
import { remoteSources } from "../../components/targets/upstream";

const config = new pulumi.Config();
const privateKey = config.requireSecret("privateKey");
const workers = config.requireObject<Record<string, { host: string; hostKey: string }>>("workers");
const machines = Object.entries(workers).map(([name, { host, hostKey }]) => ({
    name,
    address: pulumi.output(host),
    connection: pulumi.secret(pulumi.output({ host, hostKey, privateKey, user: "root", perDialTimeout: 10 })),
    identity: pulumi.output(hostKey),
}));

// Refuses machines that are not the nodes that their names say.
const kubeconfig = config.requireSecret("kubeconfig");
const cluster = new ExistingCluster("cluster", { kubeconfig, clusterIdentifier: "theirs", workers: machines });
const after = cluster.verified;
const { provider } = cluster;

const handler = { name: "runsc", runtimeClass: "gvisor", options: { platform: "systrap" } };
const handlers = [handler];
const sources = pulumi.output(remoteSources(config.getObject("sources") ?? {}));
const sandbox = new SandboxClass("sandbox", { handler, provider, after });

export const runtimeClass = sandbox.runtimeClass.metadata.name;
export const gvisor = machines.map((machine) => {
    const runtime = new SandboxRuntime(`${machine.name}-runtime`, { machine, sources, handlers, after, release: "" });
    const { configSha256, runsc } = runtime.evidence;
    const node = { machine, handlers, provider, after: [runtime.installed], configSha256 };
    return { name: machine.name, runsc, handlers: new SandboxNode(machine.name, node).handlers };
});
