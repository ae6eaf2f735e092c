// Runs a script on a machine over SSH, with the connection that a stack's state holds.
import { Failure } from "./failure.mjs";

/** Longest time for a machine to answer, in milliseconds. */
const patience = 10_000;

/** What ssh2 takes for one hop. The host key is pinned: another one is never accepted. */
function login({ host, port = 22, user = "root", password, privateKey, privateKeyPassword, agentSocketPath, hostKey }) {
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

function connected(ssh2, options) {
    const client = new ssh2.Client();
    return new Promise((resolve, reject) => {
        client.once("ready", () => resolve(client));
        client.once("error", (error) => reject(new Error(`${options.host}: ${error.message}`)));
        client.connect(options);
        client.setNoDelay(true); // else each answer waits for a delayed acknowledgement, 40 ms
    });
}

/** A client on the machine, through its jump host if it has one. */
async function dial(connection) {
    const { default: ssh2 } = await import("ssh2");
    if (!connection.proxy) {
        return { client: await connected(ssh2, login(connection)), end: () => {} };
    }
    const hop = await connected(ssh2, login(connection.proxy));
    try {
        const target = login(connection);
        const sock = await new Promise((resolve, reject) => {
            hop.forwardOut("127.0.0.1", 0, target.host, target.port, (error, channel) =>
                error
                    ? reject(new Error(`${connection.proxy.host} to ${target.host}: ${error.message}`))
                    : resolve(channel),
            );
        });
        return { client: await connected(ssh2, { ...target, sock }), end: () => hop.end() };
    } catch (error) {
        hop.end();
        throw error;
    }
}

/**
 * Runs a command on a machine.
 *
 * @param connection fields of a remote Command's connection, in clear
 * @returns { code, stdout, stderr }
 * @throws if the machine cannot be reached, or is another one than pinned
 */
export async function runOn(connection, command, stdin) {
    const { client, end } = await dial(connection);
    try {
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
    } finally {
        client.end();
        end();
    }
}
