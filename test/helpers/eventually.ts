import { setTimeout as sleep } from "node:timers/promises";

type Missing = false | 0 | "" | null | undefined;

/**
 * Polls until `probe` gives something that counts as true, and returns it. Where it gives up, after `limit` milliseconds, it
 * names what it waited for and the probe's last error.
 */
export async function eventually<T>(
    what: string,
    probe: () => T | Promise<T>,
    limit = 60_000,
): Promise<Exclude<T, Missing>> {
    const end = Date.now() + limit;
    for (let last: unknown = "it never was"; ; await sleep(50)) {
        try {
            const value = await probe();
            if (value) {
                return value as Exclude<T, Missing>;
            }
        } catch (error) {
            last = error;
        }
        if (Date.now() > end) {
            throw new Error(`${what}: not within ${limit} ms; ${String(last)}`);
        }
    }
}
