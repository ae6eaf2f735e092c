// How the API server of a stack is asked, with a limit in time.
import { once } from "node:events";
import { type IncomingMessage, request as plain } from "node:http";
import { type RequestOptions, request as secure } from "node:https";
import { json } from "node:stream/consumers";
import type { KubeConfig } from "@kubernetes/client-node";
import { Failure } from "./failure.ts";
import { askPulumi, lastLine, type Pulumi } from "./run.ts";

/** Longest time for an answer, in milliseconds. */
const patience = 15_000;

/** The API server's refusal, in its own words. */
export class Refusal extends Error {
    /** Of HTTP. */
    readonly status: number | undefined;

    constructor(status: number | undefined, message = `status ${status}`) {
        super(message);
        this.status = status;
    }
}

/** The kubeconfig of a stack, in clear. */
export async function kubeconfigOf(stack: string, pulumi: Pulumi): Promise<string> {
    const args = ["stack", "output", "kubeconfig", "--show-secrets", "--stack", stack];
    const { code, stdout, stderr } = await askPulumi(pulumi, args);
    if (code !== 0) {
        throw new Failure(`the kubeconfig of stack ${stack} cannot be read: ${lastLine(stderr)}`);
    }
    return stdout;
}

/**
 * GET, with a limit.
 *
 * @param T the answer's type, in which dates are still texts
 * @throws {Refusal} for any answer but 200
 */
export async function get<T>(config: KubeConfig, path: string): Promise<T> {
    const { server = "" } = config.getCurrentCluster() ?? {};
    const options: RequestOptions = { signal: AbortSignal.timeout(patience) };
    await config.applyToHTTPSOptions(options);
    const ask = () => (server.startsWith("https:") ? secure : plain)(`${server}${path}`, options);
    try {
        const [response] = (await once(ask().end(), "response")) as [IncomingMessage];
        const body = await json(response);
        if (response.statusCode !== 200) {
            throw new Refusal(response.statusCode, (body as { message?: string }).message);
        }
        return body as T;
    } catch (error) {
        throw (error as Error).name === "AbortError" ? new Error(`no answer in ${patience / 1000} s`) : error;
    }
}
