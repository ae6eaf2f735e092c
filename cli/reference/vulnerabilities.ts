// What is known against versions of what a worker runs, by vulnerabilities.json.
import { known, type Row } from "../../components/vulnerabilities.cjs";
import { code, prose, table } from "./markdown.ts";

function rangeOf({ from, fixed }: Row["affected"][number]): string {
    const start = from === undefined ? "" : `from ${from} on, `;
    return fixed === undefined ? `${start}not fixed yet` : `${start}fixed in ${fixed}`;
}

export function vulnerabilities(): string {
    const rows = known.map(({ id, component, affected, option, summary, source }) => [
        `[${id}](${source})`,
        component,
        affected.map(rangeOf).join("; "),
        option ? option.values.map((value) => code(`${option.name}=${value}`)).join(", ") : "",
        prose(summary),
    ]);
    return `By [vulnerabilities.json](../vulnerabilities.json), which the program, \`check\`, \`drift\`, \`report\` and \`versions\` read too. Of Kubernetes only
what runs on a worker is there. What becomes of them: [outputs](outputs.md#known-vulnerabilities).

${table(["Id", "Component", "Affected", "Opened again by the option", "What can be done"], rows)}`;
}
