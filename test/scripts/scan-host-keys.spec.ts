// The root of trust of existing machines: what `scan-host-keys` prints, on real sshds.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { loadYaml } from "@kubernetes/client-node";
import { freePort, Sshd } from "../plugins/command/sshd";
import { CliProject } from "./cliProject";

describe("command line: scan-host-keys", function () {
    this.timeout(120_000);
    const names = ["worker-1", "12", "ip-10-0-1-5.ec2.internal", "on"];
    let project: CliProject;
    let machine: Sshd;
    let jump: Sshd;

    const settings = (text: string) => project.write("Pulumi.dev.yaml", text);
    const scan = (...of: string[]) => project.run("scan-host-keys", ...of);
    const everywhere = () => scan(...names.map((name) => `${name}=127.0.0.1:${machine.port}`));
    const workers = () => {
        const hostKey = machine.hostKey.split(" ").slice(0, 2).join(" ");
        return Object.fromEntries(names.map((name) => [name, { host: "127.0.0.1", port: machine.port, hostKey }]));
    };

    before(async () => {
        project = new CliProject();
        machine = await new Sshd().start();
        jump = await new Sshd().start();
    });
    after(() => {
        machine.stop();
        jump.stop();
        project.remove();
    });

    it("prints settings that Pulumi takes, for each name of a node, with the fingerprint that ssh-keygen says", async () => {
        const { code, stdout, stderr } = await everywhere();
        assert.equal(code, 0, stderr);
        const said = execFileSync("ssh-keygen", ["-lf", "-"], { input: machine.hostKey, encoding: "utf8" });
        const fingerprint = said.split(" ")[1] ?? "";
        assert.equal(stdout.split(`: # ${fingerprint}\n`).length, names.length + 1, stdout);
        assert.match(stderr, /Pulumi\.dev\.yaml.*Verify each fingerprint/s);
        settings(stdout);
        const got = await project.run("pulumi", "--", "config", "get", "existing");
        assert.deepEqual(JSON.parse(got.stdout), { workers: workers() });
    });

    it("goes through the jump host of the settings, over one connection, with its host key and the stack's key", async () => {
        const hostKey = jump.hostKey.split(" ").slice(0, 2).join(" ");
        const existing = (hop: object) => {
            const all = { jumpHost: { host: "127.0.0.1", port: jump.port, user: jump.user, hostKey, ...hop } };
            settings(
                JSON.stringify({ config: { "runtime-sandboxes:existing": { ...all, privateKey: jump.privateKey } } }),
            );
        };
        existing({});
        const through = await everywhere();
        assert.equal(through.code, 0, through.stderr);
        const printed = loadYaml<{ config: Record<string, unknown> }>(through.stdout);
        assert.deepEqual(printed.config["runtime-sandboxes:existing"], { workers: workers() });
        existing({ hostKey: machine.hostKey.split(" ").slice(0, 2).join(" ") });
        const other = await everywhere();
        assert.deepEqual([other.code, other.stdout], [1, ""]);
        assert.match(
            other.stderr,
            /the jump host of the setting existing cannot be used: 127\.0\.0\.1: .*\n.*existing\.jumpHost/,
        );
    });

    it("names each machine that shows no key, and prints the others", async () => {
        settings("config: {}\n");
        const { code, stdout, stderr } = await scan(`a=127.0.0.1:${machine.port}`, `b=127.0.0.1:${await freePort()}`);
        assert.equal(code, 1);
        assert.match(stdout, /^ {6}"a": # SHA256:/m);
        assert.doesNotMatch(stdout, /"b"/);
        assert.match(stderr, /some machines have shown no ed25519 host key\.\n {2}\| b at 127\.0\.0\.1:\d+: /);
    });

    it("takes nothing but machines", async () => {
        for (const [args, said] of [
            [[], /missing required argument 'NAME=HOST\[:PORT\]'/],
            [["worker-1"], /"worker-1" names no machine; allowed: NAME=HOST or NAME=HOST:PORT/],
            [["a=b:70000"], /"a=b:70000" names no machine/],
        ] as const) {
            const { code, stderr } = await scan(...args);
            assert.equal(code, 2);
            assert.match(stderr, said);
        }
    });
});
