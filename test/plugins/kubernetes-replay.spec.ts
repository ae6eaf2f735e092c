import assert from "node:assert/strict";
import { serveConfigured } from "./kubernetes-host";
import { RECORDS, type RecordedCall } from "./kubernetes-records";
import type { Host, JsonMap } from "./shared/harness";

/** Loopback's port 1: nothing listens, so that a call that wants the cluster is noticed. */
const NO_CLUSTER = JSON.stringify({
    "current-context": "off",
    clusters: [{ name: "off", cluster: { server: "https://127.0.0.1:1" } }],
    contexts: [{ name: "off", context: { cluster: "off", user: "off" } }],
    users: [{ name: "off", user: {} }],
});

const PURE = ["Handshake", "CheckConfig", "DiffConfig", "Check", "Diff"];

function title({ from, method, request }: RecordedCall, index: number): string {
    const resource = String(request.urn ?? "").split("::");
    return `${index}: ${method} ${resource.slice(2).join(" ")} (${from})`;
}

describe("kubernetes plug-in: recorded calls of the official one", () => {
    let host: Host;

    before(async () => {
        const configured = await serveConfigured({ kubeconfig: NO_CLUSTER });
        host = configured.host;
        assert.deepEqual(configured.abilities, RECORDS.find(({ method }) => method === "Configure")?.response);
    });

    after(() => host.stop());

    RECORDS.forEach((record, index) => {
        const { method, request, response, error } = record;
        if (!PURE.includes(method)) {
            return;
        }
        it(title(record, index), async () => {
            if (error !== undefined) {
                // The engine goes by the code; the sentence is gRPC's own in either plug-in.
                assert.match(await host.failure(method, request), /not implemented/);
            } else {
                assert.deepEqual(await host.call(method, request), response);
            }
        });
    });

    it("has calls of each kind that is replayed here, and not just a few", () => {
        const count = (method: string): number => RECORDS.filter((record) => record.method === method).length;
        assert.deepEqual(
            PURE.map((method) => count(method) > 0),
            PURE.map(() => true),
        );
        assert.ok(count("Diff") >= 18 && count("Check") >= 35);
    });

    it("takes over an official stack: the recorded states with the recorded inputs have no changes", async () => {
        const states = RECORDS.filter(({ from, method }) => from === "3-preview-noop" && method === "Diff");
        const kinds = states.map(({ request }) => String(request.type).split(":").pop());
        assert.deepEqual(
            kinds.sort(),
            [
                ...["ConfigMap", "Namespace", "NodePatch", "Pod", "Pod", "RuntimeClass", "Secret", "Service"],
                ...["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
            ].sort(),
        );
        for (const { request } of states) {
            const olds = request.olds as JsonMap;
            const answer = await host.call("Diff", { ...request, news: olds.__inputs ?? null });
            assert.deepEqual(answer, { changes: "DIFF_NONE", hasDetailedDiff: true }, String(request.urn));
        }
    });
});
