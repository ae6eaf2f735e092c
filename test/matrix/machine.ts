import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { files, removal } from "../../components/machineScripts";
import { renderStep } from "../../components/remoteStep";
import { resultIn } from "../../components/step.cjs";

/** The project's directory: scripts are found from there. */
export const root = path.resolve(__dirname, "../..");

/** How a command ended. */
export interface Result {
    /** Exit code; 137 where a signal ended it. */
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
}

/** A command that is under way: its process, what it has written so far, and its end. */
export interface Running {
    readonly child: ChildProcess;
    readonly finished: Promise<Result>;
}

/** Starts a command of this host in the project's directory. */
export function start(command: string, args: readonly string[], input = "", env: NodeJS.ProcessEnv = {}): Running {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env } });
    const texts = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
        child[name].setEncoding("utf8").on("data", (part: string) => {
            texts[name] += part;
        });
    }
    // A command that ends early does not read all of its input.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    const finished = new Promise<Result>((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code) => resolve({ code: code ?? 137, ...texts }));
    });
    return { child, finished };
}

/** Standard output of a command; fails with all that it said unless it ends with 0. */
export async function output(what: string, running: Running): Promise<string> {
    const { code, stdout, stderr } = await running.finished;
    if (code !== 0) {
        throw new Error(`${what} ended with ${code}: ${stderr}${stdout}`);
    }
    return stdout.trimEnd();
}

/** A script of the project with its constants, as components/remoteStep.ts would send it. */
export interface Step {
    /** Below scripts/on-machine/, the last one is the script itself. */
    readonly scripts: readonly string[];
    /** What stands for the texts of these. Default: the texts. */
    readonly body?: string;
    readonly verb: string;
    readonly values?: Readonly<Record<string, string>>;
    /** Bash that stands before everything else. */
    readonly before?: string;
}

/** Local machines without a cluster, on a bridge of their own. */
export class Machines {
    private readonly files: string;
    private readonly environment: NodeJS.ProcessEnv;
    private readonly range: string;

    constructor(name: string, bridge: string, range: string) {
        this.files = path.join(root, ".local", name);
        this.range = range;
        this.environment = {
            STACK_DIR: this.files,
            CACHE_DIR: path.join(root, ".cache"),
            MIRROR_DIR: path.join(root, ".cache", "mirror"),
            BRIDGE: bridge,
            RANGE: range,
        };
    }

    public async up(): Promise<void> {
        await this.script("base.sh", "build");
        await this.script("network.sh", "up");
        await this.script("key.sh", "create");
    }

    /** Removes the bridge and all machines that are left. */
    public async down(): Promise<void> {
        await this.script("network.sh", "down");
        await this.script("key.sh", "remove");
    }

    /** Boots a machine, or one whose process has ended. */
    public async machine(name: string, host: number): Promise<Machine> {
        const address = this.range.replace(/0\/24$/, String(host));
        await this.script("machine.sh", "up", name, address);
        return new Machine(name, address, this.files, async () => {
            await this.script("machine.sh", "down", name);
        });
    }

    private async script(script: string, ...args: string[]): Promise<string> {
        const run = start("bash", [path.join("scripts", "local", script), ...args], "", this.environment);
        return await output(`${script} ${args.join(" ")}`, run);
    }
}

/** One of them, reached over SSH with its host key pinned. */
export class Machine {
    constructor(
        public readonly name: string,
        private readonly address: string,
        private readonly files: string,
        /** Removes the machine and its disk. */
        public readonly remove: () => Promise<void>,
    ) {}

    /** Starts a command here; `input` is its standard input. */
    public start(command: string, input = ""): Running {
        return start("ssh", [...this.login(), command], input);
    }

    /** Copies what is in a directory of this host into one of the machine. */
    public async copy(from: string, to: string): Promise<void> {
        const pipe = 'from=$1 && shift && tar -c -C "$from" . | ssh "$@"';
        const args = [from, ...this.login(), `mkdir -p ${to} && tar -x -C ${to}`];
        await output(`copy ${from} to ${this.name}`, start("bash", ["-o", "pipefail", "-c", pipe, "copy", ...args]));
    }

    private login(): readonly string[] {
        const known = path.join(this.files, "machines", this.name, "known_hosts");
        return [
            ...["-F", "/dev/null", "-i", path.join(this.files, "id_ed25519"), "-o", `UserKnownHostsFile=${known}`],
            ...["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"],
            ...["-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10", `root@${this.address}`],
        ];
    }

    /** What a command prints here; fails unless it ends with 0. */
    public async on(command: string, input = ""): Promise<string> {
        return await output(`"${command}" on ${this.name}`, this.start(command, input));
    }

    /** Starts a script of the project here. */
    public startStep({ scripts, body, verb, values = {}, before = "" }: Step): Running {
        const owner = { OWNER: `test ${this.name}`, TIMEOUT: "600" };
        const text = renderStep([...scripts], this.name, { ...owner, ...values }, body);
        const { child, finished } = this.start(`timeout --kill-after=10 600 bash -s -- ${verb}`, `${before}\n${text}`);
        return { child, finished: finished.then((all) => ({ ...all, stdout: resultIn(all.stdout) })) };
    }

    /** Brings all scripts here, as scripts/on-host/scripts.ts does. */
    public async bring(): Promise<void> {
        const program = `
            import { bringing } from "./scripts/on-host/scripts.ts";
            process.stdout.write(bringing(${JSON.stringify(files)}, ${JSON.stringify(removal)}));`;
        const script = await output("scripts.ts", start("node", ["--input-type=module", "-e", program]));
        await output(`scripts for ${this.name}`, this.start("bash -s", script));
    }

    /** Runs a script of the project here, whatever its end. */
    public async step(step: Step): Promise<Result> {
        return await this.startStep(step).finished;
    }

    /** Process id, on this host, of what the machine runs in. */
    public pid(): number {
        const file = path.join(this.files, "machines", this.name, "process.json");
        return (JSON.parse(fs.readFileSync(file, "utf8")) as { pid: number }).pid;
    }
}
