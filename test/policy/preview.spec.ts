import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import * as path from "node:path";
import { promisify } from "node:util";
import { version as commandVersion } from "@pulumi/command/package.json";
import { version as kubernetesVersion } from "@pulumi/kubernetes/package.json";
import { root } from "../helpers/program";
import { type Plugin, Stack } from "../plugins/command/stack";

const pack = path.join(root, "policy-pack");

/** What the engine says of the policies in the preview of a program: a block for each violation. */
async function violations(
    program: string,
    plugin: Plugin,
    config: object = {},
): Promise<{ code: number; blocks: string[] }> {
    const stack = new Stack(path.join(__dirname, "programs", program), plugin);
    try {
        const init = await stack.run("stack", "init", "dev");
        assert.equal(init.code, 0, init.output);
        stack.write("policies.json", JSON.stringify(config));
        const flags = ["--policy-pack", pack, "--policy-pack-config", "policies.json"];
        const { code, output } = await stack.run("preview", ...flags);
        const [, policies] = /^Policies:\n([\s\S]*?)\n\n/m.exec(output) ?? [];
        assert.ok(policies, output);
        const blocks = policies.split(/^ +- (?=\[)/m).slice(1);
        return { code, blocks: blocks.map((block) => block.replace(/\s+/g, " ").trim()).sort() };
    } finally {
        stack.remove();
    }
}

describe("the policy pack, run by the engine", function () {
    this.timeout(300_000);

    it("passes on the local target, and says what the preview could not decide", async () => {
        const cli = ["cli/bootstrap.mjs", "preview", "--policy-pack", "policy-pack"];
        const env = { ...process.env, STACK: "policies", CI: "true" };
        const { stdout: text } = await promisify(execFile)("node", cli, { cwd: root, env });
        assert.match(text, /runtime-sandboxes@v0\.1\.0 \(local: policy-pack\)/);
        assert.doesNotMatch(text, /\[mandatory\]/);
        assert.match(text, /\[advisory\] +undecided/);
        assert.match(text, /host-keys: cluster-init, /);
    });

    it("fails a program that trusts any machine, takes any version and shows secrets", async () => {
        const { code, blocks } = await violations("command.ts", { name: "command", version: commandVersion });
        assert.equal(code, 1);
        const connected = "Every SSH connection pins the host key of the machine, and of the proxy on the way to it.";
        const key =
            "allowed: the machine's public host key, such as ssh-ed25519 AAAA... (npm run scan-host-keys collects them)";
        const shown = "What looks like a secret among the stack's outputs is marked as one.";
        const allowed = "is shown in clear; allowed: pulumi.secret(...), or no such output";
        assert.deepEqual(blocks, [
            "[advisory] undecided (pulumi:pulumi:Stack: recorded-dev) Not known in a preview; the update judges it. " +
                "host-keys: later no-secret-output: uname",
            `[mandatory] host-keys (command:remote:Command: half-open) ${connected} connection.proxy.hostKey is not set; ${key}`,
            `[mandatory] host-keys (command:remote:Command: open) ${connected} connection.hostKey is not set; ${key}`,
            `[mandatory] no-secret-output (pulumi:pulumi:Stack: recorded-dev) ${shown} the output admin.config looks like a kubeconfig and ${allowed}`,
            `[mandatory] no-secret-output (pulumi:pulumi:Stack: recorded-dev) ${shown} the output joinToken is named like a secret and ${allowed}`,
            "[mandatory] pinned-versions (command:remote:Command: half-open) What is installed or run has a version that " +
                'stays the same. stdin: PACKAGES has runsc of version "*"; allowed: a version, such as 1.36.5-*',
        ]);
    });

    it("fails a program with a pod outside the sandbox, where sandboxes are mandatory", async () => {
        const plugin = { name: "kubernetes", version: kubernetesVersion };
        const { code, blocks } = await violations("kubernetes.ts", plugin, { "sandboxed-pods": { classes: ["kata"] } });
        assert.equal(code, 1);
        assert.deepEqual(blocks, [
            "[mandatory] sandboxed-pods (kubernetes:core/v1:Pod: plain) Pods in untrusted namespaces use a sandbox class. " +
                "runtimeClassName is not set in the untrusted namespace untrusted; allowed: kata, gvisor",
        ]);
    });
});
