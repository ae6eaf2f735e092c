import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Bench, local, remote, SIGNATURE, secret, stateOf } from "./command/bench";
import type { JsonMap } from "./shared/harness";

describe("command plug-in: commands", function () {
    this.timeout(180_000);
    const bench = new Bench();

    describe("output and log", () => {
        const line = "x".repeat(200_000);
        for (const [where, make] of Object.entries({
            local: () => local({ create: "head -c 200000 /dev/zero | tr '\\0' x; echo; echo end" }),
            remote: () =>
                remote({
                    connection: bench.connection(),
                    create: "head -c 200000 /dev/zero | tr '\\0' x; echo; echo end",
                }),
        })) {
            it(`${where}: a line of 200,000 bytes is logged in pieces and kept whole`, async () => {
                const state = stateOf(await bench.host.call("Create", make()));
                assert.equal(state.stdout, `${line}\nend`);
                assert.equal(bench.logged().slice(0, -1).join(""), line);
                assert.equal(bench.logged().at(-1), "end");
            });
        }

        it("streams lines as ephemeral status of the resource, cut at its newline, without a carriage return", async () => {
            await bench.host.call("Create", local({ create: "printf 'one\\r\\ntwo\\n\\nthree'" }));
            assert.deepEqual(bench.logged(), ["one", "two", "", "three"]);
            const urn = "urn:pulumi:dev::test::command:local:Command::step";
            assert.deepEqual(bench.host.engine.logs[0], { severity: "INFO", urn, message: "one", ephemeral: true });
        });

        for (const [logging, expected] of Object.entries({
            stdout: ["out"],
            stderr: ["err"],
            stdoutAndStderr: ["err", "out"],
            none: [],
        })) {
            it(`logging ${logging} shows ${expected.join(" and ") || "nothing"}`, async () => {
                const create = "echo out; echo err >&2";
                await bench.host.call("Create", remote({ connection: bench.connection(), create, logging }));
                await bench.host.call("Create", local({ create, logging }));
                assert.deepEqual(bench.logged().sort(), [...expected, ...expected].sort());
            });
        }

        it("keeps a secret stdin out of every log line and error", async () => {
            const properties = {
                connection: bench.connection(),
                stdin: secret("top-s3cret"),
                create: "cat >/dev/null; exit 1",
            };
            const error = await bench.host.failure("Create", remote(properties));
            assert.equal(error, 'Process exited with status 1: running "cat >/dev/null; exit 1":\n');
            assert.doesNotMatch(JSON.stringify(bench.host.engine.logs), /s3cret/);
        });

        it("does not show a command that is a secret", async () => {
            const error = await bench.host.failure("Create", local({ create: secret("echo hi; : s3cret; exit 2") }));
            assert.equal(error, 'exit status 2: running "[secret]":\nhi\n');
        });

        it("carries megabytes through stdin and stdout", async () => {
            const stdin = "0123456789abcdef\n".repeat(300_000);
            const properties = { connection: bench.connection(), stdin, create: "cat", logging: "none" };
            assert.equal(stateOf(await bench.host.call("Create", remote(properties))).stdout, stdin.trimEnd());
            const here = local({ stdin, create: "cat", logging: "none" });
            assert.equal(stateOf(await bench.host.call("Create", here)).stdout, stdin.trimEnd());
        });

        it("is not disturbed by a command that does not read its stdin", async () => {
            const stdin = "x".repeat(1_000_000);
            const state = stateOf(await bench.host.call("Create", local({ stdin, create: "true" })));
            assert.equal(state.stdout, "");
            await bench.host.call("Create", remote({ connection: bench.connection(), stdin, create: "true" }));
        });
    });

    describe("environment", () => {
        it("remote: a variable that the server accepts arrives, and one that it refuses stops the command before it runs", async () => {
            const marker = bench.file("ran");
            const accepted = {
                connection: bench.connection(),
                environment: { ACCEPTED_A: "a b\n" },
                create: 'echo "$ACCEPTED_A"',
            };
            assert.equal(stateOf(await bench.host.call("Create", remote(accepted))).stdout, "a b\n");
            const refused = { connection: bench.connection(), environment: { FOO: "1" }, create: `touch ${marker}` };
            assert.match(
                await bench.host.failure("Create", remote(refused)),
                /^could not set environment variable "FOO"/,
            );
            assert.equal(existsSync(marker), false);
            const errors = bench.host.engine.logs.filter(
                ({ severity, ephemeral }) => severity === "ERROR" && !ephemeral,
            );
            assert.match(errors[0]?.message ?? "", /^Unable to set 'FOO'\. This only works if your SSH server/);
        });

        it("remote: the previous output is offered unless it is switched off; a refusal is only a warning", async () => {
            const news = { connection: bench.connection(), create: "echo new" };
            const olds = { ...news, stdout: "old", stderr: "x".repeat(100_000) };
            const update = remote({}, { id: "step1", olds, news });
            assert.equal(stateOf(await bench.host.call("Update", update)).stdout, "new");
            const warnings = () => bench.host.engine.logs.filter(({ severity }) => severity === "WARNING");
            assert.deepEqual(
                warnings().map(({ message }) => message.slice(0, 40)),
                ["Unable to set 'PULUMI_COMMAND_STDOUT'. T", "Unable to set 'PULUMI_COMMAND_STDERR'. T"],
            );
            await bench.host.call(
                "Update",
                remote({}, { id: "step1", olds, news: { ...news, addPreviousOutputInEnv: false } }),
            );
            assert.equal(warnings().length, 2);
        });

        it("local: update and delete see the previous output, create does not", async () => {
            const file = bench.file("seen");
            const write = `echo "$PULUMI_COMMAND_STDOUT,$PULUMI_COMMAND_STDERR,$EXTRA" >> ${file}`;
            const news: JsonMap = {
                create: `${write}; echo made`,
                update: write,
                delete: write,
                environment: { EXTRA: "e" },
            };
            const made = stateOf(await bench.host.call("Create", local(news)));
            const state = { ...made, stderr: "warned" };
            await bench.host.call("Update", local({}, { id: "step1", olds: state, news }));
            await bench.host.call("Delete", local(state, { id: "step1" }));
            assert.equal(readFileSync(file, "utf8"), ",,e\nmade,warned,e\nmade,warned,e\n");
        });
    });

    describe("local", () => {
        it("says in the official words why a command could not start", async () => {
            const failing = (properties: JsonMap) =>
                bench.host.failure("Create", local({ create: "true", ...properties }));
            assert.equal(
                await failing({ dir: "/no/such" }),
                'chdir /no/such: no such file or directory: running "true":\n',
            );
            assert.equal(
                await failing({ interpreter: ["no-such-program"] }),
                'exec: "no-such-program": executable file not found in $PATH: running "true":\n',
            );
            assert.equal(
                await failing({ interpreter: ["/no/such"] }),
                'fork/exec /no/such: no such file or directory: running "true":\n',
            );
            assert.equal(await failing({ create: "kill -9 $$" }), 'signal: killed: running "kill -9 $$":\n');
        });

        it("without a command does nothing, with an update only the update", async () => {
            assert.deepEqual(stateOf(await bench.host.call("Create", local({ delete: "true" }))), {
                delete: "true",
                stdout: "",
                stderr: "",
            });
            const olds = { create: "echo c", stdout: "c", stderr: "" };
            const news = { create: "echo c", update: "echo u" };
            assert.equal(stateOf(await bench.host.call("Update", local({}, { id: "i", olds, news }))).stdout, "u");
        });

        it("run gives its arguments and output back", async () => {
            const args = { command: "echo $X", environment: { X: "1" }, assetPaths: ["a*"], dir: bench.scratch };
            writeFileSync(bench.file("a1"), "content");
            const answer = await bench.host.call("Invoke", { tok: "command:local:run", args });
            const asset = {
                [SIGNATURE]: "c44067f5952c0a294b673a41bacd8c17",
                hash: "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
                path: bench.file("a1"),
            };
            assert.deepEqual(answer.return, { ...args, stdout: "1", stderr: "", assets: { a1: asset } });
        });
    });
});
