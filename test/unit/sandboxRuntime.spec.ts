import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import type { Sources } from "../../components/contracts";
import { SandboxRuntime, type SandboxRuntimeArgs } from "../../components/gvisor/sandboxRuntime";
import { known } from "../../components/vulnerabilities.cjs";
import { machineDocument, nodeFacts, provider, sources } from "../helpers/canned";
import { record } from "../helpers/mocks";

/** The names of the steps that are run, and why one is not, for a release that only the sources know. */
async function steps(release: string, more: Partial<SandboxRuntimeArgs>): Promise<[string[], string]> {
    const { name, address, port, user, hostKey, identity } = machineDocument("worker-1", "10.77.0.11");
    const connection = pulumi.secret({ host: address, port, user, hostKey, privateKey: "key" });
    let reason = "";
    const mocks = {
        provide: provider({ "w-facts": nodeFacts(), "w-look": { restart: [] }, "w-install": {} }),
        project: "p",
        stack: "mocked",
    };
    const [, resources] = await record(mocks, async () => {
        const { installed } = new SandboxRuntime("w", {
            machine: { name, address: pulumi.output(address), identity: pulumi.output(identity), connection },
            sources: pulumi.output<Sources>({ ...sources, packages: { runsc: release } }),
            handlers: [{ name: "runsc", runtimeClass: "myclass", options: {} }],
            release: "",
            after: [],
            ...more,
        });
        await (installed.urn as unknown as { promise(): Promise<string> }).promise().catch((error: Error) => {
            reason = error.message;
        });
    });
    return [resources.filter(({ custom }) => custom).map((one) => one.name), reason];
}

const all = ["worker-1-scripts", "w-facts", "w-look", "w-install"];

describe("the gate", () => {
    it("judges the release that the sources pin like one that is asked for", async () => {
        const old = "20260817.0";
        const accepted = known.map(({ id }) => id);
        for (const [release, more] of [
            [old, {}],
            [sources.packages.runsc ?? "", { release: old }],
        ] as const) {
            const [run, reason] = await steps(release, more);
            assert.deepEqual(run, ["worker-1-scripts", "w-facts"], "nothing is installed");
            assert.match(
                reason,
                /gVisor cannot run on worker-1 as it is; nothing was changed there:\n {2}- it would get gVisor 20260817\.0 /,
            );
            assert.deepEqual(await steps(release, { ...more, accepted }), [all, ""]);
        }
        assert.deepEqual(await steps(old, { release: sources.packages.runsc }), [all, ""]);
    });
});
