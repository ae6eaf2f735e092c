import { version } from "@pulumi/kubernetes/package.json";
import { hasUnknown, type PropertyMap } from "../shared/properties";
import type {
    Abilities,
    CheckRequest,
    CheckResult,
    ConfigureRequest,
    Context,
    CreateRequest,
    CreateResult,
    DeleteRequest,
    DiffRequest,
    DiffResult,
    InvokeRequest,
    InvokeResult,
    Provider,
    ReadRequest,
    ReadResult,
    UpdateRequest,
} from "../shared/provider";
import { createObject, deleteObject, relinquish, updateObject } from "./actions";
import { awaitReady, checkReady } from "./await/ready";
import { checkpoint, initialApiVersionOf, parseCheckpoint, withSecretsOf } from "./checkpoint";
import { Cluster } from "./cluster";
import { checkConfig, diffConfig, readSettings } from "./config";
import { diffObject } from "./diff";
import { isStatus, NoMatchError, PartialError } from "./errors";
import {
    createError,
    DELETED_UNREACHABLE,
    deleteError,
    initError,
    isUnforeseeable,
    UNREACHABLE_WAY_OUT,
    updateError,
} from "./failures";
import { checkInputs, importedInputs, refuse } from "./inputs";
import { uniqueName } from "./naming";
import { normalize, prune } from "./normalize";
import {
    ANNOTATION,
    annotation,
    apiVersionOf,
    drop,
    type Gvk,
    gvkOf,
    gvkOfType,
    idOf,
    isCrd,
    isPatch,
    type KubeObject,
    parseId,
    put,
    text,
    toKube,
    toPulumi,
} from "./objects";

/** The name under which this resource applies its fields: the program's choice, else the state's, else a new one. */
function fieldManager(inputs: KubeObject, known: string | undefined): string {
    return (
        annotation(inputs, ANNOTATION.patchFieldManager) || known || uniqueName(new Uint8Array(), "pulumi-kubernetes-")
    );
}

/** Fills in what a read without inputs knows from the type and the id. */
function identify(inputs: KubeObject, gvk: Gvk, name: string, namespace: string): void {
    inputs.apiVersion = apiVersionOf(gvk);
    inputs.kind = gvk.kind;
    put(inputs, name, "metadata", "name");
    if (namespace !== "") {
        put(inputs, namespace, "metadata", "namespace");
    }
}

/** The stand-in for the official kubernetes provider: same inputs, state and answers, on the Kubernetes REST API. */
export class KubernetesProvider implements Provider {
    readonly version = version;
    private configured: Promise<Cluster> | undefined;

    checkConfig(request: CheckRequest): CheckResult {
        return checkConfig(request);
    }

    diffConfig(request: DiffRequest): Promise<DiffResult> {
        return diffConfig(request);
    }

    async configure(request: ConfigureRequest, context: Context): Promise<Abilities> {
        this.configured = Cluster.connect(readSettings(request.variables), context.signal);
        await this.configured;
        return { acceptSecrets: true, supportsPreview: true, supportsAutonamingConfiguration: true };
    }

    async check(request: CheckRequest, context: Context): Promise<CheckResult> {
        return checkInputs(request, await this.cluster(), context);
    }

    async diff(request: DiffRequest, context: Context): Promise<DiffResult> {
        return diffObject(request, await this.cluster(), context);
    }

    async create(request: CreateRequest, context: Context): Promise<CreateResult> {
        refuse(request.type);
        const cluster = await this.cluster();
        const { preview, type, properties, urn } = request;
        const inputs = toKube(properties);
        const patch = isPatch(type, text(inputs, "kind"));
        if (preview && (hasUnknown(inputs) || patch || !(await cluster.canPreview(inputs, context.signal)))) {
            return { id: "", properties };
        }
        const { api, settings } = cluster;
        const manager = fieldManager(inputs, undefined);
        const state = (live: KubeObject): PropertyMap =>
            checkpoint(inputs, live, properties, text(inputs, "apiVersion"), manager);
        try {
            const write = { api, inputs, manager, preview, patchForce: settings.patchForce, context };
            let live = await createObject({ ...write, mayExist: patch || settings.upsertExistingObjects });
            if (preview) {
                drop(live, "status");
                return { id: "", properties: state(live) };
            }
            void context.status("");
            live = await awaitReady(api, live, inputs, request.timeout, context);
            if (isCrd(inputs)) {
                api.forgetTypes();
            }
            return { id: idOf(live), properties: state(live) };
        } catch (error) {
            if (preview && isUnforeseeable(error)) {
                return { id: "", properties };
            }
            throw createError(urn, type, error, state);
        }
    }

