// mirror/mirror.sh as tests call it.
import { spawnSync } from "node:child_process";
import * as path from "node:path";

export const root = path.join(__dirname, "../..");
export const mirror = path.join(root, ".cache/mirror");
export const script = path.join(root, "mirror/mirror.sh");

export interface Result {
    readonly code: number | null;
    readonly stdout: string;
    readonly stderr: string;
}

/** Runs a verb on the project's own mirror unless `env` names another. */
export function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Result {
    const { status, stdout, stderr } = spawnSync("bash", [script, ...args], {
        encoding: "utf8",
        env: { ...process.env, MIRROR_DIR: mirror, ...env },
    });
    return { code: status, stdout, stderr };
}
