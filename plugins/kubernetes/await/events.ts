import type { Context } from "../../shared/provider";
import type { Api } from "../api";
import { followRelated } from "../follow";
import { type KubeObject, namespaceOf, text } from "../objects";

/**
 * Shows the warnings that the cluster reports about an object (image cannot be pulled, no node fits, ...) as progress lines,
 * until the signal is aborted. They are a help only: without the right to read events there are none.
 */
export function watchEvents(api: Api, object: KubeObject, context: Context, signal: AbortSignal): void {
    const namespace = namespaceOf(object) || "default";
    const said = new Set<string>();
    followRelated(
        api,
        `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`,
        { fieldSelector: `involvedObject.uid=${text(object, "metadata", "uid")},type=Warning` },
        signal,
        (event, gone) => {
            const line = `${text(event, "reason")}: ${text(event, "message")}`;
            if (!gone && !said.has(line)) {
                said.add(line);
                void context.status(line, "warning");
            }
            return false;
        },
    ).catch(() => {});
}
