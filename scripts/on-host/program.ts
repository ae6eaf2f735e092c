// What the scripts share that bring our program to pods, and ask the worker about these.
import { type ExecFileException, execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Exec } from "@kubernetes/client-node";
import { runOn } from "../../cli/machines.ts";
import { resultIn } from "../../components/step.cjs";
import type { Pod } from "./api.ts";
import { persist, run } from "./exec.ts";

const mirror = fileURLToPath(new URL("../../mirror/mirror.sh", import.meta.url));
/** Go's names of architectures, by those of `uname -m`; Kubernetes has Go's. */
const architectures: Readonly<Record<string, string>> = {
    x86_64: "amd64",
    aarch64: "arm64",
    amd64: "amd64",
    arm64: "arm64",
};
/** The programs, by the setting that asks for them: a recipe below mirror/build, and what it does. */
const programs = {
    attacks: { recipe: "attacks", purpose: "with the attempts" },
    surface: { recipe: "attacks", purpose: "that measures" },
    reachable: { recipe: "reach", purpose: "that shows what pods reach" },
};

/**
 * Builds a program of the mirror's, unless it is there.
 *
 * @param machine architecture that it is for
 * @param setting what asks for it
 * @returns its path
 */
export async function programFor(machine: string, setting: keyof typeof programs): Promise<string> {
    const architecture = architectures[machine];
    if (architecture === undefined) {
        throw new Error(`the worker's architecture is ${machine}; allowed: ${Object.keys(architectures).join(", ")}`);
    }
    const { recipe, purpose } = programs[setting];
    try {
        const { stdout } = await promisify(execFile)("bash", [mirror, "program", recipe, architecture]);
        return stdout.trim();
    } catch (error) {
        const { stderr = "", message } = error as ExecFileException;
        const said = stderr
            .trim()
            .split("\n")
            .at(-1)
            ?.replace(/^mirror: /, "");
        throw new Error(`the program ${purpose} was not built: ${said || message}. Or set ${setting} to false`);
    }
}

/**
 * Brings the program to a pod, as /tmp/attacks, and runs a command there.
 *
 * @param program its path
 * @param pod its first container needs a shell, head and chmod
 * @param what a few words for errors, such as "running the attempts"
 * @param command of a shell, with `args` as its own
 */
export async function runInPod(
    exec: Exec,
    program: string,
    { metadata, spec }: Pod,
    what: string,
    command: string,
    args: readonly string[],
): Promise<{ code: number; text: string }> {
    const content = readFileSync(program);
    const script = `head -c ${content.length} >/tmp/attacks && chmod 755 /tmp/attacks && ${command}`;
    const target = { ...metadata, container: spec.containers[0]?.name ?? "" };
    return await persist(`${what} in ${metadata.name}`, () =>
        run(exec, target, ["sh", "-c", script, "attacks", ...args], content),
    );
}

/** Runs one of the scripts on the worker. @returns what it prints as its result */
export async function onWorker(connection: Parameters<typeof runOn>[0], call: string, script: string): Promise<string> {
    const { code, stdout, stderr } = await runOn(connection, call, script);
    if (code !== 0) {
        throw new Error(`the worker cannot be asked: ${stderr.trim().split("\n").at(-1)}`);
    }
    return resultIn(stdout);
}

/** All results, or the first error once all have come to an end: then nothing is under way any more. */
export async function settled<T extends readonly unknown[] | []>(promises: T) {
    await Promise.allSettled(promises);
    return await Promise.all(promises);
}
