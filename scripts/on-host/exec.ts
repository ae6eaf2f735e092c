// @ts-nocheck
// Runs commands in pods through the Kubernetes exec API.
import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";

const patience = 60_000;

/**
 * Runs a command in a pod.
 *
 * @param exec Exec of @kubernetes/client-node
 * @param pod { namespace, name, container }
 * @param input what it gets on standard input; that stays open behind it, which not every API server can close
 * @returns { code, text }: its exit code and all it printed
 */
export async function run(exec, pod, command, input) {
    const output = new PassThrough();
    const printed = buffer(output);
    const stdin = input && new PassThrough();
    const code = await new Promise((resolve, reject) => {
        exec.exec(pod.namespace, pod.name, pod.container, command, output, output, stdin ?? null, false, (status) => {
            const cause = status.details?.causes?.find((one) => one.reason === "ExitCode");
            if (status.status === "Success") resolve(0);
            else if (cause) resolve(Number(cause.message));
            else reject(new Error(status.message ?? JSON.stringify(status)));
        }).then((socket) => {
            socket.onclose = () => reject(new Error("the connection closed before the command ended"));
            socket.onerror = (event) => reject(new Error(event.message));
            stdin?.write(input);
        }, reject);
    });
    output.end();
    return { code, text: (await printed).toString("utf8").trimEnd() };
}

/** exec can be refused for a moment right after a container started (google/gvisor#120): tried again, with a limit. */
export async function persist(what, action) {
    const deadline = Date.now() + patience;
    for (;;) {
        try {
            return await action();
        } catch (error) {
            if (Date.now() > deadline) {
                throw new Error(`${what} failed for ${patience / 1000} s; the last error: ${error.message ?? error}`);
            }
            await new Promise((resolve) => setTimeout(resolve, 250));
        }
    }
}
