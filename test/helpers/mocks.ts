import * as pulumi from "@pulumi/pulumi";
import type {
    ReadResourceRequest,
    ReadResourceResponse,
    RegisterResourceRequest,
    RegisterResourceResponse,
} from "@pulumi/pulumi/proto/resource_pb";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks";

/** What the program told the engine about one resource. */
export interface Recorded {
    readonly type: string;
    readonly name: string;
    /** False for components. */
    readonly custom: boolean;
    /** Of one that is only read, and not made. */
    readonly id?: string;
    /** Inputs without the wrapping of secrets; an unknown one (preview) is not among them. */
    readonly inputs: Readonly<Record<string, unknown>>;
    /** Names of the inputs that are secret, as a whole or in a part. */
    readonly secretInputs: readonly string[];
    readonly additionalSecretOutputs: readonly string[];
    readonly parent: Recorded | undefined;
    readonly provider: Recorded | undefined;
    /** Resources that this one waits for: by `dependsOn`, and by a value of theirs among the inputs. */
    readonly dependencies: readonly Recorded[];
    readonly deletedWith: Recorded | undefined;
    /** Limits in time, as text such as "660s"; empty where the default holds. */
    readonly timeouts: { readonly create: string; readonly update: string; readonly delete: string };
    readonly replaceOnChanges: readonly string[];
    readonly deleteBeforeReplace: boolean;
    /** What it may be in older states: type of the parent, its own type, name. */
    readonly places: readonly string[];
}

/** Outputs of a resource beside its inputs, as its provider would give them. Throws for a resource it does not know. */
export type Provide = (resource: Recorded) => Readonly<Record<string, unknown>>;

interface MockOptions {
    readonly provide: Provide;
    readonly project: string;
    readonly stack: string;
    /** Whether it is a preview: nothing has outputs then. Default: false. */
    readonly preview?: boolean;
}

/** The value of an output. It never comes while the output is unknown, as all computed ones are in a preview. */
export function promiseOf<T>(output: pulumi.Output<T>): Promise<pulumi.Unwrap<T>> {
    return new Promise((resolve) => pulumi.output(output).apply(resolve));
}

/**
 * Puts recording mocks in the engine's place while `program` runs.
 *
 * Pulumi's own mocks show only type, name and inputs; parent, dependencies and the other options are in the request, so
 * it is read as it passes by. Unlike the mocks, and like the engine, outputs keep the secretness of the inputs of that
 * name and take that of `additionalSecretOutputs`.
 *
 * @returns what the program returned and the resources in order of registration, all of them registered
 */
