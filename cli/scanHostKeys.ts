// @ts-nocheck
// Collects the host keys of machines, for a person to verify. Nothing is trusted.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Failure } from "./failure.ts";
import { connected, forwarded, login, within } from "./machines.ts";
import { projectName, readOr, root } from "./project.ts";
import { askPulumi } from "./run.ts";
import { setup } from "./setup.ts";
import { ensureStack, pulumiOf, stackName } from "./stack.ts";

/** Longest time for a machine to answer, in milliseconds. */
const patience = 10_000;

const usage = "npm run scan-host-keys -- NAME=HOST[:PORT] ...";

function target(argument) {
    const [, name, host, port = "22"] =
        /^([a-z0-9][a-z0-9.-]*)=([^:=]+|\[[0-9a-fA-F:]+\])(?::(\d+))?$/.exec(argument) ?? [];
    if (name === undefined || Number(port) < 1 || Number(port) > 65535) {
        throw new Failure(`"${argument}" names no machine; allowed: NAME=HOST or NAME=HOST:PORT.`, {
            exitCode: 2,
            next: usage,
        });
    }
    return { name, host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

/** The ed25519 key that a machine shows; no login is tried. @param sock what leads there, if not the network */
async function hostKey(ssh2, { host, port }, sock) {
    return await new Promise((resolve, reject) => {
        const client = new ssh2.Client();
        let seen;
        client.on("error", (error) => (seen === undefined ? reject(error) : resolve(seen)));
        client.connect({
            ...{ host, port, sock },
            username: "nobody",
            readyTimeout: patience,
            algorithms: { serverHostKey: ["ssh-ed25519"] },
            hostVerifier: (key) => {
                seen = key;
                return false; // that is all we came for
            },
        });
    });
}

/** How to log in to the jump host that the stack's settings name; undefined where they name none. */
async function jumpHost(stack) {
    if (!/^[^#]*\bjumpHost\b/m.test(readOr(join(root, `Pulumi.${stack}.yaml`), ""))) {
        return undefined;
    }
    const pulumi = pulumiOf(await setup("preview"));
    await ensureStack(stack, pulumi);
    const { code, stdout, stderr } = await askPulumi(pulumi, ["config", "get", "existing", "--stack", stack]);
    if (code !== 0) {
        throw new Failure(`the setting existing of stack ${stack} cannot be read: ${stderr.trim().split("\n").pop()}`);
    }
    const { jumpHost: hop, privateKey, privateKeyFile, privateKeyPassword } = JSON.parse(stdout);
    const file = privateKeyFile?.replace(/^~(?=\/)/, homedir());
    return hop && { ...hop, privateKey: privateKey ?? (file && readFileSync(file, "utf8")), privateKeyPassword };
}

/** Asks all machines, through one connection to the jump host if there is one. Resolves with what Promise.allSettled has. */
async function hostKeys(targets, jump) {
    const { default: ssh2 } = await import("ssh2");
    if (jump === undefined) {
        return await Promise.allSettled(targets.map((one) => hostKey(ssh2, one)));
    }
    const hop = await connected(ssh2, login(jump), []).catch((error) => {
        throw new Failure(`the jump host of the setting existing cannot be used: ${error.message}.`, {
            next: "correct existing.jumpHost and the key, then scan again",
        });
    });
    try {
        return await Promise.allSettled(
            targets.map(async (one) => {
                // The jump host's own patience with a machine that does not answer is minutes.
                const channel = within(patience, forwarded(hop, jump, one), `no answer in ${patience / 1000} s`);
                return await hostKey(ssh2, one, await channel);
            }),
        );
    } finally {
        hop.end();
    }
}

/** The workers as a part of a stack's file: names in quotes, since YAML takes some for numbers or truth values. */
function settings(workers) {
    const fingerprint = (key) => createHash("sha256").update(key).digest("base64").replace(/=+$/, "");
    const lines = workers.flatMap(({ name, host, port, value: key }) => [
        `      ${JSON.stringify(name)}: # SHA256:${fingerprint(key)}`,
        `        host: ${JSON.stringify(host)}`,
        ...(port === 22 ? [] : [`        port: ${port}`]),
        `        hostKey: ssh-ed25519 ${key.toString("base64")}`,
    ]);
    return ["config:", `  ${projectName}:existing:`, "    workers:", ...lines, ""].join("\n");
}

/** `scan-host-keys NAME=HOST[:PORT] ...`. */
export async function scanHostKeys(args) {
    if (args.length === 0) {
        throw new Failure("scan-host-keys needs the machines to ask.", { exitCode: 2, next: usage });
    }
    const targets = args.map(target);
    await setup("packages");
    const stack = stackName();
    const results = await hostKeys(targets, await jumpHost(stack));
    const scanned = targets.map((one, index) => ({ ...one, ...results[index] }));
    const failed = scanned
        .filter(({ status }) => status === "rejected")
        .map(({ name, host, port, reason }) => `${name} at ${host}:${port}: ${reason.message}`);
    const workers = scanned.filter(({ status }) => status === "fulfilled");
    if (workers.length > 0) {
        process.stdout.write(settings(workers));
        process.stderr.write(
            `\nThis belongs in Pulumi.${stack}.yaml, beside what is there. Verify each fingerprint before, by a way that does not go\n` +
                "through this network: on the machine's console, or from your provider's serial log:\n" +
                "  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n",
        );
    }
    if (failed.length > 0) {
        throw new Failure("some machines have shown no ed25519 host key.", {
            tail: failed,
            next: "check address, port and firewall; sshd needs an ed25519 key",
        });
    }
}
