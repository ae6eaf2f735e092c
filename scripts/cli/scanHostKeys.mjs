// Collects the host keys of machines, for a person to verify. Nothing is trusted and nothing is written.
import { createHash } from "node:crypto";
import { Failure } from "./failure.mjs";
import { setup } from "./setup.mjs";
import { stackName } from "./stack.mjs";

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

/** The ed25519 key that a machine shows; no login is tried. */
async function hostKey({ host, port }) {
    const { default: ssh2 } = await import("ssh2");
    return await new Promise((resolve, reject) => {
        const client = new ssh2.Client();
        let seen;
        client.on("error", (error) => (seen === undefined ? reject(error) : resolve(seen)));
        client.connect({
            host,
            port,
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

/** The arguments that set a field of a worker: of a path, a name with dots is one part only in brackets. */
export function setting(name, field, value) {
    const place = name.includes(".") ? `["${name}"]` : `.${name}`;
    return `config set --path 'existing.workers${place}.${field}' '${value}'`;
}

/** `scan-host-keys NAME=HOST[:PORT] ...`. */
export async function scanHostKeys(args) {
    if (args.length === 0) {
        throw new Failure("scan-host-keys needs the machines to ask.", { exitCode: 2, next: usage });
    }
    const targets = args.map(target);
    await setup("packages");
    const stack = stackName();
    const prefix = stack === "dev" ? "" : `STACK=${stack} `;
    const results = await Promise.allSettled(targets.map(hostKey));
    const failed = [];
    for (const [index, { name, host, port }] of targets.entries()) {
        const { status, value, reason } = results[index];
        if (status === "rejected") {
            failed.push(`${name} at ${host}:${port}: ${reason.message}`);
            continue;
        }
        const fingerprint = createHash("sha256").update(value).digest("base64").replace(/=+$/, "");
        const set = (field, text) => `  ${prefix}npm run pulumi -- ${setting(name, field, text)}\n`;
        process.stdout.write(
            `${name}  SHA256:${fingerprint}\n` +
                set("host", host) +
                (port === 22 ? "" : set("port", port)) +
                set("hostKey", `ssh-ed25519 ${value.toString("base64")}`),
        );
    }
    if (results.some(({ status }) => status === "fulfilled")) {
        process.stdout.write(
            "\nVerify each fingerprint before you set it, by a way that does not go through this network: on the machine's\n" +
                "console, or from your provider's serial log:  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n",
        );
    }
    if (failed.length > 0) {
        throw new Failure("some machines have shown no ed25519 host key.", {
            tail: failed,
            next: "check address, port and firewall; sshd needs an ed25519 key",
        });
    }
}
