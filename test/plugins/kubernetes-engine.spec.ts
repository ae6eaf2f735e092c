import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { version } from "@pulumi/kubernetes/package.json";
import { type KubeObject, maps, text } from "../../plugins/kubernetes/objects";
import { type Outcome, Stack } from "./command/stack";
import { type TestCluster, useCluster } from "./kubernetes-api";
import { settled } from "./kubernetes-records";
import type { Json, JsonMap } from "./shared/harness";

interface Recorded {
    states: Record<string, Record<string, JsonMap>>;
    plan: Record<string, string[]>;
}

/** Without status and managedFields, and of the patched Node the patched label only: the rest is the cluster's own. */
const RECORDED = JSON.parse(readFileSync(path.join(__dirname, "official-kubernetes/stack.json"), "utf8")) as Recorded;

/** A line of progress, which may come anywhere in a plan. */
const PROGRESS = "Retry #0";
const POLL_MS = 50;
const POD_ADDRESS = "10.244.1.7";

/** What a run of the CLI wrote, provided that it succeeded. */
function succeeded({ code, output }: Outcome): string {
    assert.equal(code, 0, output);
    return output;
}

/** Plays the kubelet until it, or the cluster, is stopped: every pod becomes ready. */
async function runPods(cluster: TestCluster, stop: AbortSignal): Promise<void> {
    const conditions = ["PodScheduled", "Initialized", "Ready"].map((type) => ({ type, status: "True" }));
    const status = { phase: "Running", conditions, podIP: POD_ADDRESS, podIPs: [{ ip: POD_ADDRESS }] };
    const isPending = (pod: KubeObject): boolean => text(pod, "status", "phase") === "Pending";
    while (!stop.aborted && !cluster.signal.aborted) {
        const pods = await cluster.get("/api/v1/namespaces/default/pods").catch(() => ({}));
        for (const pod of maps(pods, "items").filter(isPending)) {
            // It may be deleted meanwhile.
            await cluster.setPodStatus(text(pod, "metadata", "name"), status).catch(() => {});
        }
        await sleep(POLL_MS, undefined, { ref: false });
    }
}

/** The blocks of a plan about objects of the cluster. */
function planOf(output: string): Record<string, string[]> {
    const plan: Record<string, string[]> = {};
    let block: string[] | undefined;
    for (const line of output.split("\n")) {
        if (/^ {4}[-+~]/.test(line)) {
            block = line.includes("kubernetes:") ? [line] : undefined;
        } else if (/^( {4}--outputs|Resources:)/.test(line)) {
            block = undefined;
        } else if (block !== undefined && line.trim() !== "" && !line.startsWith(PROGRESS)) {
            block.push(line.replace(/\[id=.*\]/, "[id]").replace(/::[0-9a-f-]{36}\]/, "]"));
            const name = /\[urn=.*::(.*)\]/.exec(line)?.[1];
            if (name !== undefined) {
                plan[`${block[0]?.trim()} ${name}`] = block;
            }
        }
    }
    return plan;
}

