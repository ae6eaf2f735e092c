import * as grpc from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { Engine, UNLIMITED } from "./engine";
import { Calls, handlers } from "./handlers";
import type { Provider } from "./provider";

/** What the engine allows between its interrupt and its kill, less a margin to end in order. */
const GRACE_MS = 4_000;

/** A served provider, for tests; a plug-in process needs none of it. */
export interface Served {
    port: number;
    /** Aborts what is under way, waits for it (bounded) and ends the server. */
    close(): Promise<void>;
}

/** Serves the provider on a free loopback port. `gone` is called when the engine at `engineAddress` has vanished. */
export async function listen(provider: Provider, engineAddress: string, gone: () => void): Promise<Served> {
    const engine = new Engine();
    const calls = new Calls(provider, engine);
    const server = new grpc.Server(UNLIMITED);
    server.addService(
        ResourceProviderService,
        handlers(calls, (address) => engine.attach(address, gone)),
    );
    const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
            error ? reject(error) : resolve(bound),
        );
    });
    engine.attach(engineAddress, gone);
    const close = async (): Promise<void> => {
        calls.abort();
        await Promise.race([calls.idle(), new Promise((resolve) => setTimeout(resolve, GRACE_MS).unref())]);
        server.forceShutdown();
        engine.attach("", gone);
    };
    return { port, close };
}

/**
 * The main function of a plug-in process: serves the provider, prints the port as the first line, and ends the process on
 * SIGINT or SIGTERM or when the engine is gone. The engine's address is the first argument that is no flag; without one
 * (PULUMI_DEBUG_PROVIDERS) the engine introduces itself by Attach.
 *
 * Start-up protocol: https://github.com/pulumi/pulumi/blob/v3.276.0/sdk/go/common/resource/plugin/plugin.go
 */
export async function serve(provider: Provider): Promise<void> {
    let ending = false;
    const end = (): void => {
        if (!ending) {
            ending = true;
            void served.close().then(() => process.exit(0));
        }
    };
    const address = process.argv.slice(2).find((argument) => !argument.startsWith("-")) ?? "";
    const served = await listen(provider, address, end);
    process.on("SIGINT", end);
    process.on("SIGTERM", end);
    process.stdout.write(`${served.port}\n`);
}
