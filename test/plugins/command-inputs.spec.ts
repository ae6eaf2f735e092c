import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { Bench, remote, request, SIGNATURE, secret } from "./command/bench";
import type { JsonMap } from "./shared/harness";

describe("command plug-in: inputs and copies", function () {
    this.timeout(180_000);
    const bench = new Bench();

    describe("check and diff", () => {
        const check = (type: string, news: JsonMap) =>
            bench.host.call("Check", { ...request(type, {}), news, olds: {} });
        const reasons = (answer: JsonMap) =>
            (answer.failures as JsonMap[] | undefined)?.map(({ reason }) => reason).sort();

        it("names what is wrong in the inputs", async () => {
            const wrong = await check("command:remote:Command", {
                create: 1,
                extra: "x",
                connection: secret({ hots: "h" }),
            });
            assert.deepEqual(reasons(wrong), [
                "Field 'create' on 'remote.CommandInputs' must be a 'string'; got 'float64' instead",
                "Missing required field 'host' on 'remote.Connection'",
                "Unrecognized field 'extra' on 'remote.CommandInputs'",
                "Unrecognized field 'hots' on 'remote.Connection'",
            ]);
            assert.deepEqual(reasons(await check("command:remote:Command", {})), [
                "Missing required field 'connection' on 'remote.CommandInputs'",
            ]);
        });

        it("takes only sources that can be copied", async () => {
            const source = (kind: string, fields: JsonMap) =>
                check("command:remote:CopyToRemote", {
                    connection: { host: "h" },
                    remotePath: "/p",
                    source: { [SIGNATURE]: kind, ...fields },
                });
            const uri = await source("c44067f5952c0a294b673a41bacd8c17", { uri: "https://example.com", hash: "0" });
            assert.deepEqual(reasons(uri), ["asset must be a path-based file asset or a text asset"]);
            const archive = await source("0def7320c3a5731c473e5ecbe6d01bc7", { assets: {}, hash: "0" });
            assert.deepEqual(reasons(archive), ["archive must be a path to a file or directory"]);
        });

        const diff = (olds: JsonMap, news: JsonMap, more: JsonMap = {}) =>
            bench.host.call("Diff", { ...remote({}), id: "step1", olds, news, ...more });

        it("shows a change within a secret as one of the whole, and changes of lists and maps by path", async () => {
            const olds = { connection: secret({ host: "a" }), triggers: ["x", "y"], stdout: "" };
            const news = { connection: secret({ host: "b" }), triggers: ["x"], environment: { "A.B": "1" } };
            assert.deepEqual(await diff(olds, news), {
                changes: "DIFF_SOME",
                diffs: ["triggers", "connection", "environment"],
                detailedDiff: {
                    connection: { kind: "UPDATE" },
                    environment: { kind: "ADD" },
                    "triggers[1]": { kind: "DELETE" },
                },
                hasDetailedDiff: true,
            });
        });

        it("replaces when triggers come or go, and leaves ignored changes alone", async () => {
            assert.deepEqual(
                await diff({ create: "a", stdout: "" }, { create: "b", triggers: [1] }, { ignorechanges: ["create"] }),
                {
                    changes: "DIFF_SOME",
                    replaces: ["triggers"],
                    diffs: ["triggers"],
                    detailedDiff: { triggers: { kind: "ADD_REPLACE" } },
                    hasDetailedDiff: true,
                },
            );
        });
    });

    describe("CopyToRemote", () => {
        const copy = (source: JsonMap, remotePath: string) =>
            request("command:remote:CopyToRemote", { connection: bench.connection(), source, remotePath });
        const archive = (directory: string) => ({
            [SIGNATURE]: "0def7320c3a5731c473e5ecbe6d01bc7",
            path: directory,
            hash: "1",
        });
        const text = (content: string, hash = "1") => ({
            [SIGNATURE]: "c44067f5952c0a294b673a41bacd8c17",
            text: content,
            hash,
        });

        it("copies a directory, or with a slash what is in it, and makes the directories above", async () => {
            const from = bench.file("from");
            mkdirSync(path.join(from, "deep"), { recursive: true });
            writeFileSync(path.join(from, "deep/file"), "x".repeat(100_000));
            await bench.host.call("Create", copy(archive(from), bench.file("to/new")));
            assert.equal(readFileSync(bench.file("to/new/from/deep/file"), "utf8").length, 100_000);
            await bench.host.call("Create", copy(archive(`${from}/`), bench.file("into")));
            assert.equal(readFileSync(bench.file("into/deep/file"), "utf8").length, 100_000);
        });

        it("copies again only for another content or path", async () => {
            const file = bench.file("text");
            const olds = copy(text("one"), file).properties as JsonMap;
            await bench.host.call("Create", copy(text("one"), file));
            writeFileSync(file, "touched");
            const update = (source: JsonMap) =>
                bench.host.call("Update", { ...copy(source, file), id: "i", olds, news: { ...olds, source } });
            await update(text("one"));
            assert.equal(readFileSync(file, "utf8"), "touched");
            await update(text("two", "2"));
            assert.equal(readFileSync(file, "utf8"), "two");
        });

        it("says what is in the way", async () => {
            assert.equal(
                await bench.host.failure("Create", copy(text("one"), bench.scratch)),
                `remote path ${bench.scratch} is a directory; when using a text asset, remotePath must be a file path`,
            );
        });
    });
});
