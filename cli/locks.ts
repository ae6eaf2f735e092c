// One run at a time on a stack: the lock of this checkout, and those that Pulumi keeps in the file backend.
import { existsSync, readdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { Failure } from "./failure.ts";
import { exists, startTicks, withLock } from "./lock.mjs";
import { projectName, readJson, readOr } from "./project.ts";

export { exists, startTicks, withLock };

/** A lock of Pulumi's file backend, as its file has it. */
interface PulumiLock {
    readonly pid: number;
    readonly username: string;
    readonly hostname: string;
    /** RFC 3339. */
    readonly timestamp: string;
}

/** A lock whose holder is dead. */
type StaleLock = Pick<PulumiLock, "pid" | "timestamp">;

function refuse(stack: string, pid: number, since: string): Failure {
    return new Failure(
        `another \`up\`/\`destroy\` of stack ${stack} is running: pid ${pid} since ${since}. ` +
            "Wait for it or end it; nothing was changed.",
    );
}

/** Takes the stack for this run, until it ends. @throws {Failure} if another run of this checkout has it */
export async function lockStack(stack: string, what: string): Promise<() => void> {
    return await withLock(`stack-${stack}`, what, (holder) => {
        throw refuse(stack, holder.pid, holder.since);
    });
}

/** When a process started, in milliseconds since 1970; undefined where /proc does not say. */
function startedAt(pid: number): number | undefined {
    const boot = /^btime (\d+)$/m.exec(readOr("/proc/stat", ""))?.[1];
    const ticks = startTicks(pid);
    return boot && ticks ? (Number(boot) + Number(ticks) / 100) * 1000 : undefined;
}

/** Whether the Pulumi that wrote this lock on this host still runs. */
function pulumiRuns({ pid, timestamp }: PulumiLock): boolean {
    const command = readOr(`/proc/${pid}/comm`, "pulumi").trim();
    // Another Pulumi has its process id if it started after the lock was written.
    const startedLater = (startedAt(pid) ?? 0) > Date.parse(timestamp) + 2000;
    return exists(pid) && command === "pulumi" && !startedLater;
}

/**
 * Looks at the locks that Pulumi's file backend keeps for a stack.
 *
 * @param backend folder of the backend
 * @returns locks of this host whose process is dead
 * @throws {Failure} if a living process, or another host, holds the stack
 */
export function staleLocks(backend: string, stack: string): StaleLock[] {
    const directory = join(backend, "locks", "organization", projectName, stack);
    const names = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".json")) : [];
    return names.map((name) => {
        const lock = readJson<PulumiLock>(join(directory, name));
        if (!lock) {
            return { pid: 0, timestamp: "an unknown time" };
        }
        if (lock.hostname !== hostname()) {
            throw new Failure(
                `stack ${stack} is locked by ${lock.username}@${lock.hostname}, pid ${lock.pid} since ${lock.timestamp}; ` +
                    "nothing was changed.",
                { next: `if that run has ended: npm run pulumi -- cancel --yes --stack ${stack}` },
            );
        }
        if (pulumiRuns(lock)) {
            throw refuse(stack, lock.pid, lock.timestamp);
        }
        return lock;
    });
}
