// The Pulumi CLI with its Node language host: the user's, else the official release, else built from Go modules.
import { existsSync, mkdirSync, realpathSync, rmSync, statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { compareVersions } from "../components/vulnerabilities.cjs";
import { buildEngine, engineInputs } from "./engine.ts";
import { findOnPath, type PulumiPlace } from "./environment.ts";
import { Failure } from "./failure.ts";
import type { Progress } from "./progress.ts";
import { binDir, cacheDir, pulumiHome, readJson, root, versions } from "./project.ts";
import { downloadRelease, releaseReachable } from "./release.ts";
import { capture } from "./run.ts";
import { hashOf, writeAtomically } from "./stamps.ts";

/** A Pulumi CLI. */
export interface Cli {
    readonly cli: "user" | "official" | "built";
    /** Path of `pulumi`. */
    readonly pulumi: string;
    readonly version: string;
    /** Whether the server of Pulumi's releases is reached. */
    readonly reachable: boolean;
    /** PULUMI_HOME; undefined for the user's own. */
    readonly home?: string | undefined;
}

/** What the set-up has chosen: the CLI, and the plug-ins that go with it. */
export type Toolchain = Cli & PulumiPlace;

const file = join(cacheDir, "toolchain.json");
const wanted = versions.pulumi.cli;

/** What the choice depends on; another value means: choose again. */
function choiceKey(): string {
    const user = findOnPath("pulumi");
    const stat = user ? statSync(user) : undefined;
    return hashOf(...engineInputs, `text:${root} ${wanted} ${user ?? ""} ${stat?.mtimeMs ?? ""} ${stat?.size ?? ""}`);
}

/** What the set-up has chosen, or undefined where it has to choose (again). */
export function chosenToolchain(): Toolchain | undefined {
    const chosen = readJson<Toolchain & { key: string }>(file);
    return chosen && chosen.key === choiceKey() && existsSync(chosen.pulumi) ? chosen : undefined;
}

/** Records the choice. */
export function saveToolchain(chosen: Toolchain): void {
    writeAtomically(file, `${JSON.stringify({ ...chosen, key: choiceKey() }, null, 2)}\n`);
}

/** Why the user's own `pulumi` is not used, or undefined: it needs the same major version, and to be as new as the SDK here. */
function refusalOf(path: string, version: string | undefined): string | undefined {
    if (!version) {
        return "`pulumi version` failed";
    }
    if (version.split(".")[0] !== wanted.split(".")[0] || compareVersions(version, wanted) < 0) {
        return `it is ${version}; this project needs ${wanted} or newer of the same major version`;
    }
    const host = "pulumi-language-nodejs";
    const found = findOnPath(host) || existsSync(join(dirname(realpathSync(path)), host));
    return found ? undefined : `${host} is neither on PATH nor beside it`;
}

/** The user's own `pulumi`, if there is one that may be used: its path and version. */
async function userCli(progress: Progress): Promise<Pick<Cli, "pulumi" | "version"> | undefined> {
    const path = findOnPath("pulumi");
    if (!path) {
        return undefined;
    }
    const env = { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" };
    const { code, stdout } = await capture(path, ["version"], { env });
    const version = code === 0 ? /^v?(\d+\.\d+\.\d+\S*)/.exec(stdout.trim())?.[1] : undefined;
    const refusal = refusalOf(path, version);
    if (refusal) {
        progress.note(`pulumi: ${path} is not used: ${refusal}`);
    }
    return version && !refusal ? { pulumi: path, version } : undefined;
}

/**
 * Puts the `pulumi` of this folder first on PATH, or removes an earlier one. Only `pulumi`: it finds its language host beside
 * its real place, and warns about one on PATH.
 */
function linkPulumi(folder?: string): void {
    const link = join(binDir, "pulumi");
    rmSync(link, { force: true });
    if (folder) {
        mkdirSync(binDir, { recursive: true });
        symlinkSync(join(folder, "pulumi"), link);
    }
}

/** Chooses the CLI and installs it. @param later as setup has it */
export async function chooseCli(progress: Progress, later: readonly string[]): Promise<Cli> {
    const user = await userCli(progress);
    const { reachable, reason } = await releaseReachable();
    if (user) {
        linkPulumi();
        return { cli: "user", ...user, reachable };
    }
    const own = { pulumi: join(binDir, "pulumi"), version: wanted, home: pulumiHome };
    const official = reachable ? await installOfficial(progress) : { reason };
    if ("folder" in official) {
        linkPulumi(official.folder);
        return { cli: "official", ...own, reachable: true };
    }
    progress.note(
        `pulumi: the release cannot be downloaded (${official.reason}); ${wanted} is built from its Go module instead`,
    );
    linkPulumi(await buildEngine(progress, later));
    return { cli: "built", ...own, reachable: false };
}

/** Downloads the official release. @returns its folder, or why it cannot be downloaded */
async function installOfficial(progress: Progress): Promise<{ folder: string } | { reason: string }> {
    try {
        const step = `Pulumi ${wanted}, official release`;
        return { folder: await progress.step(step, (say) => downloadRelease(wanted, say)) };
    } catch (error) {
        if (error instanceof Failure || !(error instanceof Error)) {
            throw error;
        }
        return { reason: error.message };
    }
}
