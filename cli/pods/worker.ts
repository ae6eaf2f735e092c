// What a worker says about its pods, from what scripts/on-machine/probe/pods-host.sh has printed there.

/** Of proc_pid_stat(5), counted after the name, which may hold anything: when the process was started. */
const startTime = 19;
/** In which the kernel tells programs that time, on every architecture of gVisor's: proc_pid_stat(5), USER_HZ. */
const ticks = 100;
/** Flags of runsc that every sandbox has, and that say only where it keeps its things: runsc/config/flags.go. */
const plumbing = /^(root|.*-fd|.*-fds|log|debug-log|panic-log|coverage-report|.*log-format|pidfile|systemd-cgroup)$/;

/** A container of a pod, the pause container among them, whose name is "". */
export interface Container {
    readonly id: string;
    readonly name: string;
    /** containerd's. */
    readonly runtime: string;
    /** Whether runsc runs it in this pod's sandbox. */
    readonly runsc: boolean;
}

/** What executes a sandbox. */
export interface Sandbox {
    readonly executable: string;
    /** When it was started. */
    readonly since: string | undefined;
    /** Whether another gVisor has taken the place of this one. */
    readonly replaced: boolean;
    /** Of gVisor, for example "release-20260905.0"; empty where nobody knows. */
    readonly release: string;
    /** Of runsc, by name without dashes. */
    readonly flags: Readonly<Record<string, string>>;
}

/** A pod of which a container runs, the pause container for example. */
export interface WorkerPod {
    readonly uid: string;
    readonly namespace: string;
    readonly name: string;
    /** The one that containerd was asked for; empty for the default. */
    readonly handler: string;
    readonly since: string;
    readonly containers: readonly Container[];
    readonly sandbox: Sandbox | undefined;
}

/** What the script prints, by source. */
type Said = Readonly<
    Record<
        "pods" | "containers" | "runtimes" | "runsc" | "processes" | "programs" | "replaced" | "installed" | "boot",
        string
    >
>;

/** Of `crictl pods -o json`. */
interface PodSandbox {
    readonly id: string;
    readonly metadata: Readonly<Record<"uid" | "namespace" | "name", string>>;
    readonly state: string;
    /** Nanoseconds. */
    readonly createdAt: string;
    readonly runtimeHandler?: string;
}

/** Of `crictl ps -o json`. */
interface RunningContainer {
    readonly id: string;
    readonly podSandboxId: string;
    readonly metadata: { readonly name: string };
}

/** Texts that end with a NUL each, in groups of two. */
function pairsIn(text: string): [string, string][] {
    const all = text.split("\0").slice(0, -1);
    return all.flatMap((one, index) => (index % 2 === 1 ? [[all[index - 1] ?? "", one] as [string, string]] : []));
}

/** Lines of two words, as a Map. */
const wordsIn = (text: string) =>
    new Map(
        text.split("\n").flatMap((line) => {
            const [first = "", second = ""] = line.split(" ");
            return first === "" ? [] : [[first, second] as const];
        }),
    );

/** What stands on the command line of a sandbox's process: the flags before runsc's own command, that command, and the last argument. */
function commandLine([, ...args]: readonly string[]) {
    const from = args.findIndex((one) => !one.startsWith("-"));
    const flags = args
        .slice(0, Math.max(from, 0))
        .map((one) => /^--?([\w-]+)(?:=([\s\S]*))?$/.exec(one))
        .flatMap((found) => {
            const [, name = "", value = "true"] = found ?? [];
            return name === "" || plumbing.test(name) ? [] : [[name, value] as const];
        })
        .sort(([a], [b]) => (a < b ? -1 : 1)); // runsc draws their order
    return { flags: Object.fromEntries(flags), command: args[from], last: args.at(-1) };
}

