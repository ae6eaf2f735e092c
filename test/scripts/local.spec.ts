import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { LocalHost } from "./localHost";

const address = "10.79.0.11";

/** Runs `machine.sh up` and kills it, and what it waits for, after a while. */
async function killedUp(host: LocalHost, name: string, milliseconds: number): Promise<void> {
    const [file, line] = host.commandLine("machine.sh", ["up", name, address]);
    const child: ChildProcess = spawn(file, line, { env: host.env, detached: true, stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("close", resolve));
    await delay(milliseconds);
    if (child.pid !== undefined && child.exitCode === null) {
        process.kill(-child.pid, "SIGKILL");
    }
    await ended;
}

describe("scripts/local: base image, key and machines", function () {
    this.timeout(300_000);
    const host = new LocalHost("local", "sbxtest0", "10.79.0.0/24");
    const on = (command: string) => {
        const ended = host.ssh("m1", address, command);
        assert.equal(ended.status, 0, `${command}: ${ended.stderr}`);
        return ended.stdout.trim();
    };

    const settings = () => host.sh("sysctl net.ipv4.ip_forward fs.inotify.max_user_instances");
    let settingsBefore = "";

    before(() => {
        settingsBefore = settings();
        host.ok("base.sh", ["build"]);
        host.ok("network.sh", ["up"]);
        host.ok("key.sh", ["create"]);
    });
    after(() => {
        const ends = [host.run("network.sh", ["down"]), host.run("key.sh", ["remove"])];
        assert.deepEqual(
            ends.map((ended) => ended.stderr),
            ["", ""],
        );
        assert.equal(host.traces(), "");
        assert.equal(settings(), settingsBefore);
    });

    it("builds the base image once", () => {
        const first = JSON.parse(host.ok("base.sh", ["build"]));
        assert.match(first.hash, /^[0-9a-f]{16}$/);
        const made = fs.statSync(first.path);
        const again = host.run("base.sh", ["build"]);
        assert.deepEqual(JSON.parse(again.stdout), first);
        assert.equal(again.stderr, "");
        assert.equal(fs.statSync(first.path).ino, made.ino);
        assert.deepEqual(
            fs.readdirSync(`${first.path}/etc/ssh`).filter((name) => name.startsWith("ssh_host_")),
            [],
            "the base holds no host key",
        );
    });

    it("says what to do when the base image cannot be built, and leaves none behind", () => {
        const scratch = fs.mkdtempSync("/tmp/sbxspec-base-");
        fs.writeFileSync(
            `${scratch}/apt.conf`,
            'Acquire::http::Proxy "http://127.0.0.1:9";\nAcquire::https::Proxy "http://127.0.0.1:9";\n',
        );
        const said = host.refused("base.sh", ["build"], { CACHE_DIR: scratch, APT_CONFIG: `${scratch}/apt.conf` });
        assert.match(said, /127\.0\.0\.1:9/);
        assert.match(
            said,
            /^The base image was not built, mmdebstrap failed on http.*: see above, make sure that apt-get update works/m,
        );
        assert.deepEqual(fs.readdirSync(`${scratch}/base`), []);
        fs.rmSync(scratch, { recursive: true });
    });

    it("keeps the operator's key, readable by root alone", () => {
        const first = host.ok("key.sh", ["create"]);
        assert.match(first, /^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
        assert.equal(host.ok("key.sh", ["create"]), first);
        assert.equal(fs.statSync(`${host.stackDir}/id_ed25519`).mode & 0o777, 0o600);
    });

    it("boots a machine with everything in order, and does nothing the second time", () => {
        const first = JSON.parse(host.ok("machine.sh", ["up", "m1", address, "--incarnation", "one"]));
        const noted = host.process("m1");
        assert.deepEqual(Object.keys(first), ["name", "address", "port", "user", "hostKey", "identity"]);
        assert.equal(
            `${first.hostKey} m1`,
            fs.readFileSync(host.file("m1", "ssh_host_ed25519_key.pub"), "utf8").trim(),
        );
        assert.match(first.identity, /^[0-9a-f]{64}$/);
        assert.equal(fs.readFileSync(host.file("m1", "incarnation"), "utf8"), "one\n");
        assert.equal(noted.bootId, fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
        assert.equal(fs.statSync(host.file("m1", "process.json")).mode & 0o777, 0o644);

        assert.equal(on("hostname"), "m1");
        assert.equal(on("systemctl is-system-running --wait"), "running");
        assert.match(on("getent hosts m1"), /^10\.79\.0\.11 /);
        assert.equal(on("stat -fc %T /"), "overlayfs");
        assert.notEqual(on("stat -fc %T /var/lib/containerd"), "overlayfs");
        assert.equal(on("sysctl -n net.ipv4.ip_forward vm.overcommit_memory kernel.panic | xargs"), "1 1 10");
        assert.equal(on("test -e /dev/kmsg && grep -c ' /sys/fs/cgroup/[a-z]* cgroup ro,' /proc/mounts || true"), "0");
        assert.doesNotMatch(on("cat /proc/1/cgroup"), /runtime-sandboxes/, "the machine's groups look like the root");
        assert.match(host.traces(), /^\/sys\/fs\/cgroup\/.*-m1$/m);
        assert.match(host.traces(), new RegExp(`^/proc/${noted.pid}/environ$`, "m"));

        const again = host.run("machine.sh", ["up", "m1", address]);
        assert.deepEqual(JSON.parse(again.stdout), first);
        assert.equal(again.stderr, "");
        assert.deepEqual(host.process("m1"), noted);
        assert.equal(fs.readFileSync(host.file("m1", "incarnation"), "utf8"), "one\n", "no token, no change");
    });

    it("lets in nobody without the key, and nobody is let in by another machine's key", () => {
        fs.renameSync(host.file("m1", "known_hosts"), host.file("m1", "kept"));
        fs.writeFileSync(
            host.file("m1", "known_hosts"),
            `${address} ${fs.readFileSync(`${host.stackDir}/id_ed25519.pub`, "utf8")}`,
        );
        assert.match(host.ssh("m1", address, "true").stderr, /Host key verification failed/);
        fs.renameSync(host.file("m1", "kept"), host.file("m1", "known_hosts"));
        assert.match(
            host.sh(
                `ssh -F /dev/null -i /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@${address} true 2>&1 || true`,
            ),
            /Permission denied \(publickey\)/,
        );
    });

    it("brings a machine back with its disk and host key, however it ended", () => {
        const before = JSON.parse(host.ok("machine.sh", ["up", "m1", address]));
        on("echo kept > /root/file; echo kept > /var/lib/etcd/file; sync");
        const ways = {
            "its supervisor was killed": () => process.kill(host.process("m1").pid, "SIGKILL"),
            "it is powering off": () => host.ssh("m1", address, "systemctl poweroff"),
            "the bridge went away with it, as when the host reboots": () => {
                process.kill(host.process("m1").pid, "SIGKILL");
                host.sh(`ip link del sbxtest0; sysctl -qp - <<<'${settingsBefore}'`);
            },
        };
        for (const [way, end] of Object.entries(ways)) {
            const { pid } = host.process("m1");
            end();
            const ended = host.run("machine.sh", ["up", "m1", address]);
            assert.equal(ended.status, 0, `${way}: ${ended.stderr}`);
            assert.deepEqual(JSON.parse(ended.stdout), before, way);
            assert.notEqual(host.process("m1").pid, pid, way);
            assert.equal(on("cat /root/file /var/lib/etcd/file | xargs"), "kept kept", way);
        }
    });

    it("boots several machines at once, which reach each other", async () => {
        const names = ["m2", "m3", "m4"];
        const codes = await Promise.all(
            names.map((name, index) => {
                const [file, line] = host.commandLine("machine.sh", ["up", name, `10.79.0.2${index}`]);
                const child = spawn(file, line, { env: host.env, stdio: "ignore" });
                return new Promise((resolve) => child.once("close", resolve));
            }),
        );
        assert.deepEqual(codes, [0, 0, 0]);
        assert.equal(host.ok("machine.sh", ["list"]), "m1\nm2\nm3\nm4\n");
        on("ping -c1 -W5 10.79.0.20 && ping -c1 -W5 10.79.0.22");
        for (const name of names) {
            host.ok("machine.sh", ["down", name]);
        }
        assert.equal(host.ok("machine.sh", ["list"]), "m1\n");
    });

    it("shows the mirror read-only, and an address cannot change", () => {
        host.ok("machine.sh", ["down", "m1"]);
        const mirror = fs.mkdtempSync("/tmp/sbxspec-mirror-");
        fs.writeFileSync(`${mirror}/InRelease`, "signed\n");
        const ended = host.run("machine.sh", ["up", "m1", address], { MIRROR_DIR: mirror });
        assert.equal(ended.status, 0, ended.stderr);
        assert.equal(
            on("cat /srv/mirror/InRelease; touch /srv/mirror/x 2>&1 || true"),
            "signed\ntouch: cannot touch '/srv/mirror/x': Read-only file system",
        );
        process.kill(host.process("m1").pid, "SIGKILL");
        assert.match(
            host.refused("machine.sh", ["up", "m1", "10.79.0.99"]),
            /^Machine m1 has address 10\.79\.0\.11, which cannot become 10\.79\.0\.99 .*: put the old range .* back, or destroy/,
        );
        fs.rmSync(mirror, { recursive: true });
    });

    it("takes a machine up and down that was killed half-made, at any moment", async () => {
        const started = Date.now();
        host.ok("machine.sh", ["up", "m1", address]);
        const boot = Date.now() - started;
        for (const part of [0.01, 0.03, 0.08, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9]) {
            const milliseconds = Math.round(part * boot);
            host.ok("machine.sh", ["down", "m1"]);
            await killedUp(host, "m1", milliseconds);
            if (part > 0.1) {
                host.ok("machine.sh", ["up", "m1", address]);
                assert.equal(on("systemctl is-system-running --wait"), "running", `killed after ${milliseconds} ms`);
            }
            assert.deepEqual(JSON.parse(host.ok("machine.sh", ["down", "m1"])), { name: "m1" });
            assert.equal(host.ok("machine.sh", ["list"]), "", `killed after ${milliseconds} ms`);
            assert.equal(host.sh(`ps axo args | grep -F '${host.stackDir}/machines' | grep -v grep || true`), "");
            assert.equal(host.sh("ip -o link show master sbxtest0"), "");
        }
    });

    it("removes machines whose directory was deleted by hand, and those that nobody remembers", () => {
        host.ok("machine.sh", ["up", "m1", address]);
        fs.rmSync(host.stackDir, { recursive: true });
        const ended = host.run("network.sh", ["down"]);
        assert.equal(ended.stderr, "Removing machine m1, which was left behind\n");
        assert.equal(ended.status, 0);
        assert.equal(host.traces(), "");
        host.ok("machine.sh", ["down", "m1"]);
        assert.equal(host.traces(), "");
        host.ok("key.sh", ["create"]);
    });

    it("refuses what makes no sense in one sentence", () => {
        assert.match(host.refused("machine.sh", ["up", "M1", address]), /^Machine name "M1": only small letters/);
        for (const wrong of ["10.79.0.1", "10.80.0.5", "10.79.0.255", "10.79.0.5; reboot"]) {
            assert.equal(
                host.refused("machine.sh", ["up", "m1", wrong]),
                `Address "${wrong}" of machine m1 must be one of 10.79.0.2 to 10.79.0.254 (RANGE 10.79.0.0/24)\n`,
            );
        }
        assert.match(host.refused("machine.sh", ["down", "m1"], { STACK_DIR: "" }), /^STACK_DIR is not set: .*\n$/);
        assert.match(host.refused("base.sh", ["build"], { CACHE_DIR: "" }), /^CACHE_DIR is not set: .*\n$/);
        assert.match(
            host.refused("key.sh", ["create"], { STACK_DIR: "x" }),
            /^STACK_DIR is "x": it must be an absolute path\n$/,
        );
        assert.match(host.refused("machine.sh", ["sideways"]), /^Usage: machine\.sh up NAME ADDRESS/);
        host.ok("key.sh", ["remove"]);
        assert.match(
            host.refused("machine.sh", ["up", "m1", address]),
            /id_ed25519\.pub is missing: run key\.sh create first/,
        );
        host.ok("machine.sh", ["down", "m1"]);
    });
});
