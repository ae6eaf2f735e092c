import { createHash } from "node:crypto";
import * as path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parse, stringify, type TomlError } from "smol-toml";
import { optionsInFile } from "../evidence.cjs";
import { compareVersions } from "../vulnerabilities.cjs";
import type { ConfigFile, NodeFacts } from "./facts";
import type { Handler } from "./handlers";

/** What is to stand in containerd's configuration of a machine. */
export interface ConfigPlan {
    /** Files of ours, whole: the drop-in (containerd 2.0 and newer) and the options of each handler. */
    readonly files: readonly ConfigFile[];
    /** Lines of ours at the start and at the end of the root file, without the marks around them; empty for none. */
    readonly root: { readonly path: string; readonly head: string; readonly tail: string };
    /** Over all of the above. */
    readonly sha256: string;
    /** Why this cannot be done here, each with the way out; the rest is empty then. */
    readonly complaints: readonly string[];
}

type Table = Readonly<Record<string, unknown>>;

export const markBegin = "# >>> runtime-sandboxes";
export const markEnd = "# <<< runtime-sandboxes";
/** Name of the drop-in, in a directory that the root file imports. */
export const dropInName = "50-runtime-sandboxes.toml";
const importedDirectory = "/etc/containerd/conf.d";

/** Path of the tables of the runtime handlers: https://github.com/containerd/containerd/blob/main/docs/PLUGINS.md */
const criTable = {
    2: "io.containerd.grpc.v1.cri",
    3: "io.containerd.cri.v1.runtime",
    4: "io.containerd.cri.v1.runtime",
};
type Schema = keyof typeof criTable;
const criPlugins = ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"];

/** Stands before a line of theirs that ours takes the place of: only an empty list of imports. */
export const mask = "# runtime-sandboxes: ";
const noImports = /^imports = \[\]$(?!\r)/m;

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

/** Version of the configuration that is written in the root file; undefined if there is none. */
export function writtenSchema(root: Table): number | undefined {
    return typeof root.version === "number" ? root.version : undefined;
}

