import * as grpc from "@grpc/grpc-js";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import type { IResourceProviderServer } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import type { Engine } from "./engine";
import { fromStruct, toStruct } from "./properties";
import {
    type Abilities,
    type CheckFailure,
    type CheckRequest,
    type CheckResult,
    type Context,
    type DiffResult,
    InitError,
    type Provider,
    type ResourceRequest,
    RpcError,
} from "./provider";

/** Type and name are taken from the urn where the engine does not send them apart. */
function resource(r: { getUrn(): string; getType(): string; getName(): string }): ResourceRequest {
    const urn = r.getUrn();
    const parts = urn.split("::");
    return {
        urn,
        type: r.getType() || (parts[2]?.split("$").pop() ?? ""),
        name: r.getName() || parts.slice(3).join("::"),
    };
}

function failureMessages(failures: CheckFailure[] = []): pb.CheckFailure[] {
    return failures.map(({ property, reason }) => new pb.CheckFailure().setProperty(property).setReason(reason));
}

function checkMessage({ inputs, failures }: CheckResult): pb.CheckResponse {
    return new pb.CheckResponse().setInputs(toStruct(inputs)).setFailuresList(failureMessages(failures));
}

function diffMessage(result: DiffResult): pb.DiffResponse {
    const message = new pb.DiffResponse()
        .setChanges(pb.DiffResponse.DiffChanges[result.changes])
        .setReplacesList(result.replaces ?? [])
        .setStablesList(result.stables ?? [])
        .setDiffsList(result.diffs ?? [])
        .setDeletebeforereplace(result.deleteBeforeReplace ?? false)
        .setHasdetaileddiff(result.detailedDiff !== undefined);
    for (const [path, { kind, inputDiff }] of Object.entries(result.detailedDiff ?? {})) {
        const property = new pb.PropertyDiff().setKind(pb.PropertyDiff.Kind[kind]).setInputdiff(inputDiff ?? false);
        message.getDetaileddiffMap().set(path, property);
    }
    return message;
}

function diffRequest(r: pb.DiffRequest | pb.UpdateRequest) {
    return {
        ...resource(r),
        id: r.getId(),
        olds: fromStruct(r.getOlds()),
        oldInputs: fromStruct(r.getOldInputs()),
        news: fromStruct(r.getNews()),
        ignoreChanges: r.getIgnorechangesList(),
    };
}

const AUTONAMING_MODES = ["PROPOSE", "ENFORCE", "DISABLE"] as const;

function checkRequest(r: pb.CheckRequest): CheckRequest {
    const autonaming = r.getAutonaming();
    return {
        ...resource(r),
        olds: fromStruct(r.getOlds()),
        news: fromStruct(r.getNews()),
        randomSeed: r.getRandomseed_asU8(),
        autonaming: autonaming && {
            proposedName: autonaming.getProposedName(),
            mode: AUTONAMING_MODES[autonaming.getMode()] ?? "PROPOSE",
        },
    };
}

function handshakeMessage(abilities: Abilities): pb.ProviderHandshakeResponse {
    return new pb.ProviderHandshakeResponse()
        .setAcceptSecrets(abilities.acceptSecrets ?? false)
        .setAcceptResources(abilities.acceptResources ?? false)
        .setAcceptOutputs(abilities.acceptOutputs ?? false)
        .setAcceptsByteString(abilities.acceptsByteString ?? false)
        .setSupportsAutonamingConfiguration(abilities.supportsAutonamingConfiguration ?? false);
}

function configureMessage(abilities: Abilities): pb.ConfigureResponse {
    return new pb.ConfigureResponse()
        .setAcceptsecrets(abilities.acceptSecrets ?? false)
        .setAcceptresources(abilities.acceptResources ?? false)
        .setAcceptoutputs(abilities.acceptOutputs ?? false)
        .setSupportspreview(abilities.supportsPreview ?? false)
        .setSupportsAutonamingConfiguration(abilities.supportsAutonamingConfiguration ?? false);
}

/** The gRPC form of an error; a half-made resource travels as the detail that the engine looks for. */
function grpcError(error: unknown): grpc.ServiceError {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof RpcError ? error.code : grpc.status.UNKNOWN;
    const metadata = new grpc.Metadata();
    if (error instanceof InitError) {
        const { id, properties, inputs, reasons } = error.state;
        const detail = new pb.ErrorResourceInitFailed()
            .setId(id)
            .setProperties(toStruct(properties))
            .setReasonsList(reasons);
        if (inputs !== undefined) {
            detail.setInputs(toStruct(inputs));
        }
        const any = new Any();
        any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
        const status = new Status().setCode(code).setMessage(message).setDetailsList([any]);
        metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
    }
    return Object.assign(new Error(message), { code, details: message, metadata });
}

/** The calls under way on a provider. */
export class Calls {
    private readonly stop = new AbortController();
    private readonly active = new Set<Promise<unknown>>();

    constructor(
        readonly provider: Provider,
        private readonly engine: Engine,
    ) {}

    /** A method of the service: `run` gets the request and the context, and what it throws becomes the status. */
    unary<Request, Response>(run: (request: Request, context: Context) => Promise<Response>) {
        return (call: grpc.ServerUnaryCall<Request, Response>, callback: grpc.sendUnaryData<Response>): void => {
            const given = new AbortController();
            call.on("cancelled", () => given.abort());
            const request = call.request as Request & { getUrn?: () => string };
            const work = run(request, this.context(request.getUrn?.() ?? "", given.signal)).then(
                (response) => callback(null, response),
                (error: unknown) => callback(grpcError(error)),
            );
            this.active.add(work);
            void work.finally(() => this.active.delete(work));
        };
    }

