/** The settings that say how many workers are changed at the same time. */
export interface TurnSettings {
    /** A number, 0 for all, a percentage, or empty. */
    readonly maxUnavailable: string;
    readonly target: string;
    readonly workers: readonly string[];
}

/**
 * How many workers may be changed at the same time: on a new cluster all, else one unless the setting says otherwise. A
 * percentage is rounded down, as that of a Deployment, but one worker it is at least.
 */
export function atOnce({ maxUnavailable, target, workers }: TurnSettings): number {
    const count = workers.length;
    const wanted = maxUnavailable || (target === "existing" ? "1" : "0");
    const many = wanted.endsWith("%")
        ? Math.max(1, Math.floor((Number.parseInt(wanted, 10) * count) / 100))
        : Number(wanted);
    return many === 0 ? count : many;
}
