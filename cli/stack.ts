// @ts-nocheck
// The stack a command works on: its name, its settings, its state in the file backend.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileBackend, pulumiEnvironment, stackDirectory } from "./environment.ts";
import { Failure } from "./failure.ts";
import { exists, staleLocks } from "./locks.ts";
import { cacheDir, localDir, projectName, readJson, readOr, root, versions } from "./project.ts";
import { askPulumi } from "./run.ts";
import { isFetchedByEngine } from "./standins.ts";

/** Name of the stack: STACK, else dev. */
export function stackName(env = process.env) {
    const name = env.STACK || "dev";
    // .local/passphrase is the passphrase's file, where a stack of that name would have its folder.
    if (!/^[A-Za-z0-9._-]{1,100}$/.test(name) || /^(\.+|passphrase)$/.test(name)) {
        throw new Failure(`STACK is "${name}"; allowed: letters, digits, ".", "_" and "-", at most 100.`, {
            exitCode: 2,
            next: "STACK=dev npm run up",
        });
    }
    return name;
}

/**
 * Refuses arguments that would make Pulumi work on another stack, or with other settings, than what is locked and prepared
 * here.
 */
export function checkArguments(args) {
    const other = args.find((arg) => /^(-s|--stack|-C|--cwd)(=|$)/.test(arg) || /^-s./.test(arg));
    if (other) {
        throw new Failure(`${other} cannot be given here: the stack is chosen by STACK.`, {
            exitCode: 2,
            next: "STACK=name npm run up, or any Pulumi command by `npm run pulumi -- ...`",
        });
    }
    const config = args.find((arg) => /^(-c|--config|--config-file|--config-path)(=|$)/.test(arg) || /^-c./.test(arg));
    if (config) {
        throw new Failure(
            `${config} cannot be given here: the settings of a stack are in one file, Pulumi.STACK.yaml.`,
            {
                exitCode: 2,
                next: "npm run pulumi -- config set NAME VALUE",
            },
        );
    }
}

function configFile(stack) {
    return join(root, `Pulumi.${stack}.yaml`);
}

