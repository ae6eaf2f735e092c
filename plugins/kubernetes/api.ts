import * as http from "node:http";
import * as https from "node:https";
import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { isMap } from "../shared/properties";
import { connectionError, isStatus, NoMatchError, statusError } from "./errors";
import { apiVersionOf, type Gvk, gvkOf, type KubeObject, maps, nameOf, namespaceOf } from "./objects";

/** Query parameters; undefined ones are left out. */
export type Query = Record<string, string | boolean | undefined>;

export interface Options {
    query?: Query;
    body?: unknown;
    contentType?: string;
    signal: AbortSignal;
    /** Milliseconds without a byte after which the connection counts as lost. */
    silence?: number;
}

interface WatchEvent {
    type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
    object: KubeObject;
}

/** How a type is addressed. */
interface ResourceType {
    /** The plural name in paths. */
    name: string;
    namespaced: boolean;
}

const MAX_THROTTLED = 10;
/** How long a server may be silent within an answer. */
const SILENCE_MS = 60_000;
/** A watch hears at least a bookmark about once a minute. */
const WATCH_SILENCE_MS = 150_000;

/** Waits, or rejects as soon as the signal is aborted. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
        const stop = (): void => {
            clearTimeout(timer);
            reject(signal.reason);
        };
        const timer = setTimeout(() => {
            signal.removeEventListener("abort", stop);
            resolve();
        }, milliseconds);
        signal.addEventListener("abort", stop, { once: true });
        if (signal.aborted) {
            stop();
        }
    });
}

/** A Kubernetes API server, spoken to in plain REST, so that any type of object can be handled. */
export class Api {
    private agent: http.Agent | undefined;
    private readonly types = new Map<string, Promise<Map<string, ResourceType>>>();

    constructor(
        private readonly config: KubeConfig,
        readonly server: string,
    ) {}

    /** One request; the answer as JSON. Throws {@link StatusError}, or the connection's error. */
    async request(method: string, path: string, options: Options): Promise<KubeObject> {
        for (let attempt = 0; ; attempt++) {
            const response = await this.send(method, path, options);
            const body = await read(response, options.signal);
            const status = response.statusCode ?? 0;
            if (status < 400) {
                return JSON.parse(body) as KubeObject;
            }
            const delay = Number(response.headers["retry-after"]);
            if ((status !== 429 && status < 500) || !(delay > 0) || attempt === MAX_THROTTLED) {
                throw statusError(status, body);
            }
            await pause(delay * 1000, options.signal);
        }
    }

    /** The events of a watch, until the server closes it. */
    async *watch(path: string, query: Query, signal: AbortSignal): AsyncGenerator<WatchEvent> {
        const response = await this.send("GET", path, {
            query: { ...query, watch: true },
            silence: WATCH_SILENCE_MS,
            signal,
        });
        const status = response.statusCode ?? 0;
        if (status >= 400) {
            throw statusError(status, await read(response, signal));
        }
        try {
            let rest = "";
            response.setEncoding("utf8");
            for await (const chunk of response) {
                const lines = (rest + chunk).split("\n");
                rest = lines.pop() ?? "";
                for (const line of lines) {
                    yield JSON.parse(line) as WatchEvent;
                }
            }
        } finally {
            response.destroy();
        }
    }

    /** The path of the collection that the object belongs to. Throws {@link NoMatchError}. */
    async collection(object: KubeObject, signal: AbortSignal): Promise<string> {
        const gvk = gvkOf(object);
        const { name, namespaced } = await this.type(gvk, signal);
        const namespace = namespaced ? `/namespaces/${encodeURIComponent(namespaceOf(object) || "default")}` : "";
        return `${root(gvk)}${namespace}/${name}`;
    }

    /** The path of the object. */
    async path(object: KubeObject, signal: AbortSignal): Promise<string> {
        return `${await this.collection(object, signal)}/${encodeURIComponent(nameOf(object))}`;
    }

    /** Whether objects of the type live in a namespace. */
    async isNamespaced(gvk: Gvk, signal: AbortSignal): Promise<boolean> {
        return (await this.type(gvk, signal)).namespaced;
    }

    /** Forgets what types there are: a definition was made or removed. */
    forgetTypes(): void {
        this.types.clear();
    }

