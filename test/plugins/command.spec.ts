import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CommandProvider } from "../../plugins/command/provider";
import { freePort, Sshd } from "./command/sshd";
import { Host, type JsonMap } from "./shared/harness";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const secret = (value: string | JsonMap): JsonMap => ({
    [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270",
    value,
});

function request(type: string, properties: JsonMap, more: JsonMap = {}): JsonMap {
    return { urn: `urn:pulumi:dev::test::${type}::step`, type, name: "step", properties, ...more };
}

const remote = (properties: JsonMap, more: JsonMap = {}) => request("command:remote:Command", properties, more);
const local = (properties: JsonMap, more: JsonMap = {}) => request("command:local:Command", properties, more);

/** The state in an answer to Create, Update or Read. */
function stateOf(answer: JsonMap): JsonMap {
    return answer.properties as JsonMap;
}

async function untilGone(pid: number): Promise<boolean> {
    for (const end = Date.now() + 10_000; Date.now() < end; await sleep(50)) {
        try {
            // A zombie still has its pid; it is gone as far as this is concerned.
            if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) {
                return true;
            }
        } catch {
            return true;
        }
    }
    return false;
}

async function untilExists(file: string): Promise<void> {
    for (const end = Date.now() + 10_000; !existsSync(file); await sleep(20)) {
        assert.ok(Date.now() < end, `${file} did not appear within 10 s`);
    }
}

