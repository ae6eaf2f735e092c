import assert from "node:assert/strict";
import * as fs from "node:fs";
import { LocalHost } from "./localHost";

const address = "10.79.9.11";
const metadata = "169.254.169.254";

describe("scripts/on-machine/gcp/boot.sh on a Debian 12 machine", function () {
    this.timeout(300_000);
    const host = new LocalHost("gcp-boot", "sbxtest9", "10.79.9.0/24");
    const on = (command: string): string => {
        const ended = host.ssh("m1", address, command);
        assert.equal(ended.status, 0, `${command}: ${ended.stdout}${ended.stderr}`);
        return ended.stdout.trim();
    };
    const boot = () => on(`bash <<'SCRIPT'\n${fs.readFileSync("scripts/on-machine/gcp/boot.sh", "utf8")}\nSCRIPT`);
    /** What the boot script leaves behind: files with their times, units, rules. */
    const state = () =>
        on(
            "cat /etc/metadata-guard.nft /etc/systemd/system/metadata-guard.service; " +
                "systemctl show --property ActiveState,UnitFileState,RequiredBy metadata-guard; nft list ruleset",
        );
    /** Whether a server on a port of the metadata server's address answers in a place, to a user. */
    const answers = (port: number, place: string): boolean =>
        host.ssh("m1", address, `${place} socat -u TCP:${metadata}:${port},connect-timeout=1 -`).stdout === "data\n";

    before(() => {
        host.ok("base.sh", ["build"]);
        host.ok("network.sh", ["up"]);
        host.ok("key.sh", ["create"]);
        host.ok("machine.sh", ["up", "m1", address]);
        // Google's metadata server and a pod, each a network namespace behind a pair of interfaces.
        on(
            [
                "set -e",
                "ip netns add google && ip link add google0 type veth peer name eth0 netns google",
                "ip addr add 192.0.2.1/24 dev google0 && ip link set google0 up",
                `ip -n google addr add 192.0.2.2/24 dev eth0 && ip -n google addr add ${metadata}/32 dev eth0`,
                "ip -n google link set eth0 up && ip -n google route add default via 192.0.2.1",
                `ip route add ${metadata}/32 via 192.0.2.2 && sysctl -qw net.ipv4.ip_forward=1`,
                "ip netns add pod && ip link add pod0 type veth peer name eth0 netns pod",
                "ip addr add 10.244.0.1/24 dev pod0 && ip link set pod0 up",
                "ip -n pod addr add 10.244.0.2/24 dev eth0 && ip -n pod link set eth0 up",
                "ip -n pod route add default via 10.244.0.1",
                ...[80, 53].map(
                    (port) =>
                        `systemd-run --quiet ip netns exec google socat TCP-LISTEN:${port},bind=${metadata},fork,reuseaddr SYSTEM:'echo data'`,
                ),
                `timeout 10 bash -c 'until socat -u TCP:${metadata}:80 - && socat -u TCP:${metadata}:53 -; do sleep 0.1; done'`,
                // What the node gets later; kubelet must not run without the rules.
                "printf '[Service]\\nExecStart=/bin/sleep 1000\\n' >/etc/systemd/system/kubelet.service",
            ].join("\n"),
        );
    });
    after(() => {
        const ends = ["machine.sh down m1", "network.sh down", "key.sh remove"].map((line) => {
            const [script = "", ...args] = line.split(" ");
            return host.run(script, args).stderr;
        });
        assert.equal(ends.join(""), "");
        assert.equal(host.traces(), "");
    });

    const places = [
        ["a pod", "ip netns exec pod"],
        ["root", ""],
        ["another user", "setpriv --reuid=nobody --regid=nogroup --clear-groups"],
    ] as const;
    const seen = () => places.map(([who, place]) => [who, answers(80, place), answers(53, place)]);

    it("closes the metadata server to pods and users, but not its name service, and says that it is done", () => {
        assert.deepEqual(
            seen(),
            places.map(([who]) => [who, true, true]),
        );
        assert.equal(boot(), "boot: ready");
        assert.deepEqual(seen(), [
            ["a pod", false, true],
            ["root", true, true],
            ["another user", false, true],
        ]);
    });

    it("is there before kubelet, which does not start without it", () => {
        const unit = state();
        for (const line of ["ActiveState=active", "UnitFileState=enabled", "RequiredBy=kubelet.service"]) {
            assert.ok(unit.includes(`${line}\n`), unit);
        }
        on("systemctl start kubelet; systemctl stop metadata-guard; ! systemctl is-active --quiet kubelet");
        on("sed -i.good 1d /etc/metadata-guard.nft; nft delete table inet metadata_guard; ! systemctl start kubelet");
        on("mv /etc/metadata-guard.nft.good /etc/metadata-guard.nft; systemctl start kubelet");
        assert.equal(state(), unit);
    });

    it("changes nothing the second time", () => {
        const before = state();
        assert.equal(boot(), "boot: ready");
        assert.equal(state(), before);
    });

    it("puts its rules back where somebody has flushed them", () => {
        const before = state();
        on("nft flush ruleset");
        boot();
        assert.equal(state(), before);
    });

    it("says where it failed", () => {
        const ended = host.ssh(
            "m1",
            address,
            `touch /etc/metadata-guard.nft.new && chattr +i /etc/metadata-guard.nft.new 2>/dev/null || mount --bind -r /etc /etc; ` +
                `bash <<'SCRIPT'\n${fs.readFileSync("scripts/on-machine/gcp/boot.sh", "utf8")}\nSCRIPT`,
        );
        assert.notEqual(ended.status, 0);
        assert.match(ended.stdout, /^boot: failed: .* \(line \d+\)$/m);
    });
});
