// What scripts/on-machine/node/init-control-plane.sh and join-worker.sh give kubeadm, which is played by a script that kills the step.
import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { shellQuote } from "../../components/step.cjs";

const root = path.resolve(__dirname, "../..");
const read = (file: string) => fs.readFileSync(path.join(root, "scripts", "on-machine", file), "utf8");

describe("kubeadm's configuration, which holds a token of the cluster", () => {
    const constants = {
        NODE: "worker-1",
        ENDPOINT: "10.0.0.1:6443",
        TOKEN: "0a0a0a.0123456789abcdef",
        CA_CERT_HASH: "x",
    };
    const cluster = { ADDRESS: "10.0.0.1", PORT: "6443", KUBERNETES_VERSION: "1.36.5", CGROUP_DRIVER: "systemd" };
    const ranges = { POD_RANGE: "10.244.0.0/16", SERVICE_RANGE: "10.96.0.0/12" };

    for (const [script, step, values, kind] of [
        ["node/join-worker.sh", "join", constants, "JoinConfiguration"],
        ["node/init-control-plane.sh", "initialise", { NODE: "a", ...cluster, ...ranges }, "InitConfiguration"],
    ] as const) {
        it(`is in no file, also where ${script} is killed`, () => {
            const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "kubeadm-"));
            try {
                fs.mkdirSync(path.join(scratch, "tmp"));
                fs.writeFileSync(
                    path.join(scratch, "kubeadm"),
                    `#!/bin/bash\n[[ $2 == --config ]] && cat "$3" >${scratch}/seen\nkill -KILL $STEP\n`,
                    { mode: 0o755 },
                );
                const lines = Object.entries(values).map(([key, value]) => `readonly ${key}=${shellQuote(value)}\n`);
                const own = read(script).replace(/^main "\$@"\n/m, "");
                const tools = `PATH=${scratch}:$PATH TMPDIR=${scratch}/tmp; export TMPDIR`;
                const { signal, stderr } = spawnSync("bash", ["-s"], {
                    input: `export STEP=$$\n${lines.join("")}${read("lib.sh")}\n${tools}\n${own}\n${step}\n`,
                    encoding: "utf8",
                });
                assert.equal(signal, "SIGKILL", stderr);
                const seen = fs.readFileSync(path.join(scratch, "seen"), "utf8");
                assert.match(seen, new RegExp(`^kind: ${kind}$`, "m"));
                assert.match(seen, /token: [0-9a-f]{6}\.[0-9a-f]{16}\b/);
                assert.deepEqual(fs.readdirSync(path.join(scratch, "tmp")), []);
            } finally {
                fs.rmSync(scratch, { recursive: true });
            }
        });
    }
});

describe("join-worker.sh", () => {
    const values = { NODE: "worker-1", ENDPOINT: "10.0.0.1:6443", TOKEN: "secret", CA_CERT_HASH: "x" };
    const exists = 'a Node with name "worker-1" and status "Ready" already exists in the cluster';

    /** Joins where kubeadm is played by a script, and nobody sleeps. */
    const joins = (kubeadm: string, patience: number) => {
        const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "kubeadm-"));
        try {
            fs.writeFileSync(path.join(scratch, "kubeadm"), `#!/bin/bash\necho "$1" >>asked\n${kubeadm}\n`, {
                mode: 0o755,
            });
            const lines = Object.entries(values).map(([key, value]) => `readonly ${key}=${shellQuote(value)}\n`);
            const own = read("node/join-worker.sh").replace(/^main "\$@"\n/m, "");
            const played = "reset_kubeadm() { kubeadm reset; }\nsleep() { command sleep 0.1; }\nPATH=$PWD:$PATH";
            const { status, stderr } = spawnSync("bash", ["-s"], {
                cwd: scratch,
                input: `${lines.join("")}${read("lib.sh")}\n${own}\n${played}\nPATIENCE=${patience}\njoin\n`,
                encoding: "utf8",
            });
            return { status, stderr, asked: fs.readFileSync(path.join(scratch, "asked"), "utf8").trim().split("\n") };
        } finally {
            fs.rmSync(scratch, { recursive: true });
        }
    };

    it("waits until the cluster sees that the kubelet of a join that was cut off has gone", () => {
        const { status, stderr, asked } = joins(
            `[[ $1 != join || $(grep -c join asked) -gt 2 ]] || { echo 'error: ${exists}' >&2; exit 1; }`,
            60,
        );
        assert.equal(status, 0, stderr);
        assert.deepEqual(asked, ["join", "reset", "join", "reset", "join"]);
        assert.match(stderr, /takes worker-1, whose join was cut off, for ready still/);
    });

    it("gives up where it stays so, and at once where it is something else, without the token", () => {
        const stays = joins(`[[ $1 != join ]] || { echo 'error: ${exists}' >&2; exit 1; }`, 1);
        assert.equal(stays.status, 1);
        assert.match(stays.stderr, /kubeadm join failed: error: a Node with name/);
        const other = joins("echo no route, with secret >&2; exit 1", 60);
        assert.deepEqual([other.status, other.asked], [1, ["join"]]);
        assert.match(other.stderr, /kubeadm join failed: no route, with TOKEN\. .*'\*\*worker-1-ticket'/);
    });
});
