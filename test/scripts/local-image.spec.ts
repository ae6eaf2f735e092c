// The node image with a step that takes a second. That the real one leaves nothing to do is in test/e2e/lifecycle.spec.ts.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Ended, LocalHost } from "./localHost";

const root = path.resolve(__dirname, "../..");
const blobs = "io.containerd.content.v1.content/blobs/sha256";
const layer = "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs";
const database = "io.containerd.metadata.v1.bolt/meta.db";

/** Makes what a prepared node has: packages, services, and containerd's directory with a name for itself. */
const step = (version: string) => `
set -e
cat >/dev/null <<'MIRROR'
file:///srv/mirror
MIRROR
for unit in kubelet containerd; do
    printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/$unit.service
    systemctl start $unit
done
echo ${version} >/opt/version
echo "$1" >/opt/verb
rm /usr/bin/socat
cd /var/lib/containerd
mkdir -p ${blobs} ${layer} ${path.dirname(database)} io.containerd.grpc.v1.introspection
echo blob >${blobs}/0123
echo file >${layer}/file
echo database >${database}
cat /proc/sys/kernel/random/uuid >io.containerd.grpc.v1.introspection/uuid
echo secret >/root/secret
logger hello; echo log >/var/log/step.log
`;

describe("scripts/local: the node image", function () {
    this.timeout(300_000);
    const scratch = path.join(root, ".cache", `image, spec: ${process.pid}`);
    const mirror = path.join(scratch, "mirror");
    const hosts = [
        new LocalHost("image-a", "sbxtest3", "10.79.3.0/24"),
        new LocalHost("image-b", "sbxtest4", "10.79.4.0/24"),
    ] as const;
    const [host, other] = hosts;
    const addressOf = (one: LocalHost) => one.range.replace("0/24", "11");

    const build = (one: LocalHost, text: string, env: NodeJS.ProcessEnv = {}): Ended => {
        const [file, line] = one.commandLine("image.sh", ["build"]);
        return spawnSync(file, line, { env: { ...one.env, ...env }, input: text, encoding: "utf8" });
    };
    /** The image that the next machine of a stack with this step starts from. */
    const image = (one: LocalHost, text: string): string => {
        const ended = build(one, text);
        assert.equal(ended.status, 0, ended.stderr);
        return one.ok("image.sh", ["find"]).trim();
    };
    const images = () => fs.readdirSync(path.join(scratch, "images")).filter((name) => !name.startsWith("."));
    const on = (one: LocalHost, command: string) => {
        const ended = one.ssh("m1", addressOf(one), command);
        assert.equal(ended.status, 0, `${command}: ${ended.stderr}`);
        return ended.stdout.trim();
    };
    const up = (one: LocalHost) => one.ok("machine.sh", ["up", "m1", addressOf(one)]);
    const down = (one: LocalHost) => one.ok("machine.sh", ["down", "m1"]);

    before(() => {
        host.ok("base.sh", ["build"]);
        fs.mkdirSync(mirror, { recursive: true });
        fs.writeFileSync(path.join(mirror, "index.json"), "{}");
        fs.symlinkSync(path.join(root, ".cache", "base"), path.join(scratch, "base"));
        for (const one of hosts) {
            Object.assign(one.env, { CACHE_DIR: scratch, MIRROR_DIR: mirror });
            one.ok("network.sh", ["up"]);
            one.ok("key.sh", ["create"]);
        }
    });
    after(() => {
        const ends = hosts.flatMap((one) => [
            one.run("image.sh", ["forget"]),
            one.run("network.sh", ["down"]),
            one.run("key.sh", ["remove"]),
        ]);
        fs.rmSync(scratch, { recursive: true });
        assert.deepEqual(
            ends.map(({ stderr }) => stderr),
            ends.map(() => ""),
        );
        assert.equal(hosts.map((one) => one.traces()).join(""), "");
    });

    it("is none where there is no step, or nobody wants one", () => {
        assert.equal(host.ok("image.sh", ["find"]), "");
        const ended = build(host, step("1"), { LOCAL_NODE_IMAGE: "no" });
        assert.deepEqual([ended.status, ended.stdout, ended.stderr], [0, "", ""]);
        assert.equal(fs.existsSync(path.join(scratch, "images")), false);
        assert.match(
            host.refused("image.sh", ["find"], { LOCAL_NODE_IMAGE: "off" }),
            /^LOCAL_NODE_IMAGE is "off": it may be yes or no\n$/,
        );
    });

    it("is made once for all stacks, and again when what it is made of changes", () => {
        const made = build(host, step("1"));
        assert.equal(made.status, 0, made.stderr);
        assert.match(
            made.stderr,
            /^Making the node image of the local machines\nMade the node image: \d+ MB in \d+ s\n$/,
        );
        for (const one of hosts) {
            const again = build(one, step("1"));
            assert.deepEqual([again.stdout, again.stderr], [made.stdout, ""]);
        }
        assert.equal(host.ok("machine.sh", ["list"]), "", "its machine is gone");
        assert.notEqual(image(host, step("2")), made.stdout.trim());
        // The same step, but what the mirror has is not the same any more.
        fs.writeFileSync(path.join(mirror, "index.json"), '{"built": "again"}');
        assert.notEqual(image(host, step("1")), made.stdout.trim());
        assert.equal(images().length, 3);
    });

    it("is what machines start from, and each stays itself", () => {
        const shared = image(host, step("1"));
        assert.equal(image(other, step("1")), shared);
        for (const one of hosts) {
            up(one);
            assert.equal(on(one, "cat /opt/version /opt/verb | xargs"), "1 install");
            assert.equal(on(one, "ls /usr/bin/socat /root/secret /var/log/step.log 2>/dev/null || true"), "");
            assert.equal(on(one, "systemctl is-system-running --wait"), "running");
            assert.equal(on(one, "hostname"), "m1");
            assert.equal(
                on(one, "grep -c node-image /etc/hosts /etc/hostname || true"),
                "/etc/hosts:0\n/etc/hostname:0",
            );
            assert.match(on(one, "getent hosts m1"), new RegExp(`^${addressOf(one)} `));
            assert.equal(
                on(one, `cd /var/lib/containerd; cat ${blobs}/0123 ${layer}/file ${database} | xargs`),
                "blob file database",
            );
            assert.equal(on(one, "ls /var/lib/containerd/io.containerd.grpc.v1.introspection 2>/dev/null || true"), "");
        }
        const inode = (one: LocalHost, file: string) => fs.statSync(one.file("m1", "binds/containerd", file)).ino;
        assert.equal(inode(host, `${blobs}/0123`), inode(other, `${blobs}/0123`), "blobs are there once");
        assert.equal(inode(host, `${layer}/file`), inode(other, `${layer}/file`), "layers are there once");
        assert.notEqual(inode(host, database), inode(other, database));
        for (const file of ["/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub", "/root/.ssh/authorized_keys"]) {
            const [one, two] = hosts.map((each) => on(each, `cat ${file}`));
            assert.notEqual(one, two, file);
            assert.notEqual(one, "", file);
        }
        // Nobody gets in with the key of another stack.
        const stranger = spawnSync(
            "ssh",
            [
                ...["-F", "/dev/null", "-i", path.join(other.stackDir, "id_ed25519"), "-o", "IdentitiesOnly=yes"],
                ...["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
                ...[`root@${addressOf(host)}`, "true"],
            ],
            { encoding: "utf8" },
        );
        assert.match(stranger.stderr, /Permission denied \(publickey\)/);
        const secrets = spawnSync("grep", ["-rlE", "PRIVATE KEY|ssh-ed25519", path.join(shared, "root")], {
            encoding: "utf8",
        });
        assert.equal(secrets.stdout, "");
    });

    it("does not change with the machines that are made of it, nor do they with each other", () => {
        const shared = image(host, step("1"));
        on(
            host,
            `echo changed >/opt/version; cd /var/lib/containerd; echo changed >${database}; rm -r ${blobs} ${layer}; echo new >new`,
        );
        assert.equal(
            on(other, `cat /opt/version /var/lib/containerd/{${blobs}/0123,${layer}/file,${database}} | xargs`),
            "1 blob file database",
        );
        const kept = (file: string) => fs.readFileSync(path.join(shared, file), "utf8").trim();
        assert.deepEqual(
            ["root/opt/version", `shared/${blobs}/0123`, `shared/${layer}/file`, `containerd/${database}`].map(kept),
            ["1", "blob", "file", "database"],
        );
        down(host);
        up(host);
        assert.equal(
            on(host, `cat /opt/version /var/lib/containerd/{${blobs}/0123,${layer}/file,${database}} | xargs`),
            "1 blob file database",
        );
    });

    it("is left as it is for machines that exist; a new one gets the new image", () => {
        const before = images();
        const ended = build(host, step("3"));
        assert.deepEqual([ended.status, ended.stdout, ended.stderr], [0, "", ""]);
        assert.deepEqual(images(), before);
        process.kill(host.process("m1").pid, "SIGKILL");
        up(host);
        assert.equal(on(host, "cat /opt/version"), "1");
        assert.deepEqual(images(), before);
        down(host);
        up(host);
        assert.equal(on(host, "cat /opt/version"), "3");
        down(host);
    });

    it("goes when no machine is made of it, unless it was used of late", () => {
        const used = image(other, step("1"));
        up(other);
        const later = ["4", "5", "6"].map((version) => path.basename(image(host, step(version))));
        assert.deepEqual(images().sort(), [path.basename(used), ...later].sort());
        down(other);
        later.push(path.basename(image(host, step("7"))));
        assert.deepEqual(images().sort(), later.slice(1).sort());
    });

    it("may hold no images of containers", () => {
        const made = image(
            host,
            step("packages only").replace("echo secret", "rm -r *content* *overlayfs*; echo secret"),
        );
        assert.deepEqual(fs.readdirSync(path.join(made, "shared"), { recursive: true }), []);
        up(host);
        assert.equal(on(host, `cat /opt/version /var/lib/containerd/${database} | xargs`), "packages only database");
        down(host);
    });

    it("is not made by a step that fails, and nothing is left", () => {
        const before = images();
        const ended = build(host, "echo 'node-image: error: no such package' >&2; exit 1");
        assert.equal(ended.status, 1);
        assert.match(
            ended.stderr,
            /\nnode-image: error: no such package\nThe node image was not made, preparing its machine failed: see above, correct the cause, and run again\n$/,
        );
        assert.deepEqual(images(), before);
        assert.equal(host.ok("machine.sh", ["list"]), "");
    });

    it("is made whole after runs that were killed at any moment", async () => {
        for (const milliseconds of [50, 700, 1500, 2500, 3500]) {
            const version = `killed-${milliseconds}`;
            const [file, line] = host.commandLine("image.sh", ["build"]);
            const child = spawn(file, line, { env: host.env, detached: true, stdio: ["pipe", "ignore", "ignore"] });
            child.stdin.end(step(version));
            const ended = new Promise((resolve) => child.once("close", resolve));
            await delay(milliseconds);
            if (child.pid !== undefined && child.exitCode === null) {
                process.kill(-child.pid, "SIGKILL");
            }
            await ended;
            const made = image(host, step(version));
            assert.deepEqual(fs.readdirSync(made).sort(), ["containerd", "machines", "root", "shared"]);
            assert.equal(fs.readFileSync(path.join(made, "root/opt/version"), "utf8").trim(), version);
            assert.equal(fs.existsSync(path.join(made, "root/root")), false, "it was stripped");
            assert.equal(host.ok("machine.sh", ["list"]), "");
        }
    });

    it("is copied where the machines are on another disk than the cache", () => {
        const elsewhere = fs.mkdtempSync("/dev/shm/sbxspec-");
        assert.notEqual(fs.statSync(elsewhere).dev, fs.statSync(host.stackDir).dev);
        try {
            fs.symlinkSync(path.join(root, ".cache", "base"), path.join(elsewhere, "base"));
            host.env.CACHE_DIR = elsewhere;
            const made = image(host, step("1"));
            assert.equal(path.dirname(path.dirname(made)), elsewhere);
            up(host);
            assert.equal(
                on(host, `cat /opt/version /var/lib/containerd/{${blobs}/0123,${layer}/file,${database}} | xargs`),
                "1 blob file database",
            );
            assert.equal(on(host, "ls /usr/bin/socat 2>/dev/null || true"), "", "what the step removed is not there");
        } finally {
            down(host);
            host.env.CACHE_DIR = scratch;
            fs.rmSync(elsewhere, { recursive: true });
        }
    });

    it("is found by one of two stacks that want it at once, while the other makes it", async () => {
        const ends = await Promise.all(
            hosts.map((one) => {
                const [file, line] = one.commandLine("image.sh", ["build"]);
                const child = spawn(file, line, { env: one.env, stdio: ["pipe", "pipe", "pipe"] });
                let [out, said] = ["", ""];
                child.stdout.on("data", (part) => (out += String(part)));
                child.stderr.on("data", (part) => (said += String(part)));
                child.stdin.end(step("both"));
                return new Promise<string[]>((resolve) => child.once("close", () => resolve([out, said])));
            }),
        );
        assert.equal(ends[0]?.[0], ends[1]?.[0]);
        assert.equal(ends.filter(([, said]) => /^Making/.test(said ?? "")).length, 1);
    });
});
