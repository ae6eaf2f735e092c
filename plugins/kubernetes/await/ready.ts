import { type Context, withTimeout } from "../../shared/provider";
import type { Api } from "../api";
import { cancelled, notInitialized, timedOut } from "../errors";
import { followObject } from "../follow";
import { ANNOTATION, annotation, isAnnotated, type KubeObject, text } from "../objects";
import { watchEvents } from "./events";
import { lookAtPod } from "./pod";
import { lookAtService, waitForService } from "./service";
import type { Look, Wait } from "./types";
import { WORKLOADS } from "./workloads";

const POD = "v1/Pod";
const SERVICE = "v1/Service";
const DEFAULT_SECONDS = 600;

function typeOf(object: KubeObject): string {
    return `${text(object, "apiVersion")}/${text(object, "kind")}`;
}

/** What tells from the object alone whether it is ready; undefined for types that need no waiting. */
function lookFor(type: string): ((object: KubeObject) => Look) | undefined {
    return type === POD ? lookAtPod : WORKLOADS[type]?.look;
}

/** The time limit in seconds: customTimeouts, else the annotation, else the given default. */
export function limitOf(timeout: number, inputs: KubeObject, standard: number): number {
    const annotated = Number.parseInt(annotation(inputs, ANNOTATION.timeoutSeconds), 10);
    return timeout > 0 ? timeout : annotated > 0 ? annotated : standard;
}

/** Reports each progress line once. */
function reporter(context: Context): (lines: string[]) => void {
    const said = new Set<string>();
    return (lines) => {
        for (const line of lines) {
            if (!said.has(line)) {
                said.add(line);
                void context.status(line);
            }
        }
    };
}

async function wait(w: Wait, report: (object: KubeObject, look: Look) => void): Promise<void> {
    const type = typeOf(w.object);
    const look = lookFor(type);
    if (type === SERVICE) {
        await waitForService(w, report);
    } else if (look !== undefined) {
        await followObject(w.api, w.object, w.signal, (object) => {
            const seen = look(object);
            report(object, seen);
            return seen.ready;
        });
    }
}

/** Whether something is waited for. */
function isWaitedFor(object: KubeObject, inputs: KubeObject): boolean {
    const type = typeOf(object);
    return !isAnnotated(inputs, ANNOTATION.skipAwait) && (type === SERVICE || lookFor(type) !== undefined);
}

/**
 * Waits until the object does what its type is for: a pod runs, a service has endpoints, a deployment is rolled out. Returns
 * the object as last seen. Throws {@link PartialError} with what is known of the cause when the time runs out.
 *
 * @param timeout customTimeouts in seconds; 0: none.
 */
export async function awaitReady(
    api: Api,
    object: KubeObject,
    inputs: KubeObject,
    timeout: number,
    context: Context,
): Promise<KubeObject> {
    if (!isWaitedFor(object, inputs)) {
        return object;
    }
    const limit = limitOf(timeout, inputs, WORKLOADS[typeOf(object)]?.limit ?? DEFAULT_SECONDS);
    const signal = withTimeout(context.signal, limit);
    const events = new AbortController();
    const say = reporter(context);
    let last = object;
    let problems: string[] = [];
    try {
        watchEvents(api, object, context, AbortSignal.any([signal, events.signal]));
        await wait({ api, object, context, signal }, (state, seen) => {
            last = state;
            problems = seen.problems;
            say(seen.progress);
        });
        void context.status("");
        return last;
    } catch (error) {
        if (!signal.aborted) {
            throw error;
        }
        throw (context.signal.aborted ? cancelled : timedOut)(last, problems);
    } finally {
        events.abort();
    }
}

/** One look, for a refresh: an object that is not ready is an error with the state in it. */
export async function checkReady(api: Api, object: KubeObject, inputs: KubeObject, context: Context): Promise<void> {
    if (!isWaitedFor(object, inputs)) {
        return;
    }
    const w: Wait = { api, object, context, signal: context.signal };
    const seen = typeOf(object) === SERVICE ? await lookAtService(w) : lookFor(typeOf(object))?.(object);
    if (seen !== undefined) {
        reporter(context)(seen.progress);
        if (!seen.ready) {
            throw notInitialized(object, seen.problems);
        }
        void context.status("");
    }
}
