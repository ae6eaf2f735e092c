import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster, Machine, Plans, Prepared, Step } from "../contracts";
import { hostCall, hostStep } from "../hostStep";
import { project } from "../names";
import { remoteStep, resultOf } from "../remoteStep";

/** What decides what the preflight asks. */
const preflightFiles = [
    ...["api", "planned", "canary", "attacks", "surface", "reachable", "rights"].map(
        (one) => `scripts/on-host/${one}.ts`,
    ),
    "components/unprivileged.cjs",
];

export interface ExistingClusterArgs {
    /** Administrator's kubeconfig. */
    readonly kubeconfig: pulumi.Input<string>;
    /** Where the stack's pods are to be. Default: "default". */
    readonly namespace?: string;
    /** Names the cluster in the state. */
    readonly clusterIdentifier: string;
    readonly workers: readonly Machine[];
    /** Default: no more than to install gVisor. */
    readonly plans?: Plans;
}

/**
 * A cluster that somebody else made: nothing of it is created or removed. Before anything on a machine is touched, each must
 * be the node that its name says, by the machine id that kubelet reports to the API server, and the cluster must let the
 * stack do what it is going to do.
 */
export class ExistingCluster extends pulumi.ComponentResource implements Cluster {
    public readonly kubeconfig: pulumi.Output<string>;
    public readonly namespace: string;
    public readonly unprivileged: boolean = true;
    public readonly provider: k8s.Provider;
    public readonly verified: readonly Step[];
    public readonly policyEngine = [];

    constructor(name: string, args: ExistingClusterArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:cluster:ExistingCluster`, name, {}, opts);
        const { clusterIdentifier, workers, namespace = "default", plans } = args;
        this.namespace = namespace;
        this.kubeconfig = pulumi.secret(args.kubeconfig);
        this.provider = new k8s.Provider(
            `${name}-kubernetes`,
            { kubeconfig: this.kubeconfig, clusterIdentifier },
            { parent: this },
        );
        const ids = workers.map((machine) => {
            const look = remoteStep(
                `${name}-${machine.name}-id`,
                { machine, script: "node/machine-id.sh", timeout: 30, inline: true },
                { parent: this },
            );
            return resultOf(look).apply((id) => [machine.name, id.trim()] as const);
        });
        const preflight = hostStep(
            `${name}-nodes`,
            {
                create: hostCall("preflight", preflightFiles),
                input: {
                    kubeconfig: this.kubeconfig,
                    machines: pulumi.all(ids).apply((all) => Object.fromEntries(all)),
                    namespace,
                    ...plans,
                },
            },
            { parent: this, customTimeouts: { create: "5m", update: "5m" } },
        );
        this.verified = [preflight];
        this.registerOutputs({});
    }

    public prepare(): Prepared {
        return { done: this.verified };
    }

    public join(_machine: Machine, after: readonly Step[]): readonly Step[] {
        return after;
    }
}