export async function record<T>(options: MockOptions, program: () => Promise<T>): Promise<[T, readonly Recorded[]]> {
    const resources: Recorded[] = [];
    const byUrn = new Map<string, Recorded>();
    let registering: { resource: Recorded; raw: Record<string, unknown> } | undefined;

    const { stackTraceLimit } = Error;
    // The SDK takes a stack trace of each promise: with all frames, that is half the time of a run.
    Error.stackTraceLimit = 1;
    const original = MockMonitor.prototype.registerResource;
    MockMonitor.prototype.registerResource = function (request: RegisterResourceRequest, callback): Promise<void> {
        const object = request.getObject();
        const raw: Record<string, unknown> = object ? pulumi.runtime.deserializeProperties(object) : {};
        const resource = read(request, raw, byUrn);
        resources.push(resource);
        // The mock is asked within this call, before another request can come.
        registering = { resource, raw };
        return original.call(this, request, (error: unknown, response: RegisterResourceResponse) => {
            if (!error) {
                byUrn.set(response.getUrn(), resource);
            }
            callback(error, response);
        });
    };
    const originalRead = MockMonitor.prototype.readResource;
    MockMonitor.prototype.readResource = function (request: ReadResourceRequest, callback): Promise<void> {
        return originalRead.call(this, request, (error: unknown, response: ReadResourceResponse) => {
            if (!error) {
                const [type, name, id] = [request.getType(), request.getName(), request.getId()];
                const resource: Recorded = {
                    ...{ type, name, id, custom: true, inputs: {}, secretInputs: [], additionalSecretOutputs: [] },
                    ...{ parent: undefined, provider: undefined, dependencies: [], deletedWith: undefined },
                    ...{ timeouts: { create: "", update: "", delete: "" }, replaceOnChanges: [] },
                    ...{ deleteBeforeReplace: false, places: [] },
                };
                resources.push(resource);
                byUrn.set(response.getUrn(), resource);
            }
            callback(error, response);
        });
    };
    try {
        await pulumi.runtime.setMocks(
            {
                call: ({ token }) => {
                    throw new Error(`the program calls ${token}, which no test expects`);
                },
                newResource: ({ type, name, custom, id }) => {
                    if (id) {
                        return { id, state: { metadata: { name: id } } };
                    }
                    if (registering?.resource.type !== type || registering.resource.name !== name) {
                        throw new Error(`${type} ${name} was asked for out of turn`);
                    }
                    const { resource, raw } = registering;
                    const made = options.preview ? {} : options.provide(resource);
                    const state: Record<string, unknown> = { ...raw, ...made };
                    for (const output of resource.additionalSecretOutputs.filter((one) => one in made)) {
                        state[output] = pulumi.secret(state[output]);
                    }
                    return { id: custom && !options.preview ? `${name}-id` : undefined, state };
                },
            },
            options.project,
            options.stack,
            options.preview,
        );
        const result = await program();
        await pulumi.runtime.disconnect();
        return [result, resources];
    } finally {
        MockMonitor.prototype.registerResource = original;
        MockMonitor.prototype.readResource = originalRead;
        Error.stackTraceLimit = stackTraceLimit;
    }
}

/** "PARENT'S TYPE TYPE NAME" of a resource, now and by each of its aliases. */
function placesOf(request: RegisterResourceRequest): string[] {
    // Qualified by the types of all parents.
    const typesOf = (urn: string) => urn.split("::")[2]?.split("$") ?? [];
    const place = (parent: string | undefined, type: string, name: string) => `${parent} ${type} ${name}`;
    const own = [typesOf(request.getParent()).at(-1), request.getType(), request.getName()] as const;
    return [
        place(...own),
        ...request.getAliasesList().map((alias) => {
            const types = typesOf(alias.getUrn());
            const spec = alias.getSpec();
            return spec === undefined
                ? place(types.at(-2), types.at(-1) ?? "", alias.getUrn().split("::")[3] ?? "")
                : place(typesOf(spec.getParenturn()).at(-1) ?? own[0], own[1], spec.getName() || own[2]);
        }),
    ];
}

function read(
    request: RegisterResourceRequest,
    raw: Record<string, unknown>,
    byUrn: ReadonlyMap<string, Recorded>,
): Recorded {
    const find = (urn: string): Recorded => {
        const found = byUrn.get(urn);
        if (!found) {
            throw new Error(`${request.getName()} refers to ${urn}, which is not registered`);
        }
        return found;
    };
    const optional = (urn: string) => (urn === "" ? undefined : find(urn));
    const timeouts = request.getCustomtimeouts();
    const known = Object.entries(raw).filter(([, value]) => !pulumi.containsUnknowns(value));
    return {
        type: request.getType(),
        name: request.getName(),
        custom: request.getCustom(),
        inputs: Object.fromEntries(known.map(([key, value]) => [key, pulumi.runtime.unwrapRpcSecret(value)])),
        secretInputs: Object.keys(raw).filter((key) => pulumi.runtime.isRpcSecret(raw[key])),
        additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
        parent: optional(request.getParent()),
        // A reference to a provider is its URN and its id.
        provider: optional(request.getProvider().replace(/::[^:]*$/, "")),
        dependencies: request.getDependenciesList().map(find),
        deletedWith: optional(request.getDeletedwith()),
        timeouts: {
            create: timeouts?.getCreate() ?? "",
            update: timeouts?.getUpdate() ?? "",
            delete: timeouts?.getDelete() ?? "",
        },
        replaceOnChanges: request.getReplaceonchangesList(),
        deleteBeforeReplace: request.getDeletebeforereplace(),
        places: placesOf(request),
    };
}
