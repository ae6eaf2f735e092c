// What somebody's cluster is asked before anything is changed, on a real API server whose nodes and pods the test plays.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { maps, text } from "../../plugins/kubernetes/objects";
import { eventually } from "../helpers/eventually";
import { useCluster } from "../plugins/kubernetes-api";

const started = { phase: "Running", containerStatuses: [{ name: "canary", started: true, ready: true }] };

describe("scripts/on-host/preflight.ts", function () {
    this.timeout(90_000);
    const cluster = useCluster();
    const pods = (namespace = "default") => `/api/v1/namespaces/${namespace}/pods`;
    const ids = { "node-a": "a".repeat(32), "node-b": "b".repeat(32) };
    const plans = {
        ...{ namespace: "default", image: "nginx", pods: ["test-1", "test-2"], classes: ["myclass"] },
        ...{ drain: true, policies: true },
    };

    async function node(name: string, machineID: string, more: { runtime?: string; ready?: string } = {}) {
        await cluster.current.post("/api/v1/nodes", { apiVersion: "v1", kind: "Node", metadata: { name } });
        const { runtime = "containerd://2.3.7", ready = "True" } = more;
        const nodeInfo = { machineID, containerRuntimeVersion: runtime, kubeletVersion: "v1.36.5", osImage: "Debian" };
        const others = ["systemUUID", "bootID", "kernelVersion", "kubeProxyVersion", "operatingSystem", "architecture"];
        const info = { ...Object.fromEntries(others.map((field) => [field, ""])), ...nodeInfo };
        const conditions = [{ type: "Ready", status: ready, message: "the network is not ready", reason: "x" }];
        await cluster.current.merge(`/api/v1/nodes/${name}/status`, { status: { nodeInfo: info, conditions } });
    }

    before(async () => {
        for (const [name, id] of Object.entries(ids)) {
            await node(name, id);
        }
    });

    async function run(input: object): Promise<{ code: number | null; stdout: string; stderr: string }> {
        const child = spawn("node", ["scripts/on-host.mjs", "preflight"], { stdio: ["pipe", "pipe", "pipe"] });
        const said = { stdout: "", stderr: "" };
        for (const name of ["stdout", "stderr"] as const) {
            child[name].setEncoding("utf8").on("data", (part: string) => {
                said[name] += part;
            });
        }
        child.stdin.end(JSON.stringify({ kubeconfig: cluster.current.kubeconfig, machines: ids, ...plans, ...input }));
        const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
        return { code, ...said };
    }

    /** The complaints of a refused cluster. */
    async function refused(input: object): Promise<string[]> {
        const { code, stdout, stderr } = await run(input);
        assert.deepEqual([code, stdout], [1, ""], stderr);
        const [head, ...complaints] = stderr.trimEnd().split("\n");
        assert.equal(head, "error: the cluster is not as this stack needs it; nothing was changed:");
        assert.deepEqual(maps(await cluster.current.get(pods()), "items"), [], "no pod is left");
        return complaints.map((line) => line.replace(/^ {2}- /, "")).sort();
    }

    /** Does what kubelet would for the pods that come to a namespace. */
    async function play(count: number, status: object, namespace = "default"): Promise<void> {
        const named = async () =>
            maps(await cluster.current.get(pods(namespace)), "items").map((pod) => text(pod, "metadata", "name"));
        await eventually("the pods", async () => (await named()).length === count);
        for (const name of await named()) {
            await cluster.current.setPodStatus(name, status, namespace);
        }
    }

    it("is content with nodes where a pod starts, and takes that away", async () => {
        const [{ code, stdout, stderr }] = await Promise.all([run({}), play(2, started)]);
        assert.equal(code, 0, stderr);
        const info = { kubelet: "v1.36.5", containerRuntime: "containerd://2.3.7", os: "Debian" };
        assert.deepEqual(JSON.parse(stdout), { "node-a": info, "node-b": info });
        await eventually("no pod", async () => maps(await cluster.current.get(pods()), "items").length === 0);
    });

    it("asks for nodes alone where nothing but gVisor is to come", async () => {
        const { code, stderr } = await run({ image: undefined, pods: undefined, classes: undefined });
        assert.equal(code, 0, stderr);
    });

    it("names every machine that is not the node of its name, or whose node takes no pods", async () => {
        await node("node-cri-o", "c".repeat(32), { runtime: "cri-o://1.36.0" });
        await node("node-down", "d".repeat(32), { ready: "False" });
        const machines = {
            ...{ "node-a": ids["node-b"], nobody: "e".repeat(32), "node-b": "f".repeat(32) },
            ...{ "node-cri-o": "c".repeat(32), "node-down": "d".repeat(32) },
        };
        assert.deepEqual(await refused({ machines }), [
            "nobody is not a node of this cluster; its nodes are node-a, node-b, node-cri-o, node-down, worker-1. Name the worker as its node is named",
            "node-cri-o runs its pods with cri-o://1.36.0; only containerd is supported",
            `the machine that node-a is reached at is the node node-b: its machine id is ${ids["node-b"]}, that of the node node-a is ${ids["node-a"]}. Correct the host of this worker`,
            `the machine that node-b is reached at is another one: its machine id is ${"f".repeat(32)}, that of the node node-b is ${ids["node-b"]}. Correct the host of this worker`,
            "the node node-down is not Ready (the network is not ready). Fix it, or leave it out",
        ]);
    });

    it("names machines that are copies of one", async () => {
        await node("node-copy", ids["node-a"]);
        const complaints = await refused({ machines: { "node-a": ids["node-a"], "node-copy": ids["node-a"] } });
        assert.equal(complaints.length, 2);
        assert.match(complaints[0] ?? "", /^node-a has the machine id a{32}, as node-copy has: .*machine-id-setup/);
    });

    it("names all rights that the kubeconfig lacks", async () => {
        await cluster.current.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", {
            ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "reader" } },
            rules: [{ apiGroups: [""], resources: ["nodes"], verbs: ["get", "list"] }],
        });
        await cluster.current.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
            ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding", metadata: { name: "reader" } },
            roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "reader" },
            subjects: [{ kind: "ServiceAccount", name: "default", namespace: "default" }],
        });
        const account = "/api/v1/namespaces/default/serviceaccounts/default/token";
        const asked = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
        const token = text(await cluster.current.post(account, asked), "status", "token");
        const kubeconfig = cluster.current.kubeconfig
            .replace(/client-certificate-data: .*/, `token: ${token}`)
            .replace(/client-key-data: .*/, "");
        assert.deepEqual(await refused({ kubeconfig, policies: false }), [
            "the kubeconfig may not patch nodes, list pods, create pods/eviction, get namespaces, get runtimeclasses, create runtimeclasses, " +
                "patch runtimeclasses, delete runtimeclasses, get pods in default, list pods in default, watch pods in default, " +
                "create pods in default, patch pods in default, delete pods in default, get pods/exec in default, " +
                "create pods/exec in default, list events in default. Set one that may",
        ]);
        const policies = await refused({ kubeconfig });
        assert.match(
            policies[0] ?? "",
            /create validatingadmissionpolicybindings, .* patch namespaces, delete namespaces, /,
        );
    });

    it("names what is there already by those names, unless Pulumi has made it", async () => {
        const classes = "/apis/node.k8s.io/v1/runtimeclasses";
        const make = (name: string, fieldManager: string) =>
            cluster.current.api.request("POST", classes, {
                body: { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name }, handler: "kata" },
                query: { fieldManager },
                signal: cluster.current.signal,
            });
        await make("theirs", "kubectl-create");
        await make("ours", "pulumi-kubernetes-0123abcd");
        const namespace = "taken";
        const object = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
        await cluster.current.post("/api/v1/namespaces", object);
        await cluster.current.account(namespace);
        await cluster.current.post(pods(namespace), {
            ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "test-2" } },
            spec: { containers: [{ name: "main", image: "nginx" }] },
        });
        assert.deepEqual(await refused({ namespace, classes: ["ours", "theirs"] }), [
            "the RuntimeClass theirs is there already, and not of Pulumi. Delete it, or set another runtimeClass",
            "the pod taken/test-2 is there already, and not of Pulumi. Delete it, or set existing.namespace",
        ]);
    });

    it("wants the namespace to be there", async () => {
        assert.deepEqual(await refused({ namespace: "nowhere" }), [
            "the namespace nowhere is not in the cluster. Make it (kubectl create namespace nowhere), or set existing.namespace to another one",
        ]);
    });

    it("says that privileged pods are refused where attempts are to be made in them, and how to do without", async () => {
        const labels = { "pod-security.kubernetes.io/enforce": "baseline" };
        const object = { apiVersion: "v1", kind: "Namespace", metadata: { name: "baseline", labels } };
        await cluster.current.post("/api/v1/namespaces", object);
        await cluster.current.account("baseline");
        const input = { namespace: "baseline" };
        const [{ code, stderr }] = await Promise.all([run(input), play(2, started, "baseline")]);
        assert.equal(code, 0, stderr);
        const [complaints] = await Promise.all([refused({ ...input, attacks: true }), play(2, started, "baseline")]);
        assert.equal(complaints.length, 1);
        assert.match(
            complaints[0] ?? "",
            /^no privileged pod may be made in baseline, as the setting attacks asks for: .*violates PodSecurity "baseline:latest": .*privileged.*\. Set attacks to false, or existing\.namespace to /,
        );
    });

    it("says that a pod with the profile RuntimeDefault is refused where one is to be measured", async () => {
        const object = { apiVersion: "v1", kind: "Namespace", metadata: { name: "unmeasured" } };
        await cluster.current.post("/api/v1/namespaces", object);
        await cluster.current.account("unmeasured");
        const admission = "/apis/admissionregistration.k8s.io/v1";
        await cluster.current.post(`${admission}/validatingadmissionpolicies`, {
            ...{ apiVersion: "admissionregistration.k8s.io/v1", kind: "ValidatingAdmissionPolicy" },
            metadata: { name: "no-profile" },
            spec: {
                failurePolicy: "Fail",
                matchConstraints: {
                    resourceRules: [
                        { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] },
                    ],
                },
                validations: [
                    { expression: "!has(object.spec.securityContext.seccompProfile)", message: "no profile" },
                ],
            },
        });
        await cluster.current.post(`${admission}/validatingadmissionpolicybindings`, {
            ...{ apiVersion: "admissionregistration.k8s.io/v1", kind: "ValidatingAdmissionPolicyBinding" },
            metadata: { name: "no-profile" },
            spec: {
                policyName: "no-profile",
                validationActions: ["Deny"],
                matchResources: { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "unmeasured" } } },
            },
        });
        const input = { namespace: "unmeasured", surface: true };
        await eventually("the policy", async () => {
            const [{ stderr }] = await Promise.all([run(input), play(2, started, "unmeasured")]);
            return /no pod with the profile RuntimeDefault may be made in unmeasured, as the setting surface asks for: .*no profile.*\. Set surface to false, or existing\.namespace to /.test(
                stderr,
            );
        });
        const [{ code, stderr }] = await Promise.all([run({ surface: true }), play(2, started)]);
        assert.equal(code, 0, stderr);
    });

    it("makes no privileged pod to find out whether they may be made", async () => {
        const [{ code, stderr }] = await Promise.all([run({ attacks: true }), play(2, started)]);
        assert.equal(code, 0, stderr);
    });

    describe("asked for what pods reach", () => {
        const restricted = { "pod-security.kubernetes.io/enforce": "restricted" };

        async function make(name: string, labels: Record<string, string> = {}, quota?: Record<string, string>) {
            const object = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
            await cluster.current.post("/api/v1/namespaces", object);
            await cluster.current.account(name);
            if (quota) {
                const body = {
                    ...{ apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "q" } },
                    spec: { hard: quota },
                };
                const quotas = `/api/v1/namespaces/${name}/resourcequotas`;
                await cluster.current.post(quotas, body);
                const used = Object.fromEntries(Object.keys(quota).map((key) => [key, "0"]));
                await cluster.current.merge(`${quotas}/q/status`, { status: { hard: quota, used } });
            }
        }

        it("says that no pod may be on a worker's network, and how to do without", async () => {
            await make("baseline-network", { "pod-security.kubernetes.io/enforce": "baseline" });
            const input = { namespace: "baseline-network", reachable: true };
            const [complaints] = await Promise.all([refused(input), play(2, started, "baseline-network")]);
            assert.equal(complaints.length, 1);
            assert.match(
                complaints[0] ?? "",
                /^no pod on a worker's own network may be made in baseline-network, as the setting reachable asks for: .*host namespaces.*\. Set reachable to false, or existing\.namespace to /,
            );
        });

        it("says of each namespace with policies why they cannot be tried there; the level restricted is no reason", async () => {
            await make("apps", restricted);
            await make("limited-apps", restricted, { "limits.cpu": "4" });
            const egress = ["apps", "limited-apps"];
            const [complaints] = await Promise.all([refused({ reachable: true, egress }), play(2, started)]);
            assert.equal(complaints.length, 1);
            assert.match(
                complaints[0] ?? "",
                /^no pod may be made in limited-apps that shows whether its policy is enforced, .*must specify limits\.cpu.*\. Make room for it there, or leave egress out$/,
            );
            assert.deepEqual(maps(await cluster.current.get(pods("apps")), "items"), [], "nothing is made to find out");
        });

        it("wants the rights for policies, and to see where the cluster's services are", async () => {
            const account = "/api/v1/namespaces/default/serviceaccounts/default/token";
            const asked = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
            const token = text(await cluster.current.post(account, asked), "status", "token");
            const kubeconfig = cluster.current.kubeconfig
                .replace(/client-certificate-data: .*/, `token: ${token}`)
                .replace(/client-key-data: .*/, "");
            const [lacking = ""] = await refused({ kubeconfig, reachable: true, egress: ["apps"] });
            for (const right of [
                "get services",
                "list endpointslices",
                "create networkpolicies in apps",
                "create pods/exec in apps",
            ]) {
                assert.ok(lacking.includes(right), right);
            }
        });
    });

    for (const [what, namespace, labels, quota, why] of [
        [
            "Pod Security refuses it",
            "strict",
            { "pod-security.kubernetes.io/enforce": "restricted" },
            undefined,
            /pods "canary" is forbidden: violates PodSecurity "restricted:latest": .*runAsNonRoot/,
        ],
        ["a quota asks for limits", "limited", {}, { "limits.cpu": "4" }, /failed quota: q: must specify limits\.cpu/],
    ] as const) {
        it(`says why no pod starts, once for all workers: ${what}`, async () => {
            const object = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } };
            await cluster.current.post("/api/v1/namespaces", object);
            await cluster.current.account(namespace);
            if (quota) {
                const body = {
                    apiVersion: "v1",
                    kind: "ResourceQuota",
                    metadata: { name: "q" },
                    spec: { hard: quota },
                };
                const quotas = `/api/v1/namespaces/${namespace}/resourcequotas`;
                await cluster.current.post(quotas, body);
                // No controller counts here.
                await cluster.current.merge(`${quotas}/q/status`, {
                    status: { hard: quota, used: { "limits.cpu": "0" } },
                });
            }
            const complaints = await refused({ namespace });
            assert.equal(complaints.length, 1);
            assert.match(complaints[0] ?? "", why);
            assert.match(
                complaints[0] ?? "",
                new RegExp(
                    `^no pod of the default runtime starts in ${namespace} on node-a, node-b: .*set existing\\.namespace`,
                ),
            );
        });
    }

    it("says what a worker says of a pod that does not start there", async () => {
        const message = 'Back-off pulling image "nginx"';
        const waiting = { reason: "ImagePullBackOff", message };
        const status = { phase: "Pending", containerStatuses: [{ name: "canary", state: { waiting } }] };
        const [complaints] = await Promise.all([refused({ machines: { "node-a": ids["node-a"] } }), play(1, status)]);
        assert.match(complaints[0] ?? "", /starts in default on node-a: Back-off pulling image "nginx"\. Fix that/);
    });
});
