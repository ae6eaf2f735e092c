// Which part of the program may know which. https://github.com/sverweij/dependency-cruiser/blob/main/doc/rules-reference.md
"use strict";

const ours = "^(index\\.ts$|(components|settings|cli|scripts|plugins|policy-pack)/|mirror/.*\\.ts$)";
/** What all rooms stand on: steps, scripts, names, versions, and the types that rooms hand to each other. */
const floor = "^components/[^/]+$";
const room = (name) => `^components/${name}/`;

/** The files below `from` import nothing of the project but themselves and these. */
const only = (from, ...allowed) => ({
    name: `only-below-${from.replace(/\W+/g, "-").replace(/^-|-$/g, "")}`,
    severity: "error",
    from: { path: from },
    to: { path: ours, pathNot: [from, ...allowed] },
});

module.exports = {
    forbidden: [
        { name: "no-circle", severity: "error", from: {}, to: { circular: true } },
        only(floor),
        only(room("targets"), floor),
        only(room("cluster"), floor),
        only(room("gvisor"), floor),
        only(room("admission"), floor),
        only(room("proof"), floor, room("gvisor")),
        only("^settings/", "^components/"),
        only("^index\\.ts$", "^settings/index\\.ts$", "^components/"),
        {
            name: "settings-as-types",
            comment: "A component is given its settings: it imports no more than their types.",
            severity: "error",
            from: { path: "^components/", pathNot: "/settings\\.ts$" },
            to: { path: "^components/.*/settings\\.ts$", dependencyTypesNot: ["type-only"] },
        },
        {
            name: "only-shared-components",
            comment: "The command line and what runs on the operator's host start without the program's packages.",
            severity: "error",
            from: { path: "^(cli|scripts)/" },
            to: {
                path: "^(components|settings|index\\.ts)",
                pathNot: "^components/[^/]+\\.cjs$",
                dependencyTypesNot: ["type-only"],
            },
        },
    ],
    options: {
        doNotFollow: { path: "node_modules" },
        // Imports of types count.
        tsPreCompilationDeps: true,
        tsConfig: { fileName: "tsconfig.json" },
    },
};
