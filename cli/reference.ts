// `npm run reference [-- --check]`: docs/reference.md, docs/compatibility.md and docs/rbac.yaml from what the code says itself.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "./failure.ts";
import { readOr, root } from "./project.ts";
import { attempts } from "./reference/attacks.ts";
import { commands, exits } from "./reference/commands.ts";
import { compatibility } from "./reference/compatibility.ts";
import { components } from "./reference/components.ts";
import { outputs } from "./reference/outputs.ts";
import { roles } from "./reference/rights.ts";
import { settings } from "./reference/settings.ts";
import { vulnerabilities } from "./reference/vulnerabilities.ts";

const again = "npm run reference";

/** docs/reference.md. @param usage the help of the command line */
function referenceText(usage: string): string {
    const sections = {
        Settings: settings(),
        Outputs: outputs(),
        Components: components(),
        Commands: commands(usage),
        "Exit codes": exits(),
        "Known vulnerabilities": vulnerabilities(),
        Attacks: attempts(),
    };
    return [
        `# Reference\n\nMade from the code by \`${again}\`: change the code, not this page.\n`,
        ...Object.entries(sections).map(([title, text]) => `## ${title}\n\n${text}`),
    ].join("\n");
}

/** Each page as it should be, by its path. @param usage the help of the command line */
const pages = (usage: string): Readonly<Record<string, string>> => ({
    "docs/reference.md": referenceText(usage),
    "docs/compatibility.md": compatibility(again),
    "docs/rbac.yaml": roles(again),
});

/** The section where two texts first differ, and both lines. */
function difference(is: string, should: string) {
    const [has, wants] = [is.split("\n"), should.split("\n")];
    const line = wants.findIndex((text, index) => text !== has[index]);
    const at = line === -1 ? wants.length : line;
    const title = wants.slice(0, at + 1).findLast((text) => /^#+ /.test(text)) ?? "";
    return { section: title.replace(/^#+ /, ""), tail: [`page: ${has[at] ?? ""}`, `code: ${wants[at] ?? ""}`] };
}

/**
 * `reference`: writes the pages, or with `check` fails where one is not what the code says.
 *
 * @param usage the help of the command line
 */
export async function reference({ check = false }: { readonly check?: boolean }, usage: string): Promise<void> {
    for (const [page, should] of Object.entries(pages(usage))) {
        const is = readOr(join(root, page), "");
        if (!check) {
            writeFileSync(join(root, page), should);
            process.stdout.write(`${page}: ${is === should ? "as it was" : "written"}\n`);
        } else if (is !== should) {
            const { section, tail } = difference(is, should);
            throw new Failure(`${page} is stale in "${section}".`, { tail, next: again });
        }
    }
}
