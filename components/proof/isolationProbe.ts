import * as pulumi from "@pulumi/pulumi";
import type { JudgedAttacks } from "../attacks.cjs";
import type { Handler, Machine } from "../contracts";
import { optionsInFile } from "../evidence.cjs";
import { hostCall, hostStep } from "../hostStep";
import { project, type TestPodKey, testPods } from "../names";
import type { JudgedReachable } from "../reachable.cjs";
import { documentOf, remoteStep } from "../remoteStep";
import type { TestPod } from "./testPod";
import { type Facts, type HostFacts, type PodFacts, type Verdict, verdict } from "./verdict";

export interface IsolationProbeArgs {
    readonly machine: Machine;
    readonly pods: Readonly<Record<TestPodKey, TestPod>>;
    /** Kubeconfig (secret) for the exec API. */
    readonly kubeconfig: pulumi.Output<string>;
    /** Changes when the runtime does: the facts are then captured again, and only then. */
    readonly configSha256: pulumi.Output<string>;
    /** Handler of test-2. */
    readonly handler: Handler;
    /** Classes of which a new pod has started in its sandbox. */
    readonly canaries: pulumi.Output<readonly string[]>;
    /** Version of runsc: an upgrade is looked at again too. */
    readonly runsc: pulumi.Output<string>;
    /** What came of attempts to leave the sandboxes; undefined where none are made. */
    readonly attacks?: pulumi.Output<JudgedAttacks>;
    /** What the pods reach over the network; undefined where that is not tried. */
    readonly reachable?: pulumi.Output<JudgedReachable>;
}

/**
 * Captures the kernel that both test pods see, through the Kubernetes exec API, and what the worker itself says about
 * their sandboxes, and judges them. Captured again when a pod is another one or its runtime has changed.
 */
export class IsolationProbe extends pulumi.ComponentResource {
    public readonly facts: pulumi.Output<Facts>;
    public readonly verdict: pulumi.Output<Verdict>;

    constructor(name: string, args: IsolationProbeArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:probe:IsolationProbe`, name, {}, opts);
        const { machine, pods, kubeconfig, configSha256, handler, canaries, runsc, attacks, reachable } = args;
        const runtime = pulumi.interpolate`${runsc} ${configSha256}`;
        const uids = testPods.map((key) => pulumi.interpolate`${key} ${pods[key].uid}`);

        const target = ({ pod: { metadata }, uid }: TestPod) => ({
            ...{ namespace: metadata.namespace, name: metadata.name, uid },
        });
        const inside = hostStep(
            `${name}-pods`,
            {
                create: hostCall("pod-facts", [
                    "scripts/on-host/exec.ts",
                    "scripts/on-host/api.ts",
                    "components/evidence.cjs",
                ]),
                input: {
                    kubeconfig,
                    runtime,
                    machine: machine.identity,
                    pods: Object.fromEntries(testPods.map((key) => [key, target(pods[key])])),
                },
            },
            { parent: this, customTimeouts: { create: "3m", update: "3m" } },
        );
        const host = remoteStep(
            `${name}-host`,
            {
                machine,
                library: "gvisor/node.sh",
                script: "probe/host-facts.sh",
                values: {
                    PODS: pulumi.all(uids).apply((lines) => lines.join("\n")),
                    OPTIONS: Object.keys(optionsInFile(handler)).join("\n"),
                    RUNTIME: runtime,
                },
                timeout: 60,
            },
            { parent: this },
        );
        this.facts = pulumi.all([inside.stdout, documentOf<HostFacts>(host)]).apply(([podText, hostFacts]) => ({
            pods: JSON.parse(podText) as Record<TestPodKey, PodFacts>,
            host: hostFacts,
        }));
        this.verdict = pulumi
            .all([this.facts, canaries, pulumi.output(attacks), pulumi.output(reachable)])
            .apply(([facts, classes, attempts, reached]) =>
                verdict(facts, handler, classes, attempts, reached?.egress),
            );
        this.registerOutputs({});
    }
}
