// @ts-nocheck
// What a worker says about its pods, from what scripts/on-machine/probe/pods-host.sh has printed there.

/** Of proc_pid_stat(5), counted after the name, which may hold anything: when the process was started. */
const startTime = 19;
/** In which the kernel tells programs that time, on every architecture of gVisor's: proc_pid_stat(5), USER_HZ. */
const ticks = 100;
/** Flags of runsc that every sandbox has, and that say only where it keeps its things: runsc/config/flags.go. */
const plumbing = /^(root|.*-fd|.*-fds|log|debug-log|panic-log|coverage-report|.*log-format|pidfile|systemd-cgroup)$/;

/** Texts that end with a NUL each, in groups of two. */
function pairsIn(text) {
    const parts = text.split("\0").slice(0, -1);
    return Array.from({ length: Math.floor(parts.length / 2) }, (_, index) => parts.slice(2 * index, 2 * index + 2));
}

/** Lines of two words, as a Map. */
const wordsIn = (text) => new Map(text.split("\n").flatMap((line) => (line === "" ? [] : [line.split(" ")])));

/** What stands on the command line of a sandbox's process: the flags before runsc's own command, that command, and the last argument. */
function commandLine([, ...args]) {
    const from = args.findIndex((one) => !one.startsWith("-"));
    const flags = args
        .slice(0, Math.max(from, 0))
        .map((one) => /^--?([\w-]+)(?:=([\s\S]*))?$/.exec(one))
        .filter((found) => found !== null && !plumbing.test(found[1]))
        .map(([, name, value = "true"]) => [name, value])
        .sort(([a], [b]) => (a < b ? -1 : 1)); // runsc draws their order
    return { flags: Object.fromEntries(flags), command: args[from], last: args.at(-1) };
}

/** The processes of sandboxes by their ids, as far as they still ran when they were asked. */
function processesIn({ processes, programs, replaced, installed, boot }) {
    const stale = wordsIn(replaced);
    const files = pairsIn(processes).map(([path, text]) => [...path.split("/").slice(2), text]);
    const of = (pid, file) => files.filter((one) => one[0] === pid && one[1] === file).map(([, , text]) => text);
    return new Map(
        pairsIn(programs).map(([path, executable]) => {
            const pid = path.split("/")[2];
            const [stat = ""] = of(pid, "stat");
            const started = Number(
                stat
                    .slice(stat.lastIndexOf(")") + 2)
                    .split(" ")
                    .at(startTime),
            );
            const since = new Date((Number(boot) + started / ticks) * 1000);
            return [
                pid,
                {
                    ...commandLine(of(pid, "cmdline")),
                    executable,
                    since: Number.isNaN(since.getTime()) ? undefined : since.toISOString(),
                    replaced: stale.has(pid),
                    // One that was replaced may not say what it was.
                    release: stale.has(pid) ? stale.get(pid).replace("?", "") : installed.trim(),
                },
            ];
        }),
    );
}

/**
 * The pods of a worker of which a container runs, the pause container for example.
 *
 * @param text what the script has printed
 * @returns { installed, pods: [{ uid, namespace, name, handler, since, containers, sandbox }] }: installed is the release of gVisor that
 * new sandboxes get; handler is the one that containerd was asked for; of `containers` (the pause container, named "", is one of them where containerd has one) each has { id, name, runtime, runsc }: containerd's
 * runtime, and whether runsc runs it in this pod's sandbox; sandbox is { executable, since, replaced, release, flags } of the
 * process that executes it, or undefined
 * @throws if the answer is not whole
 */
export function podsIn(text) {
    const said = Object.fromEntries(
        text
            .trim()
            .split("\n")
            .map((line) => line.split(" "))
            .map(([name, content = ""]) => [name, Buffer.from(content, "base64").toString("utf8")]),
    );
    if (said.boot === undefined) {
        throw new Error(`its answer is cut off after ${text.length} characters`);
    }
    const runtimes = wordsIn(said.runtimes);
    const ofRunsc = wordsIn(said.runsc);
    const processes = processesIn(said);
    const { items = [] } = JSON.parse(said.pods);
    const { containers: running = [] } = JSON.parse(said.containers);
    const groups = new Map();
    for (const one of items) {
        const isReady = one.state === "SANDBOX_READY" && runtimes.has(one.id);
        const pause = isReady ? [{ id: one.id, metadata: { name: "" } }] : [];
        const all = [...pause, ...running.filter(({ podSandboxId }) => podSandboxId === one.id)];
        const inside = all.filter(({ id }) => ofRunsc.get(id) !== "-");
        if (inside.length > 0) {
            const found = inside.map(({ id, metadata }) => {
                const process = processes.get(ofRunsc.get(id));
                // A process id may be another process's by now.
                const own = process?.command === "boot" && process.last === one.id ? process : undefined;
                return {
                    id,
                    name: metadata.name,
                    runtime: runtimes.get(id) ?? "unknown",
                    runsc: own !== undefined,
                    own,
                };
            });
            const { uid, namespace, name } = one.metadata;
            const pods = groups.get(uid) ?? [];
            groups.set(uid, [...pods, { uid, namespace, name, handler: one.runtimeHandler ?? "", of: one, found }]);
        }
    }
    const pods = [...groups.values()].map((sandboxes) => {
        // kubelet gives a pod a new one where the old one has failed.
        const [newest] = [...sandboxes].sort((a, b) => Number(b.of.createdAt) - Number(a.of.createdAt));
        const { of, found: _, ...pod } = newest;
        const all = sandboxes.flatMap(({ found }) => found);
        const process = all.find(({ own }) => own?.replaced)?.own ?? all.find(({ own }) => own)?.own;
        const { command: _command, last: _last, ...sandbox } = process ?? {};
        return {
            ...pod,
            since: process?.since ?? new Date(Number(BigInt(of.createdAt) / 1_000_000n)).toISOString(),
            containers: all.map(({ own: _own, ...container }) => container),
            sandbox: process && sandbox,
        };
    });
    return { installed: said.installed.trim(), pods };
}
