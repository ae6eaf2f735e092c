import assert from "node:assert/strict";
import { text } from "../../plugins/kubernetes/objects";
import { useCluster } from "./kubernetes-api";
import { type ConfiguredHost, resource, serveConfigured } from "./kubernetes-host";
import { type RecordedCall, recorded, settled } from "./kubernetes-records";
import type { Json, JsonMap } from "./shared/harness";

const NAMESPACE = "untrusted-92416411";

function child(map: JsonMap | undefined, ...keys: string[]): JsonMap {
    let current: Json = map ?? {};
    for (const key of keys) {
        current = (current as JsonMap)[key] ?? {};
    }
    return current as JsonMap;
}

/** An answer without what this cluster, having no kubelet, cannot have as recorded: who wrote the status, and addresses. */
function comparable(answer: JsonMap | undefined): Json {
    const copy = structuredClone(settled(answer ?? {}) as JsonMap);
    const metadata = child(copy, "properties", "metadata");
    const managers = metadata.managedFields;
    if (Array.isArray(managers)) {
        // Their order is that of whole seconds.
        metadata.managedFields = managers
            .filter((entry) => (entry as JsonMap).manager !== "kubelet")
            .sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
    }
    const spec = child(copy, "properties", "spec");
    if ("clusterIP" in spec) {
        spec.clusterIP = "(clusterIP)";
        spec.clusterIPs = ["(clusterIP)"];
    }
    return JSON.parse(JSON.stringify(copy).replace(/kube-api-access-[a-z0-9]{5}/g, "kube-api-access-xxxxx")) as Json;
}

