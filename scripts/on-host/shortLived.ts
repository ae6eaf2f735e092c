// What the scripts share that let a program of ours run in short-lived pods, and ask the worker about it.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { runOn } from "../../cli/machines.ts";
import { resultIn } from "../../components/step.cjs";

type Connection = Parameters<typeof runOn>[0];

const mirror = fileURLToPath(new URL("../../mirror/mirror.sh", import.meta.url));

/**
 * The program of a recipe of the mirror; built if it is not there.
 *
 * @param recipe below mirror/build, which is the setting's name too, unless that is given
 * @param architecture as Go calls it
 */
export async function programFor(recipe: string, architecture: string, setting = recipe): Promise<Buffer> {
    try {
        const { stdout } = await promisify(execFile)("bash", [mirror, "program", recipe, architecture]);
        return readFileSync(stdout.trim());
    } catch (error) {
        const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
        const why =
            said
                .split("\n")
                .at(-1)
                ?.replace(/^mirror: /, "") || String(error);
        throw new Error(`the program ${recipe} was not built: ${why}. Or set ${setting} to false`);
    }
}

/** Runs a script on the worker. @returns what it prints as its result */
export async function onWorker(connection: Connection, call: string, script: string): Promise<string> {
    const { code, stdout, stderr } = await runOn(connection, call, script);
    if (code !== 0) {
        throw new Error(`the worker cannot be asked: ${stderr.trim().split("\n").at(-1)}`);
    }
    return resultIn(stdout);
}

/** All results, or the first error once all have come to an end: nothing is under way any more when it is told. */
export async function settled<T extends readonly unknown[] | []>(promises: T) {
    await Promise.allSettled(promises);
    return await Promise.all(promises);
}
