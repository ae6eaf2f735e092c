// Provider plug-ins: Pulumi's own, or the stand-ins of plugins/ where those cannot be downloaded.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import project from "../package.json" with { type: "json" };
import { type PulumiPlace, pulumiEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import type { Progress } from "./progress.ts";
import { cacheDir, moduleBin, pulumiHome, readOr, root, stampDir } from "./project.ts";
import { runLogged } from "./run.ts";
import { hashOf, stamped, writeAtomically } from "./stamps.ts";
import type { Cli, Toolchain } from "./toolchain.ts";

/** Limit for the download of one official plug-in, in milliseconds. */
const downloadLimit = 300_000;
const bundleDir = join(cacheDir, "plugins");
const stampFile = join(stampDir, "plugins");
/** Says that a plug-in's launcher is one of ours. */
const mark = "runtime-sandboxes stand-in";

/** Plug-ins of every stack. */
const names = ["command", "kubernetes"] as const;
/** And of one target: its stand-in only previews; the official one is fetched by the engine, where it can be. */
const previewOnly = ["gcp"] as const;
const standIns = [...names, ...previewOnly];
type Provider = (typeof standIns)[number];

/** Whether the engine itself fetches the official plug-in of a target. */
export const isFetchedByEngine = (target: string) => previewOnly.some((name) => name === target);

/** Version of a provider's plug-in: that of its npm package. */
const versionOf = (name: Provider) => project.dependencies[`@pulumi/${name}` as const];

const folderOf = (name: Provider) => `resource-${name}-v${versionOf(name)}`;

function launcherOf(home: string, name: Provider): string {
    return join(home, "plugins", folderOf(name), `pulumi-resource-${name}`);
}

/** Whether the official plug-in is in this PULUMI_HOME. */
function officialIn(home: string, name: Provider): boolean {
    const launcher = launcherOf(home, name);
    return existsSync(launcher) && !existsSync(`${launcher}.partial`) && !readOr(launcher, "").includes(mark);
}

function sourceHash(): string {
    const inputs = ["plugins", "package-lock.json"].map((name) => join(root, name));
    return hashOf(...inputs, `text:${root} ${standIns.map(versionOf)}`);
}

/** Whether what was chosen is in place and, for stand-ins, made from the present sources. */
export function pluginsReady(chosen: Toolchain): boolean {
    if (chosen.plugins === "stand-in") {
        return stamped(stampFile, sourceHash()) && standIns.every((name) => existsSync(launcherOf(pulumiHome, name)));
    }
    // With the user's own Pulumi the engine fetches what is missing.
    return chosen.cli === "user" || names.every((name) => officialIn(pulumiHome, name));
}

/** Chooses the plug-ins for a CLI, and installs the official ones. */
export async function choosePlugins(cli: Cli, progress: Progress): Promise<PulumiPlace> {
    const home = cli.home ?? process.env.PULUMI_HOME ?? join(homedir(), ".pulumi");
    const missing = names.filter((name) => !officialIn(home, name));
    if (missing.length === 0 || (cli.cli === "user" && cli.reachable)) {
        return { plugins: "official", home: cli.home };
    }
    const problem = cli.reachable ? await installOfficial(cli, missing, progress) : "their server is not reached";
    if (!problem) {
        return { plugins: "official", home: cli.home };
    }
    progress.note(`plug-ins: the official ones cannot be downloaded (${problem}); the stand-ins of plugins/ are used`);
    return { plugins: "stand-in", home: pulumiHome };
}

/** Lets Pulumi install its plug-ins. @returns why that failed, or undefined */
async function installOfficial(
    cli: Cli,
    missing: readonly Provider[],
    progress: Progress,
): Promise<string | undefined> {
    for (const name of missing) {
        const version = versionOf(name);
        // A stand-in of an earlier choice is in the way.
        rmSync(join(pulumiHome, "plugins", folderOf(name)), { recursive: true, force: true });
        try {
            await progress.step(`plug-in ${name} ${version}, official release`, (say) =>
                runLogged(`plugin-${name}`, cli.pulumi, ["plugin", "install", "resource", name, version], {
                    say,
                    env: pulumiEnvironment({ home: cli.home, plugins: "official" }),
                    limit: downloadLimit,
                    failure: { tried: `plug-in ${name} could not be installed` },
                }),
            );
        } catch (error) {
            if (!(error instanceof Failure)) {
                throw error;
            }
            return error.tail.at(-1) ?? error.message;
        }
    }
    return undefined;
}

/** Bundles the stand-ins and puts their launchers where the engine looks. */
export async function installStandIns(progress: Progress): Promise<void> {
    const hash = sourceHash();
    const wanted = [...names, ...previewOnly.filter((name) => !officialIn(pulumiHome, name))];
    await progress.step("stand-in plug-ins", () => Promise.all(wanted.map(installStandIn)));
    writeAtomically(stampFile, `${hash}\n`);
}

async function installStandIn(name: Provider): Promise<void> {
    const source = join(root, "plugins", name, "main.ts");
    if (!existsSync(source)) {
        throw new Failure(`plugins/${name}/main.ts is missing, the source of the stand-in plug-in ${name}.`, {
            next: "restore it from the repository (`git status` shows what is missing)",
        });
    }
    const bundle = join(bundleDir, `${name}.cjs`);
    const temporary = join(bundleDir, `${name}.${process.pid}.cjs`);
    mkdirSync(bundleDir, { recursive: true });
    // ssh2 has optional native parts and works without them; a bundle cannot carry them.
    const external = ["--external:cpu-features", "--external:*.node"];
    const shape = ["--bundle", "--platform=node", "--target=node22", "--format=cjs", "--log-level=warning"];
    const args = [source, ...shape, ...external, `--outfile=${temporary}`];
    try {
        await runLogged(`bundle-${name}`, join(moduleBin, "esbuild"), args, {
            failure: {
                tried: `the stand-in plug-in ${name} could not be bundled from plugins/${name}/main.ts`,
                next: "correct the source named in the log, then run again",
            },
        });
        renameSync(temporary, bundle);
    } finally {
        rmSync(temporary, { force: true });
    }
    writeAtomically(launcherOf(pulumiHome, name), launcherText(name), 0o755);
}

/** Found from the launcher's own place, so that a moved checkout needs no new launcher. */
function launcherText(name: string): string {
    return [
        "#!/bin/sh",
        `# ${mark}: the ${name} provider of plugins/${name}, see its README.`,
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell expands it
        'project="${0%/*}/../../../.."',
        'export NODE_COMPILE_CACHE="$project/.cache/compile"',
        `exec "$project/node_modules/.bin/node" "$project/.cache/plugins/${name}.cjs" "$@"`,
        "",
    ].join("\n");
}

/** Refuses to change a stack whose target's plug-in only previews; nothing has been made then. */
export function checkPlugin(target: string, { plugins }: PulumiPlace): void {
    const name = previewOnly.find((one) => one === target);
    if (plugins === "stand-in" && name && !officialIn(pulumiHome, name)) {
        const version = versionOf(name);
        throw new Failure(
            `target ${name} needs Pulumi's own plug-in ${name} ${version}, which could not be had here; its stand-in ` +
                "only previews. Nothing was changed.",
            {
                next:
                    "run where Pulumi's servers are reached; or fetch the plug-in there, then " +
                    `\`npm run pulumi -- plugin install resource ${name} ${version} --reinstall --file FILE\` here`,
            },
        );
    }
}

/** Removes launchers of plug-in versions that are no longer pinned, and all where the official ones are chosen. */
export function removeOldStandIns({ plugins }: PulumiPlace): void {
    const folder = join(pulumiHome, "plugins");
    const wanted = new Set<string>(plugins === "stand-in" ? standIns.map(folderOf) : []);
    for (const entry of existsSync(folder) ? readdirSync(folder) : []) {
        const name = /^resource-(\w+)-v/.exec(entry)?.[1];
        if (name && !wanted.has(entry) && readOr(join(folder, entry, `pulumi-resource-${name}`), "").includes(mark)) {
            rmSync(join(folder, entry), { recursive: true, force: true });
        }
    }
}