function isTable(value: unknown): value is Table {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function at(table: unknown, ...keys: string[]): unknown {
    return keys.reduce<unknown>((inner, key) => (isTable(inner) ? inner[key] : undefined), table);
}

/** Parses a file; a complaint where it is broken. */
export function parseConfig({ path: file, text }: ConfigFile): { table?: Table; complaint?: string } {
    try {
        return { table: parse(withoutMarked(text)) };
    } catch (error) {
        const { line, column, message } = error as TomlError;
        const [reason] = message.replace(/^Invalid TOML document: /, "").split("\n");
        return {
            complaint: `${file} is broken in line ${line}, column ${column}: ${reason}. Correct it; containerd cannot read it either`,
        };
    }
}

function handlerTables(options: string, handlers: readonly Handler[]): Table {
    return Object.fromEntries(
        handlers.map(({ name }) => [
            name,
            {
                runtime_type: "io.containerd.runsc.v1",
                options: { TypeUrl: "io.containerd.runsc.v1.options", ConfigPath: `${options}/${name}.toml` },
            },
        ]),
    );
}

/** Directory of the options of each handler. */
function optionsDirectory({ configPath, dropIns }: NodeFacts["containerd"]): string {
    return dropIns === "" ? "/etc/containerd/runsc" : `${path.dirname(configPath)}/runsc`;
}

function optionsFiles(directory: string, handlers: readonly Handler[]): readonly ConfigFile[] {
    return handlers.map((handler) => ({
        path: `${directory}/${handler.name}.toml`,
        text: stringify({ runsc_config: { ...optionsInFile(handler) } }),
    }));
}

/** The tables of handlers as TOML that may stand anywhere in a file of that schema. */
function tablesText(schema: Schema, runtimes: Table): string {
    return stringify({ plugins: { [criTable[schema]]: { containerd: { runtimes } } } })
        .split("\n")
        .filter((line) => !/^\[(?!.*runtimes\.)/.test(line))
        .join("\n")
        .trim();
}

/**
 * What to write so that containerd has these handlers beside all that it has. Pure; what it gives for a machine does not
 * change when it has been written there.
 *
 * containerd 1.x: an imported file replaces the whole section of the CRI plug-in
 * (https://github.com/containerd/containerd/issues/5837), so the tables go to the end of the root file. From 2.0 on they are
 * merged (https://github.com/containerd/containerd/pull/9982): a drop-in, of the schema that is written in the root file,
 * since some releases refuse to start where it is newer. k0s merges its drop-ins itself, whatever containerd it runs
 * (https://docs.k0sproject.io/stable/runtime/).
 */
export function planConfig(facts: NodeFacts, handlers: readonly Handler[]): ConfigPlan {
    const { configPath, version, dropIns } = facts.containerd;
    const files = facts.containerd.files.filter((file) => path.basename(file.path) !== dropInName);
    const parsed = files.map((file) => ({ file, ...parseConfig(file) }));
    const complaints = parsed.flatMap(({ complaint }) => complaint ?? []);
    if (complaints.length > 0) {
        return refused(configPath, complaints);
    }
    const tables = parsed.map(({ file, table = {} }) => ({ path: file.path, table }));
    const off = tables.filter(({ table }) => {
        const disabled = table.disabled_plugins;
        return Array.isArray(disabled) && disabled.some((plugin) => criPlugins.includes(String(plugin)));
    });
    if (off.length > 0) {
        return refused(configPath, [
            `${off.map((one) => one.path).join(", ")} switches containerd's CRI plug-in off (disabled_plugins), so kubelet ` +
                `cannot use it; take it out of that list and restart containerd`,
        ]);
    }
    const root = files.find((file) => file.path === configPath);
    const rest = withoutMarked(root?.text ?? "");
    const rootTable = tables.find((one) => one.path === configPath)?.table ?? {};
    const others = tables.filter((one) => one.path !== configPath);
    const options = optionsDirectory(facts.containerd);
    const wanted = { handlers, tables: handlerTables(options, handlers), options: optionsFiles(options, handlers) };
    const plan =
        dropIns === "" && compareVersions(version, "2.0.0-alpha") < 0
            ? appended(configPath, rootTable, others, wanted, ownRuntime(facts))
            : droppedIn(configPath, dropIns, rest, rootTable, others, wanted);
    if (plan.complaints.length > 0) {
        return plan;
    }
    return checked(plan, rest, rootTable);
}

function refused(configPath: string, complaints: readonly string[]): ConfigPlan {
    return { files: [], root: { path: configPath, head: "", tail: "" }, sha256: "", complaints };
}

function planned(files: readonly ConfigFile[], root: ConfigPlan["root"]): ConfigPlan {
    const sha256 = createHash("sha256")
        .update(JSON.stringify([files, root]))
        .digest("hex");
    return { files, root, sha256, complaints: [] };
}

/** The one runtime that containerd 1.x has by itself, as long as the root file names none: it is not merged with those. */
function ownRuntime({ containerd: { effective } }: NodeFacts): Table {
    const { table } = parseConfig({ path: "", text: effective });
    const runc = at(table, "plugins", criTable[2], "containerd", "runtimes", "runc");
    return { runc: isTable(runc) ? runc : { runtime_type: "io.containerd.runc.v2" } };
}

/** What is to be configured, before it is known where. */
interface WantedHandlers {
    readonly handlers: readonly Handler[];
    /** Table of each. */
    readonly tables: Table;
    /** Options of each. */
    readonly options: readonly ConfigFile[];
}

/** containerd 1.x. */
function appended(
    configPath: string,
    root: Table,
    others: readonly { path: string; table: Table }[],
    { handlers, tables, options }: WantedHandlers,
    own: Table,
): ConfigPlan {
    const complaints: string[] = [];
    const empty = Object.keys(root).length === 0;
    const schema = writtenSchema(root);
    if (!empty && schema !== 2) {
        complaints.push(
            `${configPath} has ${schema === undefined ? "no version, so it is of version 1" : `version ${schema}`}; ` +
                `containerd 1.x takes the handler in version 2 only. Run: containerd config dump, and put its output there`,
        );
    }
    for (const { path: file, table } of others) {
        if (at(table, "plugins", criTable[2]) !== undefined) {
            complaints.push(
                `${file}, which ${configPath} imports, has a section plugins."${criTable[2]}": on containerd 1.x it replaces ` +
                    `that section of ${configPath} as a whole, and our handlers with it. Move it into ${configPath}`,
            );
        }
    }
    const missing = handlers.filter(({ name }) => {
        const have = at(root, "plugins", criTable[2], "containerd", "runtimes", name);
        if (have !== undefined && !isDeepStrictEqual(plain(have), plain(tables[name]))) {
            complaints.push(
                `${configPath} has a handler "${name}" of its own; name yours differently (setting handlers), or remove that one`,
            );
        }
        return have === undefined;
    });
    if (complaints.length > 0) {
        return refused(configPath, complaints);
    }
    return planned(options, {
        path: configPath,
        head: empty ? "version = 2" : "",
        tail:
            missing.length > 0
                ? tablesText(2, {
                      ...(at(root, "plugins", criTable[2], "containerd", "runtimes") === undefined ? own : {}),
                      ...Object.fromEntries(missing.map(({ name }) => [name, tables[name]])),
                  })
                : "",
    });
}

/** containerd 2.0 and newer; with k0s any, into its `dropIns`. */
function droppedIn(
    configPath: string,
    dropIns: string,
    text: string,
    root: Table,
    others: readonly { path: string; table: Table }[],
    { handlers, tables, options }: WantedHandlers,
): ConfigPlan {
    const empty = Object.keys(root).length === 0;
    const schema = empty ? 3 : writtenSchema(root);
    if (schema !== 2 && schema !== 3 && schema !== 4) {
        return refused(configPath, [
            `${configPath} has ${schema === undefined ? "no version" : `version ${schema}`}; allowed: 2, 3 or 4. Write ` +
                `version = 2 at its top, and each plug-in by its full name (plugins."${criTable[2]}" for plugins.cri)`,
        ]);
    }
    const imports = root.imports;
    const globs = Array.isArray(imports) ? imports.map(String) : [];
    const glob = globs
        .map((one) => path.resolve(path.dirname(configPath), one))
        .find((one) => path.basename(one) === "*.toml" && !/[*?[]/.test(path.dirname(one)));
    // `containerd config default` of 2.0 and 2.1 writes an empty list.
    const none = imports === undefined || (globs.length === 0 && noImports.test(text));
    if (dropIns === "" && glob === undefined && !none) {
        return refused(configPath, [
            `${configPath} imports ${globs.join(", ") || "nothing"}, and no directory of *.toml; add ` +
                `"${importedDirectory}/*.toml" to its imports`,
        ]);
    }
    const directory = dropIns || (glob === undefined ? importedDirectory : path.dirname(glob));
    // Of two files the one that is read later counts; those of a directory are read in the order of their names.
    const later = others.filter((one) => path.dirname(one.path) !== directory || path.basename(one.path) > dropInName);
    const complaints = later.flatMap(({ path: file, table }) =>
        handlers
            .filter(({ name }) =>
                [criTable[2], criTable[3]].some((plugin) => {
                    const have = at(table, "plugins", plugin, "containerd", "runtimes", name);
                    return have !== undefined && !isDeepStrictEqual(plain(have), plain(tables[name]));
                }),
            )
            .map(
                ({ name }) =>
                    `${file} has a handler "${name}" of its own, and is not read before ${directory}/${dropInName}, so it ` +
                    `would count; name yours differently (setting handlers), or remove that one`,
            ),
    );
    if (complaints.length > 0) {
        return refused(configPath, complaints);
    }
    const head = [
        ...(empty ? [`version = ${schema}`] : []),
        ...(directory !== dropIns && glob === undefined ? [`imports = ["${importedDirectory}/*.toml"]`] : []),
    ];
    const dropIn = {
        path: `${directory}/${dropInName}`,
        text: `version = ${schema}\n\n${tablesText(schema, tables)}\n`,
    };
    return planned([dropIn, ...options], { path: configPath, head: head.join("\n"), tail: "" });
}

/** Belt and braces: the new root file must be the old one plus what was wanted. */
function checked(plan: ConfigPlan, rest: string, before: Table): ConfigPlan {
    const { head, tail, path: configPath } = plan.root;
    let after: Table;
    try {
        after = parse(applyRoot(rest, plan.root));
        const added = [head, tail].map((text) => parse(text)).reduce(merged, {});
        if (isDeepStrictEqual(plain(after), plain(merged(before, added)))) {
            return plan;
        }
    } catch (error) {
        return refused(configPath, [
            `${configPath} is written so that nothing can be added to it (${(error as Error).message.split("\n")[0]}); ` +
                `write its table plugins without inline tables`,
        ]);
    }
    return refused(configPath, [
        `${configPath} is written so that what is added would change other things; simplify it`,
    ]);
}

/** Plain objects, for comparing: the parser's have no prototype. */
function plain(value: unknown): unknown {
    return JSON.parse(JSON.stringify(value ?? null));
}

function merged(a: Table, b: Table): Table {
    const result: Record<string, unknown> = { ...a };
    for (const [key, value] of Object.entries(b)) {
        const old = result[key];
        result[key] = isTable(old) && isTable(value) ? merged(old, value) : value;
    }
    return result;
}
