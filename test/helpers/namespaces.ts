// Scripts of machines on this host, in namespaces of their own.
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { renderStep } from "../../components/remoteStep";

/** Arguments of `unshare`: a root of its own with mounts of its own; and with processes of its own, too. */
export const mounts = ["--map-root-user", "--mount"];
const processes = [...mounts, "--pid", "--fork", "--mount-proc", "--kill-child"];

/** Skips a suite on a host that makes no such namespaces. */
export function skipWithout(context: Mocha.Context, namespaces = mounts): void {
    const { status, stderr } = spawnSync("unshare", [...namespaces, "true"], { encoding: "utf8" });
    if (status !== 0) {
        console.error(`      skipped: ${stderr.trim()} (needs ${namespaces.join(" ")})`);
        context.skip();
    }
}

/** A directory that plays a worker: `cgroup` stands for its control groups (version 2), `bin/crictl` for its crictl. */
export class PlayedWorker {
    public static readonly skipWithout = (context: Mocha.Context) => skipWithout(context, processes);
    public readonly scratch = fs.mkdtempSync(path.join(os.tmpdir(), "worker-"));

    constructor(crictl: string) {
        this.write("cgroup/cgroup.controllers", "cpu memory");
        this.write("bin/crictl", crictl, 0o755);
    }

    public write(name: string, text: string, mode = 0o644): void {
        const file = path.join(this.scratch, name);
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.writeFileSync(file, `${text}\n`, { mode });
    }

    /** Lines that start a process of a pod: its id is in UID.pid, and it is in this control group. */
    public process(uid: string, group: string): string {
        this.write(`${uid}.cgroup`, `0::/${group}`);
        return `sleep 60 & echo $! >"$SCRATCH/${uid}.pid"; mount --bind "$SCRATCH/${uid}.cgroup" "/proc/$!/cgroup"`;
    }

    /** Runs scripts as a step, after the lines `given`. */
    public run(
        scripts: string[],
        values: Record<string, string>,
        given: readonly string[],
        env: NodeJS.ProcessEnv = {},
    ): SpawnSyncReturns<string> {
        const step = renderStep(scripts, "worker", values).replace(
            /^main "\$@"$/m,
            "PATH=$SCRATCH/bin:$PATH scripts=$SCRATCH/scripts\n$&",
        );
        const own = ['mount --bind "$SCRATCH/cgroup" /sys/fs/cgroup', "mount -t tmpfs tmpfs /run/lock", ...given];
        return spawnSync("unshare", [...processes, "bash", "-s"], {
            input: `set -e\n${own.join("\n")}\n${step}`,
            encoding: "utf8",
            env: { ...process.env, ...env, SCRATCH: this.scratch },
        });
    }

    public remove(): void {
        fs.rmSync(this.scratch, { recursive: true });
    }
}
