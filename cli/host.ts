// @ts-nocheck
// What local machines need on this host before Pulumi runs, and what may be left of them after.
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { attacksIn } from "../components/attacks.cjs";
import { stackDirectory, toolEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import { longSteps, Progress } from "./progress.ts";
import { cacheDir, root, stampDir } from "./project.ts";
import { capture, runLogged, together } from "./run.ts";
import { isLocal, machineEnvironment, machineNames, setting } from "./stack.ts";
import { hashOf, stamped, writeAtomically } from "./stamps.ts";

const script = (...parts) => join("scripts", ...parts);

function need(path) {
    if (!existsSync(join(root, path))) {
        throw new Failure(`${path} is missing.`, {
            next: "restore it from the repository (`git status` shows what is missing)",
        });
    }
}

/** Asks whether this host can run the stack's machines; all complaints at once, nothing is changed. */
export async function preflight(stack) {
    const path = script("local", "preflight.sh");
    need(path);
    const env = machineEnvironment(stack, toolEnvironment());
    const { code, stderr } = await capture("bash", [path, "check", ...machineNames(stack)], { env });
    if (code !== 0) {
        throw new Failure(`this host cannot run the machines of stack ${stack}; nothing was changed.`, {
            tail: stderr.split("\n").filter((line) => line.trim() !== ""),
            next: "see to each line above, then run again",
        });
    }
}

/** Arguments that tell mirror.sh what the stack takes its packages and images from. */
function sourceArguments(stack) {
    const flags = ["--kind", setting(stack, "sources", "auto")];
    const url = setting(stack, "mirror", "");
    if (url !== "") {
        flags.push("--base-url", url, "--fingerprint", setting(stack, "mirrorFingerprint", "").toUpperCase());
    }
    // gVisor from an archive is not asked for here.
    const archive = setting(stack, "gvisorArchive", "") !== "";
    for (const name of ["kubernetes", "containerd", ...(archive ? [] : ["gvisor"])]) {
        const version = setting(stack, `${name}Version`, "");
        if (version !== "") {
            flags.push(`--${name}`, version);
        }
    }
    return flags;
}

function sourcesStamp(stack) {
    const hash = hashOf(join(root, "mirror"), join(root, "versions.json"), `text:${sourceArguments(stack)}`);
    return { path: join(stampDir, `sources-${hash.slice(0, 16)}`), value: hash };
}

/** True if the sources of the stack are known to be ready: upstream was reached, or the mirror is built. */
export function sourcesReady(stack) {
    const { path, value } = sourcesStamp(stack);
    return (
        stamped(path, `${value} upstream`) || (stamped(path, `${value} mirror`) && existsSync(join(cacheDir, "mirror")))
    );
}

/** Runs mirror.sh with its progress shown; resolves with what it prints. */
async function runMirror(args, stack, progress, env = {}) {
    const path = join("mirror", "mirror.sh");
    need(path);
    let done = "";
    return await progress.step(longSteps.sources, (say) =>
        runLogged("mirror", "bash", [path, ...args], {
            say: (line) => {
                done = /step \d+ of \d+/.exec(line)?.[0] ?? done;
                say(done === "" || line.includes(done) ? line : `${done} done, ${line.replace("mirror: ", "")}`);
            },
            env: { ...machineEnvironment(stack, toolEnvironment()), ...env },
            failure: {
                tried: `the sources of packages and images are not ready: \`mirror/mirror.sh ${args[0]}\` failed`,
                next: "see the log, then run again: what is built already is kept",
            },
        }),
    );
}

/** Decides between upstream and mirror as the program will, and builds the mirror where it is needed and not there. */
async function prepareSources(stack, progress) {
    const { path: stamp, value } = sourcesStamp(stack);
    const output = await runMirror(["sources", ...sourceArguments(stack)], stack, progress);
    let kind;
    try {
        kind = JSON.parse(output).kind;
    } catch {
        throw new Failure("`mirror/mirror.sh sources` printed no JSON document.");
    }
    writeAtomically(stamp, `${value} ${kind}\n`);
}

/** The long steps that will be needed if upstream is not reached. */
export function stepsOfHost(stack) {
    return [
        ...(existsSync(join(cacheDir, "base")) ? [] : [longSteps.base]),
        ...(sourcesReady(stack) || setting(stack, "mirror", "") !== "" ? [] : [longSteps.sources]),
    ];
}

/**
 * Builds the program that makes the attempts to leave a sandbox, if the stack makes any, so that whatever the build lacks is
 * reported before a machine is created or changed. It is built for this host's architecture; a worker's may differ.
 */
export async function prepareAttacks(stack) {
    if (!attacksIn({ attacks: setting(stack, "attacks", ""), target: setting(stack, "target", "local") })) {
        return;
    }
    const architecture = process.arch === "arm64" ? "arm64" : "amd64";
    await runLogged("attacks", "bash", [join("mirror", "mirror.sh"), "program", "attacks", architecture], {
        env: machineEnvironment(stack, toolEnvironment()),
        failure: {
            tried: "the program that makes the attempts to leave a sandbox (setting attacks) cannot be built",
            next: "see above, or make none: npm run pulumi -- config set attacks false",
        },
    });
}

/** Prepares what the machines are made from, side by side. */
export async function prepareHost(stack) {
    const progress = new Progress();
    const work = [buildBase(stack, progress), prepareAttacks(stack)];
    if (!sourcesReady(stack)) {
        work.push(prepareSources(stack, progress));
    }
    await together(work);
}

/**
 * Prepares what the tests run on, side by side: the mirror in every case, because they start the programs that it holds
 * and install the older gVisor of its recipe gvisor-20260824.
 */
export async function prepareTests() {
    const progress = new Progress();
    const mirror = runMirror(["build"], "dev", progress, { MIRROR_EXTRA: "gvisor-20260824 containerd-2.2.9" });
    await together([buildBase("dev", progress), mirror]);
}

async function buildBase(stack, progress) {
    const base = script("local", "base.sh");
    need(base);
    let say = () => {};
    const build = runLogged("base", "bash", [base, "build"], {
        env: machineEnvironment(stack, toolEnvironment()),
        say: (line) => say(line),
        failure: {
            tried: "the base image of the machines could not be built: `scripts/local/base.sh build` failed",
            next: "see the log and that this host's apt sources are reached, then run again",
        },
    });
    // Where the image is there this takes a moment and is not worth a line.
    const moment = setTimeout(() => {
        const line = progress.step(longSteps.base, (detail) => {
            say = detail;
            return build;
        });
        line.catch(() => {}); // Said by the build itself.
    }, 500);
    await build.finally(() => clearTimeout(moment));
}

/**
 * Removes what Pulumi does not know of: a machine whose creation was interrupted is not in the stack's state.
 *
 * @returns names of the machines that were removed
 */
export async function removeLeftovers(stack) {
    const directory = stackDirectory(stack);
    if (!isLocal(stack) || process.getuid?.() !== 0) {
        return [];
    }
    const env = machineEnvironment(stack, toolEnvironment());
    const local = async (file, ...args) => {
        const path = script("local", file);
        need(path);
        const { code, stdout, stderr } = await capture("bash", [path, ...args], { env });
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
    if (existsSync(directory)) {
        await local("network.sh", "down");
        await local("key.sh", "remove");
        rmSync(directory, { recursive: true, force: true });
    }
    return names;
}