    /** The provider's method, or the error that it has none. */
    method<K extends keyof Provider>(name: K): NonNullable<Provider[K]> {
        const implementation = this.provider[name];
        if (implementation === undefined) {
            throw unimplemented(name.charAt(0).toUpperCase() + name.slice(1));
        }
        return (
            typeof implementation === "function" ? implementation.bind(this.provider) : implementation
        ) as NonNullable<Provider[K]>;
    }

    /** Ends what is under way, and at once whatever may still come: the engine cancels only when it is about to end. */
    abort(): void {
        this.stop.abort();
    }

    /** Resolves once nothing is under way. */
    async idle(): Promise<void> {
        await Promise.allSettled([...this.active]);
    }

    private context(urn: string, call: AbortSignal): Context {
        return {
            signal: AbortSignal.any([this.stop.signal, call]),
            log: (severity, message) => this.engine.log(severity, urn, message, false),
            status: (message, severity = "info") => this.engine.log(severity, urn, message, true),
        };
    }
}

function unimplemented(rpc: string): RpcError {
    return new RpcError(grpc.status.UNIMPLEMENTED, `${rpc} is not implemented`);
}

/** The handlers about the plug-in and its configuration. */
function pluginHandlers(calls: Calls, attach: (address: string) => void) {
    return {
        handshake: calls.unary(async (_: pb.ProviderHandshakeRequest, c) =>
            handshakeMessage(await calls.method("handshake")(c)),
        ),
        attach: calls.unary(async (r: { getAddress(): string }) => {
            attach(r.getAddress());
            return new Empty();
        }),
        getPluginInfo: calls.unary(async () => new PluginInfo().setVersion(calls.provider.version)),
        getSchema: calls.unary(async () => new pb.GetSchemaResponse().setSchema(await calls.method("getSchema")())),
        checkConfig: calls.unary(async (r: pb.CheckRequest, c) =>
            checkMessage(await calls.method("checkConfig")(checkRequest(r), c)),
        ),
        diffConfig: calls.unary(async (r: pb.DiffRequest, c) =>
            diffMessage(await calls.method("diffConfig")(diffRequest(r), c)),
        ),
        configure: calls.unary(async (r: pb.ConfigureRequest, c) => {
            const variables = Object.fromEntries(r.getVariablesMap().toArray());
            const request = { urn: r.getUrn(), type: r.getType(), name: r.getName() };
            return configureMessage(
                await calls.method("configure")({ ...request, variables, args: fromStruct(r.getArgs()) }, c),
            );
        }),
        cancel: calls.unary(async () => {
            calls.abort();
            await calls.provider.cancel?.();
            return new Empty();
        }),
    };
}

/** The handlers about resources and functions. */
function resourceHandlers(calls: Calls) {
    return {
        check: calls.unary(async (r: pb.CheckRequest, c) =>
            checkMessage(await calls.method("check")(checkRequest(r), c)),
        ),
        diff: calls.unary(async (r: pb.DiffRequest, c) => diffMessage(await calls.method("diff")(diffRequest(r), c))),
        create: calls.unary(async (r: pb.CreateRequest, c) => {
            const request = { ...resource(r), properties: fromStruct(r.getProperties()) };
            const options = { preview: r.getPreview(), timeout: r.getTimeout() };
            const { id, properties } = await calls.method("create")({ ...request, ...options }, c);
            return new pb.CreateResponse().setId(id).setProperties(toStruct(properties));
        }),
        update: calls.unary(async (r: pb.UpdateRequest, c) => {
            const request = { ...diffRequest(r), preview: r.getPreview(), timeout: r.getTimeout() };
            return new pb.UpdateResponse().setProperties(toStruct(await calls.method("update")(request, c)));
        }),
        delete: calls.unary(async (r: pb.DeleteRequest, c) => {
            const state = { properties: fromStruct(r.getProperties()), oldInputs: fromStruct(r.getOldInputs()) };
            await calls.method("delete")({ ...resource(r), ...state, id: r.getId(), timeout: r.getTimeout() }, c);
            return new Empty();
        }),
        read: calls.unary(async (r: pb.ReadRequest, c) => {
            const state = { properties: fromStruct(r.getProperties()), inputs: fromStruct(r.getInputs()) };
            const request = { ...resource(r), ...state, id: r.getId(), timeout: r.getTimeout() };
            const { id, properties, inputs } = await calls.method("read")(request, c);
            return new pb.ReadResponse()
                .setId(id)
                .setProperties(properties && toStruct(properties))
                .setInputs(inputs && toStruct(inputs));
        }),
        invoke: calls.unary(async (r: pb.InvokeRequest, c) => {
            const request = { token: r.getTok(), args: fromStruct(r.getArgs()), preview: r.getPreview() };
            const { result, failures } = await calls.method("invoke")(request, c);
            return new pb.InvokeResponse().setReturn(toStruct(result)).setFailuresList(failureMessages(failures));
        }),
    };
}

/** The service's implementation over a provider; `attach` is told the engine's address when the engine introduces itself. */
export function handlers(
    calls: Calls,
    attach: (address: string) => void,
): IResourceProviderServer & grpc.UntypedServiceImplementation {
    const missing = (rpc: string) =>
        calls.unary<object, never>(async () => {
            throw unimplemented(rpc);
        });
    return {
        ...pluginHandlers(calls, attach),
        ...resourceHandlers(calls),
        list: (call) => call.destroy(grpcError(unimplemented("List"))),
        parameterize: missing("Parameterize"),
        construct: calls.unary(async (r: pb.ConstructRequest) => calls.method("construct")(r.getType())),
        call: missing("Call"),
        getMapping: missing("GetMapping"),
        getMappings: missing("GetMappings"),
    };
}