/** One plain setting of the stack as written in its file, or `fallback`. Only what this command line has to know. */
export function setting(stack, key, fallback) {
    const pattern = new RegExp(`^\\s+["']?${projectName}:${key}["']?:[ \\t]*(.*)$`, "m");
    const value = pattern
        .exec(readOr(configFile(stack), ""))?.[1]
        ?.replace(/\s+#.*$/, "")
        .trim();
    return value === undefined || value === "" ? fallback : value.replace(/^(["'])(.*)\1$/, "$2");
}

/** Version of containerd that the program gives the machines of a stack. */
export function containerdOf(stack) {
    return setting(stack, "containerdVersion") || versions.containerd.version;
}

/** True if the stack's machines are made on this host. */
export function isLocal(stack) {
    return setting(stack, "target", "local") === "local";
}

/** Names of the local machines as far as the settings can be read; the program checks them all. */
export function machineNames(stack) {
    const workers = setting(stack, "workers", "1");
    const count = /^\d{1,2}$/.test(workers) ? Number(workers) : undefined;
    const names = count === undefined ? workers.split(",") : Array.from({ length: count }, (_, i) => `worker-${i + 1}`);
    return ["control-plane", ...names.map((name) => name.trim())];
}

/** Environment of scripts/local/*.sh and mirror/mirror.sh. */
export function machineEnvironment(stack, env) {
    return {
        ...env,
        STACK_DIR: stackDirectory(stack),
        CACHE_DIR: cacheDir,
        MIRROR_DIR: join(cacheDir, "mirror"),
        BRIDGE: setting(stack, "bridge", "sandbox0"),
        RANGE: setting(stack, "addressRange", "10.77.0.0/24"),
    };
}

function stateFile(backend, stack) {
    return join(backend, "stacks", projectName, `${stack}.json`);
}

/** Whether the stack is in the file backend; undefined where only Pulumi can tell. */
export function stackInFiles(stack) {
    const backend = fileBackend();
    return backend && ["", ".gz"].some((suffix) => existsSync(stateFile(backend, stack) + suffix));
}

/** True if the stack is in the backend. */
export async function stackExists(stack, pulumi) {
    const inFiles = stackInFiles(stack);
    if (inFiles !== undefined) {
        return inFiles;
    }
    const { code, stderr } = await askPulumi(pulumi, ["stack", "export", "--stack", stack]);
    if (code !== 0 && !/no stack named/.test(stderr)) {
        throw new Failure(`stack ${stack} could not be looked up: ${lastLine(stderr)}`);
    }
    return code === 0;
}

/** The Pulumi command and its environment, as setup has chosen it. */
export function pulumiOf(toolchain) {
    const env = pulumiEnvironment(toolchain);
    // The engine would fetch the plug-in of every SDK in package.json, also the large one of a target that is not used.
    if (toolchain.home && !isFetchedByEngine(setting(stackName(), "target", "local"))) {
        env.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
    }
    return { path: toolchain.pulumi, env };
}

/** Makes the stack unless it is there, and selects it for `npm run pulumi`. @returns whether it is new */
export async function ensureStack(stack, pulumi) {
    if (await stackExists(stack, pulumi)) {
        return false;
    }
    const init = () => askPulumi(pulumi, ["stack", "init", stack]);
    let { code, stderr } = await init();
    if (/incorrect passphrase/.test(stderr) && dropIdleSalt(join(root, `Pulumi.${stack}.yaml`))) {
        ({ code, stderr } = await init());
    }
    if (code === 0) {
        return true;
    }
    if (/incorrect passphrase/.test(stderr)) {
        throw new Failure(`Pulumi.${stack}.yaml holds the encryptionsalt of another passphrase than this one.`, {
            next:
                "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to that passphrase, or remove the " +
                "secrets of the file and its line encryptionsalt",
        });
    }
    throw new Failure(`stack ${stack} could not be made: ${lastLine(stderr)}`);
}

/**
 * Removes the salt from the settings of a stack if nothing there is encrypted with it: every `up` writes one that fits its
 * own passphrase only, and somebody may have committed it.
 *
 * @returns whether there was one to remove
 */
function dropIdleSalt(file) {
    const text = readOr(file, "");
    if (!/^encryptionsalt:/m.test(text) || /^\s+secure:/m.test(text)) {
        return false;
    }
    writeFileSync(file, text.replace(/^encryptionsalt:.*\n?/m, ""));
    return true;
}

/**
 * A stack of nothing in a backend of its own, to preview what does not exist yet without a trace in the project's files.
 *
 * @returns { env, args } for `pulumi preview`
 */
export async function scratchStack(stack, pulumi) {
    const folder = join(cacheDir, "preview", String(process.pid));
    mkdirSync(folder, { recursive: true });
    // What killed previews have left; others may be under way.
    for (const left of readdirSync(dirname(folder)).filter((pid) => !exists(Number(pid)))) {
        rmSync(join(dirname(folder), left), { recursive: true, force: true });
    }
    for (const name of ["Pulumi.yaml", `Pulumi.${stack}.yaml`].filter((name) => existsSync(join(root, name)))) {
        cpSync(join(root, name), join(folder, name));
    }
    dropIdleSalt(join(folder, `Pulumi.${stack}.yaml`));
    const env = { ...pulumi.env, PULUMI_BACKEND_URL: `file://${folder}` };
    const init = ["stack", "init", stack, "--no-select"];
    const { code, stderr } = await askPulumi({ ...pulumi, env }, init, { cwd: folder });
    if (code !== 0) {
        throw new Failure(`stack ${stack} could not be previewed: ${lastLine(stderr)}`);
    }
    return { env, args: ["--config-file", join(folder, `Pulumi.${stack}.yaml`)], folder };
}

function lastLine(text) {
    return (
        text
            .trim()
            .split("\n")
            .pop()
            ?.replace(/^error: /, "") ?? ""
    );
}

/**
 * Refuses if a living Pulumi has the stack; cheap, so it comes before anything else.
 *
 * @returns locks that dead ones have left
 */
export function checkStackFree(stack) {
    const backend = fileBackend();
    return backend ? staleLocks(backend, stack) : [];
}

/** Clears what a killed run has left in the stack's state, with one line for each thing. */
export async function repairState(stack, stale, pulumi, note) {
    if (stale.length > 0) {
        const { code, stderr } = await askPulumi(pulumi, ["cancel", "--yes", "--stack", stack]);
        if (code !== 0) {
            throw new Failure(
                `the lock that a killed run left on stack ${stack} could not be removed: ${lastLine(stderr)}`,
            );
        }
        for (const lock of stale) {
            note(`stack ${stack}: removed the lock of a run that has ended (pid ${lock.pid}, ${lock.timestamp})`);
        }
    }
    const backend = fileBackend();
    const pending = backend ? readJson(stateFile(backend, stack))?.checkpoint?.latest?.pending_operations : undefined;
    if (pending?.length > 0) {
        await dropPending(stack, pulumi);
        for (const { type, resource } of pending) {
            note(`stack ${stack}: ${resource.urn.split("::").pop()} was interrupted while ${type}; it is done again`);
        }
        if (pending.some(({ type, resource }) => type === "creating" && resource.type.startsWith("kubernetes:"))) {
            mkdirSync(dirname(interruptedFile(stack)), { recursive: true });
            writeFileSync(interruptedFile(stack), "");
        }
    }
}

/**
 * Note that a run ended while it made an object of the cluster, which may exist without being in the state. Kept until
 * an `up` has come through: only then may objects that exist be taken over, else they could be somebody else's.
 */
export function interruptedFile(stack) {
    return join(localDir, `${stack}.interrupted`);
}

/**
 * A refresh of the stack's own resource alone: the engine forgets what was under way, with the backend's lock. Every step of
 * the program may be run again, so there is nothing to look up first, which is what Pulumi would otherwise ask for at each
 * update.
 */
async function dropPending(stack, pulumi) {
    const target = `urn:pulumi:${stack}::${projectName}::pulumi:pulumi:Stack::${projectName}-${stack}`;
    const args = [
        "refresh",
        "--yes",
        "--skip-preview",
        "--clear-pending-creates",
        "--target",
        target,
        "--stack",
        stack,
    ];
    const { code, stderr, stdout } = await askPulumi(pulumi, args);
    if (code !== 0) {
        throw new Failure(`the state of stack ${stack} could not be repaired: ${lastLine(stderr || stdout)}`);
    }
}
