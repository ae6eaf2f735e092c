// The path from a system call to the kernel, as a drawing for each of the two test pods.
import { html, type Markup } from "./html.ts";
import type { ReportedPod, ReportedWorker } from "./model.ts";

/** What a drawing is made of; both have the same measures, so that their kernels make one band side by side. */
const size = { width: 360, height: 484, kernel: 394 };

/** Text in the drawing: a longer one is set smaller, for kernels have up to 64 characters. */
function mono(x: number, y: number, text: string, kind: string, space: number): Markup {
    const most = 15;
    const fits = Math.min(most, Math.floor((space / text.length / 0.62) * 10) / 10);
    return html`<text x="${x}" y="${y}" text-anchor="middle" class="mono ${kind}" dominant-baseline="central" style="font-size: ${fits}px">${text}</text>`;
}

function text(x: number, y: number, words: string, kind = "", anchor = "middle"): Markup {
    return html`<text x="${x}" y="${y}" text-anchor="${anchor}" class="${kind}">${words}</text>`;
}

function arrow(x: number, from: number, to: number, kind: string): Markup {
    const head = kind.includes("many") ? 9 : 6;
    return html`<path class="way ${kind}" d="M${x} ${from}V${to - head}"/>
<path class="head ${kind}" d="M${x} ${to}l${-head} ${-head * 1.4}h${2 * head}z"/>`;
}

/** The pod with what it sees, in the colour of the kernel that answers. */
function podBox({ key, kernel, shared }: ReportedPod, title: string): Markup {
    const answer = shared ? "host" : "own";
    return html`${text(24, 26, key, "name", "start")}${text(336, 26, title, "soft", "end")}
<rect class="box" x="24" y="42" width="312" height="92" rx="6"/>
${text(180, 70, "a process in the pod asks: uname -r", "")}
<rect class="fill ${answer}" x="44" y="86" width="272" height="34" rx="17"/>
${mono(180, 103, kernel, "on", 250)}`;
}

function kernelBand(kernel: string): Markup {
    return html`<rect class="fill host" x="0" y="${size.kernel}" width="${size.width}" height="${size.height - size.kernel}"/>
${text(180, size.kernel + 34, "the worker's kernel", "on")}
${mono(180, size.kernel + 57, kernel, "on", 330)}`;
}

function drawing(id: string, title: string, description: string, content: Markup): Markup {
    return html`<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-labelledby="${id}-title ${id}-text">
<title id="${id}-title">${title}</title><desc id="${id}-text">${description}</desc>
${content}</svg>`;
}

/** A pod whose system calls go straight to the worker's kernel. */
function direct(
    id: string,
    pod: ReportedPod,
    { kernels }: ReportedWorker,
    title: string,
    note?: readonly string[],
): Markup {
    const said = note ?? ["runc has set the container up", "and is out of the way"];
    return drawing(
        id,
        `From a system call of ${pod.key} to the kernel`,
        `Every system call of ${pod.key} goes to the worker's kernel ${kernels.worker}. The pod sees ${pod.kernel}.`,
        html`${podBox(pod, title)}
${arrow(72, 134, size.kernel, "host many")}
${text(96, 236, "every system call", "strong", "start")}
${said.map((line, index) => text(96, 262 + 22 * index, line, note ? "bad" : "soft", "start"))}
${kernelBand(kernels.worker)}`,
    );
}

/** A pod whose system calls end in gVisor's own kernel. */
function sandboxed(id: string, pod: ReportedPod, { kernels, platform }: ReportedWorker, title: string): Markup {
    const caught = platform === undefined ? "caught" : `caught by ${platform}`;
    return drawing(
        id,
        `From a system call of ${pod.key} to the kernel`,
        `Every system call of ${pod.key} is ${caught} and answered by gVisor's Sentry, a kernel in user space that ` +
            `shows ${pod.kernel}. The Sentry makes a few, filtered system calls to the worker's kernel ` +
            `${kernels.worker}; a process of its own, the Gofer, opens files for it.`,
        html`${podBox(pod, title)}
${arrow(72, 134, 208, "own many")}
${text(96, 160, "every system call,", "strong", "start")}
${text(96, 181, caught, "soft", "start")}
<rect class="boundary" x="12" y="196" width="336" height="136" rx="10"/>
<rect class="fill own" x="24" y="208" width="188" height="112" rx="6"/>
${text(118, 236, "Sentry", "on strong")}
${text(118, 260, "gVisor's kernel, which is", "on")}
${text(118, 280, "a program in user space", "on")}
${mono(118, 301, pod.kernel, "on", 172)}
<rect class="box" x="238" y="208" width="98" height="112" rx="6"/>
${text(287, 258, "Gofer", "strong")}
${text(287, 280, "opens files", "soft")}
<path class="way few" d="M212 264H238"/>
${arrow(72, 320, size.kernel, "host few")}
${text(88, 366, "a few, filtered", "soft", "start")}
${arrow(287, 320, size.kernel, "host few")}
${text(275, 366, "files", "soft", "end")}
${kernelBand(kernels.worker)}`,
    );
}

/** The drawings of test-1 and test-2 as one worker saw them: each is drawn as it was seen, not as it should be. */
export function pictures(worker: ReportedWorker, runtimeClass: string): Markup[] {
    const [first, second] = worker.pods;
    // The whole name stands in the page's first sentence.
    const asked = `class ${runtimeClass.length > 24 ? `${runtimeClass.slice(0, 23)}…` : runtimeClass}`;
    const unlike = first.shared ? undefined : ["but the pod does not see", "the worker's kernel"];
    return [
        direct("path-1", first, worker, "default runtime, runc", unlike),
        second.shared
            ? direct("path-2", second, worker, asked, ["gVisor was asked for,", "and nothing of it is seen"])
            : sandboxed("path-2", second, worker, asked),
    ];
}