    async update(request: UpdateRequest, context: Context): Promise<PropertyMap> {
        const cluster = await this.cluster();
        const { preview, news, type } = request;
        const inputs = normalize(toKube(news));
        if (preview && (hasUnknown(inputs) || !(await cluster.canPreview(inputs, context.signal)))) {
            return news;
        }
        const { api, settings } = cluster;
        const old = parseCheckpoint(request.olds);
        const before = fieldManager(old.inputs, old.fieldManager);
        const manager = fieldManager(inputs, old.fieldManager);
        const state = (live: KubeObject): PropertyMap =>
            checkpoint(inputs, live, news, initialApiVersionOf(old, old.inputs), manager);
        let live: KubeObject;
        try {
            const write = { api, inputs, manager, preview, patchForce: settings.patchForce, context };
            const patch = isPatch(type, text(inputs, "kind"));
            live = await updateObject({ ...write, patch, ignored: request.ignoreChanges });
            if (!preview) {
                live = await awaitReady(api, live, inputs, request.timeout, context);
            }
        } catch (error) {
            if (preview && isStatus(error, 403)) {
                return news;
            }
            throw await updateError(
                request.urn,
                error,
                async () => api.request("GET", await api.path(old.live, context.signal), context),
                state,
            );
        }
        if (!preview && before !== manager) {
            await relinquish(api, live, before, context.signal);
        }
        return state(live);
    }

    async read(request: ReadRequest, context: Context): Promise<ReadResult> {
        const cluster = await this.cluster();
        if (!cluster.isReachable) {
            return await this.readUnreachable(request, cluster, context);
        }
        const { name, namespace } = parseId(request.id);
        const old = parseCheckpoint(request.properties);
        const given = request.inputs;
        const inputs = normalize(toKube(given));
        const isImport = text(inputs, "kind") === "" && text(old.live, "kind") === "";
        if (text(inputs, "kind") === "") {
            identify(
                inputs,
                text(old.live, "kind") === "" ? gvkOfType(request.type) : gvkOf(old.live),
                name,
                namespace,
            );
        }
        const manager = fieldManager(inputs, old.fieldManager);
        let live: KubeObject;
        let failure: PartialError | undefined;
        try {
            const named = { ...inputs, metadata: { name, ...(namespace === "" ? {} : { namespace }) } };
            live = await cluster.api.request("GET", await cluster.api.path(named, context.signal), context);
            if (!isImport) {
                await checkReady(cluster.api, live, inputs, context);
            }
        } catch (error) {
            if (error instanceof NoMatchError || isStatus(error, 404)) {
                return { id: "" };
            }
            if (!(error instanceof PartialError)) {
                throw error;
            }
            failure = error;
            live = error.object;
        }
        const liveInputs = isImport ? importedInputs(live) : (prune(live, inputs) as KubeObject);
        const properties = checkpoint(liveInputs, live, given, initialApiVersionOf(old, inputs), manager);
        const shown = withSecretsOf(toPulumi(liveInputs), given);
        if (failure !== undefined) {
            throw initError(request.id, failure.message, failure, properties, shown);
        }
        return { id: request.id, properties, inputs: shown };
    }

    async delete(request: DeleteRequest, context: Context): Promise<void> {
        const cluster = await this.cluster();
        if (!cluster.isReachable) {
            await context.log("warning", `configured Kubernetes cluster is unreachable: ${cluster.unreachable}`);
            if (cluster.settings.deleteUnreachable) {
                await context.log("info", DELETED_UNREACHABLE);
                return;
            }
            throw new Error(`configured Kubernetes cluster is unreachable. ${UNREACHABLE_WAY_OUT}`);
        }
        const old = parseCheckpoint(request.properties);
        const manager = fieldManager(old.inputs, old.fieldManager);
        const patch = isPatch(request.type, text(old.live, "kind"));
        try {
            if (patch) {
                await relinquish(cluster.api, old.live, manager, context.signal);
            } else {
                await deleteObject(cluster.api, old.live, old.inputs, manager, request.timeout, context);
            }
        } catch (error) {
            // Without its definition, the object is gone as well.
            if (!(error instanceof NoMatchError)) {
                throw deleteError(error, patch, (live) =>
                    checkpoint(old.inputs, live, request.properties, initialApiVersionOf(old, old.inputs), manager),
                );
            }
        }
        if (isCrd(old.live)) {
            cluster.api.forgetTypes();
        }
    }

    invoke({ token }: InvokeRequest): InvokeResult {
        refuse(token);
        throw new Error(`unknown Invoke type "${token}"`);
    }

    construct(type: string): never {
        refuse(type);
        throw new Error(`unknown component type "${type}"`);
    }

    private async cluster(): Promise<Cluster> {
        if (this.configured === undefined) {
            throw new Error("the kubernetes provider is used before it was configured");
        }
        return await this.configured;
    }

    private async readUnreachable(request: ReadRequest, cluster: Cluster, context: Context): Promise<ReadResult> {
        await context.log("warning", `configured Kubernetes cluster is unreachable: ${cluster.unreachable}`);
        if (cluster.settings.deleteUnreachable) {
            await context.log("info", DELETED_UNREACHABLE);
            return { id: "" };
        }
        if (cluster.settings.skipUpdateUnreachable) {
            return { id: request.id, properties: request.properties, inputs: request.inputs };
        }
        throw new Error(`failed to read resource state due to unreachable cluster. ${UNREACHABLE_WAY_OUT}`);
    }
}
