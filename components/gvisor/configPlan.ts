import * as path from "node:path";
import { stringify } from "smol-toml";
import type { Handler } from "../contracts";
import { optionsInFile } from "../evidence.cjs";
import { criTable, type Schema, type Table } from "./configFile";
import type { ConfigFile, NodeFacts } from "./facts";

/** What is to stand in containerd's configuration of a machine. */
export interface ConfigPlan {
    /** Files of ours, whole: the drop-in (containerd 2.0 and newer) and the options of each handler. */
    readonly files: readonly ConfigFile[];
    /** Lines of ours at the start and at the end of the root file, without the marks around them; empty for none. */
    readonly root: { readonly path: string; readonly head: string; readonly tail: string };
    /** Why this cannot be done here, each with the way out; the rest is empty then. */
    readonly complaints: readonly string[];
}

/** The plan of a machine where nothing is written. */
export function refused(configPath: string, complaints: readonly string[]): ConfigPlan {
    return { files: [], root: { path: configPath, head: "", tail: "" }, complaints };
}

/** containerd's configuration without what is ours. */
export interface FoundConfig {
    /** The root file: its path, text and table; both empty where there is no such file. */
    readonly configPath: string;
    readonly text: string;
    readonly root: Table;
    /** Files beside it, in the order of reading. */
    readonly others: readonly { readonly path: string; readonly table: Table }[];
}

/** What is to be configured, before it is known where. */
export interface WantedHandlers {
    readonly handlers: readonly Handler[];
    /** Table of each. */
    readonly tables: Table;
    /** File with the options of each. */
    readonly options: readonly ConfigFile[];
}

/** The tables and options files of handlers: below /etc/containerd, or beside the configuration of k0s's containerd. */
export function wantedHandlers(
    { configPath, dropIns }: NodeFacts["containerd"],
    handlers: readonly Handler[],
): WantedHandlers {
    const directory = dropIns === "" ? "/etc/containerd/runsc" : `${path.dirname(configPath)}/runsc`;
    const each = handlers.map((handler) => ({ handler, file: `${directory}/${handler.name}.toml` }));
    const tables = each.map(({ handler, file }) => [
        handler.name,
        {
            runtime_type: "io.containerd.runsc.v1",
            options: { TypeUrl: "io.containerd.runsc.v1.options", ConfigPath: file },
        },
    ]);
    return {
        handlers,
        tables: Object.fromEntries(tables),
        options: each.map(({ handler, file }) => ({
            path: file,
            text: stringify({ runsc_config: { ...optionsInFile(handler) } }),
        })),
    };
}

/**
 * The tables of handlers as TOML that may stand anywhere in a file of that schema. Headers of the tables around them are left
 * out: TOML makes those by itself, and refuses one that the file has already.
 */
export function tablesText(schema: Schema, runtimes: Table): string {
    return stringify({ plugins: { [criTable[schema]]: { containerd: { runtimes } } } })
        .split("\n")
        .filter((line) => !/^\[(?!.*runtimes\.)/.test(line))
        .join("\n")
        .trim();
}
