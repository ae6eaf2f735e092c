import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { maps, text } from "../../plugins/kubernetes/objects";
import { eventually } from "../helpers/eventually";
import { freePort, slowWay } from "../plugins/kubernetes/ways";
import { useCluster } from "../plugins/kubernetes-api";

interface Ended {
    readonly code: number | null;
    readonly said: string;
}

interface Options {
    readonly node?: string;
    readonly keep?: readonly string[];
    readonly force?: boolean;
    readonly deleteEmptyDirData?: boolean;
    readonly timeoutSeconds?: number;
    readonly kubeconfig?: string;
    readonly removal?: boolean;
}

describe("scripts/on-host/maintenance.ts", function () {
    this.timeout(180_000);
    const cluster = useCluster();
    const pods = "/api/v1/namespaces/default/pods";
    const running = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
    let node: string;
    let count = 0;

    beforeEach(async () => {
        node = `drained-${++count}`;
        await cluster.current.post("/api/v1/nodes", { apiVersion: "v1", kind: "Node", metadata: { name: node } });
    });
    afterEach(async () => {
        for (const name of await names()) {
            await cluster.current.remove(`${pods}/${name}`);
        }
        await cluster.current.remove(`/api/v1/nodes/${node}`);
    });

    /** Starts a verb; `said` grows while it runs. */
    function start(
        verb: string,
        options: Options = {},
    ): { child: ChildProcess; said(): string; ended: Promise<Ended> } {
        const child = spawn("node", ["scripts/on-host.mjs", "maintenance", verb], { stdio: ["pipe", "pipe", "pipe"] });
        let said = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (part: string) => {
                said += part;
            });
        }
        const defaults = { keep: [], force: false, deleteEmptyDirData: false, timeoutSeconds: 30 };
        child.stdin.end(
            JSON.stringify({ kubeconfig: cluster.current.kubeconfig, node, reason: "x", ...defaults, ...options }),
        );
        const ended = new Promise<Ended>((resolve, reject) => {
            child.on("error", reject);
            child.on("close", (code) => resolve({ code, said }));
        });
        return { child, said: () => said, ended };
    }

    async function run(verb: string, options: Options = {}): Promise<string> {
        const { code, said } = await start(verb, options).ended;
        assert.equal(code, 0, said);
        return said;
    }

    async function fail(verb: string, options: Options = {}): Promise<string> {
        const { code, said } = await start(verb, options).ended;
        assert.equal(code, 1, said);
        return said;
    }

    /** An object that pods can belong to; no controller for its kind runs here. */
    async function owner(kind: "StatefulSet" | "DaemonSet") {
        const name = `${kind.toLowerCase()}-${node}`;
        const labels = { app: name };
        const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "nginx" }] } };
        const made = await cluster.current.post(`/apis/apps/v1/namespaces/default/${kind.toLowerCase()}s`, {
            apiVersion: "apps/v1",
            kind,
            metadata: { name },
            spec: { selector: { matchLabels: labels }, template, ...(kind === "StatefulSet" && { serviceName: name }) },
        });
        return [{ apiVersion: "apps/v1", kind, name, uid: text(made, "metadata", "uid"), controller: true }];
    }

    /** Makes a pod on the node, as its kubelet would report it. */
    async function pod(
        name: string,
        metadata: object = {},
        spec: object = {},
        status: object = running,
    ): Promise<string> {
        const full = `${name}-${node}`;
        await cluster.current.post(pods, {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name: full, labels: { app: full }, ...metadata },
            spec: { nodeName: node, containers: [{ name: "main", image: "nginx" }], ...spec },
        });
        await cluster.current.setPodStatus(full, status);
        return full;
    }

    async function names(): Promise<string[]> {
        const list = await cluster.current.get(`${pods}?fieldSelector=spec.nodeName%3D${node}`);
        return maps(list, "items")
            .map((one) => text(one, "metadata", "name"))
            .sort();
    }

    /** Whether new pods are kept away, and whether that is marked as this program's doing. */
    async function cordoned(): Promise<[boolean, boolean]> {
        const { spec, metadata } = (await cluster.current.get(`/api/v1/nodes/${node}`)) as {
            spec?: { unschedulable?: boolean };
            metadata?: { annotations?: Record<string, string> };
        };
        return [spec?.unschedulable === true, metadata?.annotations?.["runtime-sandboxes/cordoned"] === "true"];
    }

    /** A disruption budget that allows nothing for a pod; its controller does not run here, so the test reports for it. */
    async function budget(podName: string) {
        const target = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
        const name = `budget-${podName}`;
        await cluster.current.post(target, {
            apiVersion: "policy/v1",
            kind: "PodDisruptionBudget",
            metadata: { name },
            spec: { minAvailable: 1, selector: { matchLabels: { app: podName } } },
        });
        const allow = async (disruptionsAllowed: number) => {
            const status = { disruptionsAllowed, desiredHealthy: 1, currentHealthy: 1 + disruptionsAllowed };
            await cluster.current.merge(`${target}/${name}/status`, {
                status: { ...status, expectedPods: 1, observedGeneration: 1 },
            });
        };
        await allow(0);
        return { name, allow, remove: () => cluster.current.remove(`${target}/${name}`) };
    }

    it("evicts what is recreated elsewhere, leaves the rest, and puts the node back afterwards", async () => {
        const kept = await pod("kept");
        const daemon = await pod("daemon", { ownerReferences: await owner("DaemonSet") });
        const mirror = await pod("static", { annotations: { "kubernetes.io/config.mirror": "hash" } });
        const ownerReferences = await owner("StatefulSet");
        const one = await pod("one", { ownerReferences });
        await pod("two", { ownerReferences });
        // Its end has come already: nothing of it is lost.
        await pod("job", {}, { volumes: [{ name: "scratch", emptyDir: {} }] }, { phase: "Succeeded" });
        const said = await run("drain", { keep: [`default/${kept}`] });
        assert.deepEqual(await names(), [daemon, kept, mirror].sort());
        assert.deepEqual(await cordoned(), [true, true]);
        assert.match(said, new RegExp(`^${node}: 3 pods to evict, 3 stay\n${node} is cordoned\n`));
        assert.ok(said.includes(`${node}: default/${one}: is ending\n`), said);
        assert.match(said, new RegExp(`\n${node} is drained, after \\d+ s, .* kubectl uncordon ${node}\n$`));

        assert.equal(await run("uncordon"), `${node} takes pods again\n`);
        assert.deepEqual(await cordoned(), [false, false]);
        assert.equal(await run("uncordon"), `${node} takes pods\n`);
    });

    it("refuses to lose anything, with all reasons at once, before anything is changed", async () => {
        const bare = await pod("bare");
        const volumes = [
            { name: "cache", emptyDir: {} },
            { name: "queue", emptyDir: { medium: "Memory" } },
        ];
        const local = await pod("local", { ownerReferences: await owner("StatefulSet") }, { volumes });
        assert.equal(
            await fail("drain"),
            `error: ${node} cannot be drained; nothing was changed:\n` +
                `  - default/${bare} has no controller that would recreate it elsewhere; delete it yourself, or set drainOptions.force\n` +
                `  - default/${local} would lose what is in its emptyDir volumes (cache, queue); ` +
                `set drainOptions.deleteEmptyDirData if that may go\n`,
        );
        assert.deepEqual(await names(), [bare, local].sort());
        assert.deepEqual(await cordoned(), [false, false]);

        assert.match(await fail("drain", { force: true }), /deleteEmptyDirData/);
        await run("drain", { force: true, deleteEmptyDirData: true });
        assert.deepEqual(await names(), []);
    });

    it("waits for a disruption budget, and for an API server whose connections break", async () => {
        const name = await pod("web", { ownerReferences: await owner("StatefulSet") });
        const { name: budgetName, allow, remove } = await budget(name);
        const way = await slowWay(Number(new URL(cluster.current.server).port), 0);
        const kubeconfig = cluster.current.kubeconfig.replace(/server: .*/, `server: https://127.0.0.1:${way.port}`);
        try {
            const drain = start("drain", { kubeconfig });
            await eventually("the budget to be named", async () => drain.said().includes(budgetName));
            let broken = 0;
            await eventually("connections to break", async () => {
                broken += way.cut();
                return broken >= 2;
            });
            assert.deepEqual(await names(), [name]);
            await allow(1);
            const { code, said } = await drain.ended;
            assert.equal(code, 0, said);
            assert.deepEqual(await names(), []);
            // A reason is said once, however often it is met.
            assert.equal(said.split(budgetName).length, 2, said);
        } finally {
            way.server.close();
            await remove();
        }
    });

    it("gives up in time, names the budget, and puts the node back", async () => {
        const name = await pod("web", { ownerReferences: await owner("StatefulSet") });
        const { name: budgetName, remove } = await budget(name);
        try {
            const said = await fail("drain", { timeoutSeconds: 1 });
            assert.match(said, new RegExp(`\n${node} takes pods again\n`));
            const reason = `The disruption budget ${budgetName} needs 1 healthy pods and has 1 currently`;
            assert.ok(
                said.endsWith(
                    `\nerror: ${node} was not drained within 1 s; still there:\n  - default/${name}: ${reason}\n`,
                ),
                said,
            );
            assert.deepEqual(await names(), [name]);
            assert.deepEqual(await cordoned(), [false, false]);
        } finally {
            await remove();
        }
    });

    it("lets a canary go that a run which was cut off has left", async () => {
        await pod("canary", { labels: { "runtime-sandboxes/canary": "start" } });
        assert.match(await run("drain"), /: 1 pods to evict/);
        assert.deepEqual(await names(), []);
    });

    it("says what to do where gVisor is taken away", async () => {
        assert.match(
            await run("drain", { removal: true }),
            /takes no pods until gVisor is taken away\. If that fails it stays so: fix the cause and run the same again, or/,
        );
    });

    it("leaves a node cordoned that somebody else has cordoned", async () => {
        await cluster.current.merge(`/api/v1/nodes/${node}`, { spec: { unschedulable: true } });
        await pod("one", { ownerReferences: await owner("StatefulSet") });
        const theirs = `${node} was cordoned by somebody else, and is left so\n`;
        assert.ok((await run("drain")).includes(theirs));
        assert.deepEqual(await names(), []);
        assert.deepEqual(await cordoned(), [true, false]);
        assert.equal(await run("uncordon"), theirs);
        assert.deepEqual(await cordoned(), [true, false]);
    });

    it("goes on where a run was killed, and still puts the node back", async () => {
        const name = await pod("web", { ownerReferences: await owner("StatefulSet") });
        const { name: budgetName, remove } = await budget(name);
        try {
            const drain = start("drain");
            await eventually("the node to be cordoned", async () => drain.said().includes(budgetName));
            drain.child.kill("SIGKILL");
            await drain.ended;
            assert.deepEqual(await cordoned(), [true, true]);
        } finally {
            await remove();
        }
        assert.ok((await run("drain")).includes(`${node} is cordoned already\n`));
        assert.deepEqual(await names(), []);
        await run("uncordon");
        assert.deepEqual(await cordoned(), [false, false]);
    });

    it("has nothing to do where the machine is no node", async () => {
        assert.equal(
            await run("drain", { node: "worker-9" }),
            "worker-9 is not a node of the cluster: nothing to drain\n",
        );
        assert.equal(
            await run("uncordon", { node: "worker-9" }),
            "worker-9 is not a node of the cluster: nothing to uncordon\n",
        );
    });

    it("says what is wrong with the cluster in one line, without the kubeconfig", async () => {
        const kubeconfig = cluster.current.kubeconfig.replace(
            /server: .*/,
            `server: https://127.0.0.1:${await freePort()}`,
        );
        const said = await fail("drain", { kubeconfig });
        assert.match(said, new RegExp(`^error: the node ${node} cannot be read: .*ECONNREFUSED.*\n$`));
        assert.match(await fail("drain", { kubeconfig: "{}" }), /^error: [^\n]*\n$/);
    });
});
