// What a sandbox keeps of the kernel, and what it costs: two drawings, and all of it as a table.
import { html, type Markup } from "./html.ts";
import type { Model, ReportedWorker } from "./model.ts";
import type { CallsRow, SurfaceModel } from "./surfaceModel.ts";

// Both drawings have the measures of those above them on the page.
const size = { width: 360, height: 484, left: 24, right: 336 };
const cell = { columns: 28, side: 11, gap: 2 };

const words = (x: number, y: number, said: string, kind = "", anchor = "start"): Markup =>
    html`<text x="${x}" y="${y}" text-anchor="${anchor}" class="${kind}">${said}</text>`;

/** A text that fits: the page shows all of it in the table. */
const fitted = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function drawing(id: string, title: string, description: string, content: Markup): Markup {
    return html`<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-labelledby="${id}-title ${id}-text">
<title id="${id}-title">${title}</title><desc id="${id}-text">${description}</desc>
${content}</svg>`;
}

/** Squares from one number up to another, as one path. */
function squares(from: number, to: number, top: number): string {
    const side = cell.side - cell.gap;
    return Array.from({ length: Math.max(0, to - from) }, (_, index) => {
        const at = from + index;
        const [x, y] = [size.left + (at % cell.columns) * cell.side, top + Math.floor(at / cell.columns) * cell.side];
        return `M${x} ${y}h${side}v${side}h-${side}z`;
    }).join("");
}

/** One square for each system call: filled where a process reaches it. */
function field(top: number, title: string, { reachable, of }: CallsRow, kind: string) {
    const head = words(size.left, top, title, "strong");
    if (reachable === undefined || of === undefined) {
        return html`${head}${words(size.left, top + 24, "not known: the table below says why", "soft")}`;
    }
    // What the contract takes may be any number; what is drawn is no more than there can be.
    const [all, filled] = [Math.min(of, 520), Math.min(reachable, of, 520)];
    return html`${head}${words(size.right, top, `${reachable} of ${of}`, "strong", "end")}
<path class="fill ${kind}" d="${squares(0, filled, top + 12)}"/><path class="closed" d="${squares(filled, all, top + 12)}"/>`;
}

function callsDrawing({ calls, sentence }: SurfaceModel) {
    const [inside, control] = calls;
    return drawing(
        "surface-1",
        "System calls that a process reaches",
        sentence,
        html`${words(size.left, 26, "what a process reaches", "name")}
${words(size.left, 46, "one square: a system call of the kernel", "soft")}
${inside !== undefined && field(82, "in the sandbox", inside, "own")}
${control !== undefined && field(286, "outside", control, "host")}`,
    );
}

function costsDrawing({ costs }: SurfaceModel) {
    const shown = costs.slice(0, 7);
    const [room, place] = [206, size.left];
    const bar = (y: number, part: number, value: string, kind: string) =>
        html`<rect class="fill ${kind}" x="${place}" y="${y}" width="${Math.max(2, part * room).toFixed(1)}" height="11"/>
${words(size.right, y + 10, fitted(value, 13), "soft", "end")}`;
    return drawing(
        "surface-2",
        "What the sandbox costs",
        shown
            .map(({ title, words: said, inside, control }) => `${title}: ${said} (${inside}, outside ${control}).`)
            .join(" "),
        html`${words(size.left, 26, "what the sandbox costs", "name")}
${shown.map(({ title, words: said, inside, control, bars }, index) => {
    const top = 62 + index * 61;
    return html`${words(size.left, top, fitted(title, 21), "strong")}${words(size.right, top, bars ? fitted(said, 20) : "not measured", "", "end")}
${bars !== undefined && html`${bar(top + 8, bars[0], inside, "own")}${bar(top + 24, bars[1], control, "host")}`}`;
})}`,
    );
}

/** Both drawings, of the first worker that has something to draw. */
export function surfaceSection({ workers, runtimeClass }: Model): Markup | false {
    const worker = workers.find(({ surface }) => surface.length > 0);
    const drawn = worker?.surface.find((one) => one.runtimeClass === runtimeClass) ?? worker?.surface[0];
    if (worker === undefined || drawn === undefined) {
        return false;
    }
    return html`<section aria-labelledby="surface">
<h2 id="surface">What the sandbox keeps away, and what it costs</h2>
<p>${drawn.sentence}</p>
<figure class="path"><div class="drawings">${callsDrawing(drawn)}${costsDrawing(drawn)}</div>
<figcaption>As measured on <b>${worker.name}</b>, in the class <code>${drawn.runtimeClass}</code>:
<span class="legend"><span class="key own"></span> in the sandbox,</span>
<span class="legend"><span class="key host"></span> outside.</span>
The table of the worker below says how each was measured.</figcaption></figure>
</section>`;
}

/** All that was measured on a worker. */
export function surfaceTable({ name, surface }: ReportedWorker): Markup[] {
    return surface.map(
        ({
            runtimeClass,
            calls,
            costs,
        }) => html`<details><summary>Surface and cost of the class ${runtimeClass}</summary>
<div class="scroll" role="region" aria-label="System calls that a process reaches, class ${runtimeClass} of ${name}" tabindex="0"><table>
<thead><tr><th scope="col">System calls</th><th scope="col">Reached</th><th scope="col">How</th></tr></thead>
<tbody>${calls.map(({ title, words: said, how }) => html`<tr><th scope="row">${title}</th><td>${said}</td><td>${how}</td></tr>`)}</tbody></table></div>
<div class="scroll" role="region" aria-label="What the sandbox costs, class ${runtimeClass} of ${name}" tabindex="0"><table>
<thead><tr><th scope="col">Cost</th><th scope="col">In the sandbox</th><th scope="col">Outside</th><th scope="col">Compared</th><th scope="col">How</th></tr></thead>
<tbody>${costs.map(
            ({ title, inside, control, words: said, how }) =>
                html`<tr><th scope="row">${title}</th><td>${inside}</td><td>${control}</td><td>${said}</td><td>${how}</td></tr>`,
        )}</tbody></table></div>
<p class="soft">Fewer system calls leave fewer ways in, not none. An application does not become slower by one of these ratios: it depends on how often it asks the kernel.</p></details>`,
    );
}
