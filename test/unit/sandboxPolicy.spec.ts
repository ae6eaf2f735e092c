import assert from "node:assert/strict";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { SandboxPolicy, type SandboxPolicyArgs } from "../../components/admission/sandboxPolicy";
import { mandatorySettings } from "../../components/admission/settings";
import { type Recorded, record } from "../helpers/mocks";

/** The component's resources, by name. */
async function make(args: Partial<SandboxPolicyArgs> = {}): Promise<ReadonlyMap<string, Recorded>> {
    const mocks = { project: "runtime-sandboxes", stack: "mocked", provide: () => ({}) };
    const [, resources] = await record(mocks, async () => {
        const provider = new k8s.Provider("cluster", { kubeconfig: "" });
        const cluster = new pulumi.ComponentResource("test:cluster:Cluster", "machine");
        const gate = new k8s.core.v1.ConfigMap("verified", {}, { provider });
        new SandboxPolicy("policy", { classes: ["gvisor"], provider, cluster, after: [gate], ...args });
    });
    return new Map(resources.map((one) => [one.name, one]));
}

function spec(resources: ReadonlyMap<string, Recorded>, name: string) {
    return (resources.get(name)?.inputs.spec ?? {}) as {
        failurePolicy: string;
        matchConstraints: { resourceRules: { resources: string[]; operations: string[] }[] };
        variables: { name: string; expression: string }[];
        validations: object[];
        policyName: string;
        validationActions: string[];
        matchResources: object;
    };
}

function metadata(resources: ReadonlyMap<string, Recorded>, name: string) {
    return (resources.get(name)?.inputs.metadata ?? {}) as { name?: string; labels?: Record<string, string> };
}

function variable(resources: ReadonlyMap<string, Recorded>, name: string): string {
    return spec(resources, "policy-admission").variables.find((one) => one.name === name)?.expression ?? "";
}

