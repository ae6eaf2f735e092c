// What a step of a walk may change: each kind gives all the ways there are, of which a number that was drawn picks one.
import { isDeepStrictEqual } from "node:util";
import { defaultOf, first, handlersOn, isAllowed, type Override, type Settings } from "./model";

/** One way to change something: other settings, or what somebody does to a machine or to the cluster. */
export interface Way {
    /** In a few words. */
    readonly what: string;
    readonly settings?: Settings;
    /** Somebody's command on a machine. */
    readonly on?: { readonly machine: string; readonly command: string };
    /** The machine's process ends. */
    readonly powerOff?: string;
    /** The stack is destroyed before. */
    readonly destroy?: true;
    /** `up` fails with this, and the settings go back. */
    readonly fails?: { readonly config: Readonly<Record<string, string>>; readonly because: RegExp };
}

export interface Kind {
    /** How long an `up` takes after it, about, in seconds, until one was seen. */
    readonly seconds: number;
    /** @param then settings of before, oldest first */
    readonly ways: (now: Settings, then: readonly Settings[]) => readonly Way[];
}

const workerNames = ["worker-1", "alpha", "worker-2", "zulu"];
const handlerNames = ["runsc", "debug", "zeta"];
const classNames = ["myclass", "sandboxed", "gvisor"];
const flags: readonly Readonly<Record<string, string>>[] = [
    {},
    { overlay2: "none" },
    { "debug-log": "/var/log/runsc/%ID%/" },
    { overlay2: "none", "file-access": "shared" },
];
const labels: readonly Override["labels"][] = [{}, { pool: "untrusted" }, { pool: "other", zone: "a" }];
const taints: readonly Override["taints"][] = [
    [],
    [{ key: "untrusted", value: "", effect: "NoSchedule" }],
    [
        { key: "pool", value: "a", effect: "PreferNoSchedule" },
        { key: "untrusted", value: "yes", effect: "NoExecute" },
    ],
];

const without = <T>(record: Readonly<Record<string, T>>, name: string): Record<string, T> =>
    Object.fromEntries(Object.entries(record).filter(([key]) => key !== name));

/** Ways to other settings: those that the program takes, and that change anything. */
function ways(now: Settings, all: readonly (readonly [what: string, change: Partial<Settings>])[]): Way[] {
    return all
        .map(([what, change]) => ({ what, settings: tidy({ ...now, ...change }) }))
        .filter(({ settings }) => isAllowed(settings) && !isDeepStrictEqual(settings, now));
}

/** Settings without overrides that say nothing, of workers that are gone, and with handlers that are gone. */
function tidy(settings: Settings): Settings {
    const saysSomething = (value: unknown) => typeof value !== "object" || Object.keys(value ?? {}).length > 0;
    const overrides = Object.entries(settings.overrides).map(([worker, own]): [string, Override] => {
        const handlers = own.handlers?.filter((name) => name in settings.handlers) ?? [];
        return [
            worker,
            Object.fromEntries(Object.entries({ ...own, handlers }).filter(([, one]) => saysSomething(one))),
        ];
    });
    return {
        ...settings,
        overrides: Object.fromEntries(
            overrides.filter(([worker, own]) => settings.workers.includes(worker) && saysSomething(own)),
        ),
    };
}

/** Ways to have something different on one of the workers that take sandboxes. */
function overridden(now: Settings, what: string, all: readonly Override[]): Way[] {
    return now.workers
        .filter((worker) => now.overrides[worker]?.sandbox !== false)
        .flatMap((worker) =>
            ways(
                now,
                all.map((change): [string, Partial<Settings>] => [
                    `${what} ${JSON.stringify(change)} on ${worker}`,
                    { overrides: { ...now.overrides, [worker]: { ...now.overrides[worker], ...change } } },
                ]),
            ),
        );
}

const freeWorkers = ({ workers }: Settings) => workerNames.filter((name) => !workers.includes(name));
const freeHandlers = ({ handlers }: Settings) => handlerNames.filter((name) => !(name in handlers));

/** Somebody's command on each worker that takes sandboxes. */
const onSandboxed = (now: Settings, what: string, command: (worker: string) => string): Way[] =>
    now.workers
        .filter((worker) => handlersOn(now, worker).length > 0)
        .map((machine) => ({ what: `${what} on ${machine}`, on: { machine, command: command(machine) } }));

const dropIn = "/etc/containerd/conf.d/50-runtime-sandboxes.toml";
const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
const inCluster = (what: string, command: string): Way => ({
    what,
    on: { machine: "control-plane", command: `${kubectl} ${command}` },
});

/** Ways to begin. */
export const beginnings: readonly Way[] = [["worker-1"], ["worker-1", "alpha"], ["zulu", "worker-1"]].map(
    (workers) => ({
        what: `up from nothing, with ${workers.join(" and ")}`,
        settings: { ...first, workers },
    }),
);

