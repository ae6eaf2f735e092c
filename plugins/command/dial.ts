import * as net from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { type AnyAuthMethod, Client, type ServerHostKeyAlgorithm } from "ssh2";
import type { Context } from "../shared/provider";
import { type HostKey, hostKey, privateKey } from "./keys";
import { interruption } from "./output";

/** One end of a connection, as the user gives it. */
export interface Endpoint {
    host: string;
    /** Default 22. */
    port?: number;
    /** Default root. */
    user?: string;
    password?: string;
    privateKey?: string;
    privateKeyPassword?: string;
    /** Default: the environment's SSH_AUTH_SOCK. */
    agentSocketPath?: string;
    /** Failed dials that are forgiven; -1: any number. Default 10. */
    dialErrorLimit?: number;
    /** Seconds for the TCP connection; 0: as long as the system waits. Default 15. */
    perDialTimeout?: number;
    /** Default: any host key is accepted. */
    hostKey?: string;
}

export interface Target extends Endpoint {
    /** A host to go through. */
    proxy?: Endpoint;
}

/** Waits between dials, seconds. */
const DELAY = { first: 0.1, factor: 1.5, most: 5 };
/** A host that takes a connection and then says nothing (a tunnel with no end) is given up after this many seconds. */
const HANDSHAKE_SECONDS = 30;
/** A peer that is silent for this long is asked, and given up after four times that: about a minute. */
const KEEPALIVE_MS = 15_000;

/** A dial that failed; `final` when another would fail the same way. */
export class DialError extends Error {
    constructor(
        message: string,
        readonly final = false,
    ) {
        super(message);
    }
}

/** Go's words for a connection that could not be made. */
function tcpFailure(error: NodeJS.ErrnoException, address: string): string {
    const reasons: Record<string, string> = {
        ECONNREFUSED: "connection refused",
        ECONNRESET: "connection reset by peer",
        EHOSTUNREACH: "no route to host",
        ENETUNREACH: "network is unreachable",
        ETIMEDOUT: "connection timed out",
    };
    const { code = "" } = error;
    if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
        return `dial tcp: lookup ${address.replace(/:\d+$/, "")}: no such host`;
    }
    return `dial tcp ${address}: connect: ${reasons[code] ?? error.message}`;
}

/** Host and port as one address; an IPv6 host in brackets. */
export function addressOf({ host, port = 22 }: Endpoint): string {
    return `${host.includes(":") ? `[${host}]` : host}:${Math.trunc(port)}`;
}

/** Opens the TCP connection. */
export function dialTcp(endpoint: Endpoint, signal: AbortSignal): Promise<net.Socket> {
    const address = addressOf(endpoint);
    const { host, port = 22, perDialTimeout = 15 } = endpoint;
    return new Promise((resolve, reject) => {
        const socket = net.connect({
            host,
            port: Math.trunc(port),
            keepAlive: true,
            keepAliveInitialDelay: KEEPALIVE_MS,
        });
        const fail = (message: string): void => {
            clearTimeout(timer);
            signal.removeEventListener("abort", abort);
            socket.destroy();
            reject(new DialError(message));
        };
        const abort = (): void => fail(`dial tcp ${address}: operation was canceled`);
        const timer =
            perDialTimeout > 0
                ? setTimeout(() => fail(`dial tcp ${address}: i/o timeout`), perDialTimeout * 1000)
                : undefined;
        socket.once("error", (error) => fail(tcpFailure(error, address)));
        socket.once("connect", () => {
            clearTimeout(timer);
            signal.removeEventListener("abort", abort);
            socket.setNoDelay(true);
            resolve(socket);
        });
        signal.addEventListener("abort", abort);
    });
}

function agentAnswers(socketPath: string): Promise<Error | undefined> {
    return new Promise((resolve) => {
        const socket = net.connect(socketPath);
        socket.once("connect", () => {
            socket.destroy();
            resolve(undefined);
        });
        socket.once("error", (error: NodeJS.ErrnoException) => {
            const reason = error.code === "ENOENT" ? "no such file or directory" : "connection refused";
            resolve(new Error(`dial unix ${socketPath}: connect: ${reason}`));
        });
    });
}

/** What is used to log in, prepared once for all dials. */
export interface Login {
    username: string;
    methods: AnyAuthMethod[];
    pinned?: HostKey;
}

