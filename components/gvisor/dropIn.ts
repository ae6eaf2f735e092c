/**
 * containerd 2.0 and newer, which merges what it imports (https://github.com/containerd/containerd/pull/9982): our handlers go
 * into a drop-in, of the schema that is written in the root file, since some releases refuse to start where it is newer. k0s
 * merges its drop-ins itself, whatever containerd it runs (https://docs.k0sproject.io/stable/runtime/).
 */

import * as path from "node:path";
import { criTable, isSame, noImports, runtimesIn, writtenSchema } from "./configFile";
import { type ConfigPlan, type FoundConfig, refused, tablesText, type WantedHandlers } from "./configPlan";

/** Name of the drop-in, in a directory that the root file imports. */
export const dropInName = "50-runtime-sandboxes.toml";
const importedDirectory = "/etc/containerd/conf.d";

/** Where drop-ins go by the imports of the root file, and whether it has to import that directory first. */
function importsOf({ configPath, root: { imports }, text }: FoundConfig) {
    const globs = Array.isArray(imports) ? imports.map(String) : [];
    const glob = globs
        .map((one) => path.resolve(path.dirname(configPath), one))
        .find((one) => path.basename(one) === "*.toml" && !/[*?[]/.test(path.dirname(one)));
    if (glob !== undefined) {
        return { directory: path.dirname(glob), added: false };
    }
    // `containerd config default` of 2.0 and 2.1 writes an empty list.
    if (imports === undefined || (globs.length === 0 && noImports.test(text))) {
        return { directory: importedDirectory, added: true };
    }
    return {
        complaint:
            `${configPath} imports ${globs.join(", ") || "nothing"}, and no directory of *.toml; add ` +
            `"${importedDirectory}/*.toml" to its imports`,
    };
}

/**
 * The plan for containerd 2, and for that of k0s: a drop-in, and a line in the root file where that imports none.
 *
 * @param dropIns directory of k0s's drop-ins; empty without k0s
 */
export function droppedIn(
    found: FoundConfig,
    { handlers, tables, options }: WantedHandlers,
    dropIns: string,
): ConfigPlan {
    const { configPath, root, others } = found;
    const empty = Object.keys(root).length === 0;
    const schema = empty ? 3 : writtenSchema(root);
    if (schema !== 2 && schema !== 3 && schema !== 4) {
        return refused(configPath, [
            `${configPath} has ${schema === undefined ? "no version" : `version ${schema}`}; allowed: 2, 3 or 4. Write ` +
                `version = 2 at its top, and each plug-in by its full name (plugins."${criTable[2]}" for plugins.cri)`,
        ]);
    }
    const imports = dropIns === "" ? importsOf(found) : { directory: dropIns, added: false };
    if (imports.directory === undefined) {
        return refused(configPath, [imports.complaint]);
    }
    const { directory, added } = imports;
    // Of two files the one that is read later counts; those of a directory are read in the order of their names.
    const later = others.filter((one) => path.dirname(one.path) !== directory || path.basename(one.path) > dropInName);
    const complaints = later.flatMap(({ path: file, table }) =>
        handlers
            .filter(({ name }) =>
                [criTable[2], criTable[3]].some((plugin) => {
                    const theirs = runtimesIn(table, plugin)?.[name];
                    return theirs !== undefined && !isSame(theirs, tables[name]);
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
        ...(added ? [`imports = ["${importedDirectory}/*.toml"]`] : []),
    ];
    const dropIn = {
        path: `${directory}/${dropInName}`,
        text: `version = ${schema}\n\n${tablesText(schema, tables)}\n`,
    };
    return {
        files: [dropIn, ...options],
        root: { path: configPath, head: head.join("\n"), tail: "" },
        complaints: [],
    };
}