/** A recorded or exported resource in the form that the records have. */
function comparable(resource: JsonMap): Json {
    const copy = structuredClone(resource);
    const { status: _, ...outputs } = copy.outputs as JsonMap;
    const metadata = outputs.metadata as JsonMap;
    delete metadata.managedFields;
    if (String(copy.type).endsWith("NodePatch")) {
        const { labels, name } = metadata;
        outputs.metadata = {
            labels: { "sandbox/runtime": (labels as JsonMap)["sandbox/runtime"] ?? "" },
            name: name ?? "",
        };
        delete outputs.spec;
    }
    const spec = outputs.spec as JsonMap | undefined;
    if (spec !== undefined && "clusterIP" in spec) {
        spec.clusterIP = "(clusterIP)";
        spec.clusterIPs = ["(clusterIP)"];
    }
    const text = JSON.stringify(settled({ ...copy, outputs }));
    return JSON.parse(
        text
            .replace(/kube-api-access-[a-z0-9]{5}/g, "kube-api-access-xxxxx")
            .replace(/-[0-9a-f]{8}(?=["/\\])/g, "-xxxxxxxx"),
    ) as Json;
}

describe("kubernetes plug-in: through the engine", function () {
    this.timeout(180_000);
    const cluster = useCluster();
    const kubelet = new AbortController();
    let stack: Stack;
    let running: Promise<void>;

    before(async () => {
        running = runPods(cluster.current, kubelet.signal);
        stack = new Stack(path.join(__dirname, "kubernetes/program.ts"), { name: "kubernetes", version });
        stack.write("kubeconfig", cluster.current.kubeconfig);
        succeeded(await stack.run("stack", "init", "dev"));
    });

    after(async () => {
        kubelet.abort();
        await running;
        stack?.remove();
    });

    async function exported(): Promise<Record<string, JsonMap>> {
        const { deployment } = JSON.parse(succeeded(await stack.run("stack", "export", "--show-secrets"))) as {
            deployment: { resources: JsonMap[] };
        };
        const kept = ["type", "id", "inputs", "outputs", "additionalSecretOutputs", "replaceOnChanges", "initErrors"];
        const found: Record<string, JsonMap> = {};
        for (const resource of deployment.resources.filter(({ type }) => String(type).startsWith("kubernetes:"))) {
            const fields = Object.entries(resource).filter(([key]) => kept.includes(key));
            found[`${String(resource.type).split(":").pop()}::${String(resource.urn).split("::").pop()}`] =
                Object.fromEntries(fields);
        }
        return found;
    }

    async function assertState(name: string): Promise<void> {
        const found = await exported();
        const expected = RECORDED.states[name] ?? {};
        assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
        for (const [key, resource] of Object.entries(expected)) {
            assert.deepEqual(comparable(found[key] ?? {}), comparable(resource), key);
        }
    }

    it("previews a new stack without touching anything", async () => {
        const output = succeeded(await stack.run("preview", "--diff"));
        assert.match(output, /\+ 12 to create/);
        assert.doesNotMatch(output, /client-key-data|YWJj/);
        await assert.rejects(cluster.current.get("/apis/node.k8s.io/v1/runtimeclasses/rec"), /not found/);
    });

    it("up leaves the official plug-in's state", async () => {
        const output = succeeded(await stack.run("up", "--yes", "--skip-preview"));
        assert.match(output, /\+ 12 created/);
        await assertState("2-up");
    });

    it("has nothing to do after that, and finds nothing in a refresh", async () => {
        succeeded(await stack.run("preview", "--expect-no-changes"));
        succeeded(await stack.run("refresh", "--yes", "--expect-no-changes"));
        await assertState("2-up");
    });

    it("plans changes in the official plug-in's lines", async () => {
        succeeded(await stack.run("config", "set", "step", "2"));
        const output = succeeded(await stack.run("preview", "--diff"));
        assert.deepEqual(planOf(output), RECORDED.plan);
        assert.match(output, /Retry #0; creation failed: pods "rec-2" already exists/);
    });

    it("updates, replaces and deletes to the official plug-in's state", async () => {
        const output = succeeded(await stack.run("up", "--yes", "--skip-preview"));
        assert.match(output, /~ 1 updated\n *\+-2 replaced/);
        await assertState("6-up-step2");
    });

    it("finds a deleted pod and a label added by hand as recorded, and recreates the pod", async () => {
        await cluster.current.remove("/api/v1/namespaces/default/pods/rec-1");
        await cluster.current.merge("/apis/node.k8s.io/v1/runtimeclasses/rec", {
            metadata: { labels: { drift: "yes" } },
        });
        const output = succeeded(await stack.run("refresh", "--yes"));
        assert.match(output, /- 1 deleted/);
        await assertState("7-refresh-drift");
        assert.match(succeeded(await stack.run("up", "--yes", "--skip-preview")), /\+ 1 created/);
    });

    it("previews an unknown cluster: the plug-in is not configured, and nothing fails", async () => {
        const offline = new Stack(path.join(__dirname, "kubernetes/unknown.ts"), { name: "kubernetes", version });
        try {
            succeeded(await offline.run("stack", "init", "dev"));
            assert.match(succeeded(await offline.run("preview")), /\+ 4 to create/);
        } finally {
            offline.remove();
        }
    });

    it("destroys", async () => {
        assert.match(succeeded(await stack.run("destroy", "--yes", "--skip-preview")), /- 12 deleted/);
        const labels = text(
            await cluster.current.get("/api/v1/nodes/worker-1"),
            "metadata",
            "labels",
            "sandbox/runtime",
        );
        assert.equal(labels, "");
    });
});
