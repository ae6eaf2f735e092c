// The project's command line: what the npm scripts call. It runs on Node 20 and newer before anything is installed: installs the
// npm packages as package-lock.json has them, then goes on with the Node that is among them, which runs TypeScript itself.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import module from "node:module";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "node_modules");
const cache = join(root, ".cache");
const log = join(cache, "logs", "npm-ci.log");
/** Holds the hash of the lock file that was installed. */
const stamp = join(modules, ".setup-stamp");
const compileCache = process.env.NODE_COMPILE_CACHE ?? join(cache, "node-compile");

function readOr(path, fallback) {
    try {
        return readFileSync(path, "utf8");
    } catch {
        return fallback;
    }
}

const linesOf = (text) => text.trimEnd().split("\n");

function lockHash() {
    const lock = readFileSync(join(root, "package-lock.json"));
    return createHash("sha256").update(`${process.platform} ${process.arch} `).update(lock).digest("hex");
}

/** Whether somebody's own `npm ci` has installed just this lock file. */
function installedMatches() {
    const packagesOf = (path) => JSON.parse(readOr(path, "{}")).packages ?? {};
    const installed = packagesOf(join(modules, ".package-lock.json"));
    const { "": project, ...locked } = packagesOf(join(root, "package-lock.json"));
    return (
        Object.entries(locked).every(([path, { version, integrity, optional }]) => {
            const found = installed[path];
            return found ? found.version === version && found.integrity === integrity : optional;
        }) && Object.keys(installed).every((path) => path in locked)
    );
}

/**
 * Runs a command, and passes on signals: it decides how it ends. Ctrl-C reaches it from the terminal itself.
 *
 * @returns its exit code, for a signal as shells have it
 */
async function run(command, args, options) {
    const child = spawn(command, args, options);
    const pass = (signal) => (signal !== "SIGINT" || !process.stdin.isTTY) && child.kill(signal);
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const signal of signals) {
        process.on(signal, pass);
    }
    try {
        return await new Promise((resolve, reject) => {
            child.on("error", reject);
            child.on("close", (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
        });
    } finally {
        for (const signal of signals) {
            process.off(signal, pass);
        }
    }
}

/**
 * A folder with a `pulumi` that does nothing. The install scripts of Pulumi's packages download plug-ins when they find
 * a `pulumi`: without network that stalls, and plug-ins are a later step's job.
 */
function quietPulumi() {
    const folder = join(cache, "npm-path");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "pulumi"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    return folder;
}

/** Runs `npm ci`, with a sign of life every 15 seconds. */
async function npmCi() {
    mkdirSync(join(cache, "logs"), { recursive: true });
    const started = Date.now();
    const say = (text) => process.stderr.write(`npm packages${text}\n`);
    const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
    const signOfLife = setInterval(() => say(` ... ${seconds()}: ${linesOf(readOr(log, "")).at(-1)}`), 15_000);
    say(" ...");
    const output = openSync(log, "w");
    const code = await run("npm", ["ci", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=warn"], {
        cwd: root,
        stdio: ["ignore", output, output],
        env: { ...process.env, PATH: [quietPulumi(), process.env.PATH].join(delimiter) },
    }).catch(({ message }) => {
        writeFileSync(log, `${message}\n`);
        return 127;
    });
    clearInterval(signOfLife);
    if (code > 128) {
        process.exit(code);
    }
    if (code !== 0) {
        const tail = linesOf(readOr(log, "")).slice(-15);
        throw new Error(
            `the npm packages could not be installed: \`npm ci\` failed.\n${tail.map((line) => `  | ${line}\n`).join("")}` +
                `  log: ${log}\n  next: see that the npm registry of this machine (\`npm config get registry\`) is reached, then run again`,
        );
    }
    say(`: done (${seconds()})`);
}

/** Installs the packages, unless somebody else does so or has done so in the meantime. */
async function install() {
    const { withLock } = await import("./lock.mjs");
    let waits = false;
    const release = await withLock("npm-ci", "npm ci", ({ pid, since }) => {
        if (!waits) {
            process.stderr.write(
                `npm packages: another run installs them (pid ${pid} since ${since}); waiting for it\n`,
            );
            waits = true;
        }
    });
    try {
        if (!installedMatches()) await npmCi();
        await runNode(["--version"], "ignore");
        writeFileSync(stamp, lockHash());
    } finally {
        release();
    }
}

/** Runs the Node of the packages. @returns its exit code */
async function runNode(args, stdio) {
    const node = join(modules, "node", "bin", "node");
    try {
        return await run(node, args, { stdio, env: { ...process.env, NODE_COMPILE_CACHE: compileCache } });
    } catch ({ message }) {
        throw new Error(
            `the Node of the npm packages does not run: ${message}.\n` +
                "  next: remove node_modules and run again; if it stays, set `npm config set ignore-scripts false`",
        );
    }
}

async function main() {
    if (readOr(stamp, "") !== lockHash()) await install();
    if (Number.parseInt(process.versions.node, 10) < 24) {
        return await runNode(process.argv.slice(1), "inherit");
    }
    module.enableCompileCache(compileCache);
    const { runCommand } = await import("./main.ts");
    return await runCommand(process.argv.slice(2));
}

try {
    process.exitCode = await main();
} catch (error) {
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
}