    private async type(gvk: Gvk, signal: AbortSignal): Promise<ResourceType> {
        const key = root(gvk);
        const known = this.types.get(key) ?? this.discover(key, signal);
        this.types.set(key, known);
        const types = await known.catch((error: unknown) => {
            this.types.delete(key);
            throw isStatus(error, 404) ? new NoMatchError(gvk) : error;
        });
        const type = types.get(gvk.kind);
        if (type === undefined) {
            this.types.delete(key);
            throw new NoMatchError(gvk);
        }
        return type;
    }

    private async discover(path: string, signal: AbortSignal): Promise<Map<string, ResourceType>> {
        const list = await this.request("GET", path, { signal });
        const types = maps(list, "resources").filter(({ name }) => typeof name === "string" && !name.includes("/"));
        return new Map(types.map((t) => [String(t.kind), { name: String(t.name), namespaced: t.namespaced === true }]));
    }

    /** Sends a request; resolves with the answer's head. */
    private async send(method: string, path: string, options: Options): Promise<http.IncomingMessage> {
        const url = new URL(this.server.replace(/\/$/, "") + path);
        for (const [key, value] of Object.entries(options.query ?? {})) {
            if (value !== undefined) {
                url.searchParams.set(key, String(value));
            }
        }
        const payload = options.body === undefined ? undefined : JSON.stringify(options.body);
        const tls: https.RequestOptions = {};
        await this.config.applyToHTTPSOptions(tls);
        const settings: https.RequestOptions = {
            ...tls,
            method,
            agent: this.connections(tls, url),
            signal: options.signal,
            timeout: options.silence ?? SILENCE_MS,
            headers: {
                ...tls.headers,
                accept: "application/json",
                ...(payload === undefined
                    ? {}
                    : {
                          "content-type": options.contentType ?? "application/json",
                          "content-length": Buffer.byteLength(payload),
                      }),
            },
        };
        for (let attempt = 0; ; attempt++) {
            try {
                return await exchange(url, settings, payload);
            } catch (error) {
                options.signal.throwIfAborted();
                // An idle connection may be closed by the server just as it is used again; a read is safe to repeat.
                if (method !== "GET" || attempt > 0 || (error as { code?: string }).code !== "ECONNRESET") {
                    throw connectionError(method, url, error);
                }
            }
        }
    }

    /** Connections are kept: a handshake with client certificates costs more than most requests. */
    private connections(tls: https.RequestOptions, url: URL): http.Agent | undefined {
        if (this.config.getCurrentCluster()?.proxyUrl !== undefined) {
            return tls.agent instanceof http.Agent ? tls.agent : undefined;
        }
        if (this.agent === undefined) {
            const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = tls;
            const options = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
            const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
            const keep = { keepAlive: true, keepAliveMsecs: 30_000 };
            this.agent = url.protocol === "http:" ? new http.Agent(keep) : new https.Agent({ ...given, ...keep });
        }
        return this.agent;
    }
}

function root(gvk: Gvk): string {
    return `${gvk.group === "" ? "/api" : "/apis"}/${apiVersionOf(gvk)}`;
}

function exchange(url: URL, options: https.RequestOptions, payload: string | undefined): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
        const request = (url.protocol === "http:" ? http : https).request(url, options, resolve);
        request.on("error", reject);
        request.on("timeout", () => request.destroy(Object.assign(new Error("i/o timeout"), { code: "ETIMEDOUT" })));
        request.end(payload);
    });
}

async function read(response: http.IncomingMessage, signal: AbortSignal): Promise<string> {
    const chunks: Buffer[] = [];
    try {
        for await (const chunk of response) {
            chunks.push(chunk as Buffer);
        }
    } catch (error) {
        signal.throwIfAborted();
        throw error;
    }
    return Buffer.concat(chunks).toString("utf8");
}

/** Connects to the kubeconfig's cluster and asks for its version. Throws what keeps it from being reached. */
export async function reach(api: Api, signal: AbortSignal): Promise<void> {
    const query = { timeout: "32s" };
    const version = await api.request("GET", "/version", { query, signal }).catch((error: unknown) => {
        const late = new Error(`Get "${api.server}/version?timeout=32s": context deadline exceeded`);
        throw error instanceof DOMException && error.name === "TimeoutError" ? late : error;
    });
    if (!isMap(version) || typeof version.gitVersion !== "string") {
        throw new Error(`${api.server} does not answer like a Kubernetes API server`);
    }
}
