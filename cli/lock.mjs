// A lock file that a dead holder loses at once. Plain JavaScript, with its types beside it: the bootstrap takes a lock on Node 20,
// before anything is installed.
//
// Not proper-lockfile: it knows a dead holder by a file that is no longer touched. So a run after a kill would wait for seconds,
// and a holder that is only suspended would lose its lock.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const directory = fileURLToPath(new URL("../.cache/locks", import.meta.url));

function read(path) {
    try {
        return readFileSync(path, "utf8");
    } catch {
        return "";
    }
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

const boot = read("/proc/sys/kernel/random/boot_id").trim();

/** Fields of /proc/<pid>/stat from the third on: the second, the command's name, may hold spaces. */
const statFields = (pid) => read(`/proc/${pid}/stat`).split(") ").at(-1).split(" ");

export const startTicks = (pid) => statFields(pid)[19] ?? "";

export function exists(pid) {
    if (statFields(pid)[0] === "Z") {
        return false; // Dead, but not yet collected: in a container that may stay so for ever.
    }
    try {
        return process.kill(pid, 0);
    } catch (error) {
        return error.code === "EPERM";
    }
}

/** Whether the process that wrote this still runs: its id may belong to another one by now. */
function isAlive(holder) {
    return holder.boot === boot && exists(holder.pid) && startTicks(holder.pid) === holder.ticks;
}

/** Gives a file a second name, unless that is taken. */
function link(path, name) {
    try {
        linkSync(path, name);
        return true;
    } catch (error) {
        if (error.code !== "EEXIST") throw error;
        return false;
    }
}

/** Takes the lock, from a dead holder too. @returns undefined, or the living holder */
function take(path, text) {
    const mine = `${path}.${process.pid}`;
    mkdirSync(directory, { recursive: true });
    writeFileSync(mine, text);
    try {
        while (!link(mine, path)) {
            const found = read(path);
            const holder = parsed(found);
            if (holder && isAlive(holder)) {
                return holder;
            }
            remove(path, found);
        }
        return undefined;
    } finally {
        rmSync(mine, { force: true });
    }
}

/** Removes a dead holder's lock, and puts it back if another one has taken it in between. */
function remove(path, dead) {
    const aside = `${path}.stale.${process.pid}`;
    try {
        renameSync(path, aside);
        if (read(aside) !== dead) {
            link(aside, path);
        }
    } catch (error) {
        if (error.code !== "ENOENT") throw error;
    } finally {
        rmSync(aside, { force: true });
    }
}

export async function withLock(name, what, busy) {
    const path = join(directory, `${name}.lock`);
    const since = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const text = JSON.stringify({ pid: process.pid, ticks: startTicks(process.pid), boot, what, since });
    for (let holder = take(path, text); holder; holder = take(path, text)) {
        busy(holder);
        await delay(250);
    }
    const release = () => {
        if (read(path) === text) {
            rmSync(path, { force: true });
        }
    };
    process.once("exit", release);
    return release;
}
