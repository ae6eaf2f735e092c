import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { verdict } from "../../components/proof/verdict";
import { handler, provenFacts } from "../helpers/canned";
import { compileCache } from "../helpers/compileCache";

const root = path.resolve(__dirname, "../..");

export interface Finished {
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
}

/** Files of the project that its command line reads. */
const commandLine = [
    "package.json",
    "package-lock.json",
    "versions.json",
    "vulnerabilities.json",
    "components/vulnerabilities.cjs",
    "components/attacks.cjs",
    "components/surface.cjs",
    "components/evidence.cjs",
    "components/reachable.cjs",
    "components/step.cjs",
    "components/unprivileged.cjs",
    "Pulumi.yaml",
    "tsconfig.json",
    ".mocharc.json",
    "cli",
    "scripts/on-host.mjs",
    "mirror/build/attacks/corpus.json",
    "scripts/on-host",
    "scripts/on-machine/lib.sh",
    "scripts/on-machine/gvisor/node.sh",
    "schema",
];

/** Copies the project's command line, and nothing else of the project, into a directory. It shares the npm packages. */
export function copyCommandLine(directory: string): void {
    for (const name of commandLine) {
        fs.cpSync(path.join(root, name), path.join(directory, name), { recursive: true });
    }
    fs.symlinkSync(path.join(root, "node_modules"), path.join(directory, "node_modules"));
}

/**
 * The project's command line in a directory of its own, on the real engine, with a program whose outputs the test gives.
 * The engine is found as a user's own `pulumi` would be. Nothing listens where the release is asked for.
 */
export class CliProject {
    public readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "cli-"));
    public env: NodeJS.ProcessEnv;
    /** What its processes are started by, such as a namespace of their own. */
    public within: readonly string[] = [];

    constructor() {
        copyCommandLine(this.directory);
        fs.mkdirSync(this.path("user-bin"));
        fs.symlinkSync(fs.realpathSync(this.tool("pulumi")), this.path("user-bin/pulumi"));
        const home = path.join(this.directory, "home");
        const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PULUMI_")));
        this.env = {
            ...env,
            CI: "true",
            STACK: "dev",
            PATH: `${this.path("user-bin")}:${env.PATH}`,
            PULUMI_HOME: home,
            NODE_COMPILE_CACHE: compileCache,
            RUNTIME_SANDBOXES_PULUMI_RELEASES: "http://127.0.0.1:9",
        };
        // All that node_modules has an SDK for: the engine would try for seconds to download one that is missing.
        for (const name of ["command", "kubernetes", "gcp"]) {
            const { version } = JSON.parse(
                fs.readFileSync(path.join(root, "node_modules/@pulumi", name, "package.json"), "utf8"),
            ) as { version: string };
            const folder = path.join(home, "plugins", `resource-${name}-v${version}`);
            fs.mkdirSync(folder, { recursive: true });
            fs.writeFileSync(path.join(folder, `pulumi-resource-${name}`), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
        }
        this.write("Pulumi.dev.yaml", "config:\n  runtime-sandboxes:target: existing\n");
        this.program("module.exports = JSON.parse(require('fs').readFileSync('outputs.json', 'utf8'));");
    }

    /** Where a tool is that the set-up of this checkout has chosen. */
    private tool(name: string): string {
        const chosen = JSON.parse(fs.readFileSync(path.join(root, ".cache/toolchain.json"), "utf8")) as Record<
            string,
            string
        >;
        return chosen[name] ?? "";
    }

    public path(...parts: string[]): string {
        return path.join(this.directory, ...parts);
    }

    public write(name: string, content: string, mode = 0o644): void {
        fs.mkdirSync(path.dirname(this.path(name)), { recursive: true });
        fs.writeFileSync(this.path(name), content, { mode });
    }

    public read(name: string): string {
        return fs.readFileSync(this.path(name), "utf8");
    }

    public exists(name: string): boolean {
        return fs.existsSync(this.path(name));
    }

    public list(folder: string): string[] {
        return fs.readdirSync(this.path(folder));
    }

    /** Replaces the Pulumi program. */
    public program(text: string): void {
        this.write("index.ts", `${text}\n`);
    }

    /** Starts a command of the command line. */
    public start(...args: string[]): { child: ChildProcess; finished: Promise<Finished> } {
        return this.spawn(process.execPath, ["cli/bootstrap.mjs", ...args]);
    }

    public async run(...args: string[]): Promise<Finished> {
        return await this.start(...args).finished;
    }

    /** Evaluates an ES module in the project: for what no command shows alone. */
    public async evaluate(code: string): Promise<Finished> {
        return await this.startModule(code).finished;
    }

    /** Starts to evaluate an ES module in the project. */
    public startModule(code: string): { child: ChildProcess; finished: Promise<Finished> } {
        return this.spawn(process.execPath, ["--input-type=module", "-e", code]);
    }

    private spawn(command: string, args: string[]): { child: ChildProcess; finished: Promise<Finished> } {
        const [first = "", ...rest] = [...this.within, command, ...args];
        const child = spawn(first, rest, { cwd: this.directory, env: this.env, stdio: ["ignore", "pipe", "pipe"] });
        const text = { stdout: "", stderr: "" };
        for (const name of ["stdout", "stderr"] as const) {
            child[name].setEncoding("utf8").on("data", (part: string) => {
                text[name] += part;
            });
        }
        const finished = new Promise<Finished>((resolve) => {
            child.on("close", (code) => resolve({ code: code ?? 137, ...text }));
        });
        return { child, finished };
    }

    public remove(): void {
        fs.rmSync(this.directory, { recursive: true, force: true });
    }
}

/** Outputs of a stack with one proven worker, by the contract. */
export function goodOutputs() {
    return {
        runtimeClass: "myclass",
        uname: { "worker-1": { worker: "6.1.0-42-amd64", "test-1": "6.1.0-42-amd64", "test-2": "4.19.0-gvisor" } },
        dmesg: {
            "worker-1": {
                "test-1": "dmesg: read kernel buffer failed: Operation not permitted",
                "test-2": "[    0.000000] Starting gVisor...\n[    0.4] Digging up root...\n[    2.9] Ready!\n",
            },
        },
        isolation: {
            "worker-1": {
                proven: true,
                checks: verdict(provenFacts(), handler, ["myclass"]).checks.map((check) => ({ ...check })),
            },
        },
        workers: {
            "worker-1": {
                address: "10.77.0.11",
                os: "Debian GNU/Linux 12 (bookworm)",
                kernel: "6.1.0-42-amd64",
                containerd: "v2.3.7",
                runsc: "release-20261116.0",
                handlers: ["runc", "runsc"],
                configSha256: "d".repeat(64),
            },
        },
        kubeconfig: "[secret]",
    };
}
