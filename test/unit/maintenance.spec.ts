import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { drainOptions, Maintenance } from "../../components/worker/maintenance";
import { provider } from "../helpers/canned";
import { type Recorded, record } from "../helpers/mocks";

describe("Maintenance", () => {
    async function resourcesOf(enabled: boolean): Promise<(name: string) => Recorded> {
        const provide = provider({ "worker-1-maintenance-drain": "", "worker-1-maintenance-uncordon": "" });
        const [, resources] = await record({ provide, project: "runtime-sandboxes", stack: "mocked" }, async () => {
            const maintenance = new Maintenance("worker-1-maintenance", {
                node: "worker-1",
                enabled,
                reason: pulumi.output("abc"),
                kubeconfig: "administrators",
                options: drainOptions.parse({ force: true }),
                keep: ["default/test-1"],
            });
            const install = new pulumi.ComponentResource(
                "test:Install",
                "install",
                {},
                { dependsOn: maintenance.before },
            );
            maintenance.after([install]);
        });
        return (name) => {
            const found = resources.find((one) => one.name === `worker-1-maintenance-${name}`);
            assert.ok(found, name);
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
        assert.deepEqual(JSON.parse(String(inputs.stdin)), stdin);
        assert.deepEqual(secretInputs, ["stdin"]);
        assert.ok(dependencies.some(({ name }) => name === "worker-1-maintenance-drain"));
    });

    it("asks nothing of the cluster, and waits for nothing of it, where it is off", async () => {
        const get = await resourcesOf(false);
        for (const name of ["drain", "uncordon"]) {
            const { inputs } = get(name);
            assert.deepEqual([inputs.create, inputs.stdin], ["true", undefined], name);
        }
        assert.deepEqual(get("drain").inputs.triggers, ["abc"]);
    });

    it("takes the defaults of kubectl, and no option that it does not know", () => {
        assert.deepEqual(drainOptions.parse({}), { force: false, deleteEmptyDirData: false, timeoutSeconds: 300 });
        assert.equal(drainOptions.safeParse({ ignoreErrors: true }).success, false);
        assert.equal(drainOptions.safeParse({ timeoutSeconds: 0 }).success, false);
    });
});
