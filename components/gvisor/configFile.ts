import { isDeepStrictEqual } from "node:util";
import { parse, type TomlError } from "smol-toml";
import type { ConfigFile } from "./facts";

/** A table of TOML. */
export type Table = Readonly<Record<string, unknown>>;

/** Stand around lines of ours in the root file. */
export const markBegin = "# >>> runtime-sandboxes";
export const markEnd = "# <<< runtime-sandboxes";
/** Stands before a line of theirs that ours takes the place of: only an empty list of imports. */
export const mask = "# runtime-sandboxes: ";
export const noImports = /^imports = \[\]$(?!\r)/m;

/** A text without the lines of ours in it. One of theirs that is masked is bare again. */
export function withoutMarked(text: string): string {
    return text
        .replace(new RegExp(`^${markBegin}\\n[\\s\\S]*?^${markEnd}\\n?`, "gm"), "")
        .replace(new RegExp(`^${mask}`, "gm"), "");
}

/** The root file with the lines of ours, as scripts/on-machine/gvisor/configuration.sh writes it. */
export function applyRoot(text: string, { head, tail }: { readonly head: string; readonly tail: string }): string {
    const marked = (lines: string) => (lines === "" ? "" : `${markBegin}\n${lines.trimEnd()}\n${markEnd}\n`);
    const theirs = withoutMarked(text);
    const rest = /^imports = /m.test(head) ? theirs.replace(noImports, (line) => mask + line) : theirs;
    return `${marked(head)}${rest === "" || rest.endsWith("\n") ? rest : `${rest}\n`}${marked(tail)}`;
}

/** Parses a file; a complaint where it is broken. */
export function parseConfig({ path, text }: ConfigFile): { table?: Table; complaint?: string } {
    try {
        return { table: parse(withoutMarked(text)) };
    } catch (error) {
        const { line, column, message } = error as TomlError;
        const [reason] = message.replace(/^Invalid TOML document: /, "").split("\n");
        return {
            complaint: `${path} is broken in line ${line}, column ${column}: ${reason}. Correct it; containerd cannot read it either`,
        };
    }
}

/** Version of the configuration that is written in the root file; undefined if there is none. */
export function writtenSchema(root: Table): number | undefined {
    return typeof root.version === "number" ? root.version : undefined;
}

/** Whether a value of TOML is a table. */
export function isTable(value: unknown): value is Table {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a table holds at the end of a path of tables; undefined where the path ends before. */
export function valueAt(table: unknown, ...keys: string[]): unknown {
    return keys.reduce<unknown>((inner, key) => (isTable(inner) ? inner[key] : undefined), table);
}

/** Path of the tables of the runtime handlers: https://github.com/containerd/containerd/blob/main/docs/PLUGINS.md */
export const criTable = {
    2: "io.containerd.grpc.v1.cri",
    3: "io.containerd.cri.v1.runtime",
    4: "io.containerd.cri.v1.runtime",
};
export type Schema = keyof typeof criTable;

/** Tables of the runtime handlers in a file; undefined where it has none. */
export function runtimesIn(table: Table, plugin: string): Table | undefined {
    const found = valueAt(table, "plugins", plugin, "containerd", "runtimes");
    return isTable(found) ? found : undefined;
}

/** Plain objects, for comparing: the parser's have no prototype. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

/** Whether two values of TOML say the same. */
export function isSame(a: unknown, b: unknown): boolean {
    return isDeepStrictEqual(plain(a), plain(b));
}

/** Both tables as one; where both have a value, that of the second. */
export function merged(a: Table, b: Table): Table {
    const both = Object.entries(b).map(([key, value]) => {
        const old = a[key];
        return [key, isTable(old) && isTable(value) ? merged(old, value) : value];
    });
    return { ...a, ...Object.fromEntries(both) };
}
