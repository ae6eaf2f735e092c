// What a stack is to be like, by its settings alone: written from README.md and docs, not from the program's code. Pure.
import { isDeepStrictEqual } from "node:util";
import { handlerLabel, defaultHandler as runsc, testPodLabel } from "../../components/names";

type Options = Readonly<Record<string, string>>;

export interface Taint {
    readonly key: string;
    readonly value: string;
    readonly effect: string;
}

/** What is different on one worker. */
export interface Override {
    readonly sandbox?: boolean;
    readonly handlers?: readonly string[];
    readonly options?: Options;
    readonly labels?: Readonly<Record<string, string>>;
    readonly taints?: readonly Taint[];
}

/** The settings that a walk changes, under the names that they have in Pulumi.yaml; `gvisor` stands for three of them. */
export interface Settings {
    readonly workers: readonly string[];
    readonly runtimeClass: string;
    readonly handlers: Readonly<Record<string, { readonly runtimeClass?: string; readonly options: Options }>>;
    readonly defaultHandler: string;
    readonly gvisor: "package" | "older package" | "archive";
    readonly overrides: Readonly<Record<string, Override>>;
    readonly limits: boolean;
    readonly drain: boolean;
    /** Empty for all at once. */
    readonly maxUnavailable: string;
}

export const first: Settings = {
    workers: ["worker-1"],
    runtimeClass: "myclass",
    handlers: { runsc: { options: {} } },
    defaultHandler: "",
    gvisor: "package",
    overrides: {},
    limits: false,
    drain: false,
    maxUnavailable: "",
};

/** Releases of gVisor: of the package that is the default, and of the older one, such as "20260905.0". */
export interface Releases {
    readonly now: string;
    readonly older: string;
}

/** The settings as they are written in the stack's file; `archive` are those that gVisor is taken from an archive by. */
export function configOf(settings: Settings, releases: Releases, archive: Readonly<Record<string, string>> = {}) {
    const { workers, gvisor, limits, drain, ...rest } = settings;
    return {
        ...rest,
        ...{ workers: workers.join(","), limits: String(limits), drain: String(drain) },
        ...{ mirror: "", mirrorFingerprint: "", gvisorArchive: "", gvisorArchiveSha512: "" },
        gvisorVersion: gvisor === "older package" ? releases.older : "",
        ...(gvisor === "archive" ? archive : {}),
    };
}

/** What a machine that takes sandboxes has of gVisor, and what is in containerd's directory. */
export interface WorkerSeen {
    /** All files below /etc/containerd. */
    readonly paths: readonly string[];
    /** Those of the program, parsed, by path. */
    readonly files: Readonly<Record<string, unknown>>;
    /** Where the programs are, and the release that they say they are; empty for none. */
    readonly runsc: { readonly path: string; readonly release: string };
    /** Whether this program has left anything for later in its directory there. */
    readonly pending: readonly string[];
}

export interface Seen {
    readonly machines: readonly string[];
    readonly workers: Readonly<Record<string, WorkerSeen>>;
    /** By name. */
    readonly classes: Readonly<Record<string, unknown>>;
    readonly nodes: Readonly<Record<string, unknown>>;
    readonly pods: Readonly<Record<string, unknown>>;
}

/** Order of taints, and of what tolerates them. */
export function byName(a: Taint, b: Taint): number {
    const [left, right] = [a, b].map(({ key, effect, value }) => `${key} ${effect} ${value}`);
    return (left ?? "") < (right ?? "") ? -1 : 1;
}

/** Name of the default handler: the one whose class is the setting runtimeClass. */
export function defaultOf({ handlers, defaultHandler }: Settings): string {
    return defaultHandler || (runsc in handlers ? runsc : (Object.keys(handlers)[0] ?? ""));
}

export function classOf(settings: Settings, handler: string): string {
    const own = settings.handlers[handler]?.runtimeClass;
    return own ?? (handler === defaultOf(settings) ? settings.runtimeClass : handler);
}

/** Names of the handlers of a worker, in order. */
export function handlersOn(settings: Settings, worker: string): string[] {
    const { sandbox = true, handlers = Object.keys(settings.handlers) } = settings.overrides[worker] ?? {};
    return sandbox ? [...handlers].sort() : [];
}

/** Whether the program takes these settings, and a worker takes sandboxes: else there is little to see. */
export function isAllowed(settings: Settings): boolean {
    const { workers, handlers, defaultHandler, overrides } = settings;
    const names = Object.keys(handlers);
    const classes = names.map((name) => classOf(settings, name));
    return (
        workers.length <= 3 &&
        workers.some((worker) => handlersOn(settings, worker).length > 0) &&
        names.length > 0 &&
        (defaultHandler === "" ? runsc in handlers || names.length === 1 : defaultHandler in handlers) &&
        new Set(classes).size === classes.length &&
        Object.entries(overrides).every(
            ([worker, { handlers: own = names }]) =>
                workers.includes(worker) && own.length > 0 && own.every((name) => name in handlers),
        )
    );
}

