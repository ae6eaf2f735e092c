import type { Handler } from "../components/contracts";
import { ownPods, testPods } from "../components/names";
import { allHandlers, defaultHandlerOf } from "./handlers";
import type { Settings } from "./schema";

/** The handlers of one worker; none where it takes no sandboxes. */
export function handlersOf(settings: Settings, worker: string): Handler[] {
    const override = settings.overrides[worker];
    if (override?.sandbox === false) {
        return [];
    }
    return allHandlers(settings)
        .filter(({ name }) => override?.handlers?.includes(name) ?? true)
        .map((handler) => ({ ...handler, options: { ...handler.options, ...override?.options } }));
}

/** The handler of test-2 on a worker: the default one, or else the first by name; undefined where it takes no sandboxes. */
export function testHandlerOf(settings: Settings, worker: string): Handler | undefined {
    const handlers = handlersOf(settings, worker);
    return handlers.find(({ name }) => name === defaultHandlerOf(settings)) ?? handlers[0];
}

/** NAMESPACE/NAME of the pods on a worker that are the stack's own, in this version or in an earlier one. */
function stackPods(settings: Settings, worker: string): string[] {
    // Before existing.namespace named another one all pods were in default.
    const namespaces = new Set([settings.existing?.namespace ?? "default", "default"]);
    // Version 0.1.0 gave the first worker's pods the bare names, whatever that worker is called.
    const pods = new Set([...ownPods(worker), ...testPods]);
    return [...namespaces].flatMap((namespace) => [...pods].map((pod) => `${namespace}/${pod}`));
}

/** What the settings say of one worker, as the components of a worker take it. */
export function workerSettings(settings: Settings, worker: string) {
    const { labels = {}, taints = [] } = settings.overrides[worker] ?? {};
    const handlers = handlersOf(settings, worker);
    const handler = testHandlerOf(settings, worker);
    return {
        /** How its node is drained before containerd is restarted; undefined where it is not. */
        drain: settings.drain ? { options: settings.drainOptions, keep: stackPods(settings, worker) } : undefined,
        /** How it runs sandboxes; undefined where it takes none. */
        sandboxes: handler && {
            handlers,
            /** The one that runs test-2. */
            handler,
            nodeSettings: { labels, taints },
            release: settings.gvisorVersion,
            archive:
                settings.gvisorArchive === ""
                    ? undefined
                    : { url: settings.gvisorArchive, sha512: settings.gvisorArchiveSha512 },
            accepted: settings.acceptVulnerabilities,
        },
    };
}
