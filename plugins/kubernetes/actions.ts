import { randomBytes } from "node:crypto";
import type { Context } from "../shared/provider";
import { withTimeout } from "../shared/provider";
import { type Api, pause } from "./api";
import { limitOf } from "./await/ready";
import { isNamespaceMissing, isStatus, NoMatchError, PartialError, StatusError } from "./errors";
import { followObject } from "./follow";
import { CREATE_MANAGER, handOver, hasOwnUpdates, withIgnored } from "./managers";
import {
    ANNOTATION,
    annotation,
    at,
    clone,
    isAnnotated,
    isCrd,
    type KubeObject,
    nameOf,
    namespaceOf,
    put,
    text,
} from "./objects";

const APPLY = "application/apply-patch+yaml";
const MAX_TRIES = 5;
const FIRST_RETRY_MS = 1_000;
const DELETE_SECONDS = 600;
const PATIENCE_MS = 2_000;
const CONFLICT_HELP =
    "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/#handle-field-conflicts-on-existing-resources";

/** What all writes have in common. */
export interface Write {
    api: Api;
    inputs: KubeObject;
    /** The field manager of applies. */
    manager: string;
    /** A dry run: the server answers what it would do. */
    preview: boolean;
    /** Take over fields that others manage; undefined: as the object's annotation says. */
    patchForce: boolean | undefined;
    context: Context;
}

function dryRun(preview: boolean): string | undefined {
    return preview ? "All" : undefined;
}

/** A conflict says who else manages the field; the way out belongs to it. */
function explainConflict(error: unknown, manager: string): unknown {
    if (!isStatus(error, 409) || error.reason === "AlreadyExists") {
        return error;
    }
    const message =
        `Server-Side Apply field conflict detected. See ${CONFLICT_HELP} for troubleshooting help.\n` +
        `The resource managed by field manager "${manager}" had an apply conflict: ${error.message}`;
    return new StatusError(error.code, error.reason, message, error.details);
}

/**
 * Aborted a moment after the given signal: a write that is on its way should come to its end, or the object would exist
 * without being in the state.
 */
function patient(signal: AbortSignal): AbortSignal {
    const late = new AbortController();
    const follow = (): void => void setTimeout(() => late.abort(signal.reason), PATIENCE_MS).unref();
    signal.throwIfAborted();
    signal.addEventListener("abort", follow, { once: true });
    return late.signal;
}

async function apply(w: Write, inputs: KubeObject, force: boolean): Promise<KubeObject> {
    const { signal } = w.context;
    try {
        return await w.api.request("PATCH", await w.api.path(inputs, signal), {
            query: { fieldManager: w.manager, force, dryRun: dryRun(w.preview), fieldValidation: "Warn" },
            body: inputs,
            contentType: APPLY,
            signal: patient(signal),
        });
    } catch (error) {
        throw explainConflict(error, w.manager);
    }
}

function isForced(w: Write, live: KubeObject | undefined): boolean {
    if (isAnnotated(w.inputs, ANNOTATION.patchForce)) {
        return true;
    }
    return w.patchForce ?? (w.preview && (live === undefined || hasOwnUpdates(live)));
}

/** Makes the object by an apply, which also takes an object that is there already. */
async function upsert(w: Write): Promise<KubeObject> {
    try {
        return await apply(w, w.inputs, isForced(w, undefined));
    } catch (error) {
        if (!w.preview || !isStatus(error, 422) || !error.message.includes("field is immutable")) {
            throw error;
        }
        // A dry run cannot foretell a replacement under the same name, so it is asked about another one.
        const stand = clone(w.inputs);
        put(stand, `${nameOf(w.inputs)}${randomBytes(3).toString("hex").slice(0, 5)}`, "metadata", "name");
        return await apply(w, stand, true);
    }
}

async function post(w: Write): Promise<KubeObject> {
    const { signal } = w.context;
    return await w.api.request("POST", await w.api.collection(w.inputs, signal), {
        query: { fieldManager: CREATE_MANAGER, dryRun: dryRun(w.preview) },
        body: w.inputs,
        signal: patient(signal),
    });
}

/**
 * Creates the object, by a plain create or, with `mayExist`, by an apply. What is not there yet (namespace, definition) is
 * waited for by a few tries, since other resources of the same run may be making it.
 */
export async function createObject(w: Write & { mayExist: boolean }): Promise<KubeObject> {
    for (let attempt = 0; ; attempt++) {
        try {
            return await (w.mayExist ? upsert(w) : post(w));
        } catch (error) {
            if (w.preview && isNamespaceMissing(error)) {
                throw error;
            }
            const message = error instanceof Error ? error.message : String(error);
            await w.context.status(`Retry #${attempt}; creation failed: ${message}`);
            const mayCome = error instanceof NoMatchError || isStatus(error, 404);
            if (!mayCome || attempt + 1 >= MAX_TRIES) {
                throw error;
            }
            await pause(FIRST_RETRY_MS * 2 ** attempt, w.context.signal);
        }
    }
}

