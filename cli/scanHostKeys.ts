// Collects the host keys of machines, for a person to verify. Nothing is trusted.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import type { Duplex } from "node:stream";
import ssh2 from "ssh2";
import { Failure } from "./failure.ts";
import { connected, forwarded, type Hop, login, patience, within } from "./machines.ts";
import { projectName } from "./project.ts";
import { answerOf } from "./pulumi.ts";
import { written } from "./settings.ts";
import { setup } from "./setup.ts";
import { ensureStack, pulumiOf, stackName } from "./stack.ts";

/** A machine to ask. */
interface Target {
    readonly name: string;
    readonly host: string;
    readonly port: number;
}

/** What of the setting existing says how a machine is reached. */
interface Existing extends Pick<Hop, "privateKey" | "privateKeyPassword"> {
    readonly jumpHost?: Hop;
    readonly privateKeyFile?: string;
}

function target(argument: string): Target {
    const [, name, host, port = "22"] =
        /^([a-z0-9][a-z0-9.-]*)=([^:=]+|\[[0-9a-fA-F:]+\])(?::(\d+))?$/.exec(argument) ?? [];
    if (name === undefined || host === undefined || Number(port) < 1 || Number(port) > 65535) {
        throw new Failure(`"${argument}" names no machine; allowed: NAME=HOST or NAME=HOST:PORT.`, {
            exitCode: 2,
            next: "npm run scan-host-keys -- NAME=HOST[:PORT] ...",
        });
    }
    return { name, host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

/** The ed25519 key that a machine shows; no login is tried. @param sock what leads there, if not the network */
async function hostKey({ host, port }: Target, sock?: Duplex): Promise<Buffer> {
    return await new Promise((resolve, reject) => {
        const client = new ssh2.Client();
        let seen: Buffer | undefined;
        client.on("error", (error) => (seen === undefined ? reject(error) : resolve(seen)));
        client.connect({
            ...{ host, port, sock },
            username: "nobody",
            readyTimeout: patience,
            algorithms: { serverHostKey: ["ssh-ed25519"] },
            hostVerifier: (key: Buffer) => {
                seen = key;
                return false; // No more than the key is wanted.
            },
        });
    });
}

/** How to log in to the jump host that the stack's settings name; undefined where they name none. */
async function jumpHost(stack: string): Promise<Hop | undefined> {
    if (!/^{"secure"|jumpHost/.test(JSON.stringify(written(stack, "existing") ?? ""))) {
        return undefined;
    }
    const pulumi = pulumiOf(await setup("preview"));
    await ensureStack(stack, pulumi);
    const tried = `the setting existing of stack ${stack} cannot be read`;
    const existing = await answerOf(pulumi, ["config", "get", "existing", "--stack", stack], tried);
    const { jumpHost: hop, privateKey, privateKeyFile, privateKeyPassword } = JSON.parse(existing) as Existing;
    const file = privateKeyFile?.replace(/^~(?=\/)/, homedir());
    return hop && { ...hop, privateKey: privateKey ?? (file && readFileSync(file, "utf8")), privateKeyPassword };
}

/** Asks all machines, through one connection to the jump host if there is one. */
async function hostKeys(targets: readonly Target[], jump: Hop | undefined): Promise<PromiseSettledResult<Buffer>[]> {
    if (jump === undefined) {
        return await Promise.allSettled(targets.map((one) => hostKey(one)));
    }
    const hop = await connected(login(jump), []).catch((error: Error) => {
        throw new Failure(`the jump host of the setting existing cannot be used: ${error.message}.`, {
            next: "correct existing.jumpHost and the key, then scan again",
        });
    });
    try {
        return await Promise.allSettled(
            targets.map(async (one) => {
                // The jump host's own patience with a machine that does not answer is minutes.
                const channel = within(patience, forwarded(hop, jump, one), `no answer in ${patience / 1000} s`);
                return await hostKey(one, await channel);
            }),
        );
    } finally {
        hop.end();
    }
}

/** The workers as a part of a stack's file: names in quotes, since YAML takes some for numbers or truth values. */
function settings(workers: readonly (Target & { readonly key: Buffer })[]): string {
    const fingerprint = (key: Buffer) => createHash("sha256").update(key).digest("base64").replace(/=+$/, "");
    const lines = workers.flatMap(({ name, host, port, key }) => [
        `      ${JSON.stringify(name)}: # SHA256:${fingerprint(key)}`,
        `        host: ${JSON.stringify(host)}`,
        ...(port === 22 ? [] : [`        port: ${port}`]),
        `        hostKey: ssh-ed25519 ${key.toString("base64")}`,
    ]);
    return ["config:", `  ${projectName}:existing:`, "    workers:", ...lines, ""].join("\n");
}

/** `scan-host-keys`. @param machines each as NAME=HOST or NAME=HOST:PORT */
export async function scanHostKeys(machines: readonly string[]): Promise<void> {
    const targets = machines.map(target);
    const stack = stackName();
    const results = await hostKeys(targets, await jumpHost(stack));
    const scanned = targets.map((one, index) => ({ ...one, result: results[index] }));
    const workers = scanned.flatMap(({ result, ...one }) =>
        result?.status === "fulfilled" ? { ...one, key: result.value } : [],
    );
    const failed = scanned.flatMap(({ result, name, host, port }) =>
        result?.status === "rejected" ? `${name} at ${host}:${port}: ${result.reason.message}` : [],
    );
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
