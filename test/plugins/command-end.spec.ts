import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { CommandProvider } from "../../plugins/command/provider";
import { Bench, local, remote, untilExists, untilGone } from "./command/bench";
import { freePort } from "./command/sshd";
import { Host, type JsonMap } from "./shared/harness";

describe("command plug-in: the end of a step", function () {
    this.timeout(180_000);
    const bench = new Bench();

    describe("end of a step", () => {
        /** A command that writes its pid and its child's, and waits for long. */
        const stuck = (file: string) => `sh -c 'sleep 100' & echo $$ $! > ${file}.part; mv ${file}.part ${file}; wait`;
        const pids = (file: string) => readFileSync(file, "utf8").trim().split(" ").map(Number);

        const make = (where: string, create: string, more: JsonMap = {}) =>
            where === "local" ? local({ create }, more) : remote({ connection: bench.connection(), create }, more);
        // Commands that run into a time limit, all side by side: what takes long here is waiting for it.
        const commands = {
            timeout: stuck,
            stubborn: (file: string) => `trap '' TERM; echo $$ > ${file}; while :; do sleep 1; done`,
        };
        const errors = new Map<string, Promise<string>>();
        let patient: Host;
        const limited = (where: string, what: keyof typeof commands) => {
            const file = bench.file(`${what}-${where}`);
            return { file, error: errors.get(file) ?? assert.fail(`${file} was not started`) };
        };

        before(async () => {
            patient = await Host.start(new CommandProvider());
            for (const where of ["local", "remote"]) {
                for (const what of ["timeout", "stubborn"] as const) {
                    const file = bench.file(`${what}-${where}`);
                    const error = patient.failure("Create", make(where, commands[what](file), { timeout: 3 }));
                    error.catch(() => undefined); // Awaited by its test.
                    errors.set(file, error);
                }
            }
        });
        after(() => patient?.stop());

        for (const where of ["local", "remote"]) {
            it(`${where}: customTimeouts end the command and all that it started`, async () => {
                const { file, error } = limited(where, "timeout");
                assert.match(await error, /^context deadline exceeded: running "/);
                for (const pid of pids(file)) {
                    assert.ok(await untilGone(pid), `process ${pid} is still there`);
                }
            });

            it(`${where}: Cancel ends the command and all that it started`, async () => {
                const file = bench.file(`cancel-${where}`);
                const creating = bench.host.failure("Create", make(where, stuck(file)));
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
            for (const where of ["local", "remote"]) {
                const { file, error } = limited(where, "stubborn");
                assert.match(await error, /^context deadline exceeded/);
                assert.ok(await untilGone(Number(readFileSync(file, "utf8"))), `${where}: it is still there`);
            }
        });
    });
});
