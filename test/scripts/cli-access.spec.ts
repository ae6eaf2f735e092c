// `ssh` and `kubectl` with what a stack's state knows; the documents' end-to-end tests use both on real machines.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { CliProject } from "./cliProject";

const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----";

describe("command line: ssh and kubectl", function () {
    this.timeout(180_000);
    let project: CliProject;
    /** What its runs leave in their folder for temporary files. */
    const folders = () => project.list("tmp").filter((name) => name.startsWith("runtime-sandboxes-"));

    /** Makes a stack whose state knows one machine. */
    const stack = async (machine: string, more: object = {}) => {
        const jump = { host: "192.0.2.1", user: "hop", hostKey: "ssh-ed25519 JUMP", agentSocketPath: "/agent" };
        const login = { host: "192.0.2.9", port: 2222, user: "admin", hostKey: "ssh-ed25519 HOST", privateKey: key };
        const stdin = JSON.stringify({ connection: { ...login, proxy: jump, ...more } });
        project.program(`
            const pulumi = require("@pulumi/pulumi");
            new pulumi.ComponentResource("a:b:Scripts", "${machine}-scripts", { create: "node x bring # 0", stdin: pulumi.secret(${JSON.stringify(stdin)}) });
            module.exports = { kubeconfig: pulumi.secret("the kubeconfig") };
        `);
        const up = await project.run("pulumi", "--", "up", "--yes", "--skip-preview");
        assert.equal(up.code, 0, up.stdout + up.stderr);
    };

    before(async () => {
        project = new CliProject();
        fs.mkdirSync(project.path("tmp"));
        project.env.TMPDIR = project.path("tmp");
        await project.run("pulumi", "--", "stack", "init", "dev");
        await stack("worker-1");
        const list = 'd=$(dirname "$file"); stat -c "%a %n" "$d" "$d"/* | sed "s#$d#DIR#"';
        project.write(
            "user-bin/ssh",
            `#!/bin/sh\nfile=$2; cat "$file"; ${list}; shift 2; echo "args: $*"; exit 7\n`,
            0o755,
        );
        project.write(
            "user-bin/kubectl",
            `#!/bin/sh\nfile=$KUBECONFIG; cat "$file"; ${list}; echo "args: $*"\n`,
            0o755,
        );
    });
    after(() => project.remove());

    it("ssh goes to a machine by its name, through its jump host, and takes no other host key than the pinned one", async () => {
        const before = folders();
        const { code, stdout } = await project.run("ssh", "worker-1", "uname", "-r");
        assert.equal(code, 7);
        const [target = "", jump = ""] = stdout.split(/^Host jump$/m);
        for (const line of [
            ...[
                "Host machine",
                "HostName 192.0.2.9",
                "Port 2222",
                "User admin",
                "IdentitiesOnly yes",
                "ProxyJump jump",
            ],
            ...["StrictHostKeyChecking yes", "HostKeyAlias machine"],
        ]) {
            assert.ok(target.includes(`${line}\n`), line);
        }
        for (const line of ["HostName 192.0.2.1", "Port 22", "User hop", "IdentityAgent /agent"]) {
            assert.ok(jump.includes(`\n${line}\n`), line);
        }
        assert.doesNotMatch(jump, /IdentityFile|ProxyJump/);
        assert.match(stdout, /^700 DIR$[\s\S]*^600 DIR\/config$[\s\S]*^600 DIR\/machine\.key$/m);
        assert.match(stdout, /^args: machine uname -r$/m);
        assert.doesNotMatch(stdout, /BEGIN OPENSSH/);
        assert.deepEqual(folders(), before);
    });

    it("ssh names the machines where it does not know one", async () => {
        for (const [args, said] of [
            [["ssh", "worker-2"], /"worker-2" is not a machine of stack dev; it has worker-1\./],
            [["ssh"], /ssh needs the name of a machine of stack dev; it has worker-1\./],
        ] as const) {
            const { code, stderr } = await project.run(...args);
            assert.equal(code, 2);
            assert.match(stderr, said);
        }
    });

    it("kubectl gets the kubeconfig of the stack, in a file that goes with it", async () => {
        const before = folders();
        const { code, stdout, stderr } = await project.run("kubectl", "--", "get", "pods", "--", "-x");
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^the kubeconfig\n?700 DIR\n600 DIR\/kubeconfig\nargs: get pods -- -x\n$/);
        assert.deepEqual(folders(), before);
        assert.match((await project.run("kubectl", "--help")).stdout, /\nargs: --help\n$/);
        assert.match((await project.run("kubectl", "--", "-h")).stdout, /\nargs: -h\n$/);
    });

    it("kubectl is the control plane's where this host has none, and says where to get one where there is no such machine", async () => {
        fs.rmSync(project.path("user-bin/kubectl"));
        const PATH = project.env.PATH ?? "";
        project.env.PATH = PATH.split(path.delimiter)
            .filter((folder) => !fs.existsSync(path.join(folder, "kubectl")))
            .join(path.delimiter);
        const missing = await project.run("kubectl", "get", "pods");
        assert.equal(missing.code, 1);
        assert.match(missing.stderr, /kubectl is not on PATH, and the stack has no control plane.*\n.*install it/);
        await stack("control-plane");
        const { code, stdout } = await project.run("kubectl", "--", "get", "pods", "-l", "a='b'");
        project.env.PATH = PATH;
        assert.equal(code, 7);
        const called = "'kubectl' '--kubeconfig' '/etc/kubernetes/admin.conf' 'get' 'pods' '-l'";
        assert.ok(stdout.includes(`args: machine sudo ${called} 'a='\\''b'\\'''\n`), stdout);
    });

    it("ssh finds the passphrase of the key, which is in no argument and not in the environment", async () => {
        await stack("worker-1", { privateKeyPassword: "open sesame" });
        project.write("user-bin/ssh", '#!/bin/sh\n"$SSH_ASKPASS"; echo; env; echo "args: $*"\n', 0o755);
        const { stdout } = await project.run("ssh", "worker-1");
        assert.match(stdout, /^open sesame\n/);
        assert.match(stdout, /^SSH_ASKPASS_REQUIRE=force$/m);
        assert.equal(stdout.split("open sesame").length, 2);
    });
});
