import assert from "node:assert/strict";
import { execFileSync, type SpawnSyncReturns, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

const root = path.resolve(__dirname, "../..");

/** What a script printed, and how it ended. */
export interface Ended {
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
}

/** A stack directory, bridge and range of its own for scripts/local, with the project's shared base image. */
export class LocalHost {
    public readonly stackDir: string;
    public readonly env: NodeJS.ProcessEnv;

    /**
     * @param name part of the directory's name; directories have spaces, commas and colons to show that none hurts.
     * @param namespace network namespace to run in, made with `ip netns add`; the host's own when left out.
     */
    constructor(
        name: string,
        public readonly bridge: string,
        public readonly range: string,
        private readonly namespace?: string,
    ) {
        assert.equal(process.getuid?.(), 0, "these tests boot machines and change the network: run them as root");
        this.stackDir = path.join(root, ".local", `${name}, spec: ${process.pid}`);
        this.env = {
            ...process.env,
            STACK_DIR: this.stackDir,
            CACHE_DIR: path.join(root, ".cache"),
            MIRROR_DIR: "",
            BRIDGE: bridge,
            RANGE: range,
        };
    }

    /** The script and its arguments as a command line, in the right network namespace. */
    public commandLine(script: string, args: readonly string[]): [string, string[]] {
        const line = ["bash", path.join(root, "scripts/local", script), ...args];
        return this.namespace ? ["ip", ["netns", "exec", this.namespace, ...line]] : ["bash", line.slice(1)];
    }

    /** Runs a script to its end. `env` overrides variables; an empty string counts as unset. */
    public run(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Ended {
        const [file, line] = this.commandLine(script, args);
        return spawnSync(file, line, { env: { ...this.env, ...env }, encoding: "utf8" });
    }

    /** Runs a script that must succeed, and gives its stdout. */
    public ok(script: string, args: readonly string[]): string {
        const ended = this.run(script, args);
        assert.equal(ended.status, 0, `${script} ${args.join(" ")}: ${ended.stderr}`);
        return ended.stdout;
    }

    /** Runs a script that must refuse, and gives what it complained about. */
    public refused(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
        const ended = this.run(script, args, env);
        assert.equal(ended.status, 1, `${script} ${args.join(" ")} should refuse: ${ended.stdout}`);
        assert.equal(ended.stdout, "");
        return ended.stderr;
    }

    /** Runs any command in the host's network namespace of this object. */
    public sh(command: string): string {
        const line = this.namespace ? ["ip", "netns", "exec", this.namespace] : [];
        const [file = "", ...rest] = [...line, "bash", "-c", command];
        return execFileSync(file, rest, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    }

    /** Runs a command on a machine by SSH with the pinned host key. */
    public ssh(machine: string, address: string, command: string): SpawnSyncReturns<string> {
        const options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=/dev/null",
            `UserKnownHostsFile="${this.file(machine, "known_hosts")}"`,
        ].flatMap((option) => ["-o", option]);
        const key = path.join(this.stackDir, "id_ed25519");
        return spawnSync("ssh", ["-F", "/dev/null", "-i", key, ...options, `root@${address}`, command], {
            encoding: "utf8",
        });
    }

    /** A file in a machine's directory. */
    public file(machine: string, ...names: string[]): string {
        return path.join(this.stackDir, "machines", machine, ...names);
    }

    /** The process that a running machine has noted. */
    public process(machine: string): { pid: number; startTime: number; bootId: string } {
        return JSON.parse(fs.readFileSync(this.file(machine, "process.json"), "utf8"));
    }

    /** Everything on this host that belongs to this stack, as text; nothing when all is gone. */
    public traces(): string {
        const id = execFileSync("sha256sum", { input: `${this.stackDir}\n`, encoding: "utf8" }).slice(0, 8);
        const found = [
            ...this.sh(
                `grep -lsFaz 'STACK_DIR=${this.stackDir}' /proc/[0-9]*/environ | grep -vE "/(self|${process.pid})/" || true`,
            ).split("\n"),
            ...this.sh(`grep -sF "${id}" /proc/mounts || true`).split("\n"),
            ...this.sh(`find /sys/fs/cgroup -name '*${id}*' -type d`).split("\n"),
            ...this.sh(`grep -lsF "${id}" /sys/class/net/*/ifalias || true`).split("\n"),
            ...this.sh(`ls -d /sys/class/net/${this.bridge} /sys/class/net/sbx-${id} 2>/dev/null || true`).split("\n"),
            ...this.sh(`iptables-save 2>/dev/null | grep -F "${id}" || true`).split("\n"),
            fs.existsSync(this.stackDir) ? this.stackDir : "",
        ];
        return found.filter((line) => line !== "").join("\n");
    }
}
