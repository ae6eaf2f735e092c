import type { Duplex } from "node:stream";
import type { Client } from "ssh2";
import type { Context } from "../shared/provider";
import { DialError, dialTcp, type Endpoint, handshake, type Login, prepare, retrying, type Target } from "./dial";

async function proxied<T>(work: Promise<T>): Promise<T> {
    try {
        return await work;
    } catch (error) {
        throw new Error(`proxy: ${error instanceof Error ? error.message : error}`);
    }
}

/** Go's words for a connection that the proxy could not make. */
function forwardFailure(error: Error & { reason?: number }): string {
    const reasons: Record<number, string> = {
        1: "administratively prohibited",
        2: "connect failed",
        3: "unknown channel type",
        4: "resource shortage",
    };
    const text = error.message.replace(/^\(SSH\) Channel open failure: ?/, "");
    return error.reason === undefined ? error.message : `ssh: rejected: ${reasons[error.reason]} (${text})`;
}

function forward(client: Client, { host, port = 22 }: Endpoint): Promise<Duplex> {
    return new Promise((resolve, reject) => {
        client.forwardOut("0.0.0.0", 0, host, Math.trunc(port), (error, channel) =>
            error ? reject(new DialError(forwardFailure(error))) : resolve(channel),
        );
    });
}

async function dialThrough(proxy: Endpoint, target: Target, login: Login, signal: AbortSignal, context: Context) {
    const { dialErrorLimit: limit = 10 } = target;
    const proxyLogin = await proxied(prepare(proxy));
    const hop = await proxied(
        retrying("Dial proxy", proxy.dialErrorLimit ?? 10, signal, context, async () =>
            handshake(await dialTcp(proxy, signal), proxyLogin, signal),
        ),
    );
    try {
        const first = await proxied(retrying("Dial from proxy", limit, signal, context, () => forward(hop, target)));
        let channel: Duplex | undefined = first;
        const client = await proxied(
            retrying("Dial", limit, signal, context, async () => {
                // A failed handshake ends its channel, so each further one needs its own.
                const sock = channel ?? (await forward(hop, target));
                channel = undefined;
                return handshake(sock, login, signal);
            }),
        );
        client.once("close", () => hop.end());
        return client;
    } catch (error) {
        hop.end();
        throw error;
    }
}

/** Connects and logs in; the caller ends the client, and what it goes through ends with it. */
async function dial(target: Target, signal: AbortSignal, context: Context): Promise<Client> {
    const login = await prepare(target);
    if (target.proxy !== undefined) {
        return dialThrough(target.proxy, target, login, signal, context);
    }
    return retrying("Dial", target.dialErrorLimit ?? 10, signal, context, async () =>
        handshake(await dialTcp(target, signal), login, signal),
    );
}

/**
 * Connects, opens something on the connection, works with it, and closes the connection. Every operation has a login of
 * its own: sharing one would save some 35 ms, but would hide what an earlier step changed about the user (groups, limits).
 */
export async function withConnection<C, R>(
    target: Target,
    signal: AbortSignal,
    context: Context,
    open: (client: Client) => Promise<C>,
    work: (opened: C, client: Client) => Promise<R>,
): Promise<R> {
    const client = await dial(target, signal, context);
    try {
        return await work(await open(client), client);
    } finally {
        client.end();
    }
}
