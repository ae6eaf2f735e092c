// What `drift` and `preview` make of what they find, without machines; the end-to-end tests have the rest.
import * as assert from "node:assert/strict";
import { CliProject } from "./cliProject";

describe("command line: drift", () => {
    let project: CliProject;
    before(() => {
        project = new CliProject();
    });
    after(() => project.remove());

    const lacking = async (wanted: unknown, live: unknown): Promise<string[]> => {
        const { stdout, stderr } = await project.evaluate(
            'import { lacking } from "./scripts/cli/look.mjs";' +
                "const same = (a, b) => Number(a) === Number(b);" +
                `console.log(JSON.stringify(lacking(${JSON.stringify(wanted)}, ${JSON.stringify(live)}, same)));`,
        );
        assert.equal(stderr, "");
        return JSON.parse(stdout) as string[];
    };

    it("passes over what an object has beside what is wanted", async () => {
        assert.deepEqual(
            await lacking(
                { metadata: { labels: { a: "1" } }, spec: { list: [{ name: "x" }] } },
                {
                    metadata: { labels: { a: "1", b: "2" }, uid: "u" },
                    spec: { list: [{ name: "x", more: 1 }] },
                    status: {},
                },
            ),
            [],
        );
    });

    it("names each field that is missing or different", async () => {
        assert.deepEqual(
            await lacking(
                { handler: "runsc", metadata: { labels: { a: "1", b: "2" } }, list: [1, 2] },
                { handler: "runc", metadata: { labels: { b: "3" } }, list: [1] },
            ),
            [
                'handler is "runc", wanted "runsc"',
                'metadata.labels.a is missing, wanted "1"',
                'metadata.labels.b is "3", wanted "2"',
                "list[1] is missing, wanted 2",
            ],
        );
    });

    it("takes quantities that mean the same for the same", async () => {
        assert.deepEqual(await lacking({ cpu: "0.50" }, { cpu: "0.5" }), []);
    });

    it("says no more of a stack that does not exist than that, and refuses what it does not know", async () => {
        const none = await project.run("drift");
        assert.equal(none.code, 1);
        assert.match(none.stderr, /there is no stack dev/);
        const unknown = await project.run("drift", "--fix");
        assert.equal(unknown.code, 2);
        assert.match(unknown.stderr, /--fix.*allowed: --json/);
    });

    it("finds the restarts in a preview's event log", async () => {
        const urn = (worker: string) =>
            `urn:pulumi:dev::runtime-sandboxes::runtime-sandboxes:sandbox:SandboxRuntime$command:remote:Command::${worker}-runtime-install`;
        const create = (hash: string) => ({
            inputs: { create: `timeout 600 bash -s -- install # containerd configuration ${hash}` },
        });
        const events = [
            { op: "update", urn: urn("alpha"), old: create("aaa1"), new: create("bbb2") },
            { op: "update", urn: urn("beta"), old: create("aaa1"), new: create("aaa1") },
            { op: "same", urn: urn("gamma"), old: create("aaa1"), new: create("aaa1") },
            { op: "create", urn: urn("delta"), new: { inputs: { create: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" } } },
        ];
        project.write(
            "events",
            events.map((metadata) => JSON.stringify({ resourcePreEvent: { metadata } })).join("\n"),
        );
        const { stdout, stderr } = await project.evaluate(
            'import { restartsIn, restartLines } from "./scripts/cli/events.mjs";' +
                'console.log(restartLines(restartsIn("events")).join("\\n"));',
        );
        assert.equal(stderr, "");
        assert.deepEqual(stdout.trim().split("\n"), [
            "containerd restarts on alpha: configuration aaa1 -> configuration bbb2",
        ]);
    });
});
