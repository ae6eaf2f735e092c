import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { dumpYaml, loadYaml } from "@kubernetes/client-node";

/** The project's directory: everything is run from there, as a user does. */
export const root = path.resolve(__dirname, "../..");

export interface Finished {
    readonly code: number;
    /** Standard output and standard error, in the order in which they came. */
    readonly text: string;
}

/** Where commands are run: a directory with the project, behind what command, and in what environment. */
export interface Place {
    readonly directory: string;
    readonly within: readonly string[];
    readonly env: NodeJS.ProcessEnv;
}

const here: Place = { directory: root, within: [], env: process.env };

/** A stack of its own on the local target, driven through the project's own commands. */
export class TestStack {
    public readonly files: string;

    constructor(
        public readonly name: string,
        settings: Readonly<Record<string, string | object>>,
        private readonly place: Place = here,
    ) {
        this.files = path.join(place.directory, ".local", name);
        this.configure(settings);
    }

    private get configFile(): string {
        return path.join(this.place.directory, `Pulumi.${this.name}.yaml`);
    }

    /** Changes settings, keeping what Pulumi itself wrote into the file. */
    public configure(settings: Readonly<Record<string, string | object>>): void {
        const file = fs.existsSync(this.configFile)
            ? loadYaml<{ config?: object }>(fs.readFileSync(this.configFile, "utf8"))
            : {};
        const named = Object.entries(settings).map(([key, value]) => [`runtime-sandboxes:${key}`, value]);
        file.config = { ...file.config, ...Object.fromEntries(named) };
        fs.writeFileSync(this.configFile, dumpYaml(file));
    }

    /** Starts one of the project's commands without waiting for its end. */
    public start(...args: string[]): { child: ChildProcess; finished: Promise<Finished> } {
        // Before version 0.2 the command line was below scripts/.
        const [script = ""] = ["cli/bootstrap.mjs", "scripts/cli/main.mjs"].filter((file) =>
            fs.existsSync(path.join(this.place.directory, file)),
        );
        const [command = "", ...rest] = [...this.place.within, "node", script, ...args];
        const child = spawn(command, rest, {
            cwd: this.place.directory,
            env: { ...this.place.env, STACK: this.name, CI: "true" },
            stdio: ["ignore", "pipe", "pipe"],
            detached: true,
        });
        let text = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (part: string) => {
                text += part;
            });
        }
        const finished = new Promise<Finished>((resolve) => {
            child.on("close", (code, signal) => resolve({ code: code ?? (signal === null ? 1 : 137), text }));
        });
        return { child, finished };
    }

    /** Runs one of the project's commands; fails, with all it printed, unless it ends with the code. */
    public async run(args: readonly string[], code = 0): Promise<string> {
        const result = await this.start(...args).finished;
        if (result.code !== code) {
            throw new Error(`"${args.join(" ")}" ended with ${result.code}, expected ${code}:\n${result.text}`);
        }
        return result.text;
    }

    public async pulumi(...args: string[]): Promise<string> {
        return await this.run(["pulumi", "--", ...args]);
    }

    public async outputs<T>(): Promise<T> {
        const text = await this.pulumi("stack", "output", "--json");
        return JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1)) as T;
    }

    /** Runs a command on one of the machines. */
    public on(machine: string, command: string): string {
        const known = path.join(this.files, "machines", machine, "known_hosts");
        const address = fs.readFileSync(known, "utf8").split(" ")[0] ?? "";
        const [program = "", ...rest] = [...this.place.within, "ssh"];
        const result = spawnSync(
            program,
            [
                ...rest,
                ...["-i", path.join(this.files, "id_ed25519"), "-o", `UserKnownHostsFile=${known}`],
                ...["-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR", `root@${address}`, command],
            ],
            { encoding: "utf8" },
        );
        if (result.status !== 0) {
            throw new Error(`"${command}" on ${machine} ended with ${result.status}: ${result.stderr}`);
        }
        return result.stdout.trim();
    }

    /** Process id of a machine. */
    public pid(machine: string): number {
        const file = path.join(this.files, "machines", machine, "process.json");
        return (JSON.parse(fs.readFileSync(file, "utf8")) as { pid: number }).pid;
    }

    /** Destroys the stack and forgets it, whatever state it is in. */
    public async remove(): Promise<void> {
        await this.run(["destroy"]);
        if (
            fs.existsSync(
                path.join(this.place.directory, ".pulumi", "stacks", "runtime-sandboxes", `${this.name}.json`),
            )
        ) {
            await this.pulumi("stack", "rm", "--yes", "--force");
        }
        fs.rmSync(this.configFile, { force: true });
    }
}

/** Steps of a preview: operation and resource name, without those that stay the same. */
export async function plan(stack: TestStack): Promise<string[]> {
    const text = await stack.pulumi("preview", "--json");
    const { steps = [] } = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1)) as {
        steps?: { op: string; urn: string }[];
    };
    return steps
        .filter(({ op }) => op !== "same")
        .map(({ op, urn }) => `${op} ${urn.split("::").at(-1)}`)
        .sort();
}

/** Everything of local machines that can be left on a host, as lines that can be compared. */
export function traces(bridge: string, files: string, within: readonly string[] = []): string[] {
    const lines = (script: string) => {
        const [command = "", ...args] = [...within, "bash", "-c", script];
        return spawnSync(command, args, { encoding: "utf8" })
            .stdout.split("\n")
            .filter((line) => line !== "");
    };
    // As scripts/local/lib.sh names what belongs to a stack.
    const digest = createHash("sha256").update(`${files}\n`).digest("hex").slice(0, 8);
    return [
        // A link of another stack's machine hangs on that stack's bridge.
        ...lines("ip -o link")
            .filter((link) => new RegExp(`^\\d+: (${bridge}|vb-)`).test(link))
            .filter((link) => [undefined, bridge].includes(/ master (\S+)/.exec(link)?.[1]))
            .map((link) => link.split(" ")[1] ?? ""),
        ...lines("cat /proc/self/mountinfo").filter((mount) => mount.includes(files)),
        ...lines("ps -eo args").filter((args) => args.includes("systemd-nspawn") && args.includes(files)),
        ...lines(`find /sys/fs/cgroup -maxdepth 3 -type d -name 'runtime-sandboxes-${digest}-*'`),
        ...lines("iptables-save 2>/dev/null").filter((rule) => rule.includes(bridge)),
        ...lines("ip netns list"),
        ...(fs.existsSync(files) ? [files] : []),
    ];
}
