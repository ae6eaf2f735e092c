import assert from "node:assert/strict";
import { walk } from "../walk/walk";
import { World } from "../walk/world";

describe("a random walk over settings and what may happen to a stack", function () {
    this.timeout(900_000);

    it("leaves all as the settings say after each of a few steps, of which some were cut off", async () => {
        const { done, failure } = await walk({
            ...{ seed: 54, steps: 3, shrink: 0, say: console.log },
            world: () => new World("e2e-walk", { bridge: "sbxwalk1", addressRange: "10.93.0.0/24" }),
        });
        assert.equal(failure?.report, undefined);
        assert.equal(done.said.length, 3);
        assert.ok(done.kills.operator > 0, done.said.join("\n"));
    });
});
