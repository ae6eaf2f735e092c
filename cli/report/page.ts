// The report as one HTML page that needs nothing beside itself: no script, no font, no request.
import { readFileSync } from "node:fs";
import { sentenceOf } from "../../components/vulnerabilities.cjs";
import { isRefused } from "../known.ts";
import { html, type Markup, own } from "./html.ts";
import { type Model, moment, type ReportedPods, type ReportedWorker } from "./model.ts";
import { pictures } from "./picture.ts";
import { surfaceSection, surfaceTable } from "./surface.ts";

const style = own(readFileSync(new URL("style.css", import.meta.url), "utf8"));

const mark = (passed: boolean) =>
    html`<span class="mark ${passed ? "good" : "bad"}" aria-hidden="true">${passed ? "✓" : "✗"}</span><span class="unseen">${passed ? "passed: " : "failed: "}</span>`;

const badge = (state: string) => html`<span class="badge ${state === "Proven" ? "good" : "bad"}">${state}</span>`;

/** A kernel in its colour: the worker's own, or another. */
const kernelTag = (kernel: string, shared: boolean) =>
    html`<code class="kernel ${shared ? "host" : "own"}">${kernel}</code>`;

function header(model: Model): Markup {
    const { workers, runtimeClass, label, updated, made } = model;
    const count = workers.length === 1 ? "one worker" : `${workers.length} workers`;
    return html`<header class="${model.proven ? "good" : "bad"}">
<p class="where">Container runtime sandboxes, ${label}</p>
<h1>${model.headline}</h1>
${
    model.proven
        ? html`<p class="lede">On ${count}, a pod of the class <code>${runtimeClass}</code> runs on a kernel of its own.
The same pod without the class runs on the worker's.</p>`
        : html`<ul class="problems">${model.problems.map((problem) => html`<li>${problem}</li>`)}</ul>`
}
<p class="times">${updated && html`Outputs of <time datetime="${updated}">${moment(updated)}</time>. `}Page made <time datetime="${made}">${moment(made)}</time>.</p>
</header>`;
}

function pathSection({ drawn, runtimeClass }: Model): Markup {
    return html`<section aria-labelledby="path">
<h2 id="path">From a system call to the kernel</h2>
<figure class="path"><div class="drawings">${pictures(drawn, runtimeClass)}</div>
<figcaption>As seen on <b>${drawn.name}</b>. The colour is that of the kernel which answers:
<span class="legend"><span class="key host"></span> the worker's,</span>
<span class="legend"><span class="key own"></span> one of the pod's own.</span></figcaption></figure>
</section>`;
}

function overview(workers: Model["workers"]): Markup | false {
    if (workers.length < 2) {
        return false;
    }
    return html`<div class="scroll" role="region" aria-label="All workers" tabindex="0"><table>
<thead><tr><th scope="col">Worker</th><th scope="col">Verdict</th><th scope="col">Its kernel</th><th scope="col">test-1 sees</th><th scope="col">test-2 sees</th><th scope="col">gVisor</th></tr></thead>
<tbody>${workers.map(
        ({
            name,
            state,
            kernels,
            pods: [first, second],
            runsc,
        }) => html`<tr><th scope="row"><a href="#at-${name}">${name}</a></th>
<td>${badge(state)}</td><td>${kernelTag(kernels.worker, true)}</td><td>${kernelTag(first.kernel, first.shared)}</td><td>${kernelTag(second.kernel, second.shared)}</td><td><code>${runsc}</code></td></tr>`,
    )}</tbody></table></div>`;
}

function podSection({ pods }: Model): Markup | false {
    if (pods === undefined) {
        return false;
    }
    const row = ({
        name,
        worker,
        runtimeClass,
        runtime,
        flags,
        since,
        inSandbox,
        runsc,
        flaws,
    }: ReportedPods["rows"][number]) =>
        html`<tr><th scope="row">${flaws.length > 0 && mark(false)}${name}${flaws.map((flaw) => html`<span class="soft">${flaw}</span>`)}</th>
<td>${worker}</td><td><code>${runtimeClass}</code></td><td><code class="kernel ${inSandbox ? "own" : "host"}">${runtime}</code>${flags && html`<span class="soft">${flags}</span>`}</td><td>${runsc}</td><td>${since && html`<time datetime="${since}">${moment(since)}</time>`}</td></tr>`;
    return html`<section aria-labelledby="pods"><h2 id="pods">Every pod</h2>
