// Runs commands in pods through the Kubernetes exec API.
import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { Exec } from "@kubernetes/client-node";
import { sentence } from "./api.ts";

const patience = 60_000;

/** A container of a pod. */
export interface Target {
    readonly namespace: string;
    readonly name: string;
    readonly container: string;
}

/**
 * Runs a command in a pod.
 *
 * @param input what it gets on standard input; that stays open behind it, which not every API server can close
 * @returns its exit code and all it printed
 */
export async function run(
    exec: Exec,
    { namespace, name, container }: Target,
    command: string[],
    input?: Uint8Array,
): Promise<{ code: number; text: string }> {
    const output = new PassThrough();
    const printed = buffer(output);
    const stdin = input && new PassThrough();
    const code = await new Promise<number>((resolve, reject) => {
        exec.exec(namespace, name, container, command, output, output, stdin ?? null, false, (status) => {
            const cause = status.details?.causes?.find((one) => one.reason === "ExitCode");
            if (status.status === "Success") resolve(0);
            else if (cause) resolve(Number(cause.message));
            else reject(new Error(status.message ?? JSON.stringify(status)));
        }).then((socket) => {
            socket.onclose = () => reject(new Error("the connection closed before the command ended"));
            socket.onerror = ({ message }: { readonly message: string }) => reject(new Error(message));
            stdin?.write(input);
        }, reject);
    });
    output.end();
    return { code, text: (await printed).toString("utf8").trimEnd() };
}

/** exec can be refused for a moment right after a container started (google/gvisor#120): tried again, with a limit. */
export async function persist<T>(what: string, action: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + patience;
    for (;;) {
        try {
            return await action();
        } catch (error) {
            if (Date.now() > deadline) {
                throw new Error(`${what} failed for ${patience / 1000} s; the last error: ${sentence(error)}`);
            }
            await sleep(250);
        }
    }
}
