import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { LocalHost } from "./localHost";

const namespace = `sbxspec${process.pid}`;

describe("scripts/local/network.sh and preflight.sh", function () {
    this.timeout(30_000);
    // A network namespace of its own: what happens here touches no other network of this host.
    const host = new LocalHost("network", "sbxtest1", "10.79.1.0/24", namespace);
    const state = () =>
        host.sh(
            "ip -o link; ip -4 -o address; ip route; sysctl net.ipv4.ip_forward; iptables-save -f 2>/dev/null || iptables-save 2>/dev/null | grep -- '^-A' || true",
        );

    before(() => {
        execFileSync("ip", ["netns", "add", namespace]);
        // A new namespace takes over the host's value.
        host.sh("ip link set lo up; sysctl -qw net.ipv4.ip_forward=0");
    });
    after(() => {
        host.run("network.sh", ["down"]);
        execFileSync("ip", ["netns", "del", namespace]);
    });

    it("makes the bridge, twice the same, and takes away exactly what it made", () => {
        const clean = state();
        assert.match(clean, /ip_forward = 0/);
        const first = JSON.parse(host.ok("network.sh", ["up"]));
        assert.deepEqual(first, { bridge: "sbxtest1", gateway: "10.79.1.1", range: "10.79.1.0/24" });
        const up = state();
        assert.match(up, /10\.79\.1\.1\/24/);
        assert.match(up, /ip_forward = 1/);
        assert.match(up, /POSTROUTING -s 10\.79\.1\.0\/24 ! -o sbxtest1 .*MASQUERADE/);
        assert.deepEqual(JSON.parse(host.ok("network.sh", ["up"])), first);
        assert.equal(state(), up);
        host.ok("network.sh", ["down"]);
        assert.equal(state(), clean);
        host.ok("network.sh", ["down"]);
        assert.equal(state(), clean);
        assert.equal(host.traces(), "");
    });

    it("keeps forwarding on until the last stack is gone", () => {
        const other = new LocalHost("network-b", "sbxtest2", "10.79.2.0/24", namespace);
        host.ok("network.sh", ["up"]);
        other.ok("network.sh", ["up"]);
        host.ok("network.sh", ["down"]);
        assert.match(host.sh("sysctl net.ipv4.ip_forward"), /= 1/);
        other.ok("network.sh", ["down"]);
        assert.match(host.sh("sysctl net.ipv4.ip_forward"), /= 0/);
    });

    it("refuses another range while machines have addresses of the old one, before anything is changed", () => {
        host.ok("network.sh", ["up"]);
        const before = state();
        const machine = path.join(host.stackDir, "machines", "worker-1");
        fs.mkdirSync(machine, { recursive: true });
        fs.writeFileSync(path.join(machine, "address"), "10.79.1.11\n");
        for (const [script, verb] of [
            ["preflight.sh", "check"],
            ["network.sh", "up"],
        ] as const) {
            assert.match(
                host.refused(script, [verb], { RANGE: "10.79.9.0/24" }),
                /^RANGE is 10\.79\.9\.0\/24, and machine worker-1 of this stack has the address 10\.79\.1\.11: put the range back to 10\.79\.1\.0\/24, or destroy/m,
            );
        }
        assert.equal(state(), before);
        fs.rmSync(path.join(host.stackDir, "machines"), { recursive: true });
        host.ok("network.sh", ["down"]);
    });

    it("follows a new name and range of the bridge, and finishes a bridge that was killed half-made", () => {
        host.ok("network.sh", ["up"]);
        const ended = host.run("network.sh", ["up"], { BRIDGE: "sbxtest9", RANGE: "10.79.9.0/24" });
        assert.equal(ended.status, 0, ended.stderr);
        assert.doesNotMatch(state(), /sbxtest1|10\.79\.1\./);
        assert.match(state(), /sbxtest9 +inet 10\.79\.9\.1\/24/);
        host.ok("network.sh", ["down"]);
        const draft = `sbx-${execFileSync("sha256sum", { input: `${host.stackDir}\n`, encoding: "utf8" }).slice(0, 8)}`;
        host.sh(`ip link add ${draft} type bridge`);
        host.ok("network.sh", ["up"]);
        assert.doesNotMatch(state(), new RegExp(draft));
        host.ok("network.sh", ["down"]);
        assert.equal(host.traces(), "");
    });

    it("refuses a bridge and a range that belong to something else, and changes nothing", () => {
        host.sh(
            "ip link add sbxtest1 type bridge; ip link add lan0 type bridge; ip address add 10.79.1.200/28 dev lan0; ip link set lan0 up; ip route add blackhole 10.79.0.0/16",
        );
        const before = state();
        for (const [script, verb] of [
            ["network.sh", "up"],
            ["preflight.sh", "check"],
        ] as const) {
            const said = host.refused(script, [verb]);
            assert.match(
                said,
                /^BRIDGE sbxtest1 exists already and does not belong to this stack: choose another name$/m,
            );
            assert.match(
                said,
                /^RANGE 10\.79\.1\.0\/24 overlaps 10\.79\.1\.192\/28, which is in use on this host \(lan0\): choose/m,
            );
            assert.match(
                said,
                /^RANGE 10\.79\.1\.0\/24 overlaps 10\.79\.0\.0\/16, which is in use on this host \(no device\)/m,
            );
        }
        assert.equal(state(), before);
        host.ok("network.sh", ["down"]);
        assert.equal(state(), before, "down leaves a bridge alone that is not ours");
        host.sh("ip link del sbxtest1; ip link del lan0; ip route del blackhole 10.79.0.0/16");
    });

    it("has no complaint about a good host, nor about the stack's own bridge", () => {
        assert.equal(host.ok("preflight.sh", ["check", "worker-1"]), "");
        host.ok("network.sh", ["up"]);
        assert.equal(host.ok("preflight.sh", ["check"]), "");
        host.ok("network.sh", ["down"]);
        assert.equal(fs.existsSync(host.stackDir), false);
    });

    it("reports all wrong settings at once", () => {
        const said = host.refused("preflight.sh", ["check", "Worker_1", "w".repeat(64)], {
            STACK_DIR: "",
            CACHE_DIR: "cache",
            BRIDGE: "a-bridge-name-too-long",
            RANGE: "8.8.8.0/24",
        });
        assert.match(said, /^STACK_DIR is not set: the absolute directory of the stack's machines/m);
        assert.match(said, /^CACHE_DIR is "cache": it must be an absolute path$/m);
        assert.match(said, /^BRIDGE is "a-bridge-name-too-long": an interface name is 1 to 15 letters/m);
        assert.match(
            said,
            /^RANGE is "8\.8\.8\.0\/24": it must be private, in 10\.0\.0\.0\/8, 172\.16\.0\.0\/12 or 192\.168/m,
        );
        assert.match(said, /^Machine name "Worker_1": only small letters, digits and '-' are allowed/m);
        assert.match(said, /^Machine name "w{64}" has 64 characters: at most 63 are allowed$/m);
        assert.match(
            host.refused("network.sh", ["up"], { RANGE: "10.79.1.0/16" }),
            /^RANGE is "10\.79\.1\.0\/16": it must be a \/24/,
        );
        assert.match(host.refused("network.sh", ["up"], { RANGE: "" }), /^RANGE is not set/);
        assert.match(host.refused("network.sh", ["sideways"]), /^Usage: network\.sh up\|down/);
    });

    it("says what is missing: tools with their packages, root, disk, a usable disk", () => {
        const some = fs.mkdtempSync("/tmp/sbxspec-bin-");
        for (const tool of "bash dirname realpath sha256sum cut uname grep awk stat df id head sed sort".split(" ")) {
            fs.symlinkSync(execFileSync("which", [tool], { encoding: "utf8" }).trim(), `${some}/${tool}`);
        }
        const [, line] = host.commandLine("preflight.sh", ["check"]);
        const run = (command: string) =>
            host.sh(
                `export STACK_DIR='${host.stackDir}' CACHE_DIR=/var BRIDGE=sbxtest1 RANGE=10.79.1.0/24; ${command} || true`,
            );
        const script = line.at(-2);
        assert.match(
            run(`PATH=${some} bash ${script} check 2>&1`),
            /^Not installed: systemd-nspawn \(package systemd-container\), mmdebstrap \(package mmdebstrap\), .*flock \(package util-linux\).*: install the named Debian packages with apt-get$/m,
        );
        // Another user may not be able to look into the project's directory.
        const open = fs.mkdtempSync("/tmp/sbxspec-open-");
        fs.chmodSync(open, 0o755);
        fs.cpSync(path.dirname(script ?? ""), open, { recursive: true });
        assert.match(
            run(`setpriv --reuid=65534 --regid=65534 --clear-groups bash ${open}/preflight.sh check 2>&1`),
            /^The local target needs root to boot machines, and this is nobody: run as root, or choose another target$/m,
        );
        // The mount is in a mount namespace of its own, and gone with the command.
        assert.match(
            run(
                `unshare -m bash -c 'mount -t tmpfs -o size=64m tmpfs /mnt && STACK_DIR=/mnt/stack bash ${script} check' 2>&1`,
            ),
            /^STACK_DIR \(\/mnt\/stack\) has 64 MiB free and needs 3072 MiB: make room, or move the project to a larger disk$/m,
        );
        assert.match(
            run(
                `unshare -m bash -c 'mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w /mnt/o && mount -t overlay -o lowerdir=/var,upperdir=/mnt/u,workdir=/mnt/w overlay /mnt/o && STACK_DIR=/mnt/o/stack bash ${script} check' 2>&1`,
            ),
            /^STACK_DIR \(\/mnt\/o\/stack\) is on overlayfs, which cannot hold the machines' disks: move the project to a disk with/m,
        );
        fs.rmSync(some, { recursive: true });
        fs.rmSync(open, { recursive: true });
    });
});
