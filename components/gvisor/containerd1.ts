/**
 * containerd 1.x: an imported file replaces the whole section of the CRI plug-in
 * (https://github.com/containerd/containerd/issues/5837), so the tables of our handlers go to the end of the root file.
 */

import { criTable, isSame, parseConfig, runtimesIn, type Table, valueAt, writtenSchema } from "./configFile";
import { type ConfigPlan, type FoundConfig, refused, tablesText, type WantedHandlers } from "./configPlan";

const cri = criTable[2];

/** The one runtime that it has by itself, as long as the root file names none: it is not merged with those. */
function builtIn(effective: string): Table {
    const { table = {} } = parseConfig({ path: "", text: effective });
    return { runc: runtimesIn(table, cri)?.runc ?? { runtime_type: "io.containerd.runc.v2" } };
}

/**
 * The plan for containerd 1.x: lines at the end of its root file.
 *
 * @param effective what is in force, as `containerd config dump` prints it
 */
export function appended(
    { configPath, root, others }: FoundConfig,
    { handlers, tables, options }: WantedHandlers,
    effective: string,
): ConfigPlan {
    const empty = Object.keys(root).length === 0;
    const schema = writtenSchema(root);
    const runtimes = runtimesIn(root, cri);
    const theirs = handlers.filter(({ name }) => runtimes?.[name] !== undefined);
    const complaints = [
        ...(empty || schema === 2
            ? []
            : [
                  `${configPath} has ${schema === undefined ? "no version, so it is of version 1" : `version ${schema}`}; ` +
                      `containerd 1.x takes the handler in version 2 only. Run: containerd config dump, and put its output there`,
              ]),
        ...others
            .filter(({ table }) => valueAt(table, "plugins", cri) !== undefined)
            .map(
                ({ path }) =>
                    `${path}, which ${configPath} imports, has a section plugins."${cri}": on containerd 1.x it replaces ` +
                    `that section of ${configPath} as a whole, and our handlers with it. Move it into ${configPath}`,
            ),
        ...theirs
            .filter(({ name }) => !isSame(runtimes?.[name], tables[name]))
            .map(
                ({ name }) =>
                    `${configPath} has a handler "${name}" of its own; name yours differently (setting handlers), or remove that one`,
            ),
    ];
    if (complaints.length > 0) {
        return refused(configPath, complaints);
    }
    const missing = handlers.filter((handler) => !theirs.includes(handler)).map(({ name }) => [name, tables[name]]);
    const added = { ...(runtimes === undefined ? builtIn(effective) : {}), ...Object.fromEntries(missing) };
    return {
        files: options,
        root: {
            path: configPath,
            head: empty ? "version = 2" : "",
            tail: missing.length > 0 ? tablesText(2, added) : "",
        },
        complaints: [],
    };
}
