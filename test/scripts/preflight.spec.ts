// What somebody's cluster is asked before anything is changed, on a real API server whose nodes and pods the test plays.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { loadYaml } from "@kubernetes/client-node";
import { maps, text } from "../../plugins/kubernetes/objects";
import { parseSettings } from "../../settings";
import { stackSettings } from "../../settings/stack";
import { eventually } from "../helpers/eventually";
import { useCluster } from "../plugins/kubernetes-api";

const started = { phase: "Running", containerStatuses: [{ name: "canary", started: true, ready: true }] };

describe("scripts/on-host/preflight.ts", function () {
    this.timeout(90_000);
    const cluster = useCluster();
    const pods = (namespace = "default") => `/api/v1/namespaces/${namespace}/pods`;
    const ids = { "node-a": "a".repeat(32), "node-b": "b".repeat(32) };
    /** What a stack with these settings tells the script. */
    const plansOf = (namespace = "default", settings: Readonly<Record<string, unknown>> = {}) => {
        const worker = { host: "10.0.0.1", hostKey: "ssh-ed25519 AAAA" };
        const workers = Object.fromEntries(Object.keys(ids).map((name) => [name, worker]));
        const existing = { workers, kubeconfig: "given", namespace, ...(settings.existing as object) };
        const raw = Object.entries({ target: "existing", ...settings, existing }).map(([key, value]) => [
            key,
            typeof value === "string" ? value : JSON.stringify(value),
        ]);
        const { plans } = stackSettings(parseSettings(Object.fromEntries(raw)));
        return { namespace, image: "nginx", ...plans };
    };
    const plans = { ...plansOf(), drain: true, policies: true };

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

    /** A namespace with an account for its pods. */
    async function place(name: string, labels: Record<string, string> = {}, quota?: Record<string, string>) {
        const object = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
        await cluster.current.post("/api/v1/namespaces", object);
        await cluster.current.account(name);
        if (quota) {
            const body = { apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "q" }, spec: { hard: quota } };
            const quotas = `/api/v1/namespaces/${name}/resourcequotas`;
            await cluster.current.post(quotas, body);
            // No controller counts here.
            const used = Object.fromEntries(Object.keys(quota).map((key) => [key, "0"]));
            await cluster.current.merge(`${quotas}/q/status`, { status: { hard: quota, used } });
        }
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
        const { code, stderr } = await run({ image: undefined, objects: undefined });
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

    /** A kubeconfig of the account `default` of a namespace. */
    async function accountOf(namespace: string): Promise<string> {
        const account = `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`;
        const asked = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
        const token = text(await cluster.current.post(account, asked), "status", "token");
        return cluster.current.kubeconfig
            .replace(/client-certificate-data: .*/, `token: ${token}`)
            .replace(/client-key-data: .*/, "");
    }

    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    const bindingTo = (role: string, kind: "ClusterRoleBinding" | "RoleBinding", namespace: string) => ({
        ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind, metadata: { name: role } },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
        subjects: [{ kind: "ServiceAccount", name: "default", namespace }],
    });

    it("is content with the roles of docs/rbac.yaml, bound as it says, and with none less", async () => {
        const namespaces = ["least", "least-apps"];
        for (const name of namespaces) {
            await cluster.current.post("/api/v1/namespaces", {
                apiVersion: "v1",
                kind: "Namespace",
                metadata: { name },
            });
            await cluster.current.account(name);
        }
        const kubeconfig = await accountOf("least");
        const [namespace = "", ...egress] = namespaces;
        const input = { kubeconfig, ...plansOf(namespace), drain: true, policies: true, reachable: true, egress };
        const roles = fs.readFileSync("docs/rbac.yaml", "utf8").split(/^---$/m);
        assert.equal(roles.length, 7);
        for (const role of roles) {
            const body = loadYaml<{ metadata: { name: string } }>(role);
            const { name } = body.metadata;
            if (name === "runtime-sandboxes-check") continue;
            const before = await run(input);
            assert.match(before.stderr, /may not (list nodes|\S+ \S+( in \S+)?[,.])/, `before ${name}`);
            await cluster.current.post(`${rbac}/clusterroles`, body);
            if (/Bind it with a ClusterRoleBinding/.test(role)) {
                await cluster.current.post(
                    `${rbac}/clusterrolebindings`,
                    bindingTo(name, "ClusterRoleBinding", namespace),
                );
            } else {
                const place = name.endsWith("-egress") ? "least-apps" : namespace;
                const binding = bindingTo(name, "RoleBinding", namespace);
                await cluster.current.post(`${rbac}/namespaces/${place}/rolebindings`, binding);
            }
        }
        const [{ code, stderr }] = await Promise.all([run(input), play(2, started, namespace)]);
        assert.equal(code, 0, stderr);
    });

    it("names all rights that the kubeconfig lacks", async () => {
        await cluster.current.post(`${rbac}/clusterroles`, {
            ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "reader" } },
            rules: [{ apiGroups: [""], resources: ["nodes"], verbs: ["get", "list"] }],
        });
        await cluster.current.post(`${rbac}/clusterrolebindings`, bindingTo("reader", "ClusterRoleBinding", "default"));
        const kubeconfig = await accountOf("default");
        assert.deepEqual(await refused({ kubeconfig, policies: false }), [
            "the kubeconfig may not patch nodes, get namespaces, list pods, get runtimeclasses, list runtimeclasses, watch runtimeclasses, " +
                "create runtimeclasses, patch runtimeclasses, delete runtimeclasses, create pods/eviction, get pods in default, " +
                "list pods in default, watch pods in default, create pods in default, patch pods in default, delete pods in default, " +
                "get pods/exec in default, create pods/exec in default, list events in default, watch events in default. Set one that may",
        ]);
        const policies = await refused({ kubeconfig });
        assert.match(
            policies[0] ?? "",
            /watch validatingadmissionpolicybindings, .* watch namespaces, create namespaces, .* delete namespaces, /,
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
        await place("taken");
        await place("apps-of-others");
        await cluster.current.post(pods("taken"), {
            ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "test-2-node-a" } },
            spec: { containers: [{ name: "main", image: "nginx" }] },
        });
        const handlers = { runsc: { runtimeClass: "theirs" }, other: { runtimeClass: "ours" } };
        const mandatory = { namespaces: ["apps-of-others", "apps-to-come"], existingNamespaces: ["apps-nowhere"] };
        const input = plansOf("taken", { handlers, mandatory });
        const [complaints] = await Promise.all([refused(input), play(3, started, "taken")]);
        assert.deepEqual(complaints, [
            "the RuntimeClass theirs is there already, and another one: handler is kata, not runsc; scheduling.nodeSelector is not set, " +
                'not {"runtime-sandboxes/runsc":"true"}. Delete it, or set another runtimeClass',
            "the namespace apps-nowhere is not in the cluster, although mandatory.existingNamespaces names it. Leave it out there",
            "the namespace apps-of-others is there already, and not of Pulumi. Rename or name it in mandatory.existingNamespaces, or " +
                "change mandatory.namespaces",
            "the pod taken/test-2-node-a is there already, and not of Pulumi. Rename or delete it, or set existing.namespace to a " +
                "namespace that takes such pods",
        ]);
    });

    it("wants the namespace to be there", async () => {
        assert.deepEqual(await refused(plansOf("nowhere")), [
            "the namespace nowhere is not in the cluster. Make it (kubectl create namespace nowhere), or set existing.namespace to another one",
        ]);
    });

    it("asks the API server for each object, and tells all that it refuses at once, each with its setting", async () => {
        await place("small", {}, { "limits.memory": "200Mi" });
        await place("labelled");
        const labels = { "pod-security.kubernetes.io/enforce": "privileged" };
        await cluster.current.api.request("PATCH", "/api/v1/namespaces/labelled", {
            ...{ body: { apiVersion: "v1", kind: "Namespace", metadata: { name: "labelled", labels } } },
            ...{ contentType: "application/apply-patch+yaml", query: { fieldManager: "gitops" } },
            signal: cluster.current.signal,
        });
        const input = plansOf("small", {
            overrides: { "node-a": { taints: [{ key: "no key", effect: "NoSchedule" }] } },
            mandatory: { namespaces: ["apps-to-come"], existingNamespaces: ["labelled"] },
            egress: {},
            limits: "true",
        });
        const complaints = await refused({ ...input, egress: [] });
        assert.equal(complaints.length, 3, complaints.join("\n"));
        const [namespace = "", pod = "", runtimeClass = ""] = complaints;
        assert.equal(
            namespace,
            'the cluster does not take the Namespace labelled: Apply failed with 1 conflict: conflict with "gitops": ' +
                ".metadata.labels.pod-security.kubernetes.io/enforce. Fix that, or change mandatory.existingNamespaces",
        );
        assert.equal(
            pod,
            "the cluster does not take the Pods canary-plain-*, test-1-node-a, test-1-node-b, test-2-node-a, test-2-node-b in small: " +
                "exceeded quota: q, requested: limits.memory=256Mi, used: limits.memory=0, limited: limits.memory=200Mi. Fix that, or set " +
                "existing.namespace to a namespace that takes such pods",
        );
        assert.match(
            runtimeClass,
            /^the cluster does not take the RuntimeClass myclass: scheduling\.tolerations\[0\]\.key: Invalid value: "no key": .* Fix that, or change handlers, overhead or the taints of overrides$/,
        );
        assert.deepEqual(maps(await cluster.current.get(pods("small")), "items"), [], "nothing is made to find out");
    });

    it("uses an existing class that matches if existing.runtimeClasses names it, and never one that differs", async () => {
        const classes = "/apis/node.k8s.io/v1/runtimeclasses";
        const runtimeClass = (handler: string, podFixed: object, toleration: object) => ({
            ...{ apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name: "common" }, handler },
            ...{ overhead: { podFixed } },
            scheduling: { nodeSelector: { "runtime-sandboxes/runsc": "true" }, tolerations: [toleration] },
        });
        const key = { effect: "NoSchedule", key: "sandboxes", operator: "Equal" };
        const settings = (runtimeClasses: readonly string[]) =>
            plansOf("default", {
                existing: { runtimeClasses },
                ...{ runtimeClass: "common", overhead: { cpu: "50m", memory: "64Mi" } },
                overrides: { "node-a": { taints: [{ key: "sandboxes", effect: "NoSchedule" }] } },
            });
        assert.deepEqual((await Promise.all([refused(settings(["common"])), play(2, started)]))[0], [
            "the RuntimeClass common is not in the cluster, although existing.runtimeClasses names it. Leave it out there",
        ]);
        await cluster.current.post(classes, runtimeClass("runsc", { cpu: "0.05", memory: "65536Ki" }, key));
        assert.deepEqual((await Promise.all([refused(settings([])), play(2, started)]))[0], [
            "the RuntimeClass common is there already, as this stack would make it. To have it used and never deleted, add it to " +
                "existing.runtimeClasses: npm run pulumi -- config set --path 'existing.runtimeClasses[0]' common",
        ]);
        const [{ code, stderr }] = await Promise.all([run(settings(["common"])), play(2, started)]);
        assert.equal(code, 0, stderr);
        await cluster.current.merge(`${classes}/common`, { overhead: { podFixed: { memory: "128Mi" } } });
        assert.deepEqual((await Promise.all([refused(settings(["common"])), play(2, started)]))[0], [
            'the RuntimeClass common is there already, and another one: overhead.podFixed is {"cpu":"50m","memory":"128Mi"}, not ' +
                '{"cpu":"50m","memory":"64Mi"}. Delete it, or set another runtimeClass',
        ]);
        await cluster.current.api.request("DELETE", `${classes}/common`, { signal: cluster.current.signal });
        await cluster.current.api.request("POST", classes, {
            body: runtimeClass("runsc", { cpu: "50m", memory: "64Mi" }, key),
            query: { fieldManager: "pulumi-kubernetes-0123abcd" },
            signal: cluster.current.signal,
        });
        assert.deepEqual((await Promise.all([refused(settings(["common"])), play(2, started)]))[0], [
            "the RuntimeClass common is made by Pulumi, which may delete it. Take it out of existing.runtimeClasses",
        ]);
    });

    it("says that privileged pods are refused where attempts are to be made in them, and how to do without", async () => {
        const labels = { "pod-security.kubernetes.io/enforce": "baseline" };
        await place("baseline", labels);
        const input = plansOf("baseline");
        const [{ code, stderr }] = await Promise.all([run(input), play(2, started, "baseline")]);
        assert.equal(code, 0, stderr);
        const [complaints] = await Promise.all([refused({ ...input, attacks: true }), play(2, started, "baseline")]);
        assert.equal(complaints.length, 1);
        assert.match(
            complaints[0] ?? "",
            /^the cluster does not take the Pod attacks-control-\* in baseline: violates PodSecurity "baseline:latest": .*privileged.*\. Fix that, or set attacks to false, or existing\.namespace to /,
        );
    });

    it("finds nothing wrong with the level restricted, but with the settings that need more", async () => {
        await place("strict", { "pod-security.kubernetes.io/enforce": "restricted" }, { "limits.cpu": "4" });
        const [{ code, stderr }] = await Promise.all([
            run(plansOf("strict", { limits: "true" })),
            play(2, started, "strict"),
        ]);
        assert.equal(code, 0, stderr);
        const [complaints] = await Promise.all([
            refused({ ...plansOf("strict"), surface: true, attacks: true, reachable: true }),
            play(2, started, "strict"),
        ]);
        assert.deepEqual(
            complaints.map((line) => line.replace(/ in strict: .*(, or set)/, " …$1")),
            ["attacks-control", "reachable-node", "surface-control", "surface-peer"].map((pod) => {
                const [setting] = pod.split("-");
                return `the cluster does not take the Pod ${pod}-* …, or set ${setting} to false, or existing.namespace to a namespace that takes such pods`;
            }),
        );
    });

    it("makes no privileged pod to find out whether they may be made", async () => {
        const [{ code, stderr }] = await Promise.all([run({ attacks: true }), play(2, started)]);
        assert.equal(code, 0, stderr);
    });

    describe("asked for what pods reach", () => {
        const restricted = { "pod-security.kubernetes.io/enforce": "restricted" };

        it("says that no pod may be on a worker's network, and how to do without", async () => {
            await place("baseline-network", { "pod-security.kubernetes.io/enforce": "baseline" });
            const input = { ...plansOf("baseline-network"), reachable: true };
            const [complaints] = await Promise.all([refused(input), play(2, started, "baseline-network")]);
            assert.equal(complaints.length, 1);
            assert.match(
                complaints[0] ?? "",
                /^the cluster does not take the Pod reachable-node-\* in baseline-network: .*host namespaces.*\. Fix that, or set reachable to false, or existing\.namespace to /,
            );
        });

        it("says of each namespace with policies why they cannot be tried there; the level restricted is no reason", async () => {
            await place("apps", restricted);
            await place("limited-apps", restricted, { "limits.cpu": "100m" });
            const egress = ["apps", "limited-apps"];
            const [complaints] = await Promise.all([refused({ reachable: true, egress }), play(2, started)]);
            assert.equal(complaints.length, 1);
            assert.match(
                complaints[0] ?? "",
                /^the cluster does not take the Pod reachable-\S+-\* in limited-apps: exceeded quota: q, requested: limits\.cpu=500m, .*\. Fix that, or leave egress out$/,
            );
            assert.deepEqual(maps(await cluster.current.get(pods("apps")), "items"), [], "nothing is made to find out");
        });

        it("wants the rights for policies, and to see where the cluster's services are", async () => {
            const kubeconfig = await accountOf("default");
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

    it("says what a worker says of a pod that does not start there", async () => {
        const message = 'Back-off pulling image "nginx"';
        const waiting = { reason: "ImagePullBackOff", message };
        const status = { phase: "Pending", containerStatuses: [{ name: "canary", state: { waiting } }] };
        const [complaints] = await Promise.all([refused({ machines: { "node-a": ids["node-a"] } }), play(1, status)]);
        assert.match(complaints[0] ?? "", /starts in default on node-a: Back-off pulling image "nginx"\. Fix that/);
    });
});
