// The events of a Pulumi run, as they come.
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import type { EngineEvent } from "@pulumi/pulumi/automation/events.js";
import { EventsService, type IEventsServer } from "@pulumi/pulumi/proto/events_grpc_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import { logDir } from "./project.ts";

/** An event log that is open. */
interface EventLog {
    /** For the engine's --event-log. */
    readonly address: string;
    /** The log's file: an event as JSON a line. It is complete after close(). */
    readonly path: string;
    close(): Promise<void>;
}

/**
 * Keeps the events of a run in a log, without the SDK's debug messages and the settings: these may hold secrets in clear, so
 * they must not come to the disk. The engine sends the events over gRPC, as it does for the Automation API, and goes on without
 * if this process is killed. Into a pipe it would write for ever, with the stack's lock: it opens its log for reading, too.
 *
 * @param name file name of the log in .cache/logs, without ".events.json"
 * @param take gets each event that is kept, as it comes
 */
export async function openEventLog(name: string, take: (event: EngineEvent) => void = () => {}): Promise<EventLog> {
    mkdirSync(logDir, { recursive: true });
    const path = join(logDir, `${name}.events.json`);
    const log = createWriteStream(path, { mode: 0o600 });
    const keep = (line: string) => {
        const event = JSON.parse(line) as EngineEvent;
        if (!mayHoldSecrets(event)) {
            log.write(`${line.trimEnd()}\n`);
            take(event);
        }
    };
    // Only its owner can read this folder.
    const folder = mkdtempSync(join(tmpdir(), "runtime-sandboxes-"));
    const socket = `unix:${join(folder, "events")}`;
    const remove = () => rmSync(folder, { recursive: true, force: true });
    // An event holds all of a resource: the limit of 4 MiB for a message must not apply.
    const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
    const events: IEventsServer = {
        streamEvents: (call, done) => {
            remove(); // The engine is connected; nothing is left if this process is killed.
            call.on("data", (request) => keep(request.getEvent()));
            call.on("end", () => done(null, new empty.Empty()));
            call.on("error", () => {}); // The engine was killed.
        },
    };
    server.addService(EventsService, events);
    await new Promise<void>((bound, failed) => {
        server.bindAsync(socket, grpc.ServerCredentials.createInsecure(), (error) => (error ? failed(error) : bound()));
    });
    const close = async () => {
        server.forceShutdown();
        remove();
        await new Promise<void>((closed) => {
            log.end(closed);
        });
    };
    // Behind tcp:// the engine takes any address of gRPC.
    return { address: `tcp://${socket}`, path, close };
}

function mayHoldSecrets({ preludeEvent, diagnosticEvent }: EngineEvent): boolean {
    const severity: string | undefined = diagnosticEvent?.severity;
    return preludeEvent !== undefined || severity === "debug";
}
