// Attempts to leave a sandbox, by the table that the program which makes them has built in.
import { corpus } from "../../components/attacks.cjs";
import { code, prose, table } from "./markdown.ts";

export function attempts(): string {
    const rows = corpus.map(({ name, tries, stands, source, inside, control }) => [
        code(name),
        ...[tries, stands].map(prose),
        `[source](${source})`,
        ...[inside, control].map(prose),
    ]);
    return `By [corpus.json](../mirror/build/attacks/corpus.json), with the setting \`attacks\`. How they are made, and what they show:
[explanation](explanation.md#attacks-that-must-fail).

${table(["Name", "What it does", "What it stands for", "Source", "What is seen in a sandbox that holds", "What is expected on the control"], rows)}`;
}