/** The processes of sandboxes by their ids, as far as they still ran when they were asked. */
function processesIn({ processes, programs, replaced, installed, boot }: Said) {
    const stale = wordsIn(replaced);
    const files = pairsIn(processes);
    const of = (path: string) => files.filter(([name]) => name === path).map(([, text]) => text);
    return new Map(
        pairsIn(programs).map(([path, executable]) => {
            const pid = path.split("/")[2] ?? "";
            const [stat = ""] = of(`/proc/${pid}/stat`);
            const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
            const since = new Date((Number(boot) + Number(fields[startTime]) / ticks) * 1000);
            const { command, last, flags } = commandLine(of(`/proc/${pid}/cmdline`));
            const sandbox: Sandbox = {
                executable,
                flags,
                since: Number.isNaN(since.getTime()) ? undefined : since.toISOString(),
                replaced: stale.has(pid),
                // One that was replaced may not say what it was.
                release: stale.get(pid)?.replace("?", "") ?? installed.trim(),
            };
            return [pid, { command, last, sandbox }] as const;
        }),
    );
}

/**
 * The pods of a worker of which a container runs.
 *
 * @param text what the script has printed
 * @returns installed is the release of gVisor that new sandboxes get
 * @throws if the answer is not whole
 */
export function podsIn(text: string): { installed: string; pods: WorkerPod[] } {
    const said = saidIn(text);
    const runtimes = wordsIn(said.runtimes);
    const ofRunsc = wordsIn(said.runsc);
    const processes = processesIn(said);
    const { items = [] } = JSON.parse(said.pods) as { readonly items?: readonly PodSandbox[] };
    const { containers = [] } = JSON.parse(said.containers) as { readonly containers?: readonly RunningContainer[] };

    /** The containers of a pod's sandbox that run, with the process that executes it. */
    const inside = ({ id: sandbox, state }: PodSandbox) => {
        const pause = { id: sandbox, metadata: { name: "" } };
        const isReady = state === "SANDBOX_READY" && runtimes.has(sandbox);
        return [...(isReady ? [pause] : []), ...containers.filter(({ podSandboxId }) => podSandboxId === sandbox)]
            .filter(({ id }) => ofRunsc.get(id) !== "-")
            .map(({ id, metadata: { name } }) => {
                const process = processes.get(ofRunsc.get(id) ?? "");
                // A process id may be another process's by now.
                const own = process?.command === "boot" && process.last === sandbox ? process.sandbox : undefined;
                return {
                    container: { id, name, runtime: runtimes.get(id) ?? "unknown", runsc: own !== undefined },
                    own,
                };
            });
    };

    const running = items.map((item) => ({ item, found: inside(item) })).filter(({ found }) => found.length > 0);
    const uids = [...new Set(running.map(({ item }) => item.metadata.uid))];
    const pods = uids.flatMap((uid) => {
        const sandboxes = running.filter(({ item }) => item.metadata.uid === uid);
        // kubelet gives a pod a new one where the old one has failed.
        const [newest] = sandboxes.map(({ item }) => item).sort((a, b) => Number(b.createdAt) - Number(a.createdAt));
        const all = sandboxes.flatMap(({ found }) => found);
        const sandbox = all.find(({ own }) => own?.replaced)?.own ?? all.find(({ own }) => own)?.own;
        return newest
            ? podOf(
                  newest,
                  sandbox,
                  all.map(({ container }) => container),
              )
            : [];
    });
    return { installed: said.installed.trim(), pods };
}

function podOf(
    { metadata: { uid, namespace, name }, runtimeHandler: handler = "", createdAt }: PodSandbox,
    sandbox: Sandbox | undefined,
    containers: readonly Container[],
): WorkerPod {
    const since = sandbox?.since ?? new Date(Number(BigInt(createdAt) / 1_000_000n)).toISOString();
    return { uid, namespace, name, handler, since, containers, sandbox };
}

function saidIn(text: string): Said {
    const lines = text.trim().split("\n");
    const said = lines.map((line) => {
        const [name = "", content = ""] = line.split(" ");
        return [name, Buffer.from(content, "base64").toString("utf8")] as const;
    });
    if (!said.some(([name]) => name === "boot")) {
        throw new Error(`its answer is cut off after ${text.length} characters`);
    }
    return Object.fromEntries(said) as Said;
}
