// Runs a script on a machine over SSH, with the connection that a stack's state holds.
import ssh2, { type Client, type ClientChannel, type ConnectConfig, type ServerHostKeyAlgorithm } from "ssh2";
import { Failure } from "./failure.ts";

/** Longest time for a login, in milliseconds. */
export const patience = 10_000;

/** One hop to a machine: fields of a remote Command's connection, in clear. */
export interface Hop {
    readonly host: string;
    /** Default: 22. */
    readonly port?: number;
    /** Default: "root". */
    readonly user?: string;
    readonly password?: string;
    readonly privateKey?: string;
    readonly privateKeyPassword?: string;
    /** Default without a key and a password: SSH_AUTH_SOCK of the environment. */
    readonly agentSocketPath?: string;
    /** The pinned one, as in known_hosts: "ssh-ed25519 AAAA...". */
    readonly hostKey?: string;
}

export interface Connection extends Hop {
    readonly proxy?: Hop;
}

/** What ssh2 takes for one hop. The host key is pinned: another one is never accepted. */
export function login(hop: Hop): ConnectConfig {
    const { host, port = 22, user = "root", password, privateKey, privateKeyPassword, agentSocketPath } = hop;
    const [type, blob] = (hop.hostKey ?? "").trim().split(/\s+/);
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
        algorithms: {
            serverHostKey: type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256"] : [type as ServerHostKeyAlgorithm],
        },
        hostVerifier: (key: Buffer) => key.toString("base64") === blob,
    };
}

/** Connects. The client is among `clients` from its first moment on. */
export function connected(options: ConnectConfig, clients: Client[]): Promise<Client> {
    const client = new ssh2.Client();
    clients.push(client);
    return new Promise((resolve, reject) => {
        client.once("ready", () => resolve(client));
        client.once("error", (error) => reject(new Error(`${options.host}: ${error.message}`)));
        client.connect(options);
        client.setNoDelay(true); // Else each answer waits for a delayed acknowledgement, 40 ms.
    });
}

/** A client on the machine, through its jump host if it has one. */
async function dial(connection: Connection, clients: Client[]): Promise<Client> {
    const target = login(connection);
    if (!connection.proxy) {
        return await connected(target, clients);
    }
    const hop = await connected(login(connection.proxy), clients);
    return await connected({ ...target, sock: await forwarded(hop, connection.proxy, target) }, clients);
}

/** A channel from a client to a port that its machine reaches. */
export function forwarded(
    hop: Client,
    { host }: Hop,
    target: Pick<ConnectConfig, "host" | "port">,
): Promise<ClientChannel> {
    return new Promise((resolve, reject) => {
        hop.forwardOut("127.0.0.1", 0, target.host ?? "", target.port ?? 22, (error, channel) =>
            error ? reject(new Error(`${host} to ${target.host}: ${error.message}`)) : resolve(channel),
        );
    });
}

/** How a command on a machine has ended, and what it has printed. */
export interface Ran {
    /** 255 where a signal has ended it; undefined where the connection broke before. */
    readonly code: number | undefined;
    readonly stdout: string;
    readonly stderr: string;
}

async function run(connection: Connection, command: string, stdin: string, clients: Client[]): Promise<Ran> {
    const client = await dial(connection, clients);
    return await new Promise((resolve, reject) => {
        client.once("error", reject);
        client.exec(command, (error, channel) => {
            if (error) {
                reject(error);
                return;
            }
            let code: number | undefined;
            let [stdout, stderr] = ["", ""];
            channel.setEncoding("utf8").on("data", (text: string) => {
                stdout += text;
            });
            channel.stderr.setEncoding("utf8").on("data", (text: string) => {
                stderr += text;
            });
            channel.on("exit", (status: number | null) => {
                code = status ?? 255;
            });
            channel.on("close", () => resolve({ code, stdout, stderr }));
            channel.end(stdin);
        });
    });
}

/** What a promise resolves with, or an error with that message where it takes longer. @param limit in milliseconds */
export async function within<T>(limit: number, promise: Promise<T>, message: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(message)), limit);
    });
    return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Runs a command on a machine.
 *
 * @param stdin its standard input
 * @param limit longest time for all of it, in milliseconds; a look takes about one second
 * @throws if the machine cannot be reached, has another host key than the pinned one, or takes longer
 */
export async function runOn(
    connection: Connection,
    command: string,
    stdin: string,
    limit: number = 60_000,
): Promise<Ran> {
    const clients: Client[] = [];
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