function podNamed(key: string, worker: string): string {
    return worker === "worker-1" && key !== "limits" ? key : `${key}-${worker}`;
}

function workerExpected(settings: Settings, worker: string, release: string): WorkerSeen {
    const names = handlersOn(settings, worker);
    // What the machine has without us, and what comes with the package of gVisor.
    const theirs = ["conf.d/10-kubernetes.toml", "config.toml", "config.toml.dpkg-dist"].map(
        (name) => `/etc/containerd/${name}`,
    );
    const packaged = settings.gvisor === "archive" ? [] : ["/etc/containerd/runsc.toml"];
    if (names.length === 0) {
        return { paths: theirs, files: {}, runsc: { path: "", release: "" }, pending: [] };
    }
    const optionsOf = (name: string) => `/etc/containerd/runsc/${name}.toml`;
    const runtimes = names.map((name) => [
        name,
        {
            runtime_type: "io.containerd.runsc.v1",
            options: { TypeUrl: "io.containerd.runsc.v1.options", ConfigPath: optionsOf(name) },
        },
    ]);
    const files = {
        "/etc/containerd/conf.d/50-runtime-sandboxes.toml": {
            version: 3,
            plugins: { "io.containerd.cri.v1.runtime": { containerd: { runtimes: Object.fromEntries(runtimes) } } },
        },
        ...Object.fromEntries(
            names.map((name) => [
                optionsOf(name),
                {
                    runsc_config: {
                        "debug-command": `!runtime-sandboxes/${name}`,
                        platform: "systrap",
                        ...settings.handlers[name]?.options,
                        ...settings.overrides[worker]?.options,
                    },
                },
            ]),
        ),
    };
    return {
        paths: [...theirs, ...packaged, ...Object.keys(files)].sort(),
        files,
        runsc: { path: settings.gvisor === "archive" ? `/opt/gvisor/${release}/runsc` : "/usr/bin/runsc", release },
        pending: [],
    };
}

function nodeExpected(settings: Settings, worker: string) {
    const { labels = {}, taints = [] } = settings.overrides[worker] ?? {};
    const handlers = handlersOn(settings, worker);
    return {
        labels: { ...labels, ...Object.fromEntries(handlers.map((name) => [handlerLabel(name), "true"])) },
        taints: [...taints].sort(byName),
        handlers: ["runc", ...handlers].sort(),
        takesPods: true,
    };
}

function classExpected(settings: Settings, handler: string) {
    const taints = settings.workers
        .filter((worker) => handlersOn(settings, worker).includes(handler))
        .flatMap((worker) => settings.overrides[worker]?.taints ?? []);
    return {
        handler,
        nodeSelector: { [handlerLabel(handler)]: "true" },
        tolerations: taints
            .filter((one, index) => taints.findIndex((other) => isDeepStrictEqual(one, other)) === index)
            .map((taint) => ({ operator: "Equal", ...taint }))
            .sort(byName),
    };
}

function podsExpected(settings: Settings, worker: string): [string, object][] {
    const handlers = handlersOn(settings, worker);
    const [proven = ""] = handlers.filter((name) => name === defaultOf(settings)).concat(handlers);
    const pod = (key: string, runtimeClass: string, testPod: string): [string, object] => [
        podNamed(key, worker),
        { node: worker, runtimeClass, testPod, phase: "Running" },
    ];
    const sandboxed = classOf(settings, proven);
    return handlers.length === 0
        ? []
        : [
              pod("test-1", "", "test-1"),
              pod("test-2", sandboxed, "test-2"),
              ...(settings.limits ? [pod("limits", sandboxed, "")] : []),
          ];
}

/** Label by which a test pod is known. */
export const podLabel = testPodLabel;

/** What is to be found. */
export function expected(settings: Settings, releases: Releases): Seen {
    const { workers, handlers, gvisor } = settings;
    const release = gvisor === "older package" ? releases.older : releases.now;
    const byWorker = <T>(of: (worker: string) => T) =>
        Object.fromEntries(workers.map((worker) => [worker, of(worker)]));
    return {
        machines: ["control-plane", ...workers].sort(),
        workers: byWorker((worker) => workerExpected(settings, worker, release)),
        classes: Object.fromEntries(
            Object.keys(handlers).map((name) => [classOf(settings, name), classExpected(settings, name)]),
        ),
        nodes: byWorker((worker) => nodeExpected(settings, worker)),
        pods: Object.fromEntries(workers.flatMap((worker) => podsExpected(settings, worker))),
    };
}
