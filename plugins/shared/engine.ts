import * as grpc from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";
import type { Severity } from "./provider";

/** No bound on a message: states and outputs may be large, and the engine itself sets none that matters. */
export const UNLIMITED = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };

const RECONNECT_MS = 5_000;

const SEVERITIES: Record<Severity, LogSeverity> = {
    debug: LogSeverity.DEBUG,
    info: LogSeverity.INFO,
    warning: LogSeverity.WARNING,
    error: LogSeverity.ERROR,
};

/** The engine that started the plug-in: its log, and whether it is still there. */
export class Engine {
    private client: EngineClient | undefined;

    /** Connects; `gone` is called once if the engine cannot be reached (any more). An empty address stands for no engine. */
    attach(address: string, gone: () => void): void {
        this.client?.close();
        this.client = undefined;
        if (address !== "") {
            const client = new EngineClient(address, grpc.credentials.createInsecure(), UNLIMITED);
            this.client = client;
            this.watch(client, gone);
        }
    }

    /** Sends a log line; resolves when the engine has it. Never rejects: a log that fails must not fail the operation. */
    log(severity: Severity, urn: string, message: string, ephemeral: boolean): Promise<void> {
        const client = this.client;
        if (client === undefined) {
            return Promise.resolve();
        }
        const request = new LogRequest()
            .setSeverity(SEVERITIES[severity])
            .setUrn(urn)
            .setMessage(message)
            .setEphemeral(ephemeral);
        return new Promise((resolve) => {
            client.log(request, () => resolve());
        });
    }

    /** The connection is the sign of life: a killed engine drops it at once, on every system and behind any wrapper. */
    private watch(client: EngineClient, gone: () => void): void {
        client.waitForReady(Date.now() + RECONNECT_MS, (error) => {
            if (this.client !== client) {
                return;
            }
            if (error) {
                gone();
                return;
            }
            client
                .getChannel()
                .watchConnectivityState(grpc.connectivityState.READY, Number.POSITIVE_INFINITY, () =>
                    this.watch(client, gone),
                );
        });
    }
}
