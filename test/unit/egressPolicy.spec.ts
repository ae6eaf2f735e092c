import assert from "node:assert/strict";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { EgressPolicy, egressSpec } from "../../components/admission/egressPolicy";
import { PolicyEngine } from "../../components/cluster/policyEngine";
import { versions } from "../../components/versions";
import { type Recorded, record } from "../helpers/mocks";

async function made(make: (provider: k8s.Provider, cluster: pulumi.Resource) => void) {
    const mocks = { project: "runtime-sandboxes", stack: "mocked", provide: () => ({}) };
    const [, resources] = await record(mocks, async () => {
        const provider = new k8s.Provider("cluster", { kubeconfig: "" });
        make(provider, new pulumi.ComponentResource("test:cluster:Cluster", "machine"));
    });
    return new Map(resources.map((one) => [one.name, one]));
}

describe("EgressPolicy", () => {
    it("selects all pods of each namespace, and lets them go where they may", async () => {
        const rules = {
            allow: [{ cidr: "203.0.113.0/24", ports: [{ port: 443, protocol: "TCP" as const }] }],
            dns: true,
        };
        const resources = await made((provider, cluster) => {
            const one = new k8s.core.v1.Namespace("mine", {}, { provider });
            new EgressPolicy("egress", { namespaces: { mine: one, theirs: one }, rules, provider, cluster });
        });
        for (const namespace of ["mine", "theirs"]) {
            const { type, inputs, dependencies, provider } = resources.get(`egress-${namespace}`) as Recorded;
            assert.equal(type, "kubernetes:networking.k8s.io/v1:NetworkPolicy");
            assert.deepEqual(inputs.metadata, { name: "runtime-sandboxes-egress", namespace });
            assert.deepEqual(inputs.spec, egressSpec(rules));
            assert.ok(dependencies.some(({ name }) => name === "mine"));
            assert.equal(provider?.name, "cluster");
        }
    });

    it("forbids all by itself; names are asked of the cluster's DNS, if at all, and of nobody else", () => {
        assert.deepEqual(egressSpec({ allow: [], dns: false }), {
            podSelector: {},
            policyTypes: ["Egress"],
            egress: [],
        });
        assert.deepEqual(egressSpec({ allow: [], dns: true }).egress, [
            {
                to: [
                    {
                        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
                        podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
                    },
                ],
                ports: [
                    { protocol: "UDP", port: 53 },
                    { protocol: "TCP", port: 53 },
                ],
            },
        ]);
    });

    it("allows a range with all its ports where none is named", () => {
        const { egress } = egressSpec({ allow: [{ cidr: "192.0.2.0/24" }], dns: false });
        assert.deepEqual(egress, [{ to: [{ ipBlock: { cidr: "192.0.2.0/24" } }] }]);
    });
});

describe("PolicyEngine", () => {
    it("is kube-router on every node, of which only the policies are switched on, without more rights than it needs", async () => {
        const resources = await made(
            (provider, cluster) => new PolicyEngine("policies", { provider, cluster, kind: "mirror" }),
        );
        const { inputs } = resources.get("policies-daemonset") as Recorded;
        const { template } = inputs.spec as {
            template: {
                spec: {
                    hostNetwork: boolean;
                    tolerations: object[];
                    containers: { image: string; args: string[]; securityContext: object; lifecycle: object }[];
                };
            };
        };
        const [container] = template.spec.containers;
        assert.deepEqual([template.spec.hostNetwork, template.spec.tolerations], [true, [{ operator: "Exists" }]]);
        assert.equal(container?.image, versions.kubeRouter.image.replace(/@.*/, ""));
        const parts = ["--run-router=false", "--run-service-proxy=false", "--run-loadbalancer=false"];
        assert.ok(["--run-firewall=true", ...parts].every((arg) => container?.args.includes(arg)));
        assert.deepEqual(container?.lifecycle, { preStop: { sleep: { seconds: 5 } } });
        assert.deepEqual(container?.securityContext, {
            privileged: false,
            capabilities: { add: ["NET_ADMIN", "NET_RAW"] },
        });
        const { rules } = (resources.get("policies-role") as Recorded).inputs as { rules: { verbs: string[] }[] };
        assert.ok(rules.every(({ verbs }) => verbs.join() === "get,list,watch"));
    });
});
