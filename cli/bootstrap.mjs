// The project's command line: what the npm scripts call. It runs on Node 20 and newer before anything is installed: installs the
// npm packages as package-lock.json has them, then goes on with the Node that is among them, which runs TypeScript by itself.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "node_modules");
const cache = join(root, ".cache");
const log = join(cache, "logs", "npm-ci.log");
/** Holds the hash of the lock file that was installed. */
const stamp = join(modules, ".setup-stamp");

const readOr = (file, fallback) => {
    try {
        return readFileSync(file, "utf8");
    } catch {
        return fallback;
    }
};

const lockHash = () =>
    createHash("sha256")
        .update(`${process.platform} ${process.arch} `)
        .update(readFileSync(join(root, "package-lock.json")))
        .digest("hex");

const ready = () => readOr(stamp, "") === lockHash();

/** Whether somebody's own `npm ci` has installed just this lock file. */
function installedMatches() {
    const packagesOf = (file) => JSON.parse(readOr(file, "{}")).packages ?? {};
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
 * A folder with a `pulumi` that does nothing. The install scripts of Pulumi's packages download plug-ins when they find
 * a `pulumi`: without network that stalls, and plug-ins are a later step's job.
 */
function quietPulumi() {
    const folder = join(cache, "npm-path");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "pulumi"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    return folder;
}

const lastLine = () => readOr(log, "").trim().split("\n").at(-1);

async function npmCi() {
    mkdirSync(join(cache, "logs"), { recursive: true });
    const started = Date.now();
    const seconds = () => Math.round((Date.now() - started) / 1000);
    process.stderr.write("npm packages ...\n");
    const signOfLife = setInterval(
        () => process.stderr.write(`npm packages ... ${seconds()} s: ${lastLine()}\n`),
        15_000,
    );
    const output = openSync(log, "w");
    const code = await new Promise((done) => {
        const npm = ["ci", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=warn"];
        spawn("npm", npm, {
            cwd: root,
            stdio: ["ignore", output, output],
            env: { ...process.env, PATH: [quietPulumi(), process.env.PATH].join(delimiter) },
        })
            .on("close", done)
            .on("error", done);
    });
    clearInterval(signOfLife);
    if (code !== 0) {
        const tail = readOr(log, "").trimEnd().split("\n").slice(-15);
        throw new Error(
            `the npm packages could not be installed: \`npm ci\` failed.\n${tail.map((line) => `  ${line}`).join("\n")}\n` +
                `  log: ${log}\n  next: see that the npm registry of this machine (\`npm config get registry\`) is reached, then run again`,
        );
    }
    process.stderr.write(`npm packages: done (${seconds()} s)\n`);
}

/** Waits for another one that installs; a killed one's lock is taken over. */
async function locked(work) {
    const lock = join(cache, "locks", "npm-ci");
    const holder = join(lock, "pid");
    mkdirSync(join(cache, "locks"), { recursive: true });
    for (let said = false; ; ) {
        try {
            mkdirSync(lock);
            writeFileSync(holder, `${process.pid}`);
            break;
        } catch (error) {
            if (error.code !== "EEXIST") throw error;
        }
        const pid = Number(readOr(holder, ""));
        const old = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 5000;
        if (pid ? !runs(pid) : old) rmSync(lock, { recursive: true, force: true });
        if (!said) process.stderr.write(`npm packages: another one installs them (pid ${pid}); waiting for it\n`);
        said = true;
        await sleep(250);
    }
    try {
        await work();
    } finally {
        rmSync(lock, { recursive: true, force: true });
    }
}

function runs(pid) {
    try {
        return process.kill(pid, 0);
    } catch (error) {
        return error.code === "EPERM";
    }
}

/** Fails unless the Node of the packages runs. @returns its path */
function nodeOfPackages() {
    const node = join(modules, "node", "bin", "node");
    const { stdout, error } = spawnSync(node, ["--version"], { encoding: "utf8" });
    if (!/^v(2[4-9]|[3-9]\d)\./.test(stdout ?? "")) {
        throw new Error(
            `the Node of the npm packages, ${node}, does not run${error ? `: ${error.message}` : ""}.\n` +
                "  next: remove node_modules and run again; if it stays, set `npm config set ignore-scripts false`",
        );
    }
    return node;
}

async function main() {
    if (!ready()) {
        await locked(async () => {
            if (!installedMatches()) await npmCi();
            nodeOfPackages();
            writeFileSync(stamp, lockHash());
        });
    }
    const program = join(root, "cli", "main.ts");
    if (Number(process.versions.node.split(".")[0]) >= 24) {
        enableCompileCache(process.env.NODE_COMPILE_CACHE ?? join(cache, "node-compile"));
        await import(program);
        return;
    }
    const child = spawn(nodeOfPackages(), [program, ...process.argv.slice(2)], { stdio: "inherit" });
    // The child decides how it ends, also after Ctrl-C.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
        process.on(signal, () => signal !== "SIGINT" && child.kill(signal));
    }
    process.exitCode = await new Promise((done) => {
        child.on("close", (code, signal) => done(code ?? (signal === "SIGINT" ? 130 : 143)));
    });
}

try {
    await main();
} catch (error) {
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
}