export const kinds: Readonly<Record<string, Kind>> = {
    "nothing is changed": { seconds: 6, ways: () => [{ what: "nothing is changed" }] },
    "add a worker": {
        seconds: 30,
        ways: (now) =>
            ways(
                now,
                freeWorkers(now).flatMap((name): [string, Partial<Settings>][] => [
                    [`add the worker ${name}, first in the list`, { workers: [name, ...now.workers] }],
                    [`add the worker ${name}, last in the list`, { workers: [...now.workers, name] }],
                ]),
            ),
    },
    "remove a worker": {
        seconds: 12,
        ways: (now) =>
            ways(
                now,
                now.workers.map((name) => [
                    `remove the worker ${name}`,
                    { workers: now.workers.filter((one) => one !== name) },
                ]),
            ),
    },
    "rename a worker": {
        seconds: 35,
        ways: (now) =>
            ways(
                now,
                now.workers.flatMap((name) =>
                    freeWorkers(now).map((other): [string, Partial<Settings>] => [
                        `rename the worker ${name} to ${other}`,
                        {
                            workers: now.workers.map((one) => (one === name ? other : one)),
                            overrides: Object.fromEntries(
                                Object.entries(now.overrides).map(([one, own]) => [one === name ? other : one, own]),
                            ),
                        },
                    ]),
                ),
            ),
    },
    "add a handler": {
        seconds: 15,
        ways: (now) =>
            ways(
                now,
                freeHandlers(now).flatMap((name) =>
                    flags.map((options): [string, Partial<Settings>] => [
                        `add the handler ${name} with ${JSON.stringify(options)}`,
                        { handlers: { ...now.handlers, [name]: { options } } },
                    ]),
                ),
            ),
    },
    "remove a handler": {
        seconds: 15,
        ways: (now) =>
            ways(
                now,
                Object.keys(now.handlers).map((name) => [
                    `remove the handler ${name}`,
                    {
                        handlers: without(now.handlers, name),
                        defaultHandler: now.defaultHandler === name ? "" : now.defaultHandler,
                    },
                ]),
            ),
    },
    "rename a handler": {
        seconds: 15,
        ways: (now) =>
            ways(
                now,
                Object.entries(now.handlers).flatMap(([name, handler]) =>
                    freeHandlers(now).map((other): [string, Partial<Settings>] => [
                        `rename the handler ${name} to ${other}`,
                        {
                            handlers: { ...without(now.handlers, name), [other]: handler },
                            defaultHandler: now.defaultHandler === name ? other : now.defaultHandler,
                            overrides: Object.fromEntries(
                                Object.entries(now.overrides).map(([worker, { handlers, ...rest }]) => [
                                    worker,
                                    handlers
                                        ? { ...rest, handlers: handlers.map((one) => (one === name ? other : one)) }
                                        : rest,
                                ]),
                            ),
                        },
                    ]),
                ),
            ),
    },
    "a handler's options": {
        seconds: 10,
        ways: (now) =>
            ways(
                now,
                Object.entries(now.handlers).flatMap(([name, handler]) =>
                    flags.map((options): [string, Partial<Settings>] => [
                        `the handler ${name} gets ${JSON.stringify(options)}`,
                        { handlers: { ...now.handlers, [name]: { ...handler, options } } },
                    ]),
                ),
            ),
    },
    "a handler's class": {
        seconds: 10,
        ways: (now) =>
            ways(
                now,
                Object.entries(now.handlers).flatMap(([name, { options }]) =>
                    [undefined, ...classNames].map((runtimeClass): [string, Partial<Settings>] => [
                        `the handler ${name} gets ${runtimeClass ? `the class ${runtimeClass}` : "no class of its own"}`,
                        {
                            handlers: {
                                ...now.handlers,
                                [name]: runtimeClass ? { runtimeClass, options } : { options },
                            },
                        },
                    ]),
                ),
            ),
    },
    defaultHandler: {
        seconds: 10,
        ways: (now) =>
            ways(
                now,
                ["", ...Object.keys(now.handlers)].map((defaultHandler) => [
                    `defaultHandler "${defaultHandler}"`,
                    { defaultHandler },
                ]),
            ).filter(({ settings }) => settings && defaultOf(settings) !== defaultOf(now)),
    },
    runtimeClass: {
        seconds: 10,
        ways: (now) =>
            ways(
                now,
                classNames.map((runtimeClass) => [`runtimeClass ${runtimeClass}`, { runtimeClass }]),
            ),
    },
    gVisor: {
        seconds: 12,
        ways: (now) =>
            ways(
                now,
                (["package", "older package", "archive"] as const).map((gvisor) => [
                    `gVisor from the ${gvisor}`,
                    { gvisor },
                ]),
            ),
    },
    "labels of a node": {
        seconds: 7,
        ways: (now) =>
            overridden(
                now,
                "the node has",
                labels.map((one) => ({ labels: one })),
            ),
    },
    "taints of a node": {
        seconds: 7,
        ways: (now) =>
            overridden(
                now,
                "the node has",
                taints.map((one) => ({ taints: one })),
            ),
    },
    "a worker's handlers": {
        seconds: 15,
        ways: (now) =>
            overridden(
                now,
                "only",
                Object.keys(now.handlers).map((name) => ({ handlers: [name] })),
            ),
    },
    "a worker's options": {
        seconds: 10,
        ways: (now) =>
            overridden(
                now,
                "all handlers have",
                flags.map((options) => ({ options })),
            ),
    },
    "a worker as all others": {
        seconds: 15,
        ways: (now) =>
            ways(
                now,
                Object.keys(now.overrides).map((worker) => [
                    `nothing is different on ${worker}`,
                    { overrides: without(now.overrides, worker) },
                ]),
            ),
    },
    "no sandbox on a worker": {
        seconds: 15,
        ways: (now) =>
            ways(
                now,
                now.workers.map((worker) => [
                    `no sandbox on ${worker}`,
                    { overrides: { ...now.overrides, [worker]: { sandbox: false } } },
                ]),
            ),
    },
    limits: { seconds: 20, ways: (now) => ways(now, [[`limits ${!now.limits}`, { limits: !now.limits }]]) },
    drain: { seconds: 10, ways: (now) => ways(now, [[`drain ${!now.drain}`, { drain: !now.drain }]]) },
    maxUnavailable: {
        seconds: 7,
        ways: (now) =>
            ways(
                now,
                ["", "1", "2"].map((maxUnavailable) => [`maxUnavailable "${maxUnavailable}"`, { maxUnavailable }]),
            ),
    },
    "back to settings of before": {
        seconds: 25,
        ways: (now, then) =>
            ways(
                now,
                then.map((settings, index) => [`back to the settings of step ${index + 1}`, settings]),
            ),
    },
    "a change that fails": {
        seconds: 15,
        ways: (): Way[] => [
            {
                what: "an archive that is not there, and its revert",
                fails: {
                    config: {
                        gvisorVersion: "20261231.0",
                        gvisorArchive: "file:///srv/mirror/gone.tgz",
                        gvisorArchiveSha512: "0".repeat(128),
                    },
                    because: /gone\.tgz/,
                },
            },
            {
                what: "a mirror that is not there, and its revert",
                fails: {
                    config: { mirror: "file:///srv/gone", mirrorFingerprint: "0".repeat(40) },
                    because: /\/srv\/gone/,
                },
            },
        ],
    },
    "the drop-in is edited": {
        seconds: 10,
        ways: (now) =>
            onSandboxed(now, "the drop-in is edited", () => `echo '# by somebody' >>${dropIn}`).concat(
                onSandboxed(
                    now,
                    "the drop-in is edited and containerd restarted",
                    () => `sed -i 's/runsc\\.v1/runc.v2/' ${dropIn}; systemctl restart containerd`,
                ),
            ),
    },
    "the drop-in is deleted": {
        seconds: 10,
        ways: (now) =>
            onSandboxed(now, "the drop-in is deleted", () => `rm ${dropIn}`).concat(
                onSandboxed(
                    now,
                    "all of gVisor's configuration is deleted",
                    () => `rm -r ${dropIn} /etc/containerd/runsc`,
                ),
            ),
    },
    "a pod is deleted": {
        seconds: 10,
        ways: (now) =>
            now.workers
                .filter((worker) => handlersOn(now, worker).length > 0)
                .flatMap((worker) =>
                    ["test-1", "test-2"].map((key) =>
                        inCluster(
                            `${key} of ${worker} is deleted`,
                            `delete pod --selector run=${key} --field-selector spec.nodeName=${worker}`,
                        ),
                    ),
                ),
    },
    "an object is changed": {
        seconds: 10,
        ways: (now) => [
            inCluster("all classes are deleted", "delete runtimeclasses --all"),
            ...now.workers
                .filter((worker) => handlersOn(now, worker).length > 0)
                .map((worker) =>
                    inCluster(
                        `${worker} loses the labels of its handlers`,
                        `label node ${worker} ${handlersOn(now, worker)
                            .map((name) => `runtime-sandboxes/${name}-`)
                            .join(" ")}`,
                    ),
                ),
        ],
    },
    "a machine is rebooted": {
        seconds: 15,
        ways: ({ workers }) =>
            ["control-plane", ...workers].map((machine) => ({
                what: `${machine} is rebooted`,
                on: { machine, command: "(sleep 0.2; systemctl reboot) >/dev/null 2>&1 &" },
            })),
    },
    "a machine loses its power": {
        seconds: 20,
        ways: ({ workers }) =>
            ["control-plane", ...workers].map((machine) => ({ what: `${machine} loses its power`, powerOff: machine })),
    },
    "destroy, and up from nothing": {
        seconds: 50,
        ways: () => [{ what: "destroy, and up from nothing", destroy: true }],
    },
};
