import assert from "node:assert/strict";
import { eventually } from "../helpers/eventually";
import { slowWay } from "./kubernetes/ways";
import { useCluster } from "./kubernetes-api";
import { type ConfiguredHost, resource, serveConfigured } from "./kubernetes-host";
import type { JsonMap } from "./shared/harness";

describe("kubernetes plug-in: waiting", function () {
    this.timeout(180_000);
    const cluster = useCluster();
    let configured: ConfiguredHost;

    before(async () => {
        configured = await serveConfigured({ kubeconfig: cluster.current.kubeconfig });
    });

    after(() => configured?.host.stop());

    it("waits for a Deployment to roll out", async () => {
        const labels = { app: "web" };
        const template = {
            metadata: { labels },
            spec: { nodeName: "worker-1", containers: [{ name: "c", image: "nginx" }] },
        };
        const inputs = {
            ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace: "default" } },
            spec: { replicas: 1, selector: { matchLabels: labels }, template },
        };
        let done = false;
        const request = { ...resource("apps/v1:Deployment", "web"), properties: inputs, timeout: 30 };
        const made = configured.host.call("Create", request).finally(() => {
            done = true;
        });
        const [pod] = await cluster.current.podsOf("app=web");
        assert.equal(done, false);
        const conditions = ["PodScheduled", "Initialized", "Ready"].map((type) => ({ type, status: "True" }));
        await cluster.current.setPodStatus(pod ?? "", { phase: "Running", conditions });
        const { status } = (await made).properties as { status: JsonMap };
        assert.equal(status.availableReplicas, 1);
    });

    it("goes on waiting when the connection is lost", async () => {
        const port = Number(new URL(cluster.current.server).port);
        const way = await slowWay(port, 0);
        const broken = await serveConfigured({
            kubeconfig: cluster.current.kubeconfig.replace(`:${port}`, `:${way.port}`),
        });
        try {
            const labels = { run: "patient" };
            const spec = { nodeName: "worker-1", containers: [{ name: "c", image: "nginx" }] };
            const inputs = {
                apiVersion: "v1",
                kind: "Pod",
                metadata: { name: "patient", namespace: "default", labels },
                spec,
            };
            const made = broken.host.call("Create", {
                ...resource("core/v1:Pod", "patient"),
                properties: inputs,
                timeout: 30,
            });
            const isWaiting = async (): Promise<boolean> => broken.host.engine.logs.some((line) => line.message !== "");
            await eventually("the wait", isWaiting);
            await cluster.current.setPodStatus("patient", { phase: "Pending" });
            assert.ok(way.cut() > 0);
            const conditions = ["PodScheduled", "Initialized", "Ready"].map((type) => ({ type, status: "True" }));
            await cluster.current.setPodStatus("patient", { phase: "Running", conditions });
            assert.equal((await made).id, "default/patient");
        } finally {
            await broken.host.stop();
            way.server.close();
        }
    });
});
