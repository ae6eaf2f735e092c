import type { Client } from "ssh2";
import type { Context } from "../shared/provider";
import { dial, type Target } from "./dial";

/** Dials, opens something on the connection, works with it, and closes the connection. */
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
