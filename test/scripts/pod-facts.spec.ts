// What is captured in pods, on a stand-in of the API server.
import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { isGvisorLog, mentionsGvisor } from "../../components/evidence.cjs";
import { gvisorDmesg, refusedDmesg } from "../helpers/canned";
import { root } from "../helpers/program";
import { ExecServer } from "./execServer";

describe("facts of pods", () => {
    const server = new ExecServer();
    before(() => server.start());
    after(() => server.stop());

    /** What is captured of `dmesg` in a pod that prints this. */
    const captured = async (dmesg: string): Promise<string> => {
        server.pods = { one: { node: "worker-1", uname: "6.1.0", dmesg } };
        const child = spawn(process.execPath, ["scripts/on-host.mjs", "pod-facts"], {
            cwd: root,
            stdio: ["pipe", "pipe", "inherit"],
        });
        const pod = { namespace: "default", name: "one", uid: "uid-of-one" };
        child.stdin.end(JSON.stringify({ kubeconfig: server.kubeconfig, pods: { one: pod } }));
        return (JSON.parse(await text(child.stdout)) as { one: { dmesg: string } }).one.dmesg;
    };
    const host = Array.from(
        { length: 600 },
        (_, index) => `[${index}.000000] usb ${index}: SerialNumber: ${"x".repeat(60)}`,
    );

    it("are gVisor's log, or the kernel's refusal, as it is", async () => {
        assert.equal(await captured(`${gvisorDmesg}\n`), gvisorDmesg);
        assert.ok(isGvisorLog(gvisorDmesg));
        assert.equal(await captured(refusedDmesg), refusedDmesg);
    });

    it("are not all of a worker's log, where it lets pods read that: only its ends, and what is left out in numbers", async () => {
        const log = await captured(host.join("\n"));
        assert.deepEqual(log.split("\n"), [...host.slice(0, 20), "… 560 lines left out …", ...host.slice(-20)]);
    });

    it("have no line without end", async () => {
        assert.equal(await captured("x".repeat(50_000)), `${"x".repeat(400)} … 49600 characters left out`);
    });

    it("keep what shows that a log is gVisor's after all", async () => {
        const log = await captured([...host.slice(0, 100), ...gvisorDmesg.split("\n"), ...host.slice(100)].join("\n"));
        assert.ok(mentionsGvisor(log), log);
        assert.ok(log.length < 8_000);
    });
});
