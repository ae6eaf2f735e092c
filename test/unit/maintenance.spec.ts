import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { drainOptions, Maintenance } from "../../components/worker/maintenance";
import { provider } from "../helpers/canned";
import { type Recorded, record } from "../helpers/mocks";

describe("Maintenance", () => {
    async function resourcesOf(enabled: boolean): Promise<(name: string) => Recorded> {
        const names = ["give-back", "drain-for-packages", "drain", "uncordon"];
        const provide = provider(Object.fromEntries(names.map((name) => [`worker-1-maintenance-${name}`, ""])));
        const [, resources] = await record({ provide, project: "runtime-sandboxes", stack: "mocked" }, async () => {
            const maintenance = new Maintenance("worker-1-maintenance", {
                node: "worker-1",
                enabled,
                kubeconfig: "administrators",
                options: drainOptions.parse({ force: true }),
                keep: ["default/test-1"],
            });
            maintenance.before("drain-for-packages", pulumi.output("2.3.7-1"));
            const emptied = maintenance.before("drain", pulumi.output("abc"));
            const install = new pulumi.ComponentResource("test:Install", "install", {}, { dependsOn: emptied });
            maintenance.after([install]);
        });
        return (name) => {
            const found = resources.find((one) => one.name === `worker-1-maintenance-${name}`);
            assert.ok(found, `no ${name}`);
            return found;
        };
    }

    const stdin = {
        kubeconfig: "administrators",
        node: "worker-1",
        reason: "abc",
        keep: ["default/test-1"],
        force: true,
        deleteEmptyDirData: false,
        timeoutSeconds: 300,
    };

    it("drains for another reason, and for nothing else", async () => {
        const { inputs, secretInputs, timeouts } = (await resourcesOf(true))("drain");
        assert.equal(inputs.create, "node scripts/cluster/maintenance.mjs drain");
        assert.equal(inputs.update, "true");
        assert.equal(inputs.delete, undefined);
        assert.deepEqual(inputs.triggers, ["abc"]);
        assert.deepEqual(JSON.parse(String(inputs.stdin)), stdin);
        assert.deepEqual(secretInputs, ["stdin"]);
        assert.equal(timeouts.create, "360s");
    });

    it("puts the node back after what came in between, each time", async () => {
        const { inputs, secretInputs, dependencies } = (await resourcesOf(true))("uncordon");
        assert.equal(inputs.create, "node scripts/cluster/maintenance.mjs uncordon");
        assert.equal(inputs.update, undefined);
        assert.equal(inputs.triggers, undefined);
        assert.deepEqual(JSON.parse(String(inputs.stdin)), { ...stdin, reason: "2.3.7-1 abc" });
        assert.deepEqual(secretInputs, ["stdin"]);
        for (const drain of ["drain", "drain-for-packages"]) {
            assert.ok(dependencies.some(({ name }) => name === `worker-1-maintenance-${drain}`));
        }
    });

    it("gives a node back in service that leaves the stack, after all else", async () => {
        const get = await resourcesOf(true);
        const { inputs, secretInputs } = get("give-back");
        assert.equal(inputs.create, "true");
        assert.equal(inputs.update, undefined);
        assert.equal(inputs.delete, "node scripts/cluster/maintenance.mjs uncordon");
        const { reason, ...same } = stdin;
        assert.deepEqual(JSON.parse(String(inputs.stdin)), same, `${reason} is no reason to do anything`);
        assert.deepEqual(secretInputs, ["stdin"]);
        assert.ok(get("drain").dependencies.some(({ name }) => name === "worker-1-maintenance-give-back"));
    });

    it("asks nothing of the cluster, and waits for nothing of it, where it is off", async () => {
        const get = await resourcesOf(false);
        for (const name of ["drain", "uncordon"]) {
            const { inputs } = get(name);
            assert.deepEqual([inputs.create, inputs.stdin], ["true", undefined], name);
        }
        assert.deepEqual(get("drain").inputs.triggers, ["abc"]);
        assert.throws(() => get("give-back"), /no give-back/);
    });

    it("takes the defaults of kubectl, and no option that it does not know", () => {
        assert.deepEqual(drainOptions.parse({}), { force: false, deleteEmptyDirData: false, timeoutSeconds: 300 });
        assert.equal(drainOptions.safeParse({ ignoreErrors: true }).success, false);
        assert.equal(drainOptions.safeParse({ timeoutSeconds: 0 }).success, false);
    });
});
