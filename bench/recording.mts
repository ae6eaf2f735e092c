// A picture of a run that moves: what a command prints, line by line at the pace at which it came, made faster. It goes on to
// standard error as it comes.
//
//   npm run up 2>&1 | node_modules/.bin/node bench/recording.mts 'npm run up' >docs/images/up.svg
//
// Not by svg-term, which wants an asciicast, and so a recorder for terminals: the lines of a command that writes to no terminal only
// ever follow each other.
import { createInterface } from "node:readline";

export interface Line {
    readonly text: string;
    /** Seconds after the start. */
    readonly at: number;
}

const look = { columns: 112, rows: 24, height: 18, letter: 7.25, margin: 14 };
/** Seconds that the picture takes, however long the run was. */
const shown = 12;

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** What a line is, for its colour. */
function kindOf(text: string): string {
    if (text.startsWith("$ ")) return "typed";
    if (/^ *✓|PROVEN/.test(text)) return "good";
    if (/^ *✗|FAILED|^error/.test(text)) return "bad";
    return "plain";
}

/** @param command what was typed @param total seconds that it took */
export function recording(command: string, lines: readonly Line[], total: number): string {
    const { columns, rows, height, letter, margin } = look;
    const pace = Math.max(1, total / shown);
    const all = [{ text: `$ ${command}`, at: 0 }, ...lines];
    const scrolled = (index: number) => Math.max(0, index + 1 - rows) * height;
    const texts = all.map(({ text, at }, index) => {
        const cut = text.length > columns ? `${text.slice(0, columns - 1)}…` : text;
        const when = (at / pace).toFixed(2);
        return `<text class="${kindOf(text)}" y="${index * height}" style="animation-duration:${when}s">${escaped(cut)}</text>`;
    });
    const moves = all.map(
        ({ at }, index) => `${((at / total) * 100).toFixed(2)}%{transform:translateY(-${scrolled(index)}px)}`,
    );
    const size = { width: Math.round(columns * letter) + 2 * margin, height: rows * height + 2 * margin + height };
    const note = `${Math.round(total)} s in all${pace > 1 ? `, shown ${pace.toFixed(1)} times as fast` : ""}`;
    // Without animations all lines are there, and the last ones are in sight.
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escaped(command)}, ${note}">
<style>
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre;fill:#c9d1d9;animation:wait 0s step-end backwards}
.typed{fill:#fff;font-weight:bold}.good{fill:#56d364}.bad{fill:#ff7b72}.note{fill:#8b949e;animation:none}
.all{transform:translateY(-${scrolled(all.length - 1)}px);animation:scroll ${(total / pace).toFixed(2)}s step-end}
@keyframes wait{from{visibility:hidden}to{visibility:visible}}
@keyframes scroll{${moves.join("")}}
@media (prefers-reduced-motion){text,.all{animation:none}}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<svg x="${margin}" y="${margin}" width="${size.width - 2 * margin}" height="${rows * height}"><g class="all"><g transform="translate(0 13)">
${texts.join("\n")}
</g></g></svg>
<text class="note" x="${margin}" y="${size.height - 10}">${note}</text>
</svg>
`;
}

if (import.meta.filename === process.argv[1]) {
    const [, , command = ""] = process.argv;
    const start = performance.now();
    const since = () => (performance.now() - start) / 1000;
    const lines: Line[] = [];
    for await (const text of createInterface({ input: process.stdin })) {
        process.stderr.write(`${text}\n`);
        // That a step begins says no more than that it ends.
        if (!/ \.\.\.( |$)/.test(text)) lines.push({ text, at: since() });
    }
    process.stdout.write(recording(command, lines, since()));
}
