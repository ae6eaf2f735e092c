import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

// Not made by ssh2, which now and then leaves a leading zero of a key away.
const hostKey = `AAAAC3NzaC1lZDI1NTE5AAAAI${"A".repeat(43)}`;
const missing =
    "ERROR: (gcloud.compute.instances.get-guest-attributes) Could not fetch resource:\n - The resource 'boot' of type 'Guest Attribute' was not found.";

describe("gcp-host-key", function () {
    this.timeout(90_000);
    let directory: string;

    beforeEach(() => {
        directory = fs.mkdtempSync(path.join(os.tmpdir(), "gcloud-"));
    });
    afterEach(() => {
        fs.rmSync(directory, { recursive: true });
    });

    /**
     * A gcloud that answers with these texts, one after the other, the last one for ever. A text that is JSON goes to
     * stdout; any other one is an error.
     */
    function answers(...texts: string[]): void {
        fs.rmSync(path.join(directory, "calls"), { force: true });
        texts.forEach((text, index) => {
            fs.writeFileSync(path.join(directory, `answer-${index}`), text);
        });
        const script = [
            "#!/bin/sh",
            `cd '${directory}'`,
            'echo "$*" >>calls',
            "n=$(($(wc -l <calls) - 1))",
            `[ -e answer-$n ] || n=${texts.length - 1}`,
            "case $(head -c 1 answer-$n) in '[' | '{') cat answer-$n ;; *) cat answer-$n >&2; exit 1 ;; esac",
        ].join("\n");
        fs.writeFileSync(path.join(directory, "gcloud"), `${script}\n`, { mode: 0o755 });
    }

    function run(seconds = 30, search = `${directory}:/usr/bin:/bin`): SpawnSyncReturns<string> {
        const args = ["--project", "p-123456", "--zone", "us-central1-a", "--instance", "sandboxes-dev-worker-1"];
        return spawnSync(
            process.execPath,
            [
                "scripts/on-host.mjs",
                "gcp-host-key",
                ...args,
                "--resource",
                "gcp-worker-1-instance",
                "--seconds",
                String(seconds),
            ],
            { encoding: "utf8", env: { PATH: search } },
        );
    }

    function calls(): string[] {
        return fs.readFileSync(path.join(directory, "calls"), "utf8").trim().split("\n");
    }

    const boot = (value: string) => ({ namespace: "runtime-sandboxes", key: "boot", value });
    const key = (value: string) => ({ namespace: "hostkeys", key: "ssh-ed25519", value });
    const list = (...items: object[]) => JSON.stringify(items);
    const failed = (message: RegExp, seconds?: number) => {
        const { status, stdout, stderr } = run(seconds);
        assert.deepEqual([status, stdout], [1, ""]);
        assert.match(stderr, message);
    };

    it("prints the key once the machine has booted and published it", () => {
        answers(missing, "[]", list(key(hostKey)), list(boot("ready")), list(key(hostKey), boot("ready")));
        const { status, stdout, stderr } = run();
        assert.deepEqual([status, stdout, stderr], [0, `ssh-ed25519 ${hostKey}`, ""]);
        const call =
            "compute instances get-guest-attributes sandboxes-dev-worker-1 --format=json --quiet " +
            "--project=p-123456 --zone=us-central1-a";
        assert.deepEqual(calls(), Array(5).fill(call));
    });

    it("takes no other text for a key", () => {
        for (const value of ["", "AAAA", `${hostKey} x`, Buffer.alloc(51).toString("base64")]) {
            answers(list(boot("ready"), key(value)));
            failed(/^error: sandboxes-dev-worker-1: its guest attribute hostkeys\/ssh-ed25519 is not an ed25519 key/);
        }
    });

    it("fails at once when the boot script did", () => {
        answers(list(boot("failed: nft --file rules (line 9)")));
        failed(
            /its boot script failed: nft --file rules \(line 9\)\. The log: gcloud compute instances get-serial-port/,
        );
        assert.equal(calls().length, 1);
    });

    for (const [what, answer, message] of [
        [
            "lacks a permission",
            "ERROR: Required 'compute.instances.getGuestAttributes' permission",
            /needs compute\.inst/,
        ],
        [
            "is not logged in",
            "ERROR: You do not currently have an active account selected. Please run: gcloud auth login",
            /gcloud auth login\. gcloud says/,
        ],
        [
            "meets a policy",
            "ERROR: Constraint constraints/compute.disableGuestAttributesAccess violated",
            /ask for an exception/,
        ],
        [
            "finds no machine",
            "ERROR: The resource 'projects/p/zones/z/instances/i' was not found",
            /no such machine any more/,
        ],
    ] as const) {
        it(`fails at once when gcloud ${what}`, () => {
            answers(answer);
            failed(message);
            assert.equal(calls().length, 1);
        });
    }

    it("says so where there is no gcloud", () => {
        assert.match(run(30, directory).stderr, /gcloud is not installed here/);
    });

    it("waits so long and no longer, and says for what, the last answer and the way out", () => {
        answers("ERROR: 503 backend error");
        failed(
            /waited 2 s for its boot script to end; last answer: ERROR: 503 .*--replace '\*\*gcp-worker-1-instance'/,
            2,
        );
        assert.ok(calls().length > 1);
        answers(list(boot("ready")));
        failed(/waited 2 s for its guest agent to publish a host key/, 2);
    });
});
