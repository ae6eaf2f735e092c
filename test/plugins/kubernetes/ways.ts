import { connect, createServer, type Server, type Socket } from "node:net";

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
    return await new Promise((resolve, reject) => {
        const server = createServer();
        server.on("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
        });
    });
}

/**
 * A way to a server on loopback that lets requests through at once and answers only after a delay. `cut` breaks all
 * connections; new ones can be made.
 */
export async function slowWay(to: number, delay: number): Promise<{ port: number; server: Server; cut(): number }> {
    const clients = new Set<Socket>();
    const server = createServer((client: Socket) => {
        const upstream = connect(to, "127.0.0.1");
        clients.add(client);
        client.on("close", () => clients.delete(client));
        client.pipe(upstream);
        upstream.on("data", (chunk) => setTimeout(() => client.write(chunk), delay));
        upstream.on("close", () => client.destroy());
        client.on("close", () => upstream.destroy());
        client.on("error", () => upstream.destroy());
        upstream.on("error", () => client.destroy());
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    const cut = (): number => {
        const broken = clients.size;
        for (const client of clients) {
            client.resetAndDestroy();
        }
        return broken;
    };
    return { port, server, cut };
}
