import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { useCluster } from "../plugins/kubernetes-api";

interface Taint {
    readonly key: string;
    readonly value?: string;
    readonly effect: string;
}

describe("scripts/on-host/taints.ts", function () {
    this.timeout(180_000);
    const cluster = useCluster();
    const file = "/api/v1/nodes/tainted";
    const a = { key: "a", value: "1", effect: "NoSchedule" };
    const b = { key: "b", value: "", effect: "NoExecute" };
    const theirs = { key: "theirs", value: "x", effect: "NoSchedule" };
    const cordoned = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

    beforeEach(async () => {
        await cluster.current.post("/api/v1/nodes", { apiVersion: "v1", kind: "Node", metadata: { name: "tainted" } });
    });
    afterEach(() => cluster.current.remove(file));

    async function run(verb: string, taints: readonly Taint[], code = 0, node = "tainted"): Promise<string> {
        const child = spawn("node", ["scripts/on-host.mjs", "taints", verb], { stdio: ["pipe", "ignore", "pipe"] });
        let said = "";
        child.stderr.setEncoding("utf8").on("data", (part: string) => {
            said += part;
        });
        child.stdin.end(JSON.stringify({ kubeconfig: cluster.current.kubeconfig, node, taints }));
        const [ended] = await once(child, "close");
        assert.equal(ended, code, said);
        return said;
    }
    async function onNode(): Promise<{ taints: Taint[]; mark: string | undefined }> {
        const { spec, metadata } = (await cluster.current.get(file)) as {
            spec?: { taints?: Taint[] };
            metadata?: { annotations?: Record<string, string> };
        };
        return { taints: spec?.taints ?? [], mark: metadata?.annotations?.["runtime-sandboxes/taints"] };
    }
    /** As somebody else does it: kubectl, an administrator, kube-controller-manager. */
    const change = (taints: readonly Taint[]) => cluster.current.merge(file, { spec: { taints } });

    it("adds, changes and takes away its own, whoever has changed the list in between", async () => {
        await change([theirs]);
        await run("set", [a]);
        assert.deepEqual(await onNode(), { taints: [theirs, a], mark: '["a:NoSchedule"]' });
        // Cordoned: from now on the list is kube-controller-manager's.
        await change([theirs, a, cordoned]);
        await run("set", [{ ...a, value: "2" }, b]);
        const both = { taints: [theirs, cordoned, { ...a, value: "2" }, { key: "b", effect: "NoExecute" }] };
        assert.deepEqual(await onNode(), { ...both, mark: '["a:NoSchedule","b:NoExecute"]' });
        await run("set", [b]);
        assert.deepEqual((await onNode()).taints, [theirs, cordoned, { key: "b", effect: "NoExecute" }]);
        await change([theirs, { key: "b", effect: "NoExecute" }]);
        await run("remove", [b]);
        assert.deepEqual(await onNode(), { taints: [theirs], mark: undefined });
    });

    it("leaves one that was there before, and refuses another value over it", async () => {
        await change([theirs]);
        await run("set", [theirs]);
        assert.deepEqual(await onNode(), { taints: [theirs], mark: undefined });
        const said = await run("set", [a, { ...theirs, value: "y" }], 1);
        assert.match(
            said,
            /^error: tainted has the taint theirs=x:NoSchedule of somebody else, and theirs=y:NoSchedule is wanted; nothing/,
        );
        await run("remove", [theirs]);
        assert.deepEqual(await onNode(), { taints: [theirs], mark: undefined });
    });

    it("takes a taint without a value for the same, however that is written", async () => {
        const bare = { key: "bare", effect: "NoSchedule" };
        await change([bare]);
        await run("set", [bare]);
        await run("set", [{ ...bare, value: "" }]);
        assert.deepEqual(await onNode(), { taints: [bare], mark: undefined });
    });

    it("needs the node to set, and not to remove", async () => {
        assert.match(await run("set", [a], 1, "nobody"), /^error: nobody is not a node of the cluster/);
        assert.match(
            await run("remove", [a], 0, "nobody"),
            /^nobody is not a node of the cluster: nothing to take away/,
        );
    });
});
