// @ts-nocheck
// Provider plug-ins: Pulumi's own, or the stand-ins of plugins/ where those cannot be had.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pulumiEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import { cacheDir, moduleBin, pulumiHome, readJson, readOr, root, stampDir } from "./project.ts";
import { runLogged } from "./run.ts";
import { hashOf, stamped, writeAtomically } from "./stamps.ts";

/** Limit for the download of one official plug-in, in milliseconds. */
const downloadLimit = 300_000;
const bundleDir = join(cacheDir, "plugins");
const stampFile = join(stampDir, "plugins");
/** Says that a plug-in's launcher is one of ours. */
const mark = "runtime-sandboxes stand-in";

/** Plug-ins of every stack. */
const names = ["command", "kubernetes"];
/** And of one target: its stand-in only previews, and where the official one can be had the engine fetches it itself. */
const previewOnly = ["gcp"];
const standIns = [...names, ...previewOnly];

/** True if the target's official plug-in is none that the set-up installs. */
export const isFetchedByEngine = (target) => previewOnly.includes(target);

/** Version of a provider's plug-in: what the npm package asks for, known once the packages are installed. */
function pluginVersion(name) {
    const locked = readJson(join(root, "package.json"))?.dependencies?.[`@pulumi/${name}`];
    if (!locked) {
        throw new Failure(`package.json pins no @pulumi/${name}.`);
    }
    return locked;
}

function launcherOf(home, name) {
    return join(home, "plugins", `resource-${name}-v${pluginVersion(name)}`, `pulumi-resource-${name}`);
}

/** True if the official plug-in is in this PULUMI_HOME. */
function officialIn(home, name) {
    const launcher = launcherOf(home, name);
    return existsSync(launcher) && !existsSync(`${launcher}.partial`) && !readOr(launcher, "").includes(mark);
}

function sourceHash() {
    return hashOf(
        join(root, "plugins"),
        join(root, "package-lock.json"),
        `text:${root} ${standIns.map(pluginVersion)}`,
    );
}

/** True if what was chosen is in place and, for stand-ins, made from the present sources. */
export function pluginsReady(chosen) {
    if (chosen.plugins === "stand-in") {
        return stamped(stampFile, sourceHash()) && standIns.every((name) => existsSync(launcherOf(pulumiHome, name)));
    }
    // With the user's own Pulumi the engine fetches what is missing by itself.
    return chosen.cli === "user" || names.every((name) => officialIn(pulumiHome, name));
}

/**
 * Chooses the plug-ins for a CLI, and makes the official ones ready; stand-ins are bundled later, once npm has run.
 *
 * @param cli what chooseCli answered
 * @returns { plugins, home }
 */
export async function choosePlugins(cli, progress) {
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

/** Lets Pulumi install its plug-ins; answers why that failed, or undefined. */
async function installOfficial(cli, missing, progress) {
    for (const name of missing) {
        // A stand-in of an earlier choice is in the way.
        rmSync(join(launcherOf(pulumiHome, name), ".."), { recursive: true, force: true });
        try {
            await progress.step(`plug-in ${name} ${pluginVersion(name)}, official release`, (say) =>
                runLogged(`plugin-${name}`, cli.pulumi, ["plugin", "install", "resource", name, pluginVersion(name)], {
                    say,
                    env: pulumiEnvironment({ home: cli.home, plugins: "official" }),
                    timeout: downloadLimit,
                    failure: { tried: `plug-in ${name} could not be installed` },
                }),
            );
        } catch (error) {
            return error.tail?.at(-1) ?? error.message;
        }
    }
    return undefined;
}

/** Bundles the stand-ins and puts their launchers where the engine looks. */
export async function installStandIns(progress) {
    const hash = sourceHash();
    const wanted = standIns.filter((name) => names.includes(name) || !officialIn(pulumiHome, name));
    await progress.step("stand-in plug-ins", () => Promise.all(wanted.map((name) => installStandIn(name))));
    writeAtomically(stampFile, `${hash}\n`);
}

async function installStandIn(name) {
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
    try {
        await runLogged(
            `bundle-${name}`,
            join(moduleBin, "esbuild"),
            [source, ...shape, ...external, `--outfile=${temporary}`],
            {
                failure: {
                    tried: `the stand-in plug-in ${name} could not be bundled from plugins/${name}/main.ts`,
                    next: "correct the source named in the log, then run again",
                },
            },
        );
        renameSync(temporary, bundle);
    } finally {
        rmSync(temporary, { force: true });
    }
    const launcher = launcherOf(pulumiHome, name);
    writeAtomically(launcher, launcherText(name), 0o755);
}

/** Found from the launcher's own place, so that a moved checkout needs no new launcher. */
function launcherText(name) {
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

/**
 * Refuses to change a stack whose target's plug-in is one that only previews; nothing has been made then.
 *
 * @param target the stack's setting
 * @param chosen what chosenToolchain answered
 */
export function checkPlugin(target, { plugins }) {
    if (plugins === "stand-in" && previewOnly.includes(target) && !officialIn(pulumiHome, target)) {
        const version = pluginVersion(target);
        throw new Failure(
            `target ${target} needs Pulumi's own plug-in ${target} ${version}, which could not be had here; its stand-in ` +
                "only previews. Nothing was changed.",
            {
                next:
                    "run where Pulumi's servers are reached; or fetch the plug-in there, then " +
                    `\`npm run pulumi -- plugin install resource ${target} ${version} --reinstall --file FILE\` here`,
            },
        );
    }
}

/** Removes launchers of plug-in versions that are no longer pinned, and all where the official ones are chosen. */
export function removeOldStandIns({ plugins }) {
    const folder = join(pulumiHome, "plugins");
    const kept = plugins === "stand-in" ? standIns : [];
    const wanted = new Set(kept.map((name) => `resource-${name}-v${pluginVersion(name)}`));
    for (const entry of existsSync(folder) ? readdirSync(folder) : []) {
        const name = /^resource-(\w+)-v/.exec(entry)?.[1];
        if (name && !wanted.has(entry) && readOr(join(folder, entry, `pulumi-resource-${name}`), "").includes(mark)) {
            rmSync(join(folder, entry), { recursive: true, force: true });
        }
    }
}
