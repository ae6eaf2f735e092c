import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Bench, remote, stateOf, untilExists } from "./command/bench";
import { freePort, Sshd } from "./command/sshd";
import type { JsonMap } from "./shared/harness";

describe("command plug-in: connections", function () {
    this.timeout(180_000);
    const bench = new Bench();

    describe("connection", () => {
        const trivial = (extra: Record<string, string | number>) =>
            remote({ connection: bench.connection(extra), create: "echo in" });

        it("64 commands on one host at once", async () => {
            const answers = await Promise.all(
                Array.from({ length: 64 }, (_, n) =>
                    bench.host.call(
                        "Create",
                        remote({ connection: bench.connection({ dialErrorLimit: 10 }), create: `echo ${n}` }),
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
            const answer = await bench.host.call("Create", through(bench.connection(), bench.connection()));
            assert.equal(stateOf(answer).stdout, "in");
            assert.equal(
                await bench.host.failure("Create", through(bench.connection(), bench.connection({ port: closed }))),
                `proxy: after 1 failed attempts: dial tcp 127.0.0.1:${closed}: connect: connection refused`,
            );
            assert.equal(
                await bench.host.failure("Create", through(bench.connection({ port: closed }), bench.connection())),
                "proxy: after 1 failed attempts: ssh: rejected: connect failed (Connection refused)",
            );
            assert.equal(
                await bench.host.failure(
                    "Create",
                    through(bench.connection({ hostKey: otherHostKey() }), bench.connection()),
                ),
                "proxy: after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch",
            );
        });

        /** Another host's key of the same type. */
        function otherHostKey(): string {
            const file = bench.file(`other-${Math.random()}`);
            execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
            return readFileSync(`${file}.pub`, "utf8");
        }

        it("a wrong host key ends it after one dial, however many are allowed", async () => {
            const error = await bench.host.failure("Create", trivial({ hostKey: otherHostKey(), dialErrorLimit: 60 }));
            assert.equal(error, "after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch");
            const kind = await bench.host.failure("Create", trivial({ hostKey: rsaHostKey(), dialErrorLimit: 60 }));
            assert.match(
                kind,
                /^after 1 failed attempts: ssh: handshake failed: ssh: no common algorithm for host key/,
            );
        });

        function rsaHostKey(): string {
            const file = bench.file("rsa-host");
            execFileSync("ssh-keygen", ["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", file]);
            return readFileSync(`${file}.pub`, "utf8");
        }

        it("a pinned key in words that are no key is refused before any dial", async () => {
            assert.match(
                await bench.host.failure("Create", trivial({ hostKey: "SHA256:abc" })),
                /^ssh: no key found \(hostKey/,
            );
        });

        it("a refused login is said after all dials", async () => {
            const file = bench.file("stranger");
            execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
            assert.equal(
                await bench.host.failure(
                    "Create",
                    trivial({ privateKey: readFileSync(file, "utf8"), dialErrorLimit: 2 }),
                ),
                "after 2 failed attempts: ssh: handshake failed: ssh: unable to authenticate, " +
                    "attempted methods [none publickey], no supported methods remain",
            );
            assert.deepEqual(bench.logged(), ["Dial 1/2 failed: retrying", "Dial 2/2 failed: retrying"]);
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
                    const file = bench.file(`key-${kind.replace(/\W/g, "")}-${privateKeyPassword.length}`);
                    execFileSync("ssh-keygen", ["-q", ...args, "-N", privateKeyPassword, "-f", file]);
                    bench.sshd.authorize(readFileSync(`${file}.pub`, "utf8"));
                    const privateKey = readFileSync(file, "utf8");
                    const extra: Record<string, string> = { privateKey };
                    if (privateKeyPassword !== "") {
                        extra.privateKeyPassword = privateKeyPassword;
                    }
                    assert.equal(stateOf(await bench.host.call("Create", trivial(extra))).stdout, "in");
                    if (privateKeyPassword !== "") {
                        const locked = await bench.host.failure("Create", trivial({ privateKey }));
                        assert.equal(locked, "ssh: this private key is passphrase protected");
                        const wrong = { privateKey, privateKeyPassword: "wrong" };
                        assert.match(
                            await bench.host.failure("Create", trivial(wrong)),
                            /^(x509: decryption password incorrect|ssh: no key found)$/,
                        );
                    }
                }
            });
        }

        it("an agent that is gone is no hindrance to a key, but is told when it is all there is", async () => {
            process.env.SSH_AUTH_SOCK = bench.file("no-agent");
            try {
                assert.equal(stateOf(await bench.host.call("Create", trivial({}))).stdout, "in");
                const { privateKey, ...keyless } = bench.connection();
                assert.equal(typeof privateKey, "string");
                const error = await bench.host.failure("Create", remote({ connection: keyless, create: "true" }));
                assert.match(error, /^dial unix \S+no-agent: connect: no such file or directory$/);
            } finally {
                delete process.env.SSH_AUTH_SOCK;
            }
        });

        it("a host that comes up late is waited for", async () => {
            const late = new Sshd();
            await late.start();
            late.kill();
            const creating = bench.host.call(
                "Create",
                remote({ connection: late.connection({ dialErrorLimit: 10 }), create: "echo up" }),
            );
            await sleep(400);
            await late.run();
            assert.equal(stateOf(await creating).stdout, "up");
            assert.match(bench.logged()[0] ?? "", /^Dial 1\/10 failed: retrying$/);
            late.stop();
        });

        it("a server that is killed while a command runs ends it with an error", async () => {
            const doomed = await new Sshd().start();
            const marker = bench.file("started");
            const creating = bench.host.failure(
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
});
