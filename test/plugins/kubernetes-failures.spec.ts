import assert from "node:assert/strict";
import { eventually } from "../helpers/eventually";
import { freePort, slowWay } from "./kubernetes/ways";
import { useCluster } from "./kubernetes-api";
import { type ConfiguredHost, failedCreate, quietContext, resource, serveConfigured } from "./kubernetes-host";
import { type RecordedCall, recorded } from "./kubernetes-records";
import type { JsonMap } from "./shared/harness";

/** The status that a kubelet reports for a pod whose image it must not pull. */
const NEVER_PULLED = {
    phase: "Pending",
    conditions: [
        { type: "PodScheduled", status: "True" },
        { type: "Initialized", status: "True" },
        {
            ...{ type: "Ready", status: "False", reason: "ContainersNotReady" },
            message: "containers with unready status: [c]",
        },
    ],
    containerStatuses: [
        {
            ...{ name: "c", image: "no-such-image", imageID: "", ready: false, restartCount: 0 },
            state: {
                waiting: {
                    reason: "ErrImageNeverPull",
                    message: 'Container image "no-such-image" is not present with pull policy of Never',
                },
            },
        },
    ],
};

/** Long enough for the test to see the object before the plug-in does. */
const SLOW_MS = 400;

const READY = {
    phase: "Running",
    conditions: ["PodScheduled", "Initialized", "Ready"].map((type) => ({ type, status: "True" })),
};

