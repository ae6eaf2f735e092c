import assert from "node:assert/strict";
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { drainBeforeRemoval, Maintenance } from "../../components/gvisor/maintenance";
import { drainOptions } from "../../components/gvisor/settings";
import { provider } from "../helpers/canned";
import { type Recorded, record } from "../helpers/mocks";

describe("Maintenance", () => {
    const at = "2026-11-30T12:00:00.000Z";

    /** Whether nodes are drained. */
    let drained = true;
    afterEach(() => {
        drained = true;
    });

    async function resourcesOf(...restart: string[]): Promise<(name: string) => Recorded> {
        const names = ["give-back", "drain-for-packages", "drain", "uncordon"];
        const steps = [
            ...names.map((name) => `worker-1-maintenance-${name}`),
            "machine",
            "turn",
            "install",
            "worker-1-drain-for-removal",
        ];
        const provide = provider(Object.fromEntries(steps.map((name) => [name, ""])));
        const [, resources] = await record({ provide, project: "runtime-sandboxes", stack: "mocked" }, async () => {
            const step = (name: string, dependsOn: pulumi.Resource[] = []) =>
                new local.Command(name, { create: "true" }, { dependsOn });
            const machine = {
                name: "worker-1",
                address: pulumi.output("10.0.0.1"),
                connection: pulumi.output({ host: "10.0.0.1" }),
                identity: pulumi.output("1"),
                resource: step("machine"),
            };
            const drain = { options: drainOptions.parse({ force: true }), keep: ["default/test-1"] };
            const node = { machine, kubeconfig: "administrators" };
            const maintenance = new Maintenance("worker-1-maintenance", { ...node, ...drain, turn: [step("turn")] });
            maintenance.before("drain-for-packages", pulumi.output({ restart: [], at: "earlier" }));
            const emptied = maintenance.before("drain", pulumi.output({ restart, at }));
            const install = step("install", [emptied]);
            drainBeforeRemoval(node, drained ? drain : undefined, install);
            maintenance.after([install]);
        });
        return (name) => {
            const found = resources.find((one) =>
                [`worker-1-maintenance-${name}`, `worker-1-${name}`].includes(one.name),
            );
            assert.ok(found, `no ${name}`);
            return found;
        };
    }

    const stdin = {
        kubeconfig: "administrators",
        node: "worker-1",
        keep: ["default/test-1"],
        force: true,
        deleteEmptyDirData: false,
        timeoutSeconds: 300,
    };
    const reason = `the handler runsc is not loaded; runsc is missing (${at})`;

    it("drains where a look foresees a restart, once for each look", async () => {
        const get = await resourcesOf("the handler runsc is not loaded", "runsc is missing");
        const { inputs, secretInputs, timeouts } = get("drain");
        assert.equal(inputs.create, "node scripts/on-host.mjs maintenance drain");
        assert.equal(inputs.update, "true");
        assert.equal(inputs.delete, undefined);
        assert.deepEqual(inputs.triggers, [reason]);
        assert.deepEqual(JSON.parse(String(inputs.stdin)), { ...stdin, reason });
        assert.deepEqual(secretInputs, ["stdin"]);
        assert.equal(timeouts.create, "360s");
    });

    it("drains nothing where no restart is foreseen", async () => {
        const { inputs } = (await resourcesOf())("drain");
        assert.deepEqual([inputs.create, inputs.update, inputs.triggers], ["true", "true", [""]]);
    });

    it("puts the node back after what came in between, after each look", async () => {
        const { inputs, secretInputs, dependencies } = (await resourcesOf())("uncordon");
        assert.equal(inputs.create, "node scripts/on-host.mjs maintenance uncordon");
        assert.equal(inputs.update, undefined);
        assert.equal(inputs.triggers, undefined);
        assert.deepEqual(JSON.parse(String(inputs.stdin)), { ...stdin, looks: `earlier ${at}` });
        assert.deepEqual(secretInputs, ["stdin"]);
        for (const drain of ["drain", "drain-for-packages"]) {
            assert.ok(dependencies.some(({ name }) => name === `worker-1-maintenance-${drain}`));
        }
    });

    it("gives a node back in service that leaves the stack, after all else", async () => {
        const get = await resourcesOf();
        const { inputs, secretInputs } = get("give-back");
        assert.equal(inputs.create, "true");
        assert.equal(inputs.update, undefined);
        assert.equal(inputs.delete, "node scripts/on-host.mjs maintenance uncordon");
        assert.deepEqual(JSON.parse(String(inputs.stdin)), stdin);
        assert.deepEqual(secretInputs, ["stdin"]);
        assert.ok(get("drain").dependencies.some(({ name }) => name === "worker-1-maintenance-give-back"));
        // Whose turn comes later is given back before.
        assert.deepEqual(
            get("give-back").dependencies.map(({ name }) => name),
            ["turn"],
        );
    });

    it("drains before what was done there is taken away, but not a machine that goes away itself", async () => {
        const get = await resourcesOf();
        const { inputs, secretInputs, timeouts, dependencies } = get("drain-for-removal");
        assert.equal(inputs.create, "true");
        assert.equal(inputs.update, undefined);
        assert.equal(inputs.delete, "node scripts/on-host.mjs maintenance drain");
        assert.deepEqual(JSON.parse(String(inputs.stdin)), { ...stdin, removal: true });
        assert.deepEqual([secretInputs, timeouts.delete], [["stdin"], "360s"]);
        assert.deepEqual(
            dependencies.map(({ name }) => name),
            ["install"],
        );
        for (const name of ["drain-for-removal", "give-back"]) {
            assert.equal(get(name).deletedWith?.name, "machine");
        }
    });

    it("does not take the end of draining for that of gVisor: what drains then is there in any case", async () => {
        drained = false;
        const { create, delete: removal, stdin: given } = (await resourcesOf())("drain-for-removal").inputs;
        assert.deepEqual([create, removal, given], ["true", undefined, undefined]);
    });

    it("takes the defaults of kubectl, and no option that it does not know", () => {
        assert.deepEqual(drainOptions.parse({}), { force: false, deleteEmptyDirData: false, timeoutSeconds: 300 });
        assert.equal(drainOptions.safeParse({ ignoreErrors: true }).success, false);
        assert.equal(drainOptions.safeParse({ timeoutSeconds: 0 }).success, false);
    });
});
