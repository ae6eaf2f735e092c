import * as grpc from "@grpc/grpc-js";
import { EngineService, type IEngineServer } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { type LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { UNLIMITED } from "../../../plugins/shared/engine";
import type { Provider } from "../../../plugins/shared/provider";
import { listen, type Served } from "../../../plugins/shared/serve";

export type Json = null | boolean | number | string | Json[] | JsonMap;
export interface JsonMap {
    [key: string]: Json;
}

/** A line that a plug-in sent to the engine's log. */
export interface Logged {
    severity: string;
    urn: string;
    message: string;
    ephemeral: boolean;
}

/** A stand-in for the engine: it keeps what is logged. */
export class FakeEngine {
    readonly logs: Logged[] = [];
    address = "";
    private readonly server = new grpc.Server(UNLIMITED);

    async start(): Promise<void> {
        const unsupported = (_: unknown, callback: grpc.sendUnaryData<never>): void =>
            callback({ code: grpc.status.UNIMPLEMENTED });
        const service = {
            log: (call: grpc.ServerUnaryCall<LogRequest, Empty>, callback: grpc.sendUnaryData<Empty>): void => {
                const line = call.request;
                const severity = Object.entries(LogSeverity).find(([, value]) => value === line.getSeverity())?.[0];
                this.logs.push({
                    severity: severity ?? "",
                    urn: line.getUrn(),
                    message: line.getMessage(),
                    ephemeral: line.getEphemeral(),
                });
                callback(null, new Empty());
            },
            getRootResource: unsupported,
            setRootResource: unsupported,
            startDebugging: unsupported,
            requirePulumiVersion: unsupported,
        };
        this.server.addService(EngineService, service as IEngineServer & grpc.UntypedServiceImplementation);
        const port = await new Promise<number>((resolve, reject) => {
            const credentials = grpc.ServerCredentials.createInsecure();
            this.server.bindAsync("127.0.0.1:0", credentials, (error, bound) =>
                error ? reject(error) : resolve(bound),
            );
        });
        this.address = `127.0.0.1:${port}`;
    }

    stop(): void {
        this.server.forceShutdown();
    }
}

const MESSAGES = {
    check: pb.CheckRequest,
    checkConfig: pb.CheckRequest,
    diff: pb.DiffRequest,
    diffConfig: pb.DiffRequest,
    configure: pb.ConfigureRequest,
    create: pb.CreateRequest,
    update: pb.UpdateRequest,
    delete: pb.DeleteRequest,
    read: pb.ReadRequest,
    invoke: pb.InvokeRequest,
    handshake: pb.ProviderHandshakeRequest,
    getPluginInfo: Empty,
    cancel: Empty,
};

const STRUCTS = ["olds", "news", "oldInputs", "properties", "inputs", "args"];

/** Calls a method that is known by its name only; undefined if there is none. */
function invoke(target: object, name: string, ...args: unknown[]): unknown {
    const method: unknown = Reflect.get(target, name);
    return typeof method === "function" ? Reflect.apply(method, target, args) : undefined;
}

/** The request message of a recorded call. */
function requestMessage(method: keyof typeof MESSAGES, request: JsonMap): object {
    const message = new MESSAGES[method]();
    for (const [name, value] of Object.entries(request)) {
        const lower = name.charAt(0).toUpperCase() + name.slice(1);
        const flat = lower.charAt(0) + lower.slice(1).toLowerCase();
        const setter = [`set${lower}`, `set${lower}List`, `set${flat}`, `set${flat}List`].find((candidate) =>
            Reflect.has(message, candidate),
        );
        if (setter !== undefined && name !== "variables") {
            invoke(message, setter, STRUCTS.includes(name) ? Struct.fromJavaScript(value as JsonMap) : value);
        }
    }
    return message;
}

const NAMES: Record<string, string> = {
    acceptsecrets: "acceptSecrets",
    acceptresources: "acceptResources",
    acceptoutputs: "acceptOutputs",
    supportspreview: "supportsPreview",
    hasdetaileddiff: "hasDetailedDiff",
    deletebeforereplace: "deleteBeforeReplace",
};

function nameOf(enumeration: object, value: unknown): string {
    return Object.entries(enumeration).find(([, number]) => number === value)?.[0] ?? "";
}

/** A response as the records write it: protobuf's JSON, without fields that are empty. */
function responseJson(response: { toObject(): object }): JsonMap {
    const json: JsonMap = {};
    for (const [raw, value] of Object.entries(response.toObject())) {
        const name = raw.replace(/(List|Map)$/, "");
        if (raw === "detaileddiffMap" && response instanceof pb.DiffResponse) {
            const entries = response
                .getDetaileddiffMap()
                .toArray()
                .map(([path, diff]): [string, JsonMap] => {
                    // The map gives its messages as bare lists of fields: kind, inputDiff.
                    const [kind, inputDiff]: unknown[] = Array.isArray(diff) ? diff : [];
                    const spelled = { kind: nameOf(pb.PropertyDiff.Kind, kind ?? 0) };
                    return [path, inputDiff === true ? { ...spelled, inputDiff } : spelled];
                });
            if (entries.length > 0) {
                json.detailedDiff = Object.fromEntries(entries);
            }
        } else if (raw === "changes") {
            json.changes = nameOf(pb.DiffResponse.DiffChanges, value);
        } else if (STRUCTS.includes(name) && value !== undefined) {
            const getter = `get${name.charAt(0).toUpperCase()}${name.slice(1)}`;
            const struct = invoke(response, getter);
            json[name] = struct instanceof Struct ? (struct.toJavaScript() as JsonMap) : {};
        } else if (raw === "pb_return" && response instanceof pb.InvokeResponse) {
            json.return = (response.getReturn()?.toJavaScript() ?? {}) as JsonMap;
        } else if (
            value !== undefined &&
            value !== "" &&
            value !== false &&
            !(Array.isArray(value) && value.length === 0)
        ) {
            json[NAMES[name] ?? name] = value as Json;
        }
    }
    return json;
}

/** A provider behind its real gRPC service, called as the engine calls it. */
export class Host {
    private constructor(
        readonly engine: FakeEngine,
        private readonly served: Served,
        private readonly client: ResourceProviderClient,
    ) {}

    /** Serves the provider within this process. */
    static async start(provider: Provider): Promise<Host> {
        const engine = new FakeEngine();
        await engine.start();
        return Host.attach(await listen(provider, engine.address, () => undefined), engine);
    }

    /** Connects to a provider that is served already. */
    static attach(served: Served, engine: FakeEngine): Host {
        const address = `127.0.0.1:${served.port}`;
        return new Host(
            engine,
            served,
            new ResourceProviderClient(address, grpc.credentials.createInsecure(), UNLIMITED),
        );
    }

    async stop(): Promise<void> {
        this.client.close();
        await this.served.close();
        this.engine.stop();
    }

    /** Makes a call given as the records have it; rejects with the gRPC error. */
    call(method: string, request: JsonMap): Promise<JsonMap> {
        const name = (method.charAt(0).toLowerCase() + method.slice(1)) as keyof typeof MESSAGES;
        const message = requestMessage(name, request);
        return new Promise((resolve, reject) => {
            const answer = (error: grpc.ServiceError | null, response: { toObject(): object }): void =>
                error ? reject(error) : resolve(responseJson(response));
            // On a busy machine the connection may take a moment.
            invoke(this.client, name, message, new grpc.Metadata({ waitForReady: true }), answer);
        });
    }

    /** The message with which a call fails; fails itself if the call does not. */
    async failure(method: string, request: JsonMap): Promise<string> {
        return (await this.rejection(method, request)).details;
    }

    /** The error with which a call fails; fails itself if the call does not. */
    async rejection(method: string, request: JsonMap): Promise<grpc.ServiceError> {
        const answer = await this.call(method, request).then(
            (response) => ({ response }),
            (error: grpc.ServiceError) => ({ error }),
        );
        if ("response" in answer) {
            throw new Error(`${method} was expected to fail, but answered ${JSON.stringify(answer.response)}`);
        }
        return answer.error;
    }
}
