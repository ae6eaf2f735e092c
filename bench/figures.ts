import * as fs from "node:fs";
import * as os from "node:os";

/** What was taken in one run of the bench: by figure, all its values, in seconds, MiB or KB. */
export type Taken = ReadonlyMap<string, readonly number[]>;

interface Figure {
    readonly name: string;
    readonly text: string;
    readonly unit: "s" | "MiB" | "KB";
    /** The figure that this one is held against. */
    readonly against?: string;
    /** Highest value that is good: a ratio where there is something to hold it against. */
    readonly goal?: number;
}

/** All figures, in the order of the page. A goal is a ratio wherever that is possible: machines differ. */
export const figures: readonly Figure[] = [
    { name: "hand", text: "the same steps by hand on plain machines, 1 worker", unit: "s" },
    { name: "handImage", text: "the same by hand on the node image", unit: "s", against: "hand" },
    { name: "hand4", text: "by hand on the node image, 4 workers", unit: "s", against: "handImage" },
    { name: "up", text: "`npm run up`, 1 worker", unit: "s", against: "hand", goal: 0.6 },
    {
        name: "upImage",
        text: "the same, held against by hand on the node image",
        unit: "s",
        against: "handImage",
        goal: 1.3,
    },
    { name: "up4", text: "`npm run up`, 4 workers", unit: "s", against: "up", goal: 1.4 },
    { name: "up12", text: "`npm run up`, 12 workers", unit: "s", against: "up4", goal: 2.2 },
    { name: "empty", text: "`pulumi up` of an empty TypeScript program", unit: "s" },
    { name: "nothing", text: "`npm run up` with nothing to do, 1 worker", unit: "s", against: "empty", goal: 2 },
    { name: "nothing8", text: "`npm run up` with nothing to do, 8 workers", unit: "s", against: "nothing", goal: 1.5 },
    { name: "preview", text: "`npm run preview` of a new stack", unit: "s", against: "empty", goal: 2 },
    { name: "round", text: "an SSH round to a worker that does nothing", unit: "s" },
    { name: "look", text: "one look at a worker", unit: "s", against: "round" },
    { name: "pods", text: "one worker's word on 100 pods", unit: "s", goal: 0.5 },
    { name: "controlPlane", text: "memory of the control plane, 1 worker", unit: "MiB" },
    { name: "worker", text: "memory of a worker, 12 workers", unit: "MiB", goal: 150 },
    { name: "state", text: "state for each further worker", unit: "KB", goal: 60 },
];

export function median(values: readonly number[]): number {
    const sorted = [...values].sort((a, b) => a - b);
    const [lower = Number.NaN, upper = Number.NaN] = [(sorted.length - 1) / 2, sorted.length / 2].map(
        (at) => sorted[Math.floor(at)],
    );
    return (lower + upper) / 2;
}

/** What a figure's goal is about: its ratio, or its value where it is held against nothing. */
function judged({ name, against }: Figure, taken: Taken): number {
    const value = median(taken.get(name) ?? []);
    return against === undefined ? value : value / median(taken.get(against) ?? []);
}

const digits = { s: 1, MiB: 0, KB: 0 } as const;
const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;

function figureRow(figure: Figure, taken: Taken): string {
    const { name, text, unit, against, goal } = figure;
    const values = taken.get(name) ?? [];
    const show = (value: number) => value.toFixed(value < 1 ? 2 : digits[unit]);
    const other = figures.find((one) => one.name === against);
    const met = goal === undefined ? "" : judged(figure, taken) <= goal ? "yes" : "**no**";
    return row([
        text,
        `${show(median(values))} ${unit}`,
        `${show(Math.min(...values))} to ${show(Math.max(...values))}`,
        other === undefined ? "" : `${judged(figure, taken).toFixed(2)} of ${other.text}`,
        goal === undefined ? "" : `at most ${goal}${against === undefined ? ` ${unit}` : ""}`,
        met,
    ]);
}

/** Texts of the goals that were missed. */
export function missed(taken: Taken): string[] {
    return figures
        .filter((figure) => figure.goal !== undefined && !(judged(figure, taken) <= figure.goal))
        .map((figure) => `${figure.text}: ${judged(figure, taken).toFixed(2)}, the goal is ${figure.goal}`);
}

/** Columns of the history: what has a goal, and what it is held against. */
const kept = figures.filter(({ name, goal }) => goal !== undefined || ["hand", "empty"].includes(name));
const historyTitle = "## Every run\n";

/**
 * Writes the page: the figures of this run, and a row for each run there ever was.
 *
 * @param commit what was measured
 */
export function writePage(file: string, taken: Taken, rounds: number, commit: string): void {
    const before = fs.existsSync(file) ? (fs.readFileSync(file, "utf8").split(historyTitle)[1] ?? "") : "";
    const rows = before.split("\n").filter((line) => /^\| \d/.test(line));
    const head = ["Date", "Commit", "Host", ...kept.map(({ name }) => name)];
    const host = `${os.cpus().length} cores, kernel ${os.release()}`;
    const today = new Date().toISOString().slice(0, 10);
    const cells = kept.map((figure) => judged(figure, taken).toFixed(2));
    const table = (lines: readonly string[]) => lines.join("");
    fs.writeFileSync(
        file,
        `# Figures of the last run\n\nWritten by \`npm run bench\` on ${today}, commit ${commit}, ${host}: medians of ${rounds}, their order turned each\n` +
            "round, with the mirror, the toolchain and the node image ready. By hand is bench/by-hand.sh. Memory is what a machine's\n" +
            "control group accounts without the page cache: with cgroup v1 resident and shared memory, with v2 the kernel's own too.\n\n" +
            table([
                row(["What", "Median", "Lowest to highest", "Ratio", "Goal", "Met"]),
                row(Array.from({ length: 6 }, () => "---")),
                ...figures.map((figure) => figureRow(figure, taken)),
            ]) +
            `\n${historyTitle}\nRatios as above; seconds for hand and empty, MiB for worker, KB for state.\n\n` +
            table([
                row(head),
                row(head.map(() => "---")),
                ...rows.map((line) => `${line}\n`),
                row([today, commit, host, ...cells]),
            ]),
    );
}
