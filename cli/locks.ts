// @ts-nocheck
// One run at a time: a lock of our own a stack, and what a killed Pulumi leaves in the file backend.
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Failure } from "./failure.ts";
import { cacheDir, projectName, readJson, readOr } from "./project.ts";

const bootId = readOr("/proc/sys/kernel/random/boot_id", "").trim();

/** Fields of /proc/<pid>/stat from the third on: the second, the command's name, may hold spaces. */
function statFields(pid) {
    return readOr(`/proc/${pid}/stat`, "").split(") ").pop().split(" ");
}

/** Start time of a process in clock ticks since boot, "" where it has ended or /proc is not there. */
export function startTicks(pid) {
    return statFields(pid)[19] ?? "";
}

/** Whether a process of that id runs. */
export function exists(pid) {
    if (statFields(pid)[0] === "Z") {
        return false; // Dead, but not yet collected: in a container that may stay so for ever.
    }
    try {
        process.kill(pid, 0);
        return true;
    } catch (error) {
        return error.code === "EPERM";
    }
}

/** True if the process that wrote this lock still runs: a process id may have been given to another since. */
function holds(lock) {
    return lock.boot === bootId && exists(lock.pid) && startTicks(lock.pid) === lock.ticks;
}

/** Takes the lock file, or returns what its living holder wrote. A dead holder's lock is taken over. */
function take(path, content) {
    mkdirSync(dirname(path), { recursive: true });
    const mine = `${path}.${process.pid}`;
    writeFileSync(mine, JSON.stringify(content));
    try {
        for (;;) {
            try {
                linkSync(mine, path);
                return undefined;
            } catch (error) {
                if (error.code !== "EEXIST") {
                    throw error;
                }
            }
            const holder = readJson(path);
            if (holder && holds(holder)) {
                return holder;
            }
            setAside(path, holder);
        }
    } finally {
        rmSync(mine, { force: true });
    }
}

/** Removes a stale lock; a living one that has replaced it in between is put back. */
function setAside(path, stale) {
    const aside = `${path}.stale.${process.pid}`;
    try {
        renameSync(path, aside);
        if (readFileSync(aside, "utf8") !== JSON.stringify(stale) && holds(readJson(aside) ?? {})) {
            linkSync(aside, path);
        }
    } catch (error) {
        if (error.code !== "ENOENT" && error.code !== "EEXIST") {
            throw error;
        }
    } finally {
        rmSync(aside, { force: true });
    }
}

/**
 * Takes a lock and returns the function that gives it back; it is also given back when this process ends.
 *
 * @param name file name of the lock in .cache/locks
 * @param what what is being done, for whoever meets the lock
 * @param busy gets the holder { pid, what, since } if there is one: throws to give up, or returns to wait
 */
export async function withLock(name, what, busy, directory = join(cacheDir, "locks")) {
    const path = join(directory, `${name}.lock`);
    const content = { pid: process.pid, ticks: startTicks(process.pid), boot: bootId, what, since: now() };
    for (;;) {
        const holder = take(path, content);
        if (!holder) {
            break;
        }
        busy(holder);
        await delay(250);
    }
    const release = () => {
        if (readOr(path, "") === JSON.stringify(content)) {
            rmSync(path, { force: true });
        }
    };
    process.once("exit", release);
    return release;
}

function now() {
    return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}

function refuse(stack, pid, since) {
    return new Failure(
        `another \`up\`/\`destroy\` of stack ${stack} is running: pid ${pid} since ${since}. ` +
            "Wait for it or end it; nothing was changed.",
    );
}

/** Takes the stack for this run, or fails with one sentence if another run has it. */
export async function lockStack(stack, what) {
    return await withLock(`stack-${stack}`, what, (holder) => {
        throw refuse(stack, holder.pid, holder.since);
    });
}

/** When a process started, in milliseconds since 1970, or undefined where that cannot be told. */
function startedAt(pid) {
    const boot = /^btime (\d+)$/m.exec(readOr("/proc/stat", ""))?.[1];
    const ticks = startTicks(pid);
    return boot && ticks ? (Number(boot) + Number(ticks) / 100) * 1000 : undefined;
}

/** True if the Pulumi that wrote this lock on this host still runs. */
function pulumiRuns(lock) {
    if (!exists(lock.pid)) {
        return false;
    }
    const command = readOr(`/proc/${lock.pid}/comm`, "pulumi").trim();
    const started = startedAt(lock.pid);
    const locked = Date.parse(lock.timestamp);
    return command === "pulumi" && (started === undefined || !(started > locked + 2000));
}

/**
 * Looks at the locks that Pulumi's file backend keeps for a stack.
 *
 * @param backend folder of the backend
 * @returns locks of this host whose process is gone: each { pid, timestamp }
 * @throws {Failure} if a living process, or another host, holds the stack
 */
export function staleLocks(backend, stack) {
    const directory = join(backend, "locks", "organization", projectName, stack);
    const stale = [];
    let names;
    try {
        names = readdirSync(directory).filter((name) => name.endsWith(".json"));
    } catch {
        return stale;
    }
    for (const name of names) {
        const lock = readJson(join(directory, name));
        if (!lock) {
            stale.push({ pid: 0, timestamp: "an unknown time" });
        } else if (lock.hostname !== hostname()) {
            throw new Failure(
                `stack ${stack} is locked by ${lock.username}@${lock.hostname}, pid ${lock.pid} since ${lock.timestamp}; ` +
                    "nothing was changed.",
                { next: `if that run has ended: npm run pulumi -- cancel --yes --stack ${stack}` },
            );
        } else if (pulumiRuns(lock)) {
            throw refuse(stack, lock.pid, lock.timestamp);
        } else {
            stale.push(lock);
        }
    }
    return stale;
}
