// Text and tables of the reference.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { root } from "../project.ts";

/** Cells of a table's row. */
export type Row = readonly string[];

/** Text of a file of the project. */
export const read = (file: string) => readFileSync(join(root, file), "utf8");

export const code = (text: string) => (text === "" ? "" : `\`${text.replace(/\s+/g, " ")}\``);

/** Plain text: what stands in angle brackets is no HTML, and pages are links. */
export function prose(text: string): string {
    const plain = (part: string) =>
        part.replaceAll("<", "&lt;").replace(/\bdocs\/([\w-]+)\.md\b/g, "[docs/$1.md]($1.md)");
    return text
        .replace(/\s+/g, " ")
        .trim()
        .split("`")
        .map((part, index) => (index % 2 === 0 ? plain(part) : part))
        .join("`");
}

/** A table, without the columns that are empty in every row. */
export function table(columns: Row, rows: readonly Row[]): string {
    const used = columns.map((_, index) => rows.some((row) => row[index] !== ""));
    const line = (cells: Row) => {
        const shown = cells.filter((_, index) => used[index]).map((text) => text.replaceAll("|", "\\|"));
        return `|${shown.map((text) => (text === "" ? " " : ` ${text} `)).join("|")}|\n`;
    };
    const rule = `|${used.map((one) => (one ? "---|" : "")).join("")}\n`;
    return rows.length === 0 ? "" : line(columns) + rule + rows.map(line).join("");
}

/** What a pattern's group matches in a file, each time; a page without it would be wrong in silence. */
export function found(file: string, pattern: RegExp): string[][] {
    const matches = [...read(file).matchAll(pattern)].map((match) => match.slice(1));
    if (matches.length === 0) {
        throw new Failure(`${file} holds nothing like ${pattern} any more.`, {
            next: "say in cli/reference where it is now",
        });
    }
    return matches;
}
