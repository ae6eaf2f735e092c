// Whether the outputs of a stack are those of its last update, and how old they are.
import { askPulumi, type Pulumi } from "../run.ts";
import type { Problem } from "./problems.ts";

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of "30s", "15m", "24h" or "7d"; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
    const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
    return unit === undefined ? undefined : Number(count) * units[unit as keyof typeof units];
}

/** A duration for people, in its two largest units. */
function duration(milliseconds: number): string {
    const minutes = Math.floor(milliseconds / units.m);
    const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
    if (days > 0) {
        return `${days} d ${hours} h`;
    }
    return minutes >= 60
        ? `${hours} h ${minutes % 60} min`
        : `${minutes} min ${Math.floor(milliseconds / 1000) % 60} s`;
}

/** An entry of `pulumi stack history --json`. */
interface Update {
    readonly kind: string;
    readonly result: string;
    readonly startTime: string;
    readonly endTime?: string;
}

export interface Updates {
    readonly last?: Update;
    /** End of the last one that came through. */
    readonly succeeded?: string;
    /** Why they cannot be read. */
    readonly error?: string;
}

/** The updates of a stack, as its backend keeps them. */
export async function readHistory(stack: string, pulumi: Pulumi): Promise<Updates> {
    const args = ["stack", "history", "--json", "--page-size", "20", "--stack", stack];
    const { code, stdout, stderr } = await askPulumi(pulumi, args);
    if (code !== 0) {
        return { error: stderr.trim().split("\n").pop() };
    }
    const updates = (JSON.parse(stdout) as Update[]).filter(({ kind }) => kind === "update");
    return {
        last: updates[0],
        succeeded: updates.find(({ result }) => result === "succeeded")?.endTime,
    };
}

/**
 * Why the outputs of a stack may be of another time: its last update has not come through, or is too long ago.
 *
 * @param maxAge milliseconds; default: any age
 */
export function ageProblems({ last, succeeded, error }: Updates, stack: string, maxAge?: number): Problem[] {
    const stale = (message: string): Problem[] => [{ kind: "stale", message }];
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
    const age = Date.now() - Date.parse(succeeded);
    return age > maxAge
        ? stale(`they are of ${succeeded}, ${duration(age)} ago; allowed by --max-age: ${duration(maxAge)}`)
        : [];
}
