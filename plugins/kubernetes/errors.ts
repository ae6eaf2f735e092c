import { isMap, type Value } from "../shared/properties";
import { apiVersionOf, type Gvk, type KubeObject, maps, nameOf, text } from "./objects";

/** An answer of the API server that is no success; the message is the server's own sentence. */
export class StatusError extends Error {
    constructor(
        /** The HTTP status. */
        readonly code: number,
        /** Such as NotFound, AlreadyExists, Invalid. */
        readonly reason: string,
        message: string,
        readonly details: Value,
    ) {
        super(message);
    }

    /** The kind of object that the error is about, in the plural: "namespaces" when the namespace is missing. */
    get kind(): string {
        return text(this.details, "kind");
    }

    /** The fields that lack a required value. */
    get requiredFields(): string[] {
        return maps(this.details, "causes")
            .filter((cause) => cause.reason === "FieldValueRequired")
            .map((cause) => text(cause, "field"));
    }
}

/** The API server has no such type. */
export class NoMatchError extends Error {
    constructor(gvk: Gvk) {
        super(`no matches for kind "${gvk.kind}" in version "${apiVersionOf(gvk)}"`);
    }
}

/** The object is there but is not what it should be (yet): it must enter the state. */
export class PartialError extends Error {
    constructor(
        message: string,
        readonly object: KubeObject,
        readonly details: string[],
    ) {
        super(message);
    }
}

export const timedOut = (object: KubeObject, details: string[]): PartialError =>
    new PartialError(`'${nameOf(object)}' timed out waiting to be Ready`, object, details);

export const cancelled = (object: KubeObject, details: string[]): PartialError =>
    new PartialError(`Resource operation was cancelled for "${nameOf(object)}"`, object, details);

export const notInitialized = (object: KubeObject, details: string[]): PartialError =>
    new PartialError(`Resource '${nameOf(object)}' was created but failed to initialize`, object, details);

export const isStatus = (error: unknown, ...codes: number[]): error is StatusError =>
    error instanceof StatusError && codes.includes(error.code);

/** Whether the object could not be made because its namespace does not exist. */
export const isNamespaceMissing = (error: unknown): boolean => isStatus(error, 404) && error.kind === "namespaces";

/** The error that an HTTP answer stands for. */
export function statusError(code: number, body: string): StatusError {
    let status: Value = null;
    try {
        status = JSON.parse(body) as Value;
    } catch {
        // Proxies and load balancers answer in their own words.
    }
    const message = text(status, "message") || body.trim() || `the server answered with HTTP status ${code}`;
    return new StatusError(code, text(status, "reason"), message, isMap(status) ? (status.details ?? null) : null);
}

const CAUSES: Record<string, string> = {
    ECONNREFUSED: "connection refused",
    ECONNRESET: "connection reset by peer",
    EHOSTUNREACH: "no route to host",
    ENETUNREACH: "network is unreachable",
    ETIMEDOUT: "i/o timeout",
};

/** A failed connection, in the words that Go programs and so the official provider use. */
export function connectionError(method: string, url: URL, error: unknown): Error {
    const {
        code = "",
        address,
        port,
        message,
    } = error as { code?: string; address?: string; port?: number; message: string };
    const where = `${address ?? url.hostname}:${port ?? (url.port || (url.protocol === "http:" ? 80 : 443))}`;
    const cause = CAUSES[code];
    const reason =
        code === "ENOTFOUND" || code === "EAI_AGAIN"
            ? `dial tcp: lookup ${url.hostname}: no such host`
            : cause === undefined
              ? message
              : `dial tcp ${where}: connect: ${cause}`;
    const verb = method.charAt(0) + method.slice(1).toLowerCase();
    return new Error(`${verb} "${url.href}": ${reason}`);
}
