import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { Replica } from "./replica/replica";
import { TestStack, traces } from "./stack";

const bridge = "sbxe2e3";

describe("sources: upstream, on replicas of the servers that people with internet access reach", function () {
    this.timeout(900_000);
    const replica = new Replica();
    let stack: TestStack;
    let before: string[] = [];

    before_();
    function before_(): void {}

    it("up", async () => {
        await replica.open();
        const place = replica.place();
        stack = new TestStack("e2e-upstream", { bridge, addressRange: "10.84.0.0/24" }, place);
        before = traces(bridge, stack.files, place.within);
        console.log(before, replica.directory);
        const text = await stack.run(["up"]);
        console.log(text);
        assert.match(text, /PROVEN/);
        console.log(path.join(""), fs.existsSync(""));
    });
    after(async () => {
        console.log(replica.requests().join("\n"));
        if (process.env.KEEP) return await new Promise(() => {});
        await stack.remove();
        await replica.close();
    });
});
