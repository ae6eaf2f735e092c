// npm packages, and the Node that they bring.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Failure } from "./failure.mjs";
import { cacheDir, moduleBin, readJson, root, versions } from "./project.mjs";
import { runLogged } from "./run.mjs";
import { hashOf, stamped, writeAtomically } from "./stamps.mjs";

const lockFile = join(root, "package-lock.json");
const stamp = join(root, "node_modules", ".setup-stamp");

function lockHash() {
    return hashOf(lockFile, `text:${process.platform} ${process.arch}`);
}

/** True if node_modules is what package-lock.json asks for. Costs one file to read and hash. */
export function packagesReady() {
    return stamped(stamp, lockHash());
}

/** True if somebody's own `npm ci` or `npm install` has already installed just this lock file. */
export function installedMatches(locked, installed) {
    if (!locked?.packages || !installed?.packages) {
        return false;
    }
    const wanted = Object.entries(locked.packages).filter(([path]) => path !== "");
    const missing = wanted.filter(([path, entry]) => {
        const found = installed.packages[path];
        return found ? found.version !== entry.version || found.integrity !== entry.integrity : !entry.optional;
    });
    const extra = Object.keys(installed.packages).filter((path) => !locked.packages[path]);
    return missing.length === 0 && extra.length === 0;
}

/** Installs the npm packages exactly as locked, and checks the Node among them. */
export async function installPackages(progress) {
    const hash = lockHash();
    if (!installedMatches(readJson(lockFile), readJson(join(root, "node_modules", ".package-lock.json")))) {
        await progress.step("npm packages", (say) => npmCi(say));
    }
    checkNode();
    writeAtomically(stamp, `${hash}\n`);
}

async function npmCi(say) {
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    await runLogged("npm-ci", npm, ["ci", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=warn"], {
        say,
        env: { ...process.env, PATH: [quietPulumi(), process.env.PATH].join(delimiter) },
        failure: {
            tried: "the npm packages could not be installed: `npm ci` failed",
            next: "see that the npm registry of this machine (`npm config get registry`) is reached, then run again",
        },
    });
}

/**
 * A folder with a `pulumi` that does nothing. The install scripts of Pulumi's packages download plug-ins when they find
 * a `pulumi`: without network that stalls, and plug-ins are a later step's job.
 */
function quietPulumi() {
    const folder = join(cacheDir, "npm-path");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "pulumi"), "#!/bin/sh\nexit 0\n");
    chmodSync(join(folder, "pulumi"), 0o755);
    return folder;
}

/** Fails unless the Node of the packages runs and is new enough for Pulumi's SDK. */
function checkNode() {
    const node = join(moduleBin, "node");
    const minimum = versions.node.minimumMajor;
    const next = "remove node_modules and run again; if it stays, set `npm config set ignore-scripts false`";
    if (!existsSync(node)) {
        throw new Failure(`the npm package "node" left no ${node}.`, { next });
    }
    let version;
    try {
        version = execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
    } catch (error) {
        throw new Failure(`the Node of the npm packages does not run: ${error.message.split("\n")[0]}.`, { next });
    }
    if (Number(/^v(\d+)/.exec(version)?.[1]) < minimum) {
        throw new Failure(`the Node of the npm packages is ${version}; Pulumi needs ${minimum} or newer.`, { next });
    }
}
