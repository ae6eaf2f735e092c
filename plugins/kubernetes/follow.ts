import { type Api, pause, type Query } from "./api";
import { StatusError } from "./errors";
import { type KubeObject, maps, nameOf, text } from "./objects";

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;

/** Told of every state of what is followed; returns true when it has seen enough. `gone`: the object was deleted. */
type Visitor = (object: KubeObject, gone: boolean) => boolean;

/** Whether trying again cannot help. */
function isFinal(error: unknown): boolean {
    return error instanceof StatusError && error.code < 500 && error.code !== 410 && error.code !== 429;
}

async function watchFrom(api: Api, path: string, query: Query, version: string, signal: AbortSignal, visit: Visitor) {
    let last = version;
    const from = { ...query, resourceVersion: version, allowWatchBookmarks: true };
    for await (const { type, object } of api.watch(path, from, signal)) {
        if (type === "ERROR") {
            // Mostly 410: the version is too old. The list that follows tells what was missed.
            return { done: false, version: "" };
        }
        last = text(object, "metadata", "resourceVersion");
        if (type !== "BOOKMARK" && visit(object, type === "DELETED")) {
            return { done: true, version: last };
        }
    }
    return { done: false, version: last };
}

/**
 * Follows the objects of a collection by a watch, through lost connections, until the visitor has seen enough. With `from`,
 * a resource version, it starts there; else with what exists. `vanished` is asked after each list.
 */
async function follow(
    api: Api,
    path: string,
    options: { query: Query; from?: string; signal: AbortSignal },
    visit: Visitor,
    vanished: (present: KubeObject[]) => boolean = () => false,
): Promise<void> {
    const { query, signal } = options;
    let version = options.from ?? "";
    let delay = FIRST_DELAY_MS;
    for (;;) {
        try {
            if (version === "") {
                const list = await api.request("GET", path, { query, signal });
                const kind = text(list, "kind").replace(/List$/, "");
                const items = maps(list, "items").map((item) => ({ kind, apiVersion: list.apiVersion ?? "", ...item }));
                if (items.some((item) => visit(item, false)) || vanished(items)) {
                    return;
                }
                version = text(list, "metadata", "resourceVersion");
            }
            const seen = await watchFrom(api, path, query, version, signal, visit);
            if (seen.done) {
                return;
            }
            version = seen.version;
            delay = FIRST_DELAY_MS;
        } catch (error) {
            signal.throwIfAborted();
            if (isFinal(error)) {
                throw error;
            }
            version = "";
            await pause(delay, signal);
            delay = Math.min(delay * 2, MAX_DELAY_MS);
        }
    }
}

/** Follows one object, from the state given. Rejects when the signal is aborted. */
export async function followObject(api: Api, object: KubeObject, signal: AbortSignal, visit: Visitor): Promise<void> {
    if (visit(object, false)) {
        return;
    }
    let last = object;
    const remember: Visitor = (state, gone) => {
        last = state;
        return visit(state, gone);
    };
    const uid = text(object, "metadata", "uid");
    await follow(
        api,
        await api.collection(object, signal),
        {
            query: { fieldSelector: `metadata.name=${nameOf(object)}` },
            from: text(object, "metadata", "resourceVersion"),
            signal,
        },
        remember,
        (present) => !present.some((item) => text(item, "metadata", "uid") === uid) && visit(last, true),
    );
}

/** Follows what a selector picks in the namespace of an object. */
export async function followRelated(
    api: Api,
    path: string,
    query: Query,
    signal: AbortSignal,
    visit: Visitor,
): Promise<void> {
    await follow(api, path, { query, signal }, visit);
}