describe("kubernetes plug-in: recorded operations on a real API server", function () {
    this.timeout(180_000);
    const cluster = useCluster();
    let configured: ConfiguredHost;
    const states = new Map<string, JsonMap>();

    before(async () => {
        configured = await serveConfigured({ kubeconfig: cluster.current.kubeconfig, enableServerSideApply: "true" });
    });

    after(() => configured?.host.stop());

    /** Makes a recorded call; its answer is kept as the state of the resource. */
    async function make({ method, request }: RecordedCall): Promise<JsonMap> {
        const answer = await configured.host.call(method, request);
        states.set(String(request.urn), answer);
        return answer;
    }

    /** Makes a recorded pod, whose kubelet reports the recorded status. */
    async function makePod(record: RecordedCall): Promise<JsonMap> {
        const made = make(record);
        const status = child(record.response, "properties", "status");
        await cluster.current.setPodStatus(String(record.request.name), status);
        return await made;
    }

    for (const [name, kind] of [
        ["sandbox", "ValidatingAdmissionPolicy"],
        ["rec", "RuntimeClass"],
        ["untrusted", "Namespace"],
        ["sandbox", "ValidatingAdmissionPolicyBinding"],
        ["token", "Secret"],
        ["settings", "ConfigMap"],
    ] as const) {
        it(`creates ${kind} ${name} with the recorded state`, async () => {
            const record = recorded("2-up", "Create", name, kind);
            assert.deepEqual(comparable(await make(record)), comparable(record.response));
        });
    }

    for (const name of ["rec-1", "rec-2"]) {
        it(`creates Pod ${name} with the recorded state, once it is ready`, async () => {
            const record = recorded("2-up", "Create", name, "Pod");
            const answer = await makePod(record);
            assert.deepEqual(comparable(answer), comparable(record.response));
            const said = configured.host.engine.logs
                .filter((line) => line.urn === record.request.urn)
                .map((l) => l.message);
            const waiting = ["scheduled", "initialized", "ready"].map(
                (what) => `Waiting for Pod "${name}" to be ${what}`,
            );
            assert.deepEqual(said, ["", ...waiting, ""]);
        });
    }

    it("creates Service rec with the recorded state, once it has endpoints", async () => {
        const record = recorded("2-up", "Create", "rec", "Service");
        assert.deepEqual(comparable(await make(record)), comparable(record.response));
    });

    it("patches a Node with the recorded field manager and state", async () => {
        const record = recorded("2-up", "Create", "worker-label", "NodePatch");
        const answer = await make(record);
        const inputs = record.request.properties as JsonMap;
        assert.equal(answer.id, "worker-1");
        assert.deepEqual(child(answer, "properties").__inputs, inputs);
        assert.deepEqual(child(answer, "properties", "metadata", "labels"), { "sandbox/runtime": "gvisor-1" });
        const manager = String(child(answer, "properties").__fieldManager);
        assert.match(manager, /^pulumi-kubernetes-[0-9a-f]{8}$/);
        const entries = child(answer, "properties", "metadata").managedFields as JsonMap[];
        assert.deepEqual(
            entries
                .filter((entry) => entry.manager === manager)
                .map(({ operation, fieldsV1 }) => ({ operation, fieldsV1 })),
            [{ operation: "Apply", fieldsV1: { "f:metadata": { "f:labels": { "f:sandbox/runtime": {} } } } }],
        );
    });

    it("gives a patch up that was made twice, by a run that was cut off and by the next one", async () => {
        const annotations = { "pulumi.com/patchFieldManager": "sandboxes-dev" };
        const metadata = { name: "worker-1", annotations, labels: { "sandbox/twice": "true" } };
        const request = {
            ...resource("core/v1:NodePatch", "twice"),
            properties: { apiVersion: "v1", kind: "Node", metadata },
        };
        const label = async () =>
            text(await cluster.current.get("/api/v1/nodes/worker-1"), "metadata", "labels", "sandbox/twice");
        await configured.host.call("Create", request);
        const answer = await configured.host.call("Create", request);
        assert.equal(await label(), "true");
        await configured.host.call("Delete", {
            ...resource("core/v1:NodePatch", "twice"),
            id: "worker-1",
            properties: answer.properties ?? {},
        });
        assert.equal(await label(), "");
    });

    it("gives up what it has patched under another name before", async () => {
        const metadata = (more: JsonMap) => ({
            name: "worker-1",
            ...more,
            labels: { "sandbox/renamed": "true" },
        });
        const inputs = (more: JsonMap) => ({ apiVersion: "v1", kind: "Node", metadata: metadata(more) });
        const node = resource("core/v1:NodePatch", "renamed");
        const label = async () =>
            text(await cluster.current.get("/api/v1/nodes/worker-1"), "metadata", "labels", "sandbox/renamed");
        const first = await configured.host.call("Create", { ...node, properties: inputs({}) });
        const news = inputs({ annotations: { "pulumi.com/patchFieldManager": "sandboxes-dev" } });
        const second = await configured.host.call("Update", {
            ...node,
            id: "worker-1",
            olds: first.properties ?? {},
            news,
        });
        assert.equal(await label(), "true");
        await configured.host.call("Delete", { ...node, id: "worker-1", properties: second.properties ?? {} });
        assert.equal(await label(), "");
    });

    it("previews as recorded: a dry run where that is possible, else the inputs", async () => {
        for (const [name, kind] of [
            ["settings", "ConfigMap"],
            ["rec-2", "Pod"],
        ] as const) {
            const record = recorded("5-preview-step2", "Create", name, kind);
            assert.deepEqual(
                comparable(await configured.host.call("Create", record.request)),
                comparable(record.response),
            );
        }
        const patch = recorded("5-preview-step2", "Update", "worker-label");
        const olds = child(states.get(String(patch.request.urn)), "properties");
        const foretold = await configured.host.call("Update", { ...patch.request, olds });
        const labels = child(foretold, "properties", "metadata", "labels");
        assert.deepEqual(labels, { "sandbox/runtime": "gvisor-2" });
        const node = await cluster.current.get("/api/v1/nodes/worker-1");
        assert.deepEqual(child(node as JsonMap, "metadata", "labels"), { "sandbox/runtime": "gvisor-1" });
    });

    it("updates a patch under the field manager of the state", async () => {
        const { request } = recorded("6-up-step2", "Update", "worker-label");
        const before = child(states.get(String(request.urn)), "properties");
        const answer = await configured.host.call("Update", { ...request, olds: before });
        assert.equal(child(answer, "properties").__fieldManager, before.__fieldManager);
        assert.deepEqual(child(answer, "properties", "metadata", "labels"), { "sandbox/runtime": "gvisor-2" });
        states.set(String(request.urn), answer);
    });

    for (const name of ["settings", "token", "untrusted"]) {
        it(`reads ${name} without a difference`, async () => {
            const record = recorded("4-refresh", "Read", name);
            const state = states.get(String(record.request.urn));
            const answer = await configured.host.call("Read", {
                ...record.request,
                properties: state?.properties ?? {},
            });
            assert.deepEqual(comparable(answer), comparable(record.response));
            assert.deepEqual(settled(answer.properties ?? {}), settled(state?.properties ?? {}));
        });
    }

    it("finds drift as recorded: a label added by hand is in the outputs and no change, a deleted pod is gone", async () => {
        const label = recorded("7-refresh-drift", "Read", "rec", "RuntimeClass");
        await cluster.current.merge(
            "/apis/node.k8s.io/v1/runtimeclasses/rec",
            { metadata: { labels: { drift: "yes" } } },
            "kubectl-label",
        );
        const state = child(states.get(String(label.request.urn)), "properties");
        const answer = await configured.host.call("Read", { ...label.request, properties: state });
        assert.deepEqual(comparable(answer), comparable(label.response));
        const news = label.request.inputs ?? {};
        const diff = { ...label.request, olds: answer.properties ?? {}, oldInputs: news, news };
        assert.deepEqual(await configured.host.call("Diff", diff), { changes: "DIFF_NONE", hasDetailedDiff: true });

        const pod = recorded("7-refresh-drift", "Read", "rec-1");
        await cluster.current.remove("/api/v1/namespaces/default/pods/rec-1");
        assert.deepEqual(await configured.host.call("Read", pod.request), pod.response);
        const { request } = recorded("2-up", "Create", "rec", "Service");
        const service = child(states.get(String(request.urn)), "properties");
        const read = { ...request, id: "default/rec", properties: service, inputs: request.properties ?? {} };
        assert.deepEqual(settled((await configured.host.call("Read", read)).properties ?? {}), settled(service));
    });

    it("deletes all of it, and waits until it is gone", async () => {
        for (const [urn, state] of [...states].reverse()) {
            const kind = String(urn.split("::")[2]).split(":").pop();
            const old = child(state, "properties");
            const id = String(state.id ?? "worker-1");
            await configured.host.call("Delete", { urn, id, properties: old, oldInputs: old.__inputs ?? {} });
            if (kind === "NodePatch") {
                const node = await cluster.current.get("/api/v1/nodes/worker-1");
                assert.deepEqual(child(node as JsonMap, "metadata", "labels"), {});
            } else {
                const gone = { urn, id, properties: old, inputs: old.__inputs ?? {} };
                assert.deepEqual(await configured.host.call("Read", gone), {}, urn);
            }
        }
        await assert.rejects(cluster.current.get(`/api/v1/namespaces/${NAMESPACE}`), /not found/);
    });
});
