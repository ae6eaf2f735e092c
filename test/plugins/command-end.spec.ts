import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Bench, local, remote, untilExists, untilGone } from "./command/bench";
import { freePort } from "./command/sshd";
import type { JsonMap } from "./shared/harness";

describe("command plug-in: the end of a step", function () {
    this.timeout(60_000);
    const bench = new Bench();

    describe("end of a step", () => {
        /** A command that writes its pid and its child's, and waits for long. */
        const stuck = (file: string) => `sh -c 'sleep 100' & echo $$ $! > ${file}.part; mv ${file}.part ${file}; wait`;
        const pids = (file: string) => readFileSync(file, "utf8").trim().split(" ").map(Number);

        for (const where of ["local", "remote"]) {
            const make = (file: string, more: JsonMap) =>
                where === "local"
                    ? local({ create: stuck(file) }, more)
                    : remote({ connection: bench.connection(), create: stuck(file) }, more);

            it(`${where}: customTimeouts end the command and all that it started`, async () => {
                const file = bench.file(`timeout-${where}`);
                const error = await bench.host.failure("Create", make(file, { timeout: 3 }));
                assert.match(error, /^context deadline exceeded: running "/);
                for (const pid of pids(file)) {
                    assert.ok(await untilGone(pid), `process ${pid} is still there`);
                }
            });

            it(`${where}: Cancel ends the command and all that it started`, async () => {
                const file = bench.file(`cancel-${where}`);
                const creating = bench.host.failure("Create", make(file, {}));
                await untilExists(file);
                await bench.host.call("Cancel", {});
                assert.match(await creating, /^context canceled: running "/);
                for (const pid of pids(file)) {
                    assert.ok(await untilGone(pid), `process ${pid} is still there`);
                }
            });
        }

        it("customTimeouts bound the dials too", async () => {
            const port = await freePort();
            const properties = { connection: bench.connection({ port, dialErrorLimit: -1 }), create: "true" };
            const error = await bench.host.failure("Create", remote(properties, { timeout: 1 }));
            assert.equal(error, "context deadline exceeded");
        });

        it("a command that ignores the request to end is killed", async () => {
            const file = (where: string) => bench.file(`stubborn-${where}`);
            const create = (where: string) => `trap '' TERM; echo $$ > ${file(where)}; while :; do sleep 1; done`;
            const errors = await Promise.all([
                bench.host.failure("Create", local({ create: create("local") }, { timeout: 3 })),
                bench.host.failure(
                    "Create",
                    remote({ connection: bench.connection(), create: create("remote") }, { timeout: 3 }),
                ),
            ]);
            for (const error of errors) {
                assert.match(error, /^context deadline exceeded/);
            }
            for (const where of ["local", "remote"]) {
                assert.ok(await untilGone(Number(readFileSync(file(where), "utf8"))), `${where}: it is still there`);
            }
        });
    });
});
