import type { Context } from "../../shared/provider";
import type { Api } from "../api";
import type { KubeObject } from "../objects";

/** What one look at an object says. */
export interface Look {
    ready: boolean;
    /** Progress lines, in order. */
    progress: string[];
    /** Why it is not ready, as far as it is known. */
    problems: string[];
}

/** What a waiter is given. */
export interface Wait {
    api: Api;
    /** The object as the API server last answered. */
    object: KubeObject;
    context: Context;
    /** Aborted by the user's cancel and by the time limit. */
    signal: AbortSignal;
}