describe("kubernetes plug-in: failures", function () {
    this.timeout(180_000);
    const cluster = useCluster();
    let configured: ConfiguredHost;

    before(async () => {
        configured = await serveConfigured({ kubeconfig: cluster.current.kubeconfig });
    });

    after(() => configured?.host.stop());

    function create(record: RecordedCall, changes: JsonMap = {}): Promise<JsonMap> {
        return configured.host.call(record.method, { ...record.request, ...changes });
    }

    function podRequest(name: string, spec: JsonMap = {}, metadata: JsonMap = {}): JsonMap {
        const inputs = {
            ...{
                apiVersion: "v1",
                kind: "Pod",
                metadata: { name, namespace: "default", labels: { run: name }, ...metadata },
            },
            spec: { nodeName: "worker-1", containers: [{ name: "c", image: "nginx" }], ...spec },
        };
        return { ...resource("core/v1:Pod", name), properties: inputs };
    }

    for (const [from, name] of [
        ["noclass", "noclass"],
        ["invalid", "bad"],
        ["exists", "default"],
    ] as const) {
        it(`${from}: fails with the recorded sentence`, async () => {
            const record = recorded(from, "Create", name);
            assert.equal(await configured.host.failure("Create", record.request), record.error);
        });
    }

    it("rejected: PodSecurity's recorded sentence in the update; the preview does not foresee it", async () => {
        await create(recorded("rejected", "Create", "strict"));
        await cluster.current.account("strict");
        const record = recorded("rejected", "Create", "rejected");
        const foretold = await create(record, { preview: true });
        assert.deepEqual(foretold, { properties: record.request.properties ?? null });
        assert.equal(await configured.host.failure("Create", record.request), record.error);
    });

    it("invalid: the preview fails as well", async () => {
        const record = recorded("invalid", "Create", "bad");
        const failure = await configured.host.failure("Create", { ...record.request, preview: true });
        assert.match(failure, /RuntimeClass.node.k8s.io "Bad_Name" is invalid/);
    });

    it("notready: the object enters the state with the recorded reasons; warnings are shown meanwhile", async () => {
        const record = recorded("notready", "Create", "notready");
        const made = failedCreate(configured.provider, { ...record.request, timeout: 2 });
        await cluster.current.setPodStatus("notready", NEVER_PULLED);
        const pod = await cluster.current.get("/api/v1/namespaces/default/pods/notready");
        const { uid } = pod.metadata as { uid: string };
        await cluster.current.post("/api/v1/namespaces/default/events", {
            ...{ apiVersion: "v1", kind: "Event", metadata: { name: "notready.1" }, type: "Warning" },
            involvedObject: { apiVersion: "v1", kind: "Pod", name: "notready", namespace: "default", uid },
            ...{ reason: "Failed", message: "Error: ErrImageNeverPull" },
        });
        const { message, reasons, id, state, lines } = await made;
        assert.equal(message, record.error);
        assert.deepEqual(reasons, [
            record.error,
            '[Pod notready]: containers with unready status: [c][ErrImageNeverPull] Container image "no-such-image" is not present with pull policy of Never',
        ]);
        assert.equal(id, "default/notready");
        assert.deepEqual(Object.keys(state).sort(), [
            ...[
                "__fieldManager",
                "__initialApiVersion",
                "__inputs",
                "apiVersion",
                "kind",
                "metadata",
                "spec",
                "status",
            ],
        ]);
        assert.equal((state.status as JsonMap).phase, "Pending");
        assert.deepEqual(lines, [
            "",
            'Waiting for Pod "notready" to be scheduled',
            'Waiting for Pod "notready" to be initialized',
            'Waiting for Pod "notready" to be ready',
            "warning: Failed: Error: ErrImageNeverPull",
        ]);

        const { urn, type, name } = record.request;
        const read = { urn, type, name, id, properties: state, inputs: state.__inputs } as JsonMap;
        const refreshed = await configured.host.failure("Read", read);
        assert.equal(refreshed, "Resource 'notready' was created but failed to initialize");
    });

    it("crash: a pod that was ready for a moment counts as ready, and one that ended well too", async () => {
        const record = recorded("crash", "Create", "crash");
        const made = create(record);
        await cluster.current.setPodStatus("crash", READY);
        assert.equal((await made).id, "default/crash");

        const ended = create({ ...record, request: podRequest("ended", { restartPolicy: "Never" }) });
        const conditions = [
            ...READY.conditions.slice(0, 2),
            { type: "Ready", status: "False", reason: "PodCompleted" },
        ];
        await cluster.current.setPodStatus("ended", { phase: "Succeeded", conditions });
        assert.equal((await ended).id, "default/ended");
    });

    it("names what ended and ended before in a pod that keeps failing; takes the time limit from the annotation", async () => {
        const request = podRequest("looping", {}, { annotations: { "pulumi.com/timeoutSeconds": "1" } });
        const made = failedCreate(configured.provider, { ...request, timeout: 0 });
        const terminated = {
            reason: "Error",
            exitCode: 1,
            finishedAt: "2026-11-24T04:57:19Z",
            startedAt: "2026-11-24T04:57:18Z",
        };
        const base = { name: "c", image: "nginx", imageID: "", ready: false, restartCount: 3 };
        await cluster.current.setPodStatus("looping", {
            ...NEVER_PULLED,
            containerStatuses: [
                { ...base, state: { terminated }, lastState: { terminated: { ...terminated, exitCode: 2 } } },
            ],
        });
        const { reasons } = await made;
        assert.deepEqual(reasons.slice(1), [
            '[Pod looping]: containers with unready status: [c]container "c" completed with exit code 1\n' +
                'container "c" terminated at 2026-11-24T04:57:19Z (Error: exit code 2)',
        ]);
    });

    it("does not wait where the annotation says so", async () => {
        const request = podRequest("skipped", {}, { annotations: { "pulumi.com/skipAwait": "true" } });
        assert.equal((await configured.host.call("Create", request)).id, "default/skipped");
    });

    it("keeps an object in the state whose wait is cancelled", async () => {
        const stop = new AbortController();
        const context = { ...quietContext(), signal: stop.signal };
        const made = failedCreate(configured.provider, { ...podRequest("cancelled"), timeout: 60 }, context);
        await cluster.current.setPodStatus("cancelled", NEVER_PULLED);
        await eventually("the wait", async () => context.lines.includes('Waiting for Pod "cancelled" to be ready'));
        stop.abort();
        const { message, id } = await made;
        assert.match(message, /Resource operation was cancelled for "cancelled"$/);
        assert.equal(id, "default/cancelled");
    });

    it("keeps an object in the state whose creation is under way when it is cancelled", async () => {
        const port = Number(new URL(cluster.current.server).port);
        const way = await slowWay(port, SLOW_MS);
        const kubeconfig = cluster.current.kubeconfig.replace(`:${port}`, `:${way.port}`);
        const slow = await serveConfigured({ kubeconfig });
        const stop = new AbortController();
        const context = { ...quietContext(), signal: stop.signal };
        try {
            const made = failedCreate(slow.provider, { ...podRequest("hasty"), timeout: 60 }, context);
            await cluster.current.podsOf("run=hasty");
            stop.abort();
            assert.match((await made).message, /Resource operation was cancelled for "hasty"$/);
        } finally {
            await slow.host.stop();
            way.server.close();
        }
    });

    it("waits for a namespace that is being made", async () => {
        const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "early", namespace: "later" } };
        const request = { ...resource("core/v1:ConfigMap", "early"), properties: config };
        const foretold = await configured.host.call("Create", { ...request, preview: true });
        assert.deepEqual(foretold, { properties: config });
        const made = configured.host.call("Create", request);
        await cluster.current.post("/api/v1/namespaces", {
            apiVersion: "v1",
            kind: "Namespace",
            metadata: { name: "later" },
        });
        assert.equal((await made).id, "later/early");
    });

    it("names a type that the cluster does not have", async () => {
        const inputs = { apiVersion: "example.com/v1", kind: "Thing", metadata: { name: "t", namespace: "default" } };
        const request = { ...resource("example.com/v1:Thing", "t"), properties: inputs };
        assert.deepEqual(await configured.host.call("Create", { ...request, preview: true }), { properties: inputs });
        const read = { ...request, id: "default/t", properties: inputs, inputs };
        assert.deepEqual(await configured.host.call("Read", read), {});
    });

    it("unreachable: the recorded sentence, and the way out of it", async () => {
        const port = await freePort();
        const kubeconfig = cluster.current.kubeconfig.replace(/server: .*/, `server: https://127.0.0.1:${port}`);
        const off = await serveConfigured({ kubeconfig });
        try {
            const record = recorded("unreachable", "Create", "u");
            const expected = String(record.error)
                .replaceAll("10.77.0.10:6999", `127.0.0.1:${port}`)
                // The official one asks for the schema first, the stand-in for the version.
                .replace("/openapi/v2", "/version");
            assert.equal(await off.host.failure("Create", record.request), expected);
            const inputs = record.request.properties ?? {};
            assert.deepEqual(await off.host.call("Create", { ...record.request, preview: true }), {
                properties: inputs,
            });
            const call = { ...record.request, id: "u", inputs };
            assert.match(await off.host.failure("Read", call), /PULUMI_K8S_DELETE_UNREACHABLE environment variable/);
            assert.match(await off.host.failure("Delete", call), /PULUMI_K8S_DELETE_UNREACHABLE environment variable/);
        } finally {
            await off.host.stop();
        }
        const gone = await serveConfigured({ kubeconfig, deleteUnreachable: "true" });
        try {
            const { request } = recorded("unreachable", "Create", "u");
            assert.deepEqual(
                await gone.host.call("Read", { ...request, id: "u", inputs: request.properties ?? {} }),
                {},
            );
            await gone.host.call("Delete", { ...request, id: "u" });
        } finally {
            await gone.host.stop();
        }
    });

    it("refuses what only the official plug-in has, in one sentence each", async () => {
        const helm = { ...resource("helm.sh/v3:Release", "r"), news: {}, olds: {} };
        assert.match(await configured.host.failure("Check", helm), /^Helm .* is not covered by the stand-in plug-in/);
        for (const [tok, what] of [
            ["kubernetes:helm:template", "Helm"],
            ["kubernetes:kustomize:directory", "Kustomize"],
            ["kubernetes:yaml:decode", "YAML"],
        ] as const) {
            assert.match(
                await configured.host.failure("Invoke", { tok, args: {} }),
                new RegExp(`^${what} .* is not covered`),
            );
        }
        const config = {
            ...resource("", "p"),
            olds: {},
            news: { renderYamlToDirectory: "out", enableServerSideApply: "false" },
        };
        const { failures } = await configured.host.call("CheckConfig", config);
        assert.deepEqual(
            (failures as JsonMap[]).map(({ property }) => property),
            ["renderYamlToDirectory", "enableServerSideApply"],
        );
    });
});
