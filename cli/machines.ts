// @ts-nocheck
// Runs a script on a machine over SSH, with the connection that a stack's state holds.
import { Failure } from "./failure.ts";

/** Longest time for a machine to let somebody in, in milliseconds. */
const patience = 10_000;

/** What ssh2 takes for one hop. The host key is pinned: another one is never accepted. */
export function login({
    host,
    port = 22,
    user = "root",
    password,
    privateKey,
    privateKeyPassword,
    agentSocketPath,
    hostKey,
}) {
    const [type, blob] = (hostKey ?? "").trim().split(/\s+/);
    if (!blob) {
        throw new Failure(
            `the connection to ${host} has no host key, so nobody can tell that it is the right machine.`,
            {
                next: "set the host key of this machine",
            },
        );
    }
    return {
        host,
        port: Number(port),
        username: user,
        password,
        privateKey,
        passphrase: privateKeyPassword,
        agent: agentSocketPath ?? (privateKey || password ? undefined : process.env.SSH_AUTH_SOCK),
        readyTimeout: patience,
        algorithms: { serverHostKey: type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256"] : [type] },
        hostVerifier: (key) => key.toString("base64") === blob,
    };
}

/** Connects; the client is among `clients` from its first moment on. */
export function connected(ssh2, options, clients) {
    const client = new ssh2.Client();
    clients.push(client);
    return new Promise((resolve, reject) => {
        client.once("ready", () => resolve(client));
        client.once("error", (error) => reject(new Error(`${options.host}: ${error.message}`)));
        client.connect(options);
        client.setNoDelay(true); // else each answer waits for a delayed acknowledgement, 40 ms
    });
}

/** A client on the machine, through its jump host if it has one. */
async function dial(connection, clients) {
    const { default: ssh2 } = await import("ssh2");
    if (!connection.proxy) {
        return await connected(ssh2, login(connection), clients);
    }
    const hop = await connected(ssh2, login(connection.proxy), clients);
    const target = login(connection);
    return await connected(ssh2, { ...target, sock: await forwarded(hop, connection.proxy, target) }, clients);
}

/** A channel from a client to a port that its machine reaches. */
export function forwarded(hop, { host }, target) {
    return new Promise((resolve, reject) => {
        hop.forwardOut("127.0.0.1", 0, target.host, target.port, (error, channel) =>
            error ? reject(new Error(`${host} to ${target.host}: ${error.message}`)) : resolve(channel),
        );
    });
}

async function run(connection, command, stdin, clients) {
    const client = await dial(connection, clients);
    return await new Promise((resolve, reject) => {
        client.once("error", reject);
        client.exec(command, (error, channel) => {
            if (error) {
                reject(error);
                return;
            }
            const result = { code: undefined, stdout: "", stderr: "" };
            channel.setEncoding("utf8").on("data", (text) => (result.stdout += text));
            channel.stderr.setEncoding("utf8").on("data", (text) => (result.stderr += text));
            channel.on("exit", (code) => (result.code = code ?? 255));
            channel.on("close", () => resolve(result));
            channel.end(stdin);
        });
    });
}

/** What a promise gives, or an error with that message where it has given nothing by then. @param limit in milliseconds */
export async function within(limit, promise, message) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(message)), limit);
    });
    return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Runs a command on a machine.
 *
 * @param connection fields of a remote Command's connection, in clear
 * @param limit longest time for all of it, in milliseconds; a look takes about one second
 * @returns { code, stdout, stderr }
 * @throws if the machine cannot be reached, is another one than pinned, or has not answered by then
 */
export async function runOn(connection, command, stdin, limit = 60_000) {
    const clients = [];
    const message = `${connection.host} has not answered within ${limit / 1000} s`;
    try {
        return await within(limit, run(connection, command, stdin, clients), message);
    } finally {
        // Not end(): that waits for the other side, which may have fallen silent.
        for (const client of clients.reverse()) {
            client.on("error", () => {});
            client.destroy();
        }
    }
}