/** Changes the object to the inputs. Returns the object as the server answers. */
export async function updateObject(w: Write & { patch: boolean; ignored: string[] }): Promise<KubeObject> {
    const { api, inputs, context } = w;
    const path = await api.path(inputs, context.signal);
    let live = await api.request("GET", path, { signal: context.signal });
    if (isCrd(inputs)) {
        // A definition is replaced as a whole: an apply would merge its lists of versions.
        const body = clone(inputs);
        put(body, text(live, "metadata", "resourceVersion"), "metadata", "resourceVersion");
        const query = { fieldManager: w.manager, dryRun: dryRun(w.preview) };
        return await api.request("PUT", path, { query, body, signal: context.signal });
    }
    const patch = w.patch || w.preview ? undefined : handOver(live, w.manager);
    if (patch !== undefined) {
        const contentType = "application/json-patch+json";
        live = await api.request("PATCH", path, { body: patch, contentType, signal: context.signal });
    }
    return await apply(w, withIgnored(inputs, live, w.manager, w.ignored), isForced(w, live));
}

/** Gives up all fields of the manager; what nobody else manages goes back to its default. */
export async function relinquish(api: Api, object: KubeObject, manager: string, signal: AbortSignal): Promise<void> {
    const path = await api.path(object, signal);
    const namespace = namespaceOf(object);
    const metadata = { name: nameOf(object), ...(namespace === "" ? {} : { namespace }) };
    const body = { apiVersion: object.apiVersion, kind: object.kind, metadata };
    try {
        // An apply would make a new object if this one is gone.
        await api.request("GET", path, { signal });
        await api.request("PATCH", path, { query: { fieldManager: manager }, body, contentType: APPLY, signal });
    } catch (error) {
        if (!isStatus(error, 404)) {
            throw error;
        }
    }
}

function propagation(inputs: KubeObject): string {
    const policy = annotation(inputs, ANNOTATION.deletionPropagation).toLowerCase();
    return policy === "orphan" ? "Orphan" : policy === "background" ? "Background" : "Foreground";
}

/** Waits until the object is gone. */
async function awaitGone(api: Api, object: KubeObject, inputs: KubeObject, timeout: number, context: Context) {
    const signal = withTimeout(context.signal, limitOf(timeout, inputs, DELETE_SECONDS));
    const uid = text(object, "metadata", "uid");
    let last = object;
    void context.status("Resource scheduled for deletion");
    try {
        await followObject(api, object, signal, (state, gone) => {
            last = state;
            return gone || text(state, "metadata", "uid") !== uid;
        });
        void context.status("");
    } catch (error) {
        if (!signal.aborted) {
            throw error;
        }
        const held = at(last, "metadata", "finalizers");
        const finalizers = Array.isArray(held) ? held.join(", ") : "";
        const warning = finalizers === "" ? "" : `finalizers might be preventing deletion (${finalizers})`;
        if (warning !== "") {
            await context.log("warning", warning);
        }
        throw new PartialError(
            context.signal.aborted
                ? `Resource operation was cancelled for "${nameOf(last)}"`
                : "timed out waiting for the condition",
            last,
            [],
        );
    }
}

/**
 * Deletes the object and waits until it is gone; one that is gone already is fine. An object that nobody may delete (the
 * default namespace) is only let go.
 */
export async function deleteObject(
    api: Api,
    object: KubeObject,
    inputs: KubeObject,
    manager: string,
    timeout: number,
    context: Context,
): Promise<void> {
    const { signal } = context;
    try {
        const answer = await api.request("DELETE", await api.path(object, signal), {
            body: { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: propagation(inputs) },
            signal,
        });
        // An object that was removed at once comes back as a Status; otherwise the answer is the object on its way out.
        if (text(answer, "kind") === text(object, "kind") && !isAnnotated(inputs, ANNOTATION.skipAwait)) {
            const { apiVersion = "", kind = "" } = object;
            await awaitGone(api, { apiVersion, kind, ...answer }, inputs, timeout, context);
        }
    } catch (error) {
        // Any other refusal is a lack of rights, which must not look like a deletion.
        if (isStatus(error, 403) && error.message.includes("may not be deleted")) {
            await context.log("warning", `${error.message}; its fields are no longer managed instead`);
            await relinquish(api, object, manager, signal);
        } else if (!isStatus(error, 404)) {
            throw error;
        }
    }
}
