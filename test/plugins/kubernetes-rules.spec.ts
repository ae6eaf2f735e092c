import assert from "node:assert/strict";
import { assignName } from "../../plugins/kubernetes/naming";
import { normalize } from "../../plugins/kubernetes/normalize";
import type { KubeObject } from "../../plugins/kubernetes/objects";
import { canonicalQuantity } from "../../plugins/kubernetes/quantity";
import { type ConfiguredHost, resource, serveConfigured } from "./kubernetes-host";
import type { JsonMap } from "./shared/harness";

const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

function kubeconfig(server: string, current = "a"): string {
    return JSON.stringify({
        "current-context": current,
        clusters: [
            { name: "a", cluster: { server } },
            { name: "b", cluster: { server: "https://other:6443" } },
        ],
        contexts: ["a", "b"].map((name) => ({ name, context: { cluster: name, user: "u" } })),
        users: [{ name: "u", user: {} }],
    });
}

describe("kubernetes plug-in: rules", () => {
    let configured: ConfiguredHost;

    before(async () => {
        configured = await serveConfigured({ kubeconfig: kubeconfig("https://127.0.0.1:1") });
    });

    after(() => configured.host.stop());

    /** The diff of an object whose live state is its old inputs. */
    async function diff(type: string, old: JsonMap, news: JsonMap, more: JsonMap = {}): Promise<JsonMap> {
        const olds = { ...old, __inputs: old, __initialApiVersion: old.apiVersion ?? "", __fieldManager: "m" };
        return await configured.host.call("Diff", {
            ...resource(type, "x"),
            id: "x",
            olds,
            oldInputs: old,
            news,
            ...more,
        });
    }

    function object(kind: string, fields: JsonMap, apiVersion = "v1", metadata: JsonMap = { name: "x" }): JsonMap {
        return { apiVersion, kind, metadata: { namespace: "default", ...metadata }, ...fields };
    }

    it("writes quantities as the API server does", () => {
        const forms = {
            "1000m": "1",
            "0.5": "500m",
            "1500m": "1500m",
            "1000": "1k",
            "2000M": "2G",
            "1024Mi": "1Gi",
            "1.5Gi": "1536Mi",
            "128Mi": "128Mi",
            "0": "0",
            "-1024Ki": "-1Mi",
            "1e3": "1e3",
            "half a core": "half a core",
        };
        assert.deepEqual(Object.keys(forms).map(canonicalQuantity), Object.values(forms));
    });

    it("brings inputs of equal meaning into one form, and leaves alone what it does not know", () => {
        const limits = { cpu: 1, memory: "2048Mi" };
        const pod = object("Pod", {
            spec: { hostNetwork: false, nodeSelector: {}, containers: [{ name: "c", env: [], resources: { limits } }] },
        });
        assert.deepEqual(
            normalize(pod),
            object("Pod", {
                spec: { containers: [{ name: "c", resources: { limits: { cpu: "1", memory: "2Gi" } } }] },
            }),
        );
        const own = object("Thing", { spec: { hostNetwork: false, limits: { cpu: 1 } } }, "example.org/v1", {
            name: "x",
            uid: "u",
        });
        assert.deepEqual(
            normalize(own),
            object("Thing", { spec: { hostNetwork: false, limits: { cpu: 1 } } }, "example.org/v1"),
        );
        assert.deepEqual(normalize(object("ConfigMap", { data: { limits: "1000m", off: "" } })).data, {
            limits: "1000m",
            off: "",
        });
    });

    it("replaces for fields that cannot change, under a fixed name after deleting, and updates for the others", async () => {
        const pod = (spec: JsonMap): JsonMap =>
            object("Pod", { spec: { containers: [{ name: "c", image: "nginx" }], ...spec } });
        const cases: [type: string, old: JsonMap, news: JsonMap, expected: JsonMap][] = [
            [
                "core/v1:Pod",
                pod({ runtimeClassName: "a" }),
                pod({ runtimeClassName: "b" }),
                { "spec.runtimeClassName": "UPDATE_REPLACE" },
            ],
            ["core/v1:Pod", pod({}), pod({ nodeName: "n" }), { "spec.nodeName": "ADD_REPLACE" }],
            ["core/v1:Pod", pod({ nodeName: "n" }), pod({}), { "spec.nodeName": "DELETE_REPLACE" }],
            [
                "core/v1:Pod",
                pod({ activeDeadlineSeconds: 1 }),
                pod({ activeDeadlineSeconds: 2 }),
                { "spec.activeDeadlineSeconds": "UPDATE" },
            ],
            [
                "apps/v1:Deployment",
                object("Deployment", { spec: { selector: { matchLabels: { a: "b" } }, replicas: 1 } }, "apps/v1"),
                object("Deployment", { spec: { selector: { matchLabels: { a: "c" } }, replicas: 2 } }, "apps/v1"),
                { "spec.selector.matchLabels.a": "UPDATE_REPLACE", "spec.replicas": "UPDATE" },
            ],
            [
                "core/v1:Service",
                object("Service", { spec: { clusterIP: "10.0.0.1", ports: [{ port: 80 }, { port: 81 }] } }),
                object("Service", { spec: { clusterIP: "10.0.0.2", ports: [{ port: 80 }] } }),
                { "spec.clusterIP": "UPDATE_REPLACE", "spec.ports[1]": "DELETE" },
            ],
            [
                "core/v1:Secret",
                object("Secret", { data: { a: "YQ==" } }),
                object("Secret", { data: { a: "Yg==" } }),
                { "data.a": "UPDATE_REPLACE" },
            ],
            [
                "node.k8s.io/v1:RuntimeClass",
                { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name: "x" }, handler: "runc" },
                { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name: "x" }, handler: "runsc" },
                { handler: "UPDATE" },
            ],
            [
                "core/v1:NodePatch",
                object("Node", { spec: { clusterIP: "1" } }),
                object("Node", { spec: { clusterIP: "2" } }),
                { "spec.clusterIP": "UPDATE" },
            ],
        ];
        for (const [type, old, news, expected] of cases) {
            const answer = await diff(type, old, news);
            const kinds = Object.entries(answer.detailedDiff as JsonMap).map(([path, d]) => [
                path,
                (d as JsonMap).kind,
            ]);
            assert.deepEqual(Object.fromEntries(kinds), expected, type);
            const replaces = Object.keys(expected).filter((path) => String(expected[path]).endsWith("REPLACE"));
            assert.deepEqual(answer.replaces ?? [], replaces);
            assert.equal(answer.deleteBeforeReplace ?? false, replaces.length > 0, type);
        }
    });

    it("creates first where the name is the provider's own", async () => {
        const named = { name: "x-1", annotations: { "pulumi.com/autonamed": "true" } };
        const answer = await diff(
            "core/v1:Pod",
            object("Pod", { spec: { nodeName: "a" } }, "v1", named),
            object("Pod", { spec: { nodeName: "b" } }, "v1", named),
        );
        assert.deepEqual(answer.replaces, ["spec.nodeName"]);
        assert.equal(answer.deleteBeforeReplace, undefined);
    });

    it("shows a value that is not known yet as a change, and quotes keys with dots", async () => {
        const old = object("ConfigMap", { data: { "a.b": "1", c: "1" } });
        const answer = await diff(
            "core/v1:ConfigMap",
            old,
            object("ConfigMap", { data: { "a.b": UNKNOWN, c: "1", d: UNKNOWN } }),
        );
        assert.deepEqual(answer.detailedDiff, {
            'data["a.b"]': { kind: "UPDATE_REPLACE" },
            "data.d": { kind: "ADD_REPLACE" },
        });
        const unsure = await diff(
            "core/v1:ConfigMap",
            old,
            object("ConfigMap", { data: { c: "1", "a.b": "1" } }, "v1", { name: "x", namespace: UNKNOWN }),
        );
        assert.deepEqual(unsure.detailedDiff, { "metadata.namespace": { kind: "UPDATE_REPLACE" } });
    });

    it("keeps an unknown name or namespace unknown in Check, and makes up a name where there is none", async () => {
        const check = async (metadata: JsonMap, more: JsonMap = {}): Promise<JsonMap> => {
            const news = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { a: UNKNOWN } };
            const { inputs } = await configured.host.call("Check", {
                ...resource("core/v1:ConfigMap", "n"),
                olds: {},
                news,
                ...more,
            });
            return (inputs as JsonMap).metadata as JsonMap;
        };
        assert.deepEqual(await check({ name: UNKNOWN, namespace: UNKNOWN }), { name: UNKNOWN, namespace: UNKNOWN });
        const { name } = await check({});
        assert.match(String(name), /^n-[0-9a-f]{8}$/);
        const list = { ...resource("core/v1:PodList", "l"), olds: {}, news: { apiVersion: "v1", kind: "PodList" } };
        assert.match(await configured.host.failure("Check", list), /^list resources exist for compatibility/);
        const patch = { ...resource("core/v1:NodePatch", "p"), olds: {}, news: { apiVersion: "v1", kind: "Node" } };
        assert.match(await configured.host.failure("Check", patch), /^patch resources require the `.metadata.name`/);
    });

    it("follows the user's way of naming", () => {
        const named = (mode: "PROPOSE" | "ENFORCE" | "DISABLE", proposedName: string): JsonMap => {
            const inputs: KubeObject = { metadata: {} };
            assignName(inputs, "n", new Uint8Array(), { mode, proposedName });
            return inputs.metadata as JsonMap;
        };
        for (const mode of ["PROPOSE", "ENFORCE"] as const) {
            assert.deepEqual(named(mode, "site-n"), {
                name: "site-n",
                annotations: { "pulumi.com/autonamed": "true" },
            });
        }
        assert.throws(() => named("DISABLE", ""), /autonaming is disabled, resource requires the .metadata.name field/);
    });

    it("replaces the provider with its cluster, unless an identifier says that it is the same", async () => {
        const change = (olds: JsonMap, news: JsonMap): Promise<JsonMap> =>
            configured.host.call("DiffConfig", { ...resource("", "p"), olds, oldInputs: olds, news });
        const [one, two] = [kubeconfig("https://one:6443"), kubeconfig("https://two:6443")];
        const moved = { changes: "DIFF_SOME", diffs: ["kubeconfig"] };
        assert.deepEqual(await change({ kubeconfig: one }, { kubeconfig: two }), {
            ...moved,
            replaces: ["kubeconfig"],
        });
        assert.deepEqual(await change({ kubeconfig: one }, { kubeconfig: UNKNOWN }), {
            ...moved,
            replaces: ["kubeconfig"],
        });
        const lab = { clusterIdentifier: "lab" };
        assert.deepEqual(await change({ kubeconfig: one, ...lab }, { kubeconfig: two, ...lab }), moved);
        assert.deepEqual(await change({ kubeconfig: one, ...lab }, { kubeconfig: UNKNOWN, ...lab }), moved);
        assert.deepEqual(await change({ kubeconfig: one, ...lab }, { kubeconfig: one, clusterIdentifier: "b" }), {
            ...{ changes: "DIFF_SOME", diffs: ["clusterIdentifier"], replaces: ["clusterIdentifier"] },
        });
        assert.deepEqual(await change({ kubeconfig: one }, { kubeconfig: one, context: "b" }), {
            ...{ changes: "DIFF_SOME", diffs: ["context"], replaces: ["context"] },
        });
        assert.deepEqual(await change({ kubeconfig: one }, { kubeconfig: one, deleteUnreachable: "true" }), {
            ...{ changes: "DIFF_SOME", diffs: ["deleteUnreachable"] },
        });
    });
});
