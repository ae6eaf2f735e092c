// Markdown for pull requests, issues and summaries of runs. All text that comes from elsewhere is shown as code.
import { restartText } from "../events.ts";
import type { Digest } from "./digest.ts";

/** GitHub takes 65536 characters as a comment. All limits are in characters. */
const most = { comment: 60_000, table: 25_000, block: 5_000, cell: 300 };

/** Text as code within a line or a table. */
export function code(text: string): string {
    const line = shortened(text, most.cell).replace(/\s+/g, " ").replaceAll("|", "\\|").replaceAll("`", "'").trim();
    return line === "" ? "" : `\`${line}\``;
}

/** Text as a block of code that it cannot close itself. */
export function block(text: string): string {
    const shown = shortened(text.trimEnd(), most.block);
    const longestRun = Math.max(2, ...(shown.match(/`+/g) ?? []).map((run) => run.length));
    const fence = "`".repeat(longestRun + 1);
    return `${fence}text\n${shown}\n${fence}`;
}

function shortened(text: string, length: number): string {
    return text.length <= length ? text : `${text.slice(0, length)}…`;
}

const verbs: Record<string, string> = {
    create: "created",
    update: "updated",
    replace: "replaced",
    delete: "deleted",
    import: "imported",
};
/** A digest may name an operation that there is not. */
const verbOf = (op: string) => (Object.hasOwn(verbs, op) ? verbs[op] : undefined) ?? code(op);

/** What is said about one stack below its headline. */
function details({ existing, steps, restarts, errors, policies }: Digest): string {
    const lines = [];
    if (restarts.length > 0) {
        lines.push("containerd would be restarted:", "");
        lines.push(...restarts.map((one) => `- ${code(one.worker)}: ${restartText(one, code)}`), "");
    } else if (existing) {
        lines.push("No containerd would be restarted.", "");
    }
    if (errors.length > 0) {
        lines.push("The preview failed:", "", block(errors.join("\n")), "");
    }
    if (policies.length > 0) {
        lines.push("| Policy | | Resource | |", "|---|---|---|---|");
        lines.push(
            ...policies.map((one) => `| ${[one.policy, one.level, one.resource, one.message].map(code).join(" | ")} |`),
            "",
        );
    }
    if (!existing && steps.length > 0) {
        lines.push("Nothing of this stack was known to the preview, so all of it counts as new.", "");
    }
    if (steps.length > 0) {
        lines.push("<details><summary>Changes</summary>", "", ...changeTable(steps), "", "</details>", "");
    }
    return lines.join("\n");
}

function headline({ stack, result, steps }: Digest): string {
    const operations = [...new Set(steps.map(({ op }) => op))].slice(0, 10);
    const counts = operations.map((one) => `${steps.filter(({ op }) => op === one).length} ${verbOf(one)}`);
    const changes = counts.length === 0 ? "no change" : counts.join(", ");
    return `### Stack ${code(stack)}: ${result === "succeeded" ? changes : `**the preview failed** (${changes})`}`;
}

function changeTable(steps: Digest["steps"]): string[] {
    const lines = ["| | Resource | Type | Changed |", "|---|---|---|---|"];
    let length = 0;
    for (const [index, { op, name, type, changed }] of steps.entries()) {
        const line = `| ${verbOf(op)} | ${code(name)} | ${code(type)} | ${changed.map(code).join(" ")} |`;
        length += line.length;
        if (length > most.table) {
            return [...lines, "", `… and ${steps.length - index} more`];
        }
        lines.push(line);
    }
    return lines;
}

/**
 * What previews have found.
 *
 * @param digests of one commit, one per stack
 * @param commit its hash
 * @param run URL of the run that made them
 */
export function previewText(
    digests: readonly Digest[],
    { commit, run }: { readonly commit?: string; readonly run?: string },
): string {
    const of = commit ? ` of ${code(commit.slice(0, 12))}` : "";
    let text = `## Preview${of}\n`;
    for (const digest of [...digests].sort((a, b) => a.stack.localeCompare(b.stack))) {
        const more = details(digest);
        const fits = text.length + more.length <= most.comment;
        text += `\n${headline(digest)}\n\n${fits ? more : "The rest is in the summary of the run.\n"}`;
    }
    return `${text}${run ? `\n[The run](${run})\n` : ""}`;
}

/** What `npm run drift -- --json` and `npm run check -- --pods --json` have found, as lines. */
export function driftText(
    stack: string,
    found: { readonly [kind in "differing" | "wrong" | "unseen"]: readonly string[] },
    run: string | undefined,
): string {
    const next = "`npm run up` repairs it; what was changed on purpose belongs in the settings first.";
    const part = (title: string, all: readonly string[], ...after: string[]) =>
        all.length === 0 ? [] : [title, "", block(all.join("\n")), "", ...after];
    return [
        ...part(
            `Machines or objects of stack ${code(stack)} are not as its last update has left them.`,
            found.differing,
            next,
            "",
        ),
        ...part(`\`npm run check -- --pods\` finds wrong with stack ${code(stack)}, and says what to do:`, found.wrong),
        ...part("What could not be looked at:", found.unseen),
        run ? `[The run](${run})` : "",
    ].join("\n");
}
