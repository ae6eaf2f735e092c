import assert from "node:assert/strict";
import { versions } from "../../components/versions";
import { wantedDifference } from "../helpers/effective";
import { configurations } from "./configurations";
import { Machines } from "./machine";
import { saw } from "./record";
import { CountingPod, changes, handlers, mirrorSources, Worker } from "./worker";

/** One containerd with one configuration: gVisor is installed beside it, or refused for this reason. */
interface Row {
    /** Debian's own package, or the version of containerd.io. */
    readonly containerd: string;
    readonly config: keyof typeof configurations;
    /** Default: the version that the source pins. */
    readonly gvisor?: string;
    readonly refused?: RegExp;
}

const pinned = versions.containerd.version;
const rows: readonly Row[] = [
    { containerd: "debian", config: "as packaged", refused: /1\.7 or newer/ },
    { containerd: "1.7.35", config: "v2 root with mirrors" },
    { containerd: "1.7.35", config: "v2 root, no newline at its end" },
    { containerd: "1.7.35", config: "no file" },
    { containerd: "1.7.35", config: "empty file" },
    { containerd: "1.7.35", config: "v2 root, runsc by hand", refused: /runsc/ },
    { containerd: "1.7.35", config: "v2 root, imports with CRI", refused: /registry\.toml/ },
    { containerd: "2.0.14", config: "v2 root" },
    { containerd: "2.0.14", config: "v3 root" },
    { containerd: "2.0.14", config: "config default" },
    { containerd: "2.1.1", config: "v3 root", refused: /2\.1\.1/ },
    { containerd: "2.2.9", config: "v3 root" },
    { containerd: "2.2.9", config: "v4 root", refused: /2\.3/ },
    { containerd: pinned, config: "as packaged", refused: /cri/i },
    { containerd: pinned, config: "config default" },
    { containerd: pinned, config: "no file" },
    { containerd: pinned, config: "empty file" },
    { containerd: pinned, config: "comments only" },
    { containerd: pinned, config: "v2 root, no newline at its end" },
    { containerd: pinned, config: "v3 root, imports elsewhere" },
    { containerd: pinned, config: "v3 root, imports one file", refused: /conf\.d/ },
    { containerd: pinned, config: "v3 root, runsc by hand" },
    { containerd: pinned, config: "broken file", refused: /config\.toml/ },
    { containerd: pinned, config: "v2 root" },
    { containerd: pinned, config: "v4 root" },
    { containerd: "2.4.2", config: "no file" },
    { containerd: "2.4.2", config: "v3 root" },
    { containerd: "2.4.2", config: "v4 root, imports elsewhere" },
];

/** Refused: with that reason, and nothing on the machine is another one than before. */
async function refuse(worker: Worker, reason: RegExp): Promise<void> {
    const before = await worker.files();
    await assert.rejects(worker.plan(), (error: Error) => {
        assert.match(error.message, /nothing was changed there/);
        assert.match(error.message, reason);
        saw({ refusal: `"${error.message}"` });
        return true;
    });
    assert.deepEqual(changes(before, await worker.files()), []);
}

/** Pods of each handler have a kernel of their own, and the options of the handler have arrived. */
async function useSandboxes(worker: Worker): Promise<void> {
    const kernel = await worker.machine.on("uname -r; rm -rf /var/log/runsc");
    for (const { name, options } of handlers) {
        const pod = await worker.startPod(name, name, "exec sleep 600");
        const own = await worker.inPod(pod, "uname -r");
        assert.notEqual(own, kernel, name);
        saw({ [`kernel under ${name}`]: own });
        const logs = await worker.machine.on("ls /var/log/runsc 2>/dev/null | wc -l");
        assert.equal(Number(logs) > 0, options["debug-log"] !== undefined, `logs of ${name}`);
    }
    const refused = await worker.runtime("remove");
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /default\/runsc/);
    for (const { name } of handlers) {
        await worker.stopPod(name);
    }
}

/** Installed, used, installed again, removed, and installed once more, while a pod on runc counts. */
async function install(worker: Worker): Promise<void> {
    const counting = await CountingPod.start(worker);
    const before = { effective: await worker.effective(), files: await worker.files() };
    worker.values = await worker.plan();

    const evidence = await worker.install();
    assert.match(evidence.said, /restarted containerd/);
    for (const { name } of handlers) {
        assert.ok(evidence.handlers.includes(name), `${name} in ${evidence.handlers}`);
    }
    assert.deepEqual(wantedDifference(before.effective, await worker.effective(), handlers), []);
    assert.deepEqual(await worker.differences(), []);
    await counting.counts();
    await useSandboxes(worker);

    const run = await worker.containerdRun();
    const again = await worker.install();
    assert.doesNotMatch(again.said, /changed|restarted|installed|removed/);
    assert.equal(await worker.containerdRun(), run);
    assert.equal(again.configSha256, evidence.configSha256);
    // Looked at again, it is planned as it is.
    assert.deepEqual(await worker.plan(), worker.values);

    const removed = await worker.runtime("remove");
    assert.equal(removed.code, 0, removed.stderr);
    assert.deepEqual(changes(before.files, await worker.files()), []);
    assert.equal(await worker.effective(), before.effective);
    await counting.counts();

    await worker.install();
    assert.deepEqual(await worker.differences(), []);
    await counting.counts();
}

describe("containerd as it is found", function () {
    this.timeout(300_000);
    const machines = new Machines("rows", "sbxrow0", "10.89.0.0/24");

    before(async function () {
        this.timeout(1_800_000);
        for (const row of rows) {
            await mirrorSources(row);
        }
        await machines.up();
    });

    after(async () => await machines.down());

    for (const [index, row] of rows.entries()) {
        const { containerd, config, gvisor, refused } = row;
        const what = [containerd, config, ...(gvisor ? [`gVisor ${gvisor}`] : [])].join(", ");
        it(`${what}: ${refused ? "refused" : "installed and removed"}`, async () => {
            const machine = await machines.machine(`row-${index + 1}`, index + 11);
            try {
                const sources = await mirrorSources(row);
                const worker = new Worker(machine, sources);
                const kind = containerd === "debian" ? "debian" : "mirror";
                await worker.prepare(kind, configurations[config], refused === undefined);
                await (refused ? refuse(worker, refused) : install(worker));
            } finally {
                await machine.remove();
            }
        });
    }
});
