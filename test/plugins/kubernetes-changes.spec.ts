import assert from "node:assert/strict";
import type { KubeObject } from "../../plugins/kubernetes/objects";
import { useCluster } from "./kubernetes-api";
import { type ConfiguredHost, resource, serveConfigured } from "./kubernetes-host";
import type { Json, JsonMap } from "./shared/harness";

const OFFICIAL = "pulumi-kubernetes";

function at(value: Json | undefined, ...keys: string[]): Json | undefined {
    let current = value;
    for (const key of keys) {
        current = (current as JsonMap | undefined)?.[key];
    }
    return current;
}

describe("kubernetes plug-in: changes on a real API server", function () {
    this.timeout(180_000);
    const cluster = useCluster();
    let plain: ConfiguredHost;
    let upserting: ConfiguredHost;

    before(async () => {
        const { kubeconfig } = cluster.current;
        plain = await serveConfigured({ kubeconfig, enableConfigMapMutable: "true" });
        upserting = await serveConfigured({ kubeconfig, upsertExistingObjects: "true" });
    });

    after(async () => {
        await plain?.host.stop();
        await upserting?.host.stop();
    });

    function configMap(name: string, data: JsonMap, metadata: JsonMap = {}): JsonMap {
        const inputs = {
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: { name, namespace: "default", ...metadata },
            data,
        };
        return { ...resource("core/v1:ConfigMap", name), properties: inputs };
    }

    /** The update from a state to new inputs. */
    function update(request: JsonMap, state: JsonMap, news: JsonMap, more: JsonMap = {}): JsonMap {
        const { properties: _, ...named } = request;
        const id = String(at(state, "id"));
        const olds = at(state, "properties") ?? {};
        return { ...named, id, olds, oldInputs: at(olds, "__inputs") ?? {}, news, ...more };
    }

    async function live(path: string): Promise<JsonMap> {
        return (await cluster.current.get(path)) as JsonMap;
    }

    function managers(object: JsonMap | KubeObject): string[] {
        const entries = at(object as JsonMap, "metadata", "managedFields") as JsonMap[];
        return entries.map(({ manager, operation }) => `${String(manager)} ${String(operation)}`).sort();
    }

    it("takes over an object that a plain create made: changes its fields, and takes away what the program drops", async () => {
        const request = configMap("taken", { keep: "1", change: "1", remove: "1" });
        const state = await plain.host.call("Create", request);
        assert.deepEqual(managers(at(state, "properties") as JsonMap), [`${OFFICIAL} Update`]);
        const news = { ...(request.properties as JsonMap), data: { keep: "1", change: "2" } };
        const diff = await plain.host.call("Diff", update(request, state, news));
        assert.deepEqual(diff, {
            changes: "DIFF_SOME",
            hasDetailedDiff: true,
            detailedDiff: { "data.change": { kind: "UPDATE" }, "data.remove": { kind: "DELETE", inputDiff: true } },
        });
        const preview = await plain.host.call("Update", update(request, state, news, { preview: true }));
        assert.deepEqual(at(preview, "properties", "data", "change"), "2");
        const answer = await plain.host.call("Update", update(request, state, news));
        const manager = String(at(state, "properties", "__fieldManager"));
        assert.deepEqual(at(answer, "properties", "data"), { keep: "1", change: "2" });
        assert.deepEqual(managers(at(answer, "properties") as JsonMap), [`${manager} Apply`]);
        assert.equal(at(answer, "properties", "__fieldManager"), manager);
        assert.deepEqual((await live("/api/v1/namespaces/default/configmaps/taken")).data, { keep: "1", change: "2" });
    });

    it("undoes what somebody else changed, once a refresh has found it", async () => {
        const request = configMap("drifted", { a: "1" });
        const state = await plain.host.call("Create", request);
        await cluster.current.merge("/api/v1/namespaces/default/configmaps/drifted", { data: { a: "other" } });
        const inputs = request.properties as JsonMap;
        const read = { ...request, id: "default/drifted", properties: at(state, "properties") ?? {}, inputs };
        const found = await plain.host.call("Read", read);
        assert.deepEqual(at(found, "inputs", "data"), { a: "other" });
        const call = update(request, { id: "default/drifted", properties: found.properties ?? {} }, inputs);
        const { detailedDiff } = await plain.host.call("Diff", call);
        assert.deepEqual(detailedDiff, { "data.a": { kind: "UPDATE" } });
        const conflict = await plain.host.failure("Update", call);
        assert.match(
            conflict,
            /^the Kubernetes API server reported that "default\/drifted" failed to fully initialize/,
        );
        assert.match(
            conflict,
            /Server-Side Apply field conflict detected\. See https:\/\/www\.pulumi\.com.*conflict with "test"/s,
        );
        const forced = {
            ...inputs,
            metadata: { ...(inputs.metadata as JsonMap), annotations: { "pulumi.com/patchForce": "true" } },
        };
        const answer = await plain.host.call("Update", { ...call, news: forced });
        assert.deepEqual(at(answer, "properties", "data"), { a: "1" });
    });

    it("leaves ignored fields as the cluster has them", async () => {
        const request = configMap("ignoring", { a: "1", b: "1" });
        const state = await plain.host.call("Create", request);
        await cluster.current.merge("/api/v1/namespaces/default/configmaps/ignoring", { data: { a: "theirs" } });
        const news = { ...(request.properties as JsonMap), data: { a: "2", b: "2" } };
        const call = update(request, state, news, { ignoreChanges: ["data.a"] });
        assert.deepEqual((await plain.host.call("Diff", call)).detailedDiff, { "data.b": { kind: "UPDATE" } });
        const answer = await plain.host.call("Update", call);
        assert.deepEqual(at(answer, "properties", "data"), { a: "theirs", b: "2" });
    });

    it("creates what exists already only with upsertExistingObjects, and as often as it takes", async () => {
        const request = configMap("cut-off", { a: "1" });
        const first = await upserting.host.call("Create", request);
        const second = await upserting.host.call("Create", request);
        assert.equal(at(second, "properties", "metadata", "uid"), at(first, "properties", "metadata", "uid") ?? "");
        assert.match(String(at(second, "properties", "__fieldManager")), /^pulumi-kubernetes-[0-9a-f]{8}$/);
        assert.match(
            await plain.host.failure("Create", request),
            /already exists\n\nThe resource already exists in the cluster/,
        );
        await upserting.host.call("Delete", { ...request, id: "default/cut-off", properties: second.properties ?? {} });
        await assert.rejects(live("/api/v1/namespaces/default/configmaps/cut-off"), /not found/);
    });

    it("hands the fields over when the program chooses another field manager", async () => {
        const request = configMap("renamed", { a: "1" });
        const state = await upserting.host.call("Create", request);
        const inputs = request.properties as JsonMap;
        const metadata = { ...(inputs.metadata as JsonMap), annotations: { "pulumi.com/patchFieldManager": "mine" } };
        const answer = await upserting.host.call("Update", update(request, state, { ...inputs, metadata }));
        assert.equal(at(answer, "properties", "__fieldManager"), "mine");
        assert.deepEqual(managers(await live("/api/v1/namespaces/default/configmaps/renamed")), ["mine Apply"]);
    });

    it("keeps the secrets of a Secret, and shows plain fields beside them", async () => {
        const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", value: "s3cret" };
        const news = {
            apiVersion: "v1",
            kind: "Secret",
            metadata: { name: "s" },
            stringData: { plain: "p", hidden: secret },
        };
        const request = resource("core/v1:Secret", "s");
        const { inputs } = await plain.host.call("Check", { ...request, olds: {}, news });
        const answer = await plain.host.call("Create", { ...request, properties: inputs ?? {} });
        const encoded = { plain: "cA==", hidden: "czNjcmV0" };
        for (const data of [
            at(inputs, "data"),
            at(answer, "properties", "data"),
            at(answer, "properties", "__inputs", "data"),
        ]) {
            assert.deepEqual(at(data, "value"), encoded);
            assert.equal(at(data, "4dabf18193072939515e22adb298388d"), "1b47061264138c4ac30d75fd1eb44270");
        }
        assert.doesNotMatch(JSON.stringify(at(answer, "properties", "metadata")), /s3cret|czNjcmV0/);
    });

    it("imports an object, so that its inputs make no difference to it", async () => {
        await cluster.current.post("/api/v1/namespaces/default/configmaps", {
            ...{
                apiVersion: "v1",
                kind: "ConfigMap",
                metadata: { name: "found", labels: { a: "b" } },
                data: { k: "v" },
            },
        });
        const request = resource("core/v1:ConfigMap", "imported");
        const read = await plain.host.call("Read", { ...request, id: "default/found", properties: {}, inputs: {} });
        assert.deepEqual(read.inputs, {
            ...{ apiVersion: "v1", kind: "ConfigMap", data: { k: "v" } },
            metadata: { name: "found", namespace: "default", labels: { a: "b" } },
        });
        const olds = read.properties ?? {};
        const diff = { ...request, id: "default/found", olds, oldInputs: read.inputs ?? {}, news: read.inputs ?? {} };
        assert.deepEqual(await plain.host.call("Diff", diff), { changes: "DIFF_NONE", hasDetailedDiff: true });
        assert.deepEqual(
            await plain.host.call("Read", { ...request, id: "default/absent", properties: {}, inputs: {} }),
            {},
        );
    });

    it("handles types that the cluster learns on the way: a definition, then an object of it", async () => {
        const schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
        const versions = [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }];
        const names = { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" };
        const definition = {
            ...resource("apiextensions.k8s.io/v1:CustomResourceDefinition", "widgets"),
            properties: {
                ...{ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition" },
                ...{
                    metadata: { name: "widgets.example.org" },
                    spec: { group: "example.org", scope: "Cluster", names, versions },
                },
            } as JsonMap,
        };
        const made = await plain.host.call("Create", definition);
        const [version] = at(made, "properties", "spec", "versions") as JsonMap[];
        assert.equal(at(version, "schema", "openAPIV3Schema", "x_kubernetes_preserve_unknown_fields"), true);
        const widget = resource("example.org/v1:Widget", "w");
        const news = { apiVersion: "example.org/v1", kind: "Widget", metadata: { name: "w" }, size: 3 };
        // Until the definition is known, an object is taken to have a namespace; the cluster knows better.
        const object = await plain.host.call("Create", { ...widget, properties: news });
        assert.equal(object.id, "w");
        const { inputs } = await plain.host.call("Check", { ...widget, olds: news, news: { ...news, size: 4 } });
        assert.deepEqual(inputs, { ...news, size: 4 });
        const changed = await plain.host.call("Update", update({ ...widget }, object, { ...news, size: 4 }));
        assert.equal(at(changed, "properties", "size"), 4);
        const spec = { ...(definition.properties.spec as JsonMap), names: { ...names, shortNames: ["wd"] } };
        const renamed = await plain.host.call("Update", update(definition, made, { ...definition.properties, spec }));
        assert.deepEqual(at(renamed, "properties", "spec", "names", "shortNames"), ["wd"]);
        await plain.host.call("Delete", {
            ...definition,
            id: "widgets.example.org",
            properties: at(made, "properties") ?? {},
        });
        const gone = { ...widget, id: "w", properties: at(changed, "properties") ?? {}, inputs: news };
        assert.deepEqual(await plain.host.call("Read", gone), {});
        await plain.host.call("Delete", gone);
    });

    it("lets go of a namespace that nobody may delete", async () => {
        const inputs = { apiVersion: "v1", kind: "Namespace", metadata: { name: "default", labels: { mine: "yes" } } };
        const request = { ...resource("core/v1:Namespace", "default"), properties: inputs };
        const state = await upserting.host.call("Create", request);
        await upserting.host.call("Delete", { ...request, id: "default", properties: state.properties ?? {} });
        assert.equal(at(await live("/api/v1/namespaces/default"), "metadata", "labels", "mine"), undefined);
    });

    it("says what holds up a deletion that does not end", async () => {
        const request = configMap("held", { a: "1" }, { finalizers: ["example.org/hold"] });
        const state = await plain.host.call("Create", request);
        const call = { ...request, id: "default/held", properties: state.properties ?? {}, timeout: 1 };
        assert.equal(await plain.host.failure("Delete", call), "timed out waiting for the condition");
        const warnings = plain.host.engine.logs
            .filter(({ severity }) => severity === "WARNING")
            .map(({ message }) => message);
        assert.ok(
            warnings.some((message) => /finalizers might be preventing deletion \(example.org\/hold/.test(message)),
        );
        await cluster.current.merge("/api/v1/namespaces/default/configmaps/held", { metadata: { finalizers: null } });
        await plain.host.call("Delete", call);
    });
});