/** Reads keys and looks for the agent; what is wrong here no dial can mend. */
export async function prepare(endpoint: Endpoint): Promise<Login> {
    const { user: username = "root", password, agentSocketPath } = endpoint;
    const methods: AnyAuthMethod[] = [];
    if (endpoint.privateKey !== undefined) {
        const key = privateKey(endpoint.privateKey, endpoint.privateKeyPassword);
        methods.push({ type: "publickey", username, key });
    }
    if (password !== undefined) {
        methods.push({ type: "password", username, password });
        const prompt = (_name: string, _text: string, _lang: string, asked: unknown[], answer: (a: string[]) => void) =>
            answer(asked.map(() => password));
        methods.push({ type: "keyboard-interactive", username, prompt });
    }
    const agent = agentSocketPath ?? process.env.SSH_AUTH_SOCK ?? "";
    if (agent !== "") {
        const dead = await agentAnswers(agent);
        // An agent that only the environment names may be a left-over: not a reason to leave a good key unused.
        if (dead !== undefined && (agentSocketPath !== undefined || methods.length === 0)) {
            throw dead;
        }
        if (dead === undefined) {
            methods.push({ type: "agent", username, agent });
        }
    }
    if (methods.length === 0) {
        methods.push({ type: "none", username });
    }
    return { username, methods, ...(endpoint.hostKey && { pinned: hostKey(endpoint.hostKey) }) };
}

/** Go's words for a handshake that failed. */
function handshakeFailure(error: Error & { level?: string }, { methods, pinned }: Login, denied: boolean): DialError {
    const failed = (reason: string, final = false) => new DialError(`ssh: handshake failed: ${reason}`, final);
    if (denied) {
        return failed("ssh: host key mismatch", true);
    }
    if (/no matching host key format/.test(error.message)) {
        return failed(`ssh: no common algorithm for host key; client offered: [${pinned?.type}]`, true);
    }
    if (error.level === "client-authentication") {
        const tried = ["none", ...methods.map(({ type }) => (type === "agent" ? "publickey" : type))];
        const names = [...new Set(tried)].join(" ");
        return failed(`ssh: unable to authenticate, attempted methods [${names}], no supported methods remain`);
    }
    if (/lost before handshake/.test(error.message)) {
        return failed("EOF");
    }
    return failed(error.level === "client-timeout" ? "i/o timeout" : error.message);
}

/** Speaks SSH over a connection and logs in. */
export function handshake(sock: Duplex, login: Login, signal: AbortSignal): Promise<Client> {
    const { username, methods, pinned } = login;
    return new Promise((resolve, reject) => {
        const client = new Client();
        let denied = false;
        const fail = (error: Error & { level?: string }): void => {
            signal.removeEventListener("abort", abort);
            sock.destroy();
            reject(handshakeFailure(error, login, denied));
        };
        const abort = (): void => fail(new Error("operation was canceled"));
        client.on("error", fail);
        client.on("close", () => fail(new Error("EOF")));
        client.once("ready", () => {
            signal.removeEventListener("abort", abort);
            resolve(client);
        });
        signal.addEventListener("abort", abort);
        client.connect({
            sock,
            username,
            authHandler: methods,
            readyTimeout: HANDSHAKE_SECONDS * 1000,
            keepaliveInterval: KEEPALIVE_MS,
            keepaliveCountMax: 3,
            hostVerifier: (key: Buffer) => {
                denied = pinned !== undefined && !pinned.data.equals(key);
                return !denied;
            },
            ...(pinned && { algorithms: { serverHostKey: pinned.algorithms as ServerHostKeyAlgorithm[] } }),
        });
    });
}

/**
 * Dials until it works, as often and as far apart as the official plug-in does, and with its words at the end. What
 * another dial cannot mend (the host shows another key than the pinned one) ends it at once: whoever answers there must
 * not be asked again and again. A refused login is retried: a machine that is still starting may not have its keys yet.
 */
export async function retrying<T>(
    label: string,
    limit: number,
    signal: AbortSignal,
    context: Context,
    attempt: () => Promise<T>,
): Promise<T> {
    let delay = DELAY.first;
    for (let failures = 1; ; failures++) {
        try {
            return await attempt();
        } catch (error) {
            const stopped = interruption(signal);
            if (stopped !== undefined) {
                throw new Error(stopped);
            }
            if (!(error instanceof DialError)) {
                throw error;
            }
            if (error.final) {
                throw new Error(`after ${failures} failed attempts: ${error.message}`);
            }
            if (limit > -1 && failures > limit) {
                throw new Error(`after ${failures - 1} failed attempts: ${error.message}`);
            }
        }
        await context.status(`${label} ${failures}/${limit === -1 ? "inf" : limit} failed: retrying`);
        await sleep(delay * 1000, undefined, { signal }).catch(() => undefined);
        delay = Math.min(delay * DELAY.factor, DELAY.most);
        const stopped = interruption(signal);
        if (stopped !== undefined) {
            throw new Error(stopped);
        }
    }
}