<p>${pods.summary}${pods.asked && html` at <time datetime="${pods.asked}">${moment(pods.asked)}</time>`}: what their containerd has, and what their runsc runs.</p>
<div class="scroll" role="region" aria-label="Every pod" tabindex="0"><table>
<thead><tr><th scope="col">Pod</th><th scope="col">Worker</th><th scope="col">Class</th><th scope="col">Runtime</th><th scope="col">In runsc</th><th scope="col">Since</th></tr></thead>
<tbody>${pods.rows.map(row)}</tbody></table></div></section>`;
}

function evidence({ handlers, hasEvidence }: ReportedWorker): Markup {
    if (!hasEvidence) {
        return html`<h4>Handlers of the node</h4><p class="list">${handlers.map(({ name }) => html`<code>${name}</code> `)}</p>`;
    }
    const cell = (there: boolean) => html`<td>${there ? mark(true) : html`<span class="soft">no</span>`}</td>`;
    return html`<h4>Evidence</h4><div class="evidence"><table>
<thead><tr><th scope="col">Handler</th><th scope="col">Declared</th><th scope="col">Loaded</th><th scope="col">Serving</th></tr></thead>
<tbody>${handlers.map(
        ({ name, runtimeClass, levels }) =>
            html`<tr><th scope="row"><code>${name}</code>${runtimeClass && html`<span class="soft">class ${runtimeClass}</span>`}</th>${levels.map(cell)}</tr>`,
    )}</tbody></table></div>
