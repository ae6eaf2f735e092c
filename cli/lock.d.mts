/** Who holds a lock. */
export interface Holder {
    readonly pid: number;
    /** What it does. */
    readonly what: string;
    /** In UTC, for example "2026-11-30T12:00:00Z". */
    readonly since: string;
}

/** When a process started, in clock ticks since boot; "" where it has ended, or where there is no /proc. */
export function startTicks(pid: number): string;

/** Whether a process of that id runs. */
export function exists(pid: number): boolean;

/**
 * Takes a lock of this checkout. A holder that has died loses it at once.
 *
 * @param name file name of the lock in .cache/locks, without ".lock"
 * @param what what is done under it, for whoever finds it taken
 * @param busy is called every 250 ms while somebody else holds it: throws to give up, or returns to wait
 * @returns the function that releases it; the end of this process does so too
 */
export function withLock(name: string, what: string, busy: (holder: Holder) => void): Promise<() => void>;
