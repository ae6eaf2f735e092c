// The environment that every Pulumi call and every child of this command line gets.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
    accessSync,
    chmodSync,
    constants,
    existsSync,
    linkSync,
    mkdirSync,
    rmSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { binDir, cacheDir, localDir, moduleBin, readOr, root } from "./project.ts";

type Environment = NodeJS.ProcessEnv;

/** PATH with the project's own tools first: children run on the project's Node, not on the one that started this. */
function toolPath(env: Environment = process.env): string {
    const own = [binDir, moduleBin];
    const rest = (env.PATH ?? "").split(delimiter).filter((entry) => entry !== "" && !own.includes(entry));
    // Where Go's own installer puts it, which sudo leaves out of PATH.
    const go = "/usr/local/go/bin";
    return [...own, ...rest, ...(existsSync(go) && !rest.includes(go) ? [go] : [])].join(delimiter);
}

/** First executable of this name on PATH that is not one of this project's own. */
export function findOnPath(name: string, env = process.env): string | undefined {
    const isOwn = (folder: string) => [binDir, moduleBin].includes(folder) || folder.startsWith(`${cacheDir}/`);
    const folders = (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "" && !isOwn(folder));
    return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
    try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
    } catch {
        return false;
    }
}

/** Environment of children that are not Pulumi. */
export function toolEnvironment(env: Environment = process.env): Environment {
    return { ...env, PATH: toolPath(env) };
}

/**
 * File with the passphrase that protects secrets in the default backend, made once: random, readable by its owner only.
 *
 * @returns its path
 */
function passphraseFile(path = join(localDir, "passphrase")): string {
    if (!existsSync(path)) {
        mkdirSync(dirname(path), { recursive: true });
        const temporary = `${path}.${process.pid}.tmp`;
        writeFileSync(temporary, randomBytes(24).toString("base64url"), { mode: 0o600 });
        try {
            // A link never replaces a passphrase that another run has just made.
            linkSync(temporary, path);
        } catch (error) {
            if (!existsSync(path)) {
                throw error;
            }
        } finally {
            rmSync(temporary, { force: true });
        }
    }
    chmodSync(path, 0o600);
    return path;
}

/** What of the chosen toolchain matters to the engine. */
export interface PulumiPlace {
    /** PULUMI_HOME; the user's own by default. */
    readonly home?: string | undefined;
    /** Whether the provider plug-ins are Pulumi's or those of plugins/. */
    readonly plugins: "official" | "stand-in";
}

/** Whether there is an SSH agent that answers. ssh-add(1): 2 says that nobody does. */
function agentAnswers(env: Environment): boolean {
    return [0, 1].includes(spawnSync("ssh-add", ["-l"], { env, stdio: "ignore" }).status ?? 2);
}

/**
 * Environment of a Pulumi call.
 *
 * @param env the caller's environment; what it sets for Pulumi is kept
 * @param plain true where output goes to no terminal
 */
export function pulumiEnvironment(
    { home, plugins }: PulumiPlace,
    env: Environment = process.env,
    plain = !process.stdout.isTTY || Boolean(env.CI),
): Environment {
    const result: Environment = {
        ...toolEnvironment(env),
        PULUMI_SKIP_UPDATE_CHECK: "true",
        // Type checking is the job of `npm run verify`, and costs seconds in each preview.
        PULUMI_NODEJS_TRANSPILE_ONLY: "true",
        // Node keeps what it has compiled: the TypeScript compiler and the SDKs are most of a program's start.
        NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE ?? join(cacheDir, "node-compile"),
        // The engine's heap is small: collecting it less often saves a quarter of its processor time.
        GOGC: env.GOGC ?? "400",
    };
    if (home) {
        result.PULUMI_HOME = home;
    }
    if (plugins === "stand-in") {
        result.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
    }
    if (env.PULUMI_CONFIG_PASSPHRASE === undefined && env.PULUMI_CONFIG_PASSPHRASE_FILE === undefined) {
        result.PULUMI_CONFIG_PASSPHRASE_FILE = passphraseFile();
    }
    if (plain) {
        result.NO_COLOR = "1";
    }
    // With a dead agent's socket the command provider fails every connection, even if a key is given.
    if (env.SSH_AUTH_SOCK && !agentAnswers(env)) {
        delete result.SSH_AUTH_SOCK;
    }
    return result;
}

/** Folder of a stack's machines on this host. */
export function stackDirectory(stack: string): string {
    return join(localDir, stack);
}

/** Folder that holds the file backend's data, or undefined where Pulumi.yaml or the user names another backend. */
export function fileBackend(env: Environment = process.env): string | undefined {
    const own = /^\s+url:\s*["']?file:\/\/\.(\?metadata=skip)?["']?\s*$/m.test(readOr(join(root, "Pulumi.yaml"), ""));
    return own && !env.PULUMI_BACKEND_URL ? join(root, ".pulumi") : undefined;
}
