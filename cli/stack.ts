// The stack that a command works on: its name, and whether it is in the backend.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileBackend, pulumiEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import { exists } from "./locks.ts";
import { cacheDir, projectName, readOr, root } from "./project.ts";
import { answerOf, type Pulumi } from "./pulumi.ts";
import { askPulumi, lastLine } from "./run.ts";
import { setting, settingsFile, yamlIn } from "./settings.ts";
import { setup } from "./setup.ts";
import { isFetchedByEngine } from "./standins.ts";
import type { Toolchain } from "./toolchain.ts";

/** Name of the stack: STACK, else dev. */
export function stackName(env: NodeJS.ProcessEnv = process.env): string {
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

/** Refuses arguments with which Pulumi would work on another stack, or with other settings, than are locked and prepared. */
export function checkArguments(args: readonly string[]): void {
    const refuse = (pattern: RegExp, reason: string, next: string) => {
        const found = args.find((arg) => pattern.test(arg));
        if (found !== undefined) {
            throw new Failure(`${found} cannot be given here: ${reason}.`, { exitCode: 2, next });
        }
    };
    refuse(
        /^(-[sC].*|(--stack|--cwd)(=.*)?)$/,
        "the stack is chosen by STACK",
        "STACK=name npm run up, or any Pulumi command by `npm run pulumi -- ...`",
    );
    refuse(
        /^(-c.*|(--config|--config-file|--config-path)(=.*)?)$/,
        "the settings of a stack are in one file, Pulumi.STACK.yaml",
        "npm run pulumi -- config set NAME VALUE",
    );
}

/** File of a stack's state in the file backend. */
export const stateFile = (backend: string, stack: string): string =>
    join(backend, "stacks", projectName, `${stack}.json`);

/** Whether the stack is in the file backend; undefined with another backend, of which only Pulumi knows. */
export function stackInFiles(stack: string): boolean | undefined {
    const backend = fileBackend();
    return backend === undefined
        ? undefined
        : ["", ".gz"].some((suffix) => existsSync(stateFile(backend, stack) + suffix));
}

/** True if the stack is in the backend. */
export async function stackExists(stack: string, pulumi: Pulumi): Promise<boolean> {
    const inFiles = stackInFiles(stack);
    if (inFiles !== undefined) {
        return inFiles;
    }
    const { code, stderr } = await askPulumi(pulumi, ["stack", "export", "--stack", stack]);
    if (code !== 0 && !/no stack named/.test(stderr)) {
        throw new Failure(`stack ${stack} could not be looked up: ${reasonIn(stderr)}`);
    }
    return code === 0;
}

/** The Pulumi command and its environment, as the set-up has chosen it. */
export function pulumiOf({ pulumi, ...place }: Toolchain): Pulumi {
    const env = pulumiEnvironment(place);
    // The engine would fetch the plug-in of every SDK in package.json, also the large one of a target that is not used.
    if (place.home && !isFetchedByEngine(setting(stackName(), "target"))) {
        env.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
    }
    return { path: pulumi, env };
}

/** Pulumi, once it is set up. @throws {Failure} if the stack does not exist */
export async function pulumiOfExisting(stack: string): Promise<Pulumi> {
    const pulumi = pulumiOf(await setup("preview"));
    if (!(await stackExists(stack, pulumi))) {
        throw new Failure(`there is no stack ${stack}.`, { next: "npm run up" });
    }
    return pulumi;
}

/** Makes the stack unless it exists, and selects it for `npm run pulumi`. @returns whether it is new */
export async function ensureStack(stack: string, pulumi: Pulumi): Promise<boolean> {
    if (await stackExists(stack, pulumi)) {
        return false;
    }
    const init = () => askPulumi(pulumi, ["stack", "init", stack]);
    let { code, stderr } = await init();
    if (/incorrect passphrase/.test(stderr) && dropIdleSalt(settingsFile(stack))) {
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
    throw new Failure(`stack ${stack} could not be made: ${reasonIn(stderr)}`);
}

const reasonIn = (stderr: string) => lastLine(stderr).replace(/^error: /, "");

/**
 * Removes the salt from the settings of a stack if nothing there is encrypted with it: every `up` writes one that fits its
 * own passphrase only, and somebody may have committed it.
 *
 * @returns whether there was one to remove
 */
function dropIdleSalt(file: string): boolean {
    const text = readOr(file, "");
    const without = text.replace(/^encryptionsalt:.*\n?/m, "");
    if (without === text || JSON.stringify(yamlIn(file)).includes('"secure":')) {
        return false;
    }
    writeFileSync(file, without);
    return true;
}

/** Works with a stack of nothing in a backend of its own: a preview of what does not exist yet leaves no trace in the project. */
export async function withScratchStack<T>(
    stack: string,
    pulumi: Pulumi,
    work: (pulumi: Pulumi, args: readonly string[]) => Promise<T>,
): Promise<T> {
    const folder = join(cacheDir, "preview", String(process.pid));
    mkdirSync(folder, { recursive: true });
    // What killed previews have left; others may be under way.
    for (const left of readdirSync(dirname(folder)).filter((pid) => !exists(Number(pid)))) {
        rmSync(join(dirname(folder), left), { recursive: true, force: true });
    }
    try {
        const settings = join(folder, `Pulumi.${stack}.yaml`);
        cpSync(join(root, "Pulumi.yaml"), join(folder, "Pulumi.yaml"));
        if (existsSync(settingsFile(stack))) {
            cpSync(settingsFile(stack), settings);
            dropIdleSalt(settings);
        }
        const scratch = { ...pulumi, env: { ...pulumi.env, PULUMI_BACKEND_URL: `file://${folder}` } };
        const init = ["stack", "init", stack, "--no-select"];
        await answerOf(scratch, init, `stack ${stack} could not be previewed`, { cwd: folder });
        return await work(scratch, ["--stack", stack, "--config-file", settings]);
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}
