// What local machines need on this host before Pulumi runs, and what may be left of them after.
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { attacksIn } from "../components/attacks.cjs";
import { reachableIn } from "../components/reachable.cjs";
import { surfaceIn } from "../components/surface.cjs";
import { stackDirectory, toolEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import { longSteps, Progress, type Say } from "./progress.ts";
import { cacheDir, root, stampDir } from "./project.ts";
import { capture, runLogged, together } from "./run.ts";
import { isLocal, machineEnvironment, machineNames, setting, written } from "./settings.ts";
import { hashOf, stamped, writeAtomically } from "./stamps.ts";

/** Path, below the root, of a script of the project. */
function script(...parts: string[]): string {
    const path = join(...parts);
    if (!existsSync(join(root, path))) {
        throw new Failure(`${path} is missing.`, {
            next: "restore it from the repository (`git status` shows what is missing)",
        });
    }
    return path;
}

/** Environment of scripts for the machines of a stack. */
const environmentOf = (stack: string): NodeJS.ProcessEnv => machineEnvironment(stack, toolEnvironment());

/** Asks whether this host can run the stack's machines; all complaints at once, nothing is changed. */
export async function preflight(stack: string): Promise<void> {
    const args = [script("scripts", "local", "preflight.sh"), "check", ...machineNames(stack)];
    const { code, stderr } = await capture("bash", args, { env: environmentOf(stack) });
    if (code !== 0) {
        throw new Failure(`this host cannot run the machines of stack ${stack}; nothing was changed.`, {
            tail: stderr.split("\n").filter((line) => line.trim() !== ""),
            next: "see to each line above, then run again",
        });
    }
}

/** Arguments that tell mirror.sh what the stack takes its packages and images from. */
function sourceArguments(stack: string): string[] {
    const flags = ["--kind", setting(stack, "sources")];
    const url = setting(stack, "mirror");
    if (url !== "") {
        flags.push("--base-url", url, "--fingerprint", setting(stack, "mirrorFingerprint").toUpperCase());
    }
    // gVisor from an archive is not asked for here.
    const archive = setting(stack, "gvisorArchive") !== "";
    for (const name of ["kubernetes", "containerd", ...(archive ? [] : ["gvisor"])]) {
        const version = setting(stack, `${name}Version`);
        if (version !== "") {
            flags.push(`--${name}`, version);
        }
    }
    return flags;
}

function sourcesStamp(stack: string) {
    const hash = hashOf(join(root, "mirror"), join(root, "versions.json"), `text:${sourceArguments(stack)}`);
    return { path: join(stampDir, `sources-${hash.slice(0, 16)}`), value: hash };
}

/** Whether the sources of the stack are known to be ready: upstream was reached, or the mirror is built. */
export function sourcesReady(stack: string): boolean {
    const { path, value } = sourcesStamp(stack);
    const built = existsSync(join(cacheDir, "mirror"));
    return stamped(path, `${value} upstream`) || (built && stamped(path, `${value} mirror`));
}

/** Runs mirror.sh with its progress shown. @returns what it prints */
async function runMirror(
    args: readonly string[],
    stack: string,
    progress: Progress,
    env: Record<string, string> = {},
): Promise<string> {
    const path = script("mirror", "mirror.sh");
    let done = "";
    return await progress.step(longSteps.sources, (say) =>
        runLogged("mirror", "bash", [path, ...args], {
            say: (line) => {
                done = /step \d+ of \d+/.exec(line)?.[0] ?? done;
                say(done === "" || line.includes(done) ? line : `${done} done, ${line.replace("mirror: ", "")}`);
            },
            env: { ...environmentOf(stack), ...env },
            failure: {
                tried: `the sources of packages and images are not ready: \`mirror/mirror.sh ${args[0]}\` failed`,
                next: "see the log, then run again: what is built already is kept",
            },
        }),
    );
}

/** Decides between upstream and mirror as the program will, and builds the mirror where it is needed and not there. */
async function prepareSources(stack: string, progress: Progress): Promise<void> {
    const { path, value } = sourcesStamp(stack);
    const output = await runMirror(["sources", ...sourceArguments(stack)], stack, progress);
    writeAtomically(path, `${value} ${kindOf(output)}\n`);
}

/** "upstream" or "mirror", of a sources document. */
function kindOf(document: string): string {
    try {
        return (JSON.parse(document) as { kind: string }).kind;
    } catch {
        throw new Failure("`mirror/mirror.sh sources` printed no JSON document.");
    }
}

/** The long steps that will be needed if upstream is not reached. */
export function stepsOfHost(stack: string): string[] {
    return [
        ...(existsSync(join(cacheDir, "base")) ? [] : [longSteps.base]),
        ...(sourcesReady(stack) || setting(stack, "mirror") !== "" ? [] : [longSteps.sources]),
    ];
}

/**
 * Builds the programs that run in short-lived pods, as far as the stack has such pods, so that whatever the build lacks is
 * reported before a machine is created or changed. They are built for this host's architecture; a worker's may differ.
 */
export async function preparePrograms(stack: string): Promise<void> {
    const target = setting(stack, "target");
    const sandboxes = {
        attacks: attacksIn({ target, attacks: setting(stack, "attacks") }),
        surface: surfaceIn({ target, surface: setting(stack, "surface") }),
    };
    const network = {
        reachable: reachableIn({ reachable: setting(stack, "reachable"), egress: written(stack, "egress") }),
    };
    await prepareProgram(stack, "attacks", "the program that tries and measures sandboxes", sandboxes);
    await prepareProgram(stack, "reach", "the program that shows what pods reach over the network", network);
}

/** @param wanted whether it is needed, by each setting that may ask for it */
async function prepareProgram(stack: string, recipe: string, what: string, wanted: Record<string, boolean>) {
    const settings = Object.entries(wanted).flatMap(([name, isIn]) => (isIn ? name : []));
    if (settings.length === 0) {
        return;
    }
    const architecture = process.arch === "arm64" ? "arm64" : "amd64";
    await runLogged(recipe, "bash", [script("mirror", "mirror.sh"), "program", recipe, architecture], {
        env: environmentOf(stack),
        failure: {
            tried: `${what} (${settings.join(", ")}) cannot be built`,
            next: `see above, or go without: ${settings.map((name) => `npm run pulumi -- config set ${name} false`).join("; ")}`,
        },
    });
}

/** Prepares what the machines are made from, side by side. */
export async function prepareHost(stack: string): Promise<void> {
    const progress = new Progress();
    await together([
        buildBase(stack, progress),
        preparePrograms(stack),
        ...(sourcesReady(stack) ? [] : [prepareSources(stack, progress)]),
    ]);
}

/**
 * Prepares what the tests run on, side by side: the mirror in every case, because they start the programs that it holds
 * and install the older gVisor of its recipe gvisor-20260824.
 */
export async function prepareTests(): Promise<void> {
    const progress = new Progress();
    const more = { MIRROR_EXTRA: "gvisor-20260824 containerd-2.2.9" };
    await together<unknown>([buildBase("dev", progress), runMirror(["build"], "dev", progress, more)]);
}

/** Builds the image of the machines. Where it is there already this takes a moment, and is not worth a line. */
async function buildBase(stack: string, progress: Progress): Promise<void> {
    const work = (say: Say) =>
        runLogged("base", "bash", [script("scripts", "local", "base.sh"), "build"], {
            say,
            env: environmentOf(stack),
            failure: {
                tried: "the base image of the machines could not be built: `scripts/local/base.sh build` failed",
                next: "see the log and that this host's apt sources are reached, then run again",
            },
        });
    await progress.step(longSteps.base, work, { after: 500 });
}

/**
 * Removes what Pulumi does not know of: a machine whose creation was interrupted is not in the stack's state.
 *
 * @returns names of the machines that were removed
 */
export async function removeLeftovers(stack: string): Promise<string[]> {
    if (!isLocal(stack) || process.getuid?.() !== 0) {
        return [];
    }
    const local = async (file: string, ...args: string[]) => {
        const command = [script("scripts", "local", file), ...args];
        const { code, stdout, stderr } = await capture("bash", command, { env: environmentOf(stack) });
        if (code !== 0) {
            throw new Failure(
                `what is left of stack ${stack} could not be removed: ${file} ${args.join(" ")} failed.`,
                {
                    tail: stderr.trim().split("\n").slice(-6),
                    next: "see to the lines above, then run `npm run destroy` again",
                },
            );
        }
        return stdout;
    };
    const names = (await local("machine.sh", "list")).split("\n").filter((name) => name !== "");
    for (const name of names) {
        await local("machine.sh", "down", name);
    }
    const directory = stackDirectory(stack);
    if (existsSync(directory)) {
        await local("network.sh", "down");
        await local("key.sh", "remove");
        rmSync(directory, { recursive: true, force: true });
    }
    return names;
}
