import { execFile } from "node:child_process";
import {
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    realpathSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { buildSync } from "esbuild";
import { compileCache } from "../../helpers/compileCache";

const ROOT = path.join(__dirname, "../../..");

export interface Outcome {
    code: number;
    output: string;
}

function pulumiBinary(): string {
    const places = [path.join(ROOT, ".cache/bin"), ...(process.env.PATH ?? "").split(path.delimiter)];
    const found = places.map((place) => path.join(place, "pulumi")).find((file) => existsSync(file));
    if (found === undefined) {
        throw new Error("the Pulumi CLI is neither in .cache/bin nor on PATH: run `npm run setup` first");
    }
    return found;
}

/** A stand-in, and the version under which the engine looks for it. */
export interface Plugin {
    name: string;
    version: string;
}

/** A Pulumi project of its own, with a state of its own and the stand-in as its only plug-in. */
export class Stack {
    readonly directory = realpathSync(mkdtempSync(path.join(os.tmpdir(), "stack-")));
    private readonly pulumi = pulumiBinary();

    constructor(
        program: string,
        private readonly plugin: Plugin = { name: "command", version: "1.2.1" },
    ) {
        for (const name of ["files/sub", "remote", "state", "home", "node_modules/@pulumi"]) {
            mkdirSync(path.join(this.directory, name), { recursive: true });
        }
        for (const name of ["@pulumi/pulumi", `@pulumi/${plugin.name}`]) {
            symlinkSync(path.join(ROOT, "node_modules", name), path.join(this.directory, "node_modules", name));
        }
        // As JavaScript: each run of the engine would load a compiler otherwise.
        buildSync({
            entryPoints: [program],
            outfile: path.join(this.directory, "index.js"),
            platform: "node",
            format: "cjs",
            logLevel: "error",
        });
        this.write("package.json", JSON.stringify({ name: "recorded", main: "index.js" }));
        this.write("Pulumi.yaml", "name: recorded\nruntime: { name: nodejs, options: { typescript: false } }\n");
        this.write("files/a.txt", "one\n");
        this.write("files/sub/b.txt", "two\n");
        this.installPlugin();
    }

    write(name: string, content: string): void {
        writeFileSync(path.join(this.directory, name), content);
    }

    /** Runs the CLI; resolves with its exit code and all that it wrote. */
    run(...args: string[]): Promise<Outcome> {
        const bins = [path.dirname(this.pulumi), path.join(ROOT, "node_modules/.bin"), process.env.PATH];
        const env = {
            ...process.env,
            PATH: bins.join(path.delimiter),
            PULUMI_HOME: path.join(this.directory, "home"),
            PULUMI_BACKEND_URL: `file://${this.directory}/state`,
            PULUMI_CONFIG_PASSPHRASE: "test",
            PULUMI_SKIP_UPDATE_CHECK: "true",
            PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
            PULUMI_IGNORE_AMBIENT_PLUGINS: "true",
            // Verify checks types.
            PULUMI_NODEJS_TRANSPILE_ONLY: "true",
            NODE_COMPILE_CACHE: compileCache,
        };
        const options = { cwd: this.directory, env, maxBuffer: 64 * 1024 * 1024 };
        return new Promise((resolve) => {
            execFile(this.pulumi, ["--non-interactive", "--color=never", ...args], options, (error, stdout, stderr) => {
                const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
                resolve({ code, output: stdout + stderr });
            });
        });
    }

    remove(): void {
        rmSync(this.directory, { recursive: true, force: true });
    }

    private installPlugin(): void {
        const { name, version } = this.plugin;
        const place = path.join(this.directory, `home/plugins/resource-${name}-v${version}`);
        buildSync({
            entryPoints: [path.join(ROOT, `plugins/${name}/main.ts`)],
            outfile: path.join(place, "main.cjs"),
            bundle: true,
            platform: "node",
            format: "cjs",
            external: ["cpu-features", "*.node"],
            logLevel: "error",
        });
        const launcher = path.join(place, `pulumi-resource-${name}`);
        writeFileSync(launcher, `#!/bin/sh\nexec '${process.execPath}' "$(dirname "$0")/main.cjs" "$@"\n`);
        chmodSync(launcher, 0o755);
    }
}