describe("command plug-in", function () {
    this.timeout(60_000);
    const sshd = new Sshd();
    const scratch = mkdtempSync(path.join(os.tmpdir(), "command-"));
    const agent = process.env.SSH_AUTH_SOCK;
    let host: Host;
    const connection = (extra: Record<string, string | number> = {}): JsonMap => sshd.connection(extra);

    before(async () => {
        delete process.env.SSH_AUTH_SOCK;
        await sshd.start();
    });

    after(() => {
        if (agent !== undefined) {
            process.env.SSH_AUTH_SOCK = agent;
        }
        sshd.stop();
        rmSync(scratch, { recursive: true, force: true });
    });

    beforeEach(async () => {
        host = await Host.start(new CommandProvider());
    });

    afterEach(() => host.stop());

    const logged = (): string[] => host.engine.logs.map(({ message }) => message);

    describe("output and log", () => {
        const line = "x".repeat(200_000);
        for (const [where, make] of Object.entries({
            local: () => local({ create: "head -c 200000 /dev/zero | tr '\\0' x; echo; echo end" }),
            remote: () =>
                remote({ connection: connection(), create: "head -c 200000 /dev/zero | tr '\\0' x; echo; echo end" }),
        })) {
            it(`${where}: a line of 200,000 bytes is logged in pieces and kept whole`, async () => {
                const state = stateOf(await host.call("Create", make()));
                assert.equal(state.stdout, `${line}\nend`);
                assert.equal(logged().slice(0, -1).join(""), line);
                assert.equal(logged().at(-1), "end");
            });
        }

        it("streams lines as ephemeral status of the resource, cut at its newline, without a carriage return", async () => {
            await host.call("Create", local({ create: "printf 'one\\r\\ntwo\\n\\nthree'" }));
            assert.deepEqual(logged(), ["one", "two", "", "three"]);
            const urn = "urn:pulumi:dev::test::command:local:Command::step";
            assert.deepEqual(host.engine.logs[0], { severity: "INFO", urn, message: "one", ephemeral: true });
        });

        for (const [logging, expected] of Object.entries({
            stdout: ["out"],
            stderr: ["err"],
            stdoutAndStderr: ["err", "out"],
            none: [],
        })) {
            it(`logging ${logging} shows ${expected.join(" and ") || "nothing"}`, async () => {
                const create = "echo out; echo err >&2";
                await host.call("Create", remote({ connection: connection(), create, logging }));
                await host.call("Create", local({ create, logging }));
                assert.deepEqual(logged().sort(), [...expected, ...expected].sort());
            });
        }

        it("keeps a secret stdin out of every log line and error", async () => {
            const properties = {
                connection: connection(),
                stdin: secret("top-s3cret"),
                create: "cat >/dev/null; exit 1",
            };
            const error = await host.failure("Create", remote(properties));
            assert.equal(error, 'Process exited with status 1: running "cat >/dev/null; exit 1":\n');
            assert.doesNotMatch(JSON.stringify(host.engine.logs), /s3cret/);
        });

        it("does not show a command that is a secret", async () => {
            const error = await host.failure("Create", local({ create: secret("echo hi; : s3cret; exit 2") }));
            assert.equal(error, 'exit status 2: running "[secret]":\nhi\n');
        });

        it("carries megabytes through stdin and stdout", async () => {
            const stdin = "0123456789abcdef\n".repeat(300_000);
            const properties = { connection: connection(), stdin, create: "cat", logging: "none" };
            assert.equal(stateOf(await host.call("Create", remote(properties))).stdout, stdin.trimEnd());
            const here = local({ stdin, create: "cat", logging: "none" });
            assert.equal(stateOf(await host.call("Create", here)).stdout, stdin.trimEnd());
        });

        it("is not disturbed by a command that does not read its stdin", async () => {
            const stdin = "x".repeat(1_000_000);
            const state = stateOf(await host.call("Create", local({ stdin, create: "true" })));
            assert.equal(state.stdout, "");
            await host.call("Create", remote({ connection: connection(), stdin, create: "true" }));
        });
    });

    describe("environment", () => {
        it("remote: a variable that the server accepts arrives, and one that it refuses stops the command before it runs", async () => {
            const marker = path.join(scratch, "ran");
            const accepted = {
                connection: connection(),
                environment: { ACCEPTED_A: "a b\n" },
                create: 'echo "$ACCEPTED_A"',
            };
            assert.equal(stateOf(await host.call("Create", remote(accepted))).stdout, "a b\n");
            const refused = { connection: connection(), environment: { FOO: "1" }, create: `touch ${marker}` };
            assert.match(await host.failure("Create", remote(refused)), /^could not set environment variable "FOO"/);
            assert.equal(existsSync(marker), false);
            const errors = host.engine.logs.filter(({ severity, ephemeral }) => severity === "ERROR" && !ephemeral);
            assert.match(errors[0]?.message ?? "", /^Unable to set 'FOO'\. This only works if your SSH server/);
        });

        it("remote: the previous output is offered unless it is switched off; a refusal is only a warning", async () => {
            const news = { connection: connection(), create: "echo new" };
            const olds = { ...news, stdout: "old", stderr: "x".repeat(100_000) };
            const update = remote({}, { id: "step1", olds, news });
            assert.equal(stateOf(await host.call("Update", update)).stdout, "new");
            const warnings = () => host.engine.logs.filter(({ severity }) => severity === "WARNING");
            assert.deepEqual(
                warnings().map(({ message }) => message.slice(0, 40)),
                ["Unable to set 'PULUMI_COMMAND_STDOUT'. T", "Unable to set 'PULUMI_COMMAND_STDERR'. T"],
            );
            await host.call(
                "Update",
                remote({}, { id: "step1", olds, news: { ...news, addPreviousOutputInEnv: false } }),
            );
            assert.equal(warnings().length, 2);
        });

        it("local: update and delete see the previous output, create does not", async () => {
            const file = path.join(scratch, "seen");
            const write = `echo "$PULUMI_COMMAND_STDOUT,$PULUMI_COMMAND_STDERR,$EXTRA" >> ${file}`;
            const news: JsonMap = {
                create: `${write}; echo made`,
                update: write,
                delete: write,
                environment: { EXTRA: "e" },
            };
            const made = stateOf(await host.call("Create", local(news)));
            const state = { ...made, stderr: "warned" };
            await host.call("Update", local({}, { id: "step1", olds: state, news }));
            await host.call("Delete", local(state, { id: "step1" }));
            assert.equal(readFileSync(file, "utf8"), ",,e\nmade,warned,e\nmade,warned,e\n");
        });
    });

    describe("connection", () => {
        const trivial = (extra: Record<string, string | number>) =>
            remote({ connection: connection(extra), create: "echo in" });

        it("64 commands on one host at once", async () => {
            const answers = await Promise.all(
                Array.from({ length: 64 }, (_, n) =>
                    host.call(
                        "Create",
                        remote({ connection: connection({ dialErrorLimit: 10 }), create: `echo ${n}` }),
                    ),
                ),
            );
            assert.deepEqual(
                answers.map((answer) => stateOf(answer).stdout),
                Array.from({ length: 64 }, (_, n) => `${n}`),
            );
        });

        it("goes through a proxy with fields of its own, and says which hop failed", async () => {
            const closed = await freePort();
            const through = (target: JsonMap, proxy: JsonMap) =>
                remote({ connection: { ...target, proxy }, create: "echo in" });
            const answer = await host.call("Create", through(connection(), connection()));
            assert.equal(stateOf(answer).stdout, "in");
            assert.equal(
                await host.failure("Create", through(connection(), connection({ port: closed }))),
                `proxy: after 1 failed attempts: dial tcp 127.0.0.1:${closed}: connect: connection refused`,
            );
            assert.equal(
                await host.failure("Create", through(connection({ port: closed }), connection())),
                "proxy: after 1 failed attempts: ssh: rejected: connect failed (Connection refused)",
            );
            assert.equal(
                await host.failure("Create", through(connection({ hostKey: otherHostKey() }), connection())),
                "proxy: after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch",
            );
        });

        /** Another host's key of the same type. */
        function otherHostKey(): string {
            const file = path.join(scratch, `other-${Math.random()}`);
            execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
            return readFileSync(`${file}.pub`, "utf8");
        }

        it("a wrong host key ends it after one dial, however many are allowed", async () => {
            const error = await host.failure("Create", trivial({ hostKey: otherHostKey(), dialErrorLimit: 60 }));
            assert.equal(error, "after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch");
            const kind = await host.failure("Create", trivial({ hostKey: rsaHostKey(), dialErrorLimit: 60 }));
            assert.match(
                kind,
                /^after 1 failed attempts: ssh: handshake failed: ssh: no common algorithm for host key/,
            );
        });

        function rsaHostKey(): string {
            const file = path.join(scratch, "rsa-host");
            execFileSync("ssh-keygen", ["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", file]);
            return readFileSync(`${file}.pub`, "utf8");
        }

        it("a pinned key in words that are no key is refused before any dial", async () => {
            assert.match(
                await host.failure("Create", trivial({ hostKey: "SHA256:abc" })),
                /^ssh: no key found \(hostKey/,
            );
        });

        it("a refused login is said after all dials", async () => {
            const file = path.join(scratch, "stranger");
            execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
            assert.equal(
                await host.failure("Create", trivial({ privateKey: readFileSync(file, "utf8"), dialErrorLimit: 2 })),
                "after 2 failed attempts: ssh: handshake failed: ssh: unable to authenticate, " +
                    "attempted methods [none publickey], no supported methods remain",
            );
            assert.deepEqual(logged(), ["Dial 1/2 failed: retrying", "Dial 2/2 failed: retrying"]);
        });

        for (const [kind, args] of Object.entries({
            ed25519: ["-t", "ed25519"],
            ecdsa: ["-t", "ecdsa"],
            rsa: ["-t", "rsa", "-b", "2048"],
            "rsa PEM": ["-t", "rsa", "-b", "2048", "-m", "PEM"],
            "rsa PKCS#8": ["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
        })) {
            it(`takes a key of kind ${kind}, also with a passphrase`, async () => {
                for (const privateKeyPassword of ["", "pass phrase"]) {
                    const file = path.join(scratch, `key-${kind.replace(/\W/g, "")}-${privateKeyPassword.length}`);
                    execFileSync("ssh-keygen", ["-q", ...args, "-N", privateKeyPassword, "-f", file]);
                    sshd.authorize(readFileSync(`${file}.pub`, "utf8"));
                    const privateKey = readFileSync(file, "utf8");
                    const extra: Record<string, string> = { privateKey };
                    if (privateKeyPassword !== "") {
                        extra.privateKeyPassword = privateKeyPassword;
                    }
                    assert.equal(stateOf(await host.call("Create", trivial(extra))).stdout, "in");
                    if (privateKeyPassword !== "") {
                        const locked = await host.failure("Create", trivial({ privateKey }));
                        assert.equal(locked, "ssh: this private key is passphrase protected");
                        const wrong = { privateKey, privateKeyPassword: "wrong" };
                        assert.match(
                            await host.failure("Create", trivial(wrong)),
                            /^(x509: decryption password incorrect|ssh: no key found)$/,
                        );
                    }
                }
            });
        }

        it("an agent that is gone is no hindrance to a key, but is told when it is all there is", async () => {
            process.env.SSH_AUTH_SOCK = path.join(scratch, "no-agent");
            try {
                assert.equal(stateOf(await host.call("Create", trivial({}))).stdout, "in");
                const { privateKey, ...keyless } = connection();
                assert.equal(typeof privateKey, "string");
                const error = await host.failure("Create", remote({ connection: keyless, create: "true" }));
                assert.match(error, /^dial unix \S+no-agent: connect: no such file or directory$/);
            } finally {
                delete process.env.SSH_AUTH_SOCK;
            }
        });

        it("a host that comes up late is waited for", async () => {
            const late = new Sshd();
            await late.start();
            late.kill();
            const creating = host.call(
                "Create",
                remote({ connection: late.connection({ dialErrorLimit: 10 }), create: "echo up" }),
            );
            await sleep(400);
            await late.run();
            assert.equal(stateOf(await creating).stdout, "up");
            assert.match(logged()[0] ?? "", /^Dial 1\/10 failed: retrying$/);
            late.stop();
        });

        it("a server that is killed while a command runs ends it with an error", async () => {
            const doomed = await new Sshd().start();
            const marker = path.join(scratch, "started");
            const creating = host.failure(
                "Create",
                remote({ connection: doomed.connection(), create: `touch ${marker}; sleep 30` }),
            );
            await untilExists(marker);
            doomed.kill();
            const start = Date.now();
            assert.match(await creating, /^wait: remote command exited without exit status or exit signal: running/);
            assert.ok(Date.now() - start < 5_000);
            doomed.stop();
        });
    });

    describe("end of a step", () => {
        /** A command that writes its pid and its child's, and waits for long. */
        const stuck = (file: string) => `sh -c 'sleep 100' & echo $$ $! > ${file}.part; mv ${file}.part ${file}; wait`;
        const pids = (file: string) => readFileSync(file, "utf8").trim().split(" ").map(Number);

        for (const where of ["local", "remote"]) {
            const make = (file: string, more: JsonMap) =>
                where === "local"
                    ? local({ create: stuck(file) }, more)
                    : remote({ connection: connection(), create: stuck(file) }, more);

            it(`${where}: customTimeouts end the command and all that it started`, async () => {
                const file = path.join(scratch, `timeout-${where}`);
                const error = await host.failure("Create", make(file, { timeout: 1 }));
                assert.match(error, /^context deadline exceeded: running "/);
                for (const pid of pids(file)) {
                    assert.ok(await untilGone(pid), `process ${pid} is still there`);
                }
            });

            it(`${where}: Cancel ends the command and all that it started`, async () => {
                const file = path.join(scratch, `cancel-${where}`);
                const creating = host.failure("Create", make(file, {}));
                await untilExists(file);
                await host.call("Cancel", {});
                assert.match(await creating, /^context canceled: running "/);
                for (const pid of pids(file)) {
                    assert.ok(await untilGone(pid), `process ${pid} is still there`);
                }
            });
        }

        it("customTimeouts bound the dials too", async () => {
            const port = await freePort();
            const properties = { connection: connection({ port, dialErrorLimit: -1 }), create: "true" };
            const error = await host.failure("Create", remote(properties, { timeout: 1 }));
            assert.equal(error, "context deadline exceeded");
        });

        it("a command that ignores the request to end is killed", async () => {
            const file = (where: string) => path.join(scratch, `stubborn-${where}`);
            const create = (where: string) => `trap '' TERM; echo $$ > ${file(where)}; while :; do sleep 1; done`;
            const errors = await Promise.all([
                host.failure("Create", local({ create: create("local") }, { timeout: 1 })),
                host.failure("Create", remote({ connection: connection(), create: create("remote") }, { timeout: 1 })),
            ]);
            for (const error of errors) {
                assert.match(error, /^context deadline exceeded/);
            }
            for (const where of ["local", "remote"]) {
                assert.ok(await untilGone(Number(readFileSync(file(where), "utf8"))), `${where}: it is still there`);
            }
        });
    });

    describe("local", () => {
        it("says in the official words why a command could not start", async () => {
            const failing = (properties: JsonMap) => host.failure("Create", local({ create: "true", ...properties }));
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
            assert.deepEqual(stateOf(await host.call("Create", local({ delete: "true" }))), {
                delete: "true",
                stdout: "",
                stderr: "",
            });
            const olds = { create: "echo c", stdout: "c", stderr: "" };
            const news = { create: "echo c", update: "echo u" };
            assert.equal(stateOf(await host.call("Update", local({}, { id: "i", olds, news }))).stdout, "u");
        });

        it("run gives its arguments and output back", async () => {
            const args = { command: "echo $X", environment: { X: "1" }, assetPaths: ["a*"], dir: scratch };
            writeFileSync(path.join(scratch, "a1"), "content");
            const answer = await host.call("Invoke", { tok: "command:local:run", args });
            const asset = {
                [SIGNATURE]: "c44067f5952c0a294b673a41bacd8c17",
                hash: "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
                path: path.join(scratch, "a1"),
            };
            assert.deepEqual(answer.return, { ...args, stdout: "1", stderr: "", assets: { a1: asset } });
        });
    });

    describe("check and diff", () => {
        const check = (type: string, news: JsonMap) => host.call("Check", { ...request(type, {}), news, olds: {} });
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
            host.call("Diff", { ...remote({}), id: "step1", olds, news, ...more });

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
            request("command:remote:CopyToRemote", { connection: connection(), source, remotePath });
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
            const from = path.join(scratch, "from");
            mkdirSync(path.join(from, "deep"), { recursive: true });
            writeFileSync(path.join(from, "deep/file"), "x".repeat(100_000));
            await host.call("Create", copy(archive(from), path.join(scratch, "to/new")));
            assert.equal(readFileSync(path.join(scratch, "to/new/from/deep/file"), "utf8").length, 100_000);
            await host.call("Create", copy(archive(`${from}/`), path.join(scratch, "into")));
            assert.equal(readFileSync(path.join(scratch, "into/deep/file"), "utf8").length, 100_000);
        });

        it("copies again only for another content or path", async () => {
            const file = path.join(scratch, "text");
            const olds = copy(text("one"), file).properties as JsonMap;
            await host.call("Create", copy(text("one"), file));
            writeFileSync(file, "touched");
            const update = (source: JsonMap) =>
                host.call("Update", { ...copy(source, file), id: "i", olds, news: { ...olds, source } });
            await update(text("one"));
            assert.equal(readFileSync(file, "utf8"), "touched");
            await update(text("two", "2"));
            assert.equal(readFileSync(file, "utf8"), "two");
        });

        it("says what is in the way", async () => {
            assert.equal(
                await host.failure("Create", copy(text("one"), scratch)),
                `remote path ${scratch} is a directory; when using a text asset, remotePath must be a file path`,
            );
        });
    });
});