<p class="soft">Declared: in the configuration on disk. Loaded: containerd has it. Serving: a proven pod ran behind it.</p>`;
}

function versions(worker: ReportedWorker): Markup {
    const rows: [string, Markup | string][] = [
        ["Address", worker.address],
        ["System", worker.os],
        ["Kernel", html`<code>${worker.kernel}</code>`],
        ["containerd", html`<code>${worker.containerd}</code>`],
        ["runsc", html`<code>${worker.runsc}</code>`],
        ["Configuration", html`SHA-256 <code>${worker.configSha256}</code>`],
    ];
    if (worker.survivors?.length) {
        rows.push(["Pods on an older gVisor", worker.survivors.join(", ")]);
    }
    if (worker.limits?.overhead) {
        rows.push(["A sandbox takes", Object.entries(worker.limits.overhead).map(unit).join(", ")]);
    }
    return html`<h4>Versions</h4><dl>${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** "memoryMiB": 24 as "24 MiB of memory". */
function unit([key, value]: [string, number | undefined]): string {
    const measures: Readonly<Record<string, string>> = {
        memoryMiB: "MiB of memory",
        cpuMillicores: "millicores of CPU",
    };
    const measure = measures[key];
    return measure === undefined ? `${key} ${value}` : `${value} ${measure}`;
}

function known({ vulnerabilities }: ReportedWorker): Markup | false {
    if (vulnerabilities.length === 0) {
        return false;
    }
    return html`<h4>Known vulnerabilities</h4><ul class="checks known">${vulnerabilities.map(
        (one) =>
            html`<li>${isRefused(one) ? mark(false) : html`<span class="mark" aria-hidden="true">!</span>`}<div><a href="${one.source}">${one.id}</a>${one.accepted && ", accepted"}<span class="detail">${sentenceOf(one)}</span></div></li>`,
    )}</ul>
<p class="soft">A distribution may have fixed them without a new version number: see its security tracker.</p>`;
}

function attempts({ name, attacks }: ReportedWorker): Markup | false {
    if (attacks.length === 0) {
        return false;
    }
    return html`<details><summary>Attempts to leave a sandbox</summary>
<div class="scroll" role="region" aria-label="Attempts to leave a sandbox of ${name}" tabindex="0"><table>
<thead><tr><th scope="col">Attempt</th><th scope="col">State</th><th scope="col">Control</th><th scope="col">In a sandbox</th></tr></thead>
<tbody>${attacks.map(
        ({ name: what, state, control, inside }) =>
            html`<tr><th scope="row"><code>${what}</code></th><td>${state === "reached" ? mark(false) : ""}${state}</td><td>${control}</td><td>${inside.join("; ")}</td></tr>`,
    )}</tbody></table></div>
<p class="soft">The control is a pod of the default runtime with the same rights. What it is refused, too, proves nothing.</p></details>`;
}

function reachableFrom({ name, reachable }: ReportedWorker): Markup | false {
    if (reachable.length === 0) {
        return false;
    }
    const head = ["Target", "Address", "From", "Outcome", "Policy", "Control", "Seen"];
    return html`<details><summary>Reachable from inside</summary>
<div class="scroll" role="region" aria-label="Reachable from inside, on ${name}" tabindex="0"><table>
<thead><tr>${head.map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${reachable.map(
        ({ target, address, from, bad, outcome, rule, control, detail }) =>
            html`<tr><th scope="row"><code>${target}</code></th><td><code>${address}</code></td><td>${from}</td><td>${bad ? mark(false) : ""}${outcome}</td><td>${rule}</td><td>${control}</td><td>${detail}</td></tr>`,
    )}</tbody></table></div>
<p class="soft">The control is a pod of the default runtime, where no policy of the stack holds.</p></details>`;
}

function logs({ name, dmesg }: ReportedWorker): Markup {
    return html`<details><summary>Kernel logs</summary>${(["test-1", "test-2"] as const).map(
        (key) => html`<h4><code>dmesg</code> in ${key}</h4>
<pre role="region" aria-label="dmesg in ${key} of ${name}" tabindex="0">${dmesg[key].trimEnd() || "nothing"}</pre>`,
    )}</details>`;
}

function workerArticle(worker: ReportedWorker): Markup {
    const { name, state, checks, facts } = worker;
    return html`<article aria-labelledby="at-${name}">
<h3 id="at-${name}"><span>${name}</span> ${badge(state)}</h3>
<div class="columns"><div>
<h4>Checks</h4>
<ul class="checks">${checks.map(
        ({ name: check, passed, detail }) =>
            html`<li>${mark(passed)}<div>${check}<span class="detail">${detail}</span></div></li>`,
    )}</ul>${known(worker)}</div>
<div>${evidence(worker)}${versions(worker)}</div></div>
${facts.length > 0 && html`<details><summary>As it was found, before the first change</summary><dl>${facts.map(([what, value]) => html`<div><dt>${what}</dt><dd>${value}</dd></div>`)}</dl></details>`}
${surfaceTable(worker)}
${attempts(worker)}
${reachableFrom(worker)}
${logs(worker)}
</article>`;
}

function changesSection({ changes }: Model): Markup {
    const { since, list, reason } = changes;
    const said = () => {
        if (reason !== undefined) {
            return html`<p>${reason}</p>`;
        }
        if (list.length === 0) {
            return html`<p>Nothing, except measurements and random values, which differ in every run.</p>`;
        }
        return html`<ul class="changes">${list.map(
            ({ what, before, now }) =>
                html`<li><code>${what}</code><span class="from-to">${
                    before === undefined ? html`<span class="soft">not there</span>` : html`<del>${before}</del>`
                }<span aria-hidden="true"> → </span><span class="unseen"> is now </span>${
                    now === undefined ? html`<span class="soft">gone</span>` : html`<ins>${now}</ins>`
                }</span></li>`,
        )}</ul>`;
    };
    return html`<section aria-labelledby="changes"><h2 id="changes">What changed since ${since ? html`<time datetime="${since}">${moment(since)}</time>` : "the last run"}</h2>${said()}</section>`;
}

const meaning = html`<section aria-labelledby="meaning"><h2 id="meaning">What the verdict says</h2>
<p>A pod can fake what it says of itself: its <code>uname</code> and its kernel log. So the worker is asked too, and its
word decides: containerd names the runtime of each container, and <code>runsc list</code> names the sandboxes that run.
test-1 is the control: without it, a worker whose kernel merely looks unusual would pass.</p>
<p>No version number is part of a check, so the verdict holds for any release of gVisor. It says that the boundary is
there, not that gVisor has no fault.</p></section>`;

/** The page. */
export function page(model: Model): string {
    return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${model.headline}: sandboxes of ${model.label}</title>
<style>${style}</style>
</head>
<body>
<main>
${header(model)}
${pathSection(model)}
${surfaceSection(model)}
<section aria-labelledby="workers"><h2 id="workers">${model.workers.length === 1 ? "The worker" : "The workers"}</h2>
${overview(model.workers)}
${model.workers.map(workerArticle)}
</section>
${podSection(model)}
${changesSection(model)}
${meaning}
</main>
<footer><p>Made by <code>npm run report</code> from the outputs${model.pods === undefined ? " alone" : " and the word of the machines"}. What they mean: docs/outputs.md.</p></footer>
</body>
</html>
`.text;
}
