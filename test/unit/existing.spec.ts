import assert from "node:assert/strict";
import { ExistingCluster } from "../../components/cluster/existingCluster";
import { ExistingTarget } from "../../components/targets/existing/existingTarget";
import { existingSettings } from "../../components/targets/existing/settings";
import { provider } from "../helpers/canned";
import { record } from "../helpers/mocks";

const hostKey = "ssh-ed25519 AAAA";

const kubeconfig = JSON.stringify({
    "current-context": "lab",
    contexts: [{ name: "lab", context: { cluster: "lab", user: "admin" } }],
    clusters: [{ name: "lab", cluster: {} }],
    users: [{ name: "admin", user: {} }],
});

describe("the target of existing machines", () => {
    it("logs in to a machine and its jump host with the key, and with its passphrase if it has one", async () => {
        const connection = async (own: object) => {
            const existing = { kubeconfig, workers: { a: { host: "10.0.0.1", hostKey } }, ...own };
            const { workers } = new ExistingTarget(existingSettings.parse(existing), {});
            return await new Promise<object>((resolve) => {
                workers[0]?.connection.apply((all) => resolve(all));
            });
        };
        const key = { privateKey: "PEM", privateKeyPassword: "open" };
        const jumpHost = { host: "10.0.0.9", hostKey, user: "ops" };
        const limits = { dialErrorLimit: 1, perDialTimeout: 10, port: 22 };
        assert.deepEqual(await connection({ ...key, jumpHost }), {
            ...{ host: "10.0.0.1", hostKey, user: "root", ...key, ...limits },
            proxy: { ...jumpHost, ...key, ...limits },
        });
        const plain = { host: "10.0.0.1", hostKey, user: "root", privateKey: "PEM", ...limits };
        assert.deepEqual(await connection({ privateKey: "PEM" }), {
            ...plain,
            privateKeyPassword: undefined,
            proxy: undefined,
        });
    });

    it("compares a machine's id, and not what its login's shell prints before, with the node's", async () => {
        const existing = { kubeconfig, privateKey: "PEM", workers: { a: { host: "10.0.0.1", hostKey } } };
        const provide = provider({ "cluster-a-id": "0123456789abcdef\n", "cluster-nodes": {} });
        const [, resources] = await record({ provide, project: "runtime-sandboxes", stack: "mocked" }, async () => {
            const { workers } = new ExistingTarget(existingSettings.parse(existing), {});
            new ExistingCluster("cluster", { kubeconfig: "k", clusterIdentifier: "c", workers });
        });
        const asked = resources.find(({ name }) => name === "cluster-nodes")?.inputs.stdin;
        const machines = { a: "0123456789abcdef" };
        assert.deepEqual(JSON.parse(String(asked)), { kubeconfig: "k", machines, namespace: "default" });
    });
});
