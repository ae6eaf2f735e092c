import type { PropertyMap } from "./properties";

/** What the engine wants to know first; a plug-in without it answers Unimplemented and is set up by Configure alone. */
export interface Abilities {
    acceptSecrets?: boolean;
    acceptResources?: boolean;
    acceptOutputs?: boolean;
    /** Handshake only. */
    acceptsByteString?: boolean;
    /** Configure only: Create and Update are also called in previews. */
    supportsPreview?: boolean;
    supportsAutonamingConfiguration?: boolean;
}

export type Severity = "debug" | "info" | "warning" | "error";

/** What an operation is given besides its request. */
export interface Context {
    /** Aborted when the engine cancels (Ctrl-C, Cancel), gives the call up, or the process is told to end. */
    readonly signal: AbortSignal;
    /** A diagnostic of the resource, listed at the end of the user's output. Never rejects; resolves once it is sent. */
    log(severity: Severity, message: string): Promise<void>;
    /** A progress line of the resource, shown while it is worked on. Never rejects; resolves once it is sent. */
    status(message: string, severity?: Severity): Promise<void>;
}

export interface ResourceRequest {
    urn: string;
    /** The resource's type token, such as command:local:Command. */
    type: string;
    /** The resource's name in the program. */
    name: string;
}

export interface ConfigureRequest extends Partial<ResourceRequest> {
    /** Configuration by key `package:config:name`. */
    variables: Record<string, string>;
    args: PropertyMap;
}

export interface CheckRequest extends ResourceRequest {
    olds: PropertyMap;
    news: PropertyMap;
    /** Seed for names that must come out the same in the preview and in the update. */
    randomSeed: Uint8Array;
    /** How the user wants names chosen; only for a provider that says it supports this. */
    autonaming?: { proposedName: string; mode: "PROPOSE" | "ENFORCE" | "DISABLE" };
}

export interface CheckFailure {
    /** Path of the input; "" for the resource as a whole. */
    property: string;
    reason: string;
}

export interface CheckResult {
    inputs: PropertyMap;
    failures?: CheckFailure[];
}

export interface DiffRequest extends ResourceRequest {
    id: string;
    /** The old state (outputs). */
    olds: PropertyMap;
    oldInputs: PropertyMap;
    news: PropertyMap;
    ignoreChanges: string[];
}

export type DiffKind = "ADD" | "ADD_REPLACE" | "DELETE" | "DELETE_REPLACE" | "UPDATE" | "UPDATE_REPLACE";

export interface DiffResult {
    changes: "DIFF_UNKNOWN" | "DIFF_NONE" | "DIFF_SOME";
    replaces?: string[];
    stables?: string[];
    diffs?: string[];
    deleteBeforeReplace?: boolean;
    /** By property path; giving it, even empty, says that this diff is the detailed one. */
    detailedDiff?: Record<string, { kind: DiffKind; inputDiff?: boolean }>;
}

export interface CreateRequest extends ResourceRequest {
    properties: PropertyMap;
    /** Only foretell the state. */
    preview: boolean;
    /** customTimeouts, seconds; 0: none set. */
    timeout: number;
}

export interface CreateResult {
    id: string;
    properties: PropertyMap;
}

export interface UpdateRequest extends DiffRequest {
    preview: boolean;
    timeout: number;
}

export interface DeleteRequest extends ResourceRequest {
    id: string;
    properties: PropertyMap;
    oldInputs: PropertyMap;
    timeout: number;
}

export interface ReadRequest extends ResourceRequest {
    id: string;
    /** The state; empty in an import. */
    properties: PropertyMap;
    inputs: PropertyMap;
    timeout: number;
}

export interface ReadResult {
    /** "" when the resource is gone. */
    id: string;
    properties?: PropertyMap;
    inputs?: PropertyMap;
}

export interface InvokeRequest {
    token: string;
    args: PropertyMap;
    preview: boolean;
}

export interface InvokeResult {
    result: PropertyMap;
    failures?: CheckFailure[];
}

type Answer<T> = T | Promise<T>;

/**
 * A resource provider in plain JavaScript terms. A method that is absent answers Unimplemented, as the engine expects it
 * of a plug-in that lacks it (it then checks and diffs on its own).
 *
 * Errors: a plain Error reaches the user as its message; {@link InitError} keeps the resource in the state as half made;
 * {@link RpcError} chooses the gRPC code.
 */
export interface Provider {
    readonly version: string;
    handshake?(context: Context): Answer<Abilities>;
    checkConfig?(request: CheckRequest, context: Context): Answer<CheckResult>;
    diffConfig?(request: DiffRequest, context: Context): Answer<DiffResult>;
    configure?(request: ConfigureRequest, context: Context): Answer<Abilities>;
    check?(request: CheckRequest, context: Context): Answer<CheckResult>;
    diff?(request: DiffRequest, context: Context): Answer<DiffResult>;
    create?(request: CreateRequest, context: Context): Answer<CreateResult>;
    update?(request: UpdateRequest, context: Context): Answer<PropertyMap>;
    delete?(request: DeleteRequest, context: Context): Answer<void>;
    read?(request: ReadRequest, context: Context): Answer<ReadResult>;
    invoke?(request: InvokeRequest, context: Context): Answer<InvokeResult>;
    /** A component made by the plug-in, by its type token. The stand-ins have none: what is thrown says so. */
    construct?(type: string): Answer<never>;
    /** The package's schema as JSON. */
    getSchema?(): Answer<string>;
    /** The engine wants everything under way to end; every context's signal is aborted already. */
    cancel?(): Answer<void>;
}

/** The resource exists but did not become what it should: it enters the state with these reasons, and `up` tries again. */
export class InitError extends Error {
    constructor(
        message: string,
        readonly state: { id: string; properties: PropertyMap; inputs?: PropertyMap; reasons: string[] },
    ) {
        super(message);
    }
}

/** An error with a gRPC status code other than Unknown. */
export class RpcError extends Error {
    constructor(
        readonly code: number,
        message: string,
    ) {
        super(message);
    }
}

/**
 * A signal that is aborted with the given one or after `seconds` (0: never), whichever is first. The reason of the time
 * limit is a DOMException named TimeoutError. Timers of it do not keep the process alive.
 */
export function withTimeout(signal: AbortSignal, seconds: number): AbortSignal {
    return seconds > 0 ? AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(seconds * 1000))]) : signal;
}
