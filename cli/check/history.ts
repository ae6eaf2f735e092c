// @ts-nocheck
// Whether the outputs of a stack are those of its last update, and how old they are.
import { askPulumi } from "../run.ts";

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of "30s", "15m", "24h" or "7d"; undefined for anything else. */
export function parseDuration(text) {
    const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
    return unit === undefined ? undefined : Number(count) * units[unit];
}

/** A duration for people, in its two largest units. */
function duration(milliseconds) {
    const minutes = Math.floor(milliseconds / units.m);
    const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
    if (days > 0) {
        return `${days} d ${hours} h`;
    }
    return minutes >= 60
        ? `${hours} h ${minutes % 60} min`
        : `${minutes} min ${Math.floor(milliseconds / 1000) % 60} s`;
}

/**
 * The updates of a stack, as its backend keeps them.
 *
 * @returns { last, succeeded, error }: result and end of the last one, end of the last one that came through, or why
 * that cannot be told; each may be undefined
 */
export async function readHistory(stack, pulumi) {
    const args = ["stack", "history", "--json", "--page-size", "20", "--stack", stack];
    const { code, stdout, stderr } = await askPulumi(pulumi, args);
    if (code !== 0) {
        return { error: stderr.trim().split("\n").pop() };
    }
    const updates = JSON.parse(stdout).filter(({ kind }) => kind === "update");
    return {
        last: updates[0],
        succeeded: updates.find(({ result }) => result === "succeeded")?.endTime,
    };
}

/**
 * Why the outputs of a stack may be of another time: its last update has not come through, or is too long ago.
 *
 * @param maxAge milliseconds, or undefined for any age
 * @returns [{ kind, message }]
 */
export function ageProblems({ last, succeeded, error }, stack, maxAge, now = Date.now()) {
    const stale = (message) => [{ kind: "stale", message }];
    if (error !== undefined) {
        return stale(`the history of stack ${stack}, which tells their age, cannot be read: ${error}`);
    }
    if (last !== undefined && last.result !== "succeeded") {
        return stale(
            `the last update of stack ${stack} (${last.endTime ?? last.startTime}) has ended as "${last.result}", ` +
                "and they are of an earlier one",
        );
    }
    if (maxAge === undefined) {
        return [];
    }
    if (succeeded === undefined) {
        return stale(`the history of stack ${stack} has no update that tells their age, which --max-age asks for`);
    }
    const age = now - Date.parse(succeeded);
    return age > maxAge
        ? stale(`they are of ${succeeded}, ${duration(age)} ago; allowed by --max-age: ${duration(maxAge)}`)
        : [];
}