describe("SandboxPolicy", () => {
    it("is an admission policy that fails closed, and its binding to namespaces with the label", async () => {
        const resources = await make();
        assert.deepEqual(
            [...resources.keys()].filter((name) => name.startsWith("policy")),
            ["policy", "policy-admission", "policy-binding"],
        );
        const { failurePolicy, matchConstraints, validations } = spec(resources, "policy-admission");
        assert.equal(failurePolicy, "Fail");
        assert.equal(validations.length, 1);
        const looked = matchConstraints.resourceRules.flatMap((rule) => rule.resources);
        assert.deepEqual(looked.sort(), [
            ...["cronjobs", "daemonsets", "deployments", "jobs", "pods", "pods/ephemeralcontainers"],
            ...["replicasets", "replicationcontrollers", "statefulsets"],
        ]);
        assert.ok(matchConstraints.resourceRules.every((rule) => rule.operations.join() === "CREATE,UPDATE"));
        assert.deepEqual(spec(resources, "policy-binding"), {
            policyName: "runtime-sandboxes",
            validationActions: ["Deny", "Audit"],
            matchResources: { namespaceSelector: { matchLabels: { "runtime-sandboxes/untrusted": "true" } } },
        });
    });

    it("lets everything through in audit mode, with a warning", async () => {
        const resources = await make({ mode: "audit", namespaces: ["mine"] });
        assert.deepEqual(spec(resources, "policy-binding").validationActions, ["Warn", "Audit"]);
        assert.deepEqual(metadata(resources, "policy-mine").labels, {
            "runtime-sandboxes/untrusted": "true",
            "pod-security.kubernetes.io/audit": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        });
    });

    it("marks new and existing namespaces, after the binding is there", async () => {
        const resources = await make({ namespaces: ["mine"], existingNamespaces: ["theirs"] });
        const [mine, theirs] = [resources.get("policy-mine"), resources.get("policy-theirs")];
        assert.equal(mine?.type, "kubernetes:core/v1:Namespace");
        assert.equal(theirs?.type, "kubernetes:core/v1:NamespacePatch");
        for (const name of ["mine", "theirs"]) {
            const one = resources.get(`policy-${name}`);
            assert.equal(metadata(resources, `policy-${name}`).name, name);
            assert.ok(one?.dependencies.some((other) => other.name === "policy-binding"));
            assert.deepEqual(metadata(resources, `policy-${name}`).labels, {
                "runtime-sandboxes/untrusted": "true",
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/audit": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            });
        }
    });

    it("takes several classes, also such that are outputs, and another label", async () => {
        const resources = await make({
            classes: ["gvisor", pulumi.output("kvm")],
            namespaceLabel: { key: "trust", value: "none" },
            namespaces: ["mine"],
        });
        assert.match(variable(resources, "runtimeClassName"), /runtimeClassName in \["gvisor", "kvm"\]/);
        assert.match(variable(resources, "runtimeClassName"), /write one of \\"gvisor\\", \\"kvm\\"/);
        assert.deepEqual(spec(resources, "policy-binding").matchResources, {
            namespaceSelector: { matchLabels: { trust: "none" } },
        });
        assert.equal(metadata(resources, "policy-mine").labels?.trust, "none");
        assert.match(JSON.stringify(spec(resources, "policy-admission").validations), /with the label trust=none must/);
    });

    it("comes after the cluster may be changed, and goes away with it", async () => {
        const resources = await make({ namespaces: ["mine"] });
        for (const name of ["policy-admission", "policy-binding", "policy-mine"]) {
            const one = resources.get(name);
            assert.equal(one?.provider?.name, "cluster", name);
            assert.equal(one?.deletedWith?.name, "machine", name);
            assert.ok(
                one?.dependencies.some((other) => other.name === "verified"),
                name,
            );
        }
    });

    it("says all that is wrong with its arguments at once, and makes nothing", async () => {
        let made: readonly Recorded[] = [];
        await assert.rejects(
            async () => {
                made = [
                    ...(
                        await make({
                            classes: [],
                            namespaceLabel: { key: "a b", value: "" },
                            namespaces: ["mine", "kube-system"],
                            existingNamespaces: ["mine"],
                        })
                    ).values(),
                ];
            },
            {
                message:
                    "The policy policy cannot be made; nothing was changed: classes is empty; allowed: at least one " +
                    'RuntimeClass, else no pod could be admitted; namespaceLabel.key is "a b"; allowed: a label\'s name, ' +
                    'such as runtime-sandboxes/untrusted; namespaceLabel.value is ""; allowed: a label\'s value, such as ' +
                    'true; the namespace "mine" is named twice; allowed: once, as a new or as an existing one; the namespace ' +
                    '"kube-system" is the cluster\'s own; allowed: one for the pods that you do not trust.',
            },
        );
        assert.deepEqual(made, []);
    });
});

describe("the setting mandatory", () => {
    const complaints = (value: unknown) =>
        mandatorySettings.safeParse(value).error?.issues.map(({ path, message }) => `${path.join(".")} ${message}`) ??
        [];

    it("needs nothing: sandboxes are then mandatory wherever the label is", () => {
        assert.deepEqual(mandatorySettings.parse({}), {
            mode: "enforce",
            namespaces: [],
            existingNamespaces: [],
            label: { key: "runtime-sandboxes/untrusted", value: "true" },
            classes: [],
        });
        const all = {
            mode: "audit",
            namespaces: ["a"],
            existingNamespaces: ["b"],
            label: "trust=none",
            classes: ["kata"],
        };
        assert.deepEqual(mandatorySettings.parse(all), { ...all, label: { key: "trust", value: "none" } });
    });

    it("is refused with all that is wrong", () => {
        assert.deepEqual(
            complaints({
                mode: "warn",
                namespaces: ["A b", "default", "kube-system"],
                label: "trust",
                existing: [],
            }).sort(),
            [
                ' Unrecognized key: "existing"',
                "label is not a label; allowed: KEY=VALUE, such as runtime-sandboxes/untrusted=true",
                'mode is "warn"; allowed: enforce, audit',
                "namespaces.0 is not a namespace; allowed: a DNS label",
                'namespaces.1 is "default" or one of the cluster\'s own; allowed: a namespace for the pods that you do not trust',
                'namespaces.2 is "default" or one of the cluster\'s own; allowed: a namespace for the pods that you do not trust',
            ],
        );
        assert.deepEqual(complaints({ namespaces: ["a"], existingNamespaces: ["a"] }), [
            " names a namespace as new and as existing; allowed: one of them",
        ]);
    });
});
