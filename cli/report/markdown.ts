// The report as Markdown, for a workflow's summary or a pull request.
import { sentenceOf, type Vulnerability } from "../../components/vulnerabilities.cjs";
import { isRefused } from "../known.ts";
import { visible } from "../summary.ts";
import { type Changes, type Model, moment, type ReportedPods, type ReportedWorker } from "./model.ts";

/** Backticks around a text, one more than it holds itself. */
function fenceFor(text: string, least: number): string {
    const runs = [...text.matchAll(/`+/g)].map(([run]) => run.length);
    return "`".repeat(Math.max(least, ...runs.map((length) => length + 1)));
}

/** A text as code, so that nothing in it is markup; in a table a bar has to be escaped all the same. */
function code(text: string): string {
    const line = visible(text).replace(/\s+/g, " ").trim() || " ";
    const fence = fenceFor(line, 1);
    const space = /^`|`$/.test(line) ? " " : "";
    return `${fence}${space}${line.replaceAll("|", "\\|")}${space}${fence}`;
}

function block(text: string): string {
    const lines = visible(text);
    const fence = fenceFor(lines, 3);
    return `${fence}text\n${lines}\n${fence}`;
}

/** A text of others in running words. */
function words(text: string): string {
    return visible(text)
        .replace(/\s+/g, " ")
        .replace(/[\\`*_[\]#|~!$]/g, "\\$&")
        .replaceAll("&", "&amp;")
        .replaceAll("<", "&lt;")
        .replaceAll("@", "&#64;");
}

/** Cuts or fills a text to a width. */
const fitted = (text: string, width: number) =>
    text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);

/** The path of both pods' system calls, drawn as it was seen. */
function picture({ kernels, pods: [first, second] }: ReportedWorker, runtimeClass: string): string {
    const left = (text: string) => fitted(text, 34);
    const row = (one: string, two: string) => `${left(one)}${two}`.trimEnd();
    const sandbox = second.shared
        ? ["│ gVisor was asked for,", "│ and nothing of it is seen", "│", "│"]
        : [
              "┌─▼─────────────┐  ┌─────────────┐",
              "│ gVisor Sentry ├──┤ Gofer       │",
              "└─┬─────────────┘  └──┬──────────┘",
              "│ a few, filtered     │ files",
          ];
    return [
        row("test-1, default runtime", `test-2, class ${runtimeClass}`),
        row(`sees ${first.kernel}`, `sees ${second.kernel}`),
        row("  │ every system call", "  │ every system call"),
        ...sandbox.map((line, index) => row("  │", second.shared || index === 3 ? `  ${line}` : line)),
        row("  ▼", second.shared ? "  ▼" : "  ▼                     ▼"),
        `── the worker's kernel: ${kernels.worker} ──`,
    ].join("\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
    const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
    return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function workerPart(worker: ReportedWorker): string {
    const { name, state, checks, handlers, hasEvidence, vulnerabilities } = worker;
    const yes = (there: boolean) => (there ? "✓" : "no");
    return [
        `## ${words(name)}: ${state}`,
        checks
            .map(({ name: check, passed, detail }) => `- ${passed ? "✓" : "✗"} ${words(check)}: ${code(detail)}`)
            .join("\n"),
        hasEvidence
            ? table(
                  ["Handler", "Class", "Declared", "Loaded", "Serving"],
                  handlers.map(({ name: handler, runtimeClass, levels }) => [
                      code(handler),
                      runtimeClass === undefined ? "" : code(runtimeClass),
                      ...levels.map(yes),
                  ]),
              )
            : `Handlers of the node: ${handlers.map((handler) => code(handler.name)).join(", ")}`,
        `${words(worker.os)} at ${code(worker.address)}; containerd ${code(worker.containerd)}; runsc ${code(worker.runsc)}; ` +
            `configuration ${code(worker.configSha256)}`,
        ...(vulnerabilities.length > 0
            ? [`Known vulnerabilities:\n\n${vulnerabilities.map(knownLine).join("\n")}`]
            : []),
        ...worker.surface.map(surfacePart),
        ...attemptsPart(worker.attacks),
        ...reachablePart(worker.reachable),
        `<details><summary>Kernel logs</summary>\n\n${(["test-1", "test-2"] as const)
            .map((key) => `\`dmesg\` in ${key}:\n\n${block(worker.dmesg[key].trimEnd())}`)
            .join("\n\n")}\n\n</details>`,
    ].join("\n\n");
}

function surfacePart({ runtimeClass, sentence, calls, costs }: ReportedWorker["surface"][number]): string {
    const reached = calls.map(({ title, words: said, how }) => [title, said, how].map(words));
    const measured = costs.map(({ title, inside, control, words: said, how }) =>
        [title, inside, control, said, how].map(words),
    );
    return [
        `<details><summary>Surface and cost of the class ${words(runtimeClass)}: ${words(sentence)}</summary>`,
        table(["System calls", "Reached", "How"], reached),
        table(["Cost", "In the sandbox", "Outside", "Compared", "How"], measured),
        "</details>",
    ].join("\n\n");
}

function attemptsPart(attempts: ReportedWorker["attacks"]): string[] {
    const rows = attempts.map(({ name, state, control, inside }) => [
        code(name),
        words(state),
        code(control),
        inside.map(code).join(", "),
    ]);
    return rows.length === 0
        ? []
        : [
              `<details><summary>Attempts to leave a sandbox</summary>\n\n${table(["Attempt", "State", "Control", "In a sandbox"], rows)}\n\n</details>`,
          ];
}

function reachablePart(found: ReportedWorker["reachable"]): string[] {
    const rows = found.map(({ from, target, address, bad, outcome, rule, control, detail }) => [
        code(target),
        code(address),
        code(from),
        `${bad ? "✗ " : ""}${outcome}`,
        rule,
        control,
        code(detail),
    ]);
    const head = ["Target", "Address", "From", "Outcome", "Policy", "Control", "Seen"];
    return rows.length === 0
        ? []
        : [`<details><summary>Reachable from inside</summary>\n\n${table(head, rows)}\n\n</details>`];
}

function knownLine(one: Vulnerability): string {
    const mark = isRefused(one) ? "✗" : "!";
    return `- ${mark} ${words(sentenceOf(one))}${one.accepted ? " (accepted)" : ""}. [Source](${one.source})`;
}

function podsPart({ summary, asked, rows }: ReportedPods): string {
    const cells = rows.map(({ name, worker, runtimeClass, runtime, flags, runsc, since, flaws }) => [
        `${flaws.length > 0 ? "✗ " : ""}${words(name)}`,
        words(worker),
        code(runtimeClass),
        `${code(runtime)}${flags === "" ? "" : ` ${code(flags)}`}`,
        runsc,
        since === undefined ? "" : moment(since),
    ]);
    const seen = `${words(summary)}${asked === undefined ? "" : ` at ${moment(asked)}`}: what their containerd has, and what their runsc runs.`;
    return `## Every pod\n\n${seen}\n\n${table(["Pod", "Worker", "Class", "Runtime", "In runsc", "Since"], cells)}`;
}

function changesPart({ since, list, reason }: Changes): string {
    const title = `## What changed since ${since ? moment(since) : "the last run"}`;
    if (reason !== undefined) {
        return `${title}\n\n${words(reason)}`;
    }
    const cell = (value: string | undefined, none: string) => (value === undefined ? none : code(value));
    return list.length === 0
        ? `${title}\n\nNothing, except measurements and random values, which differ in every run.`
        : `${title}\n\n${table(
              ["What", "Before", "Now"],
              list.map(({ what, before, now }) => [code(what), cell(before, "not there"), cell(now, "gone")]),
          )}`;
}

/** The report in Markdown. */
export function markdown(model: Model): string {
    const { workers, drawn, label, updated, made, runtimeClass } = model;
    const rows = workers.map(({ name, state, kernels, pods: [first, second], runsc }) => [
        words(name),
        `${state === "Proven" ? "✓" : "✗"} ${state}`,
        ...[kernels.worker, first.kernel, second.kernel, runsc].map(code),
    ]);
    return `${[
        `# ${words(model.headline)}`,
        `Container runtime sandboxes, ${words(label)}. ${updated ? `Outputs of ${moment(updated)}. ` : ""}Made ${moment(made)}.`,
        ...(model.problems.length > 0 ? [model.problems.map((problem) => `- ${words(problem)}`).join("\n")] : []),
        table(["Worker", "Verdict", "Its kernel", "test-1 sees", "test-2 sees", "gVisor"], rows),
        `From a system call to the kernel, as seen on ${words(drawn.name)}:`,
        block(picture(drawn, runtimeClass)),
        ...workers.map(workerPart),
        ...(model.pods === undefined ? [] : [podsPart(model.pods)]),
        changesPart(model.changes),
    ].join("\n\n")}\n`;
}
