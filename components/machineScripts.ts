import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import type * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import { checkout } from "./checkout";
import type { Machine } from "./contracts";
import { hostCall, hostStep } from "./hostStep";
import { runtimeRemoval } from "./runtimeScripts";
import { scriptsLost, scriptsPlace } from "./step.cjs";

/** What removes the runtime: the one that was brought last, so that another removal is no other installation. */
export const removal: readonly string[] = ["lib.sh", ...runtimeRemoval];

/** What runs on machines, below scripts/on-machine/. */
export const files: readonly string[] = ["lib.sh"].concat(
    ["gvisor", "node", "probe"].flatMap((directory) =>
        fs
            .readdirSync(path.join(checkout, "scripts", "on-machine", directory))
            .filter((file) => file.endsWith(".sh"))
            .sort()
            .map((file) => `${directory}/${file}`),
    ),
);

const read = (file: string) => fs.readFileSync(path.join(checkout, "scripts", "on-machine", file), "utf8");

/** The texts of scripts as one, the last one is what is run. */
export function textOf(scripts: readonly string[]): string {
    return ["lib.sh", ...scripts].map(read).join("\n");
}

/**
 * What a step runs instead of that text: the scripts that were brought to the machine, if they are the ones that are meant.
 *
 * @param bringing name of the resource that brings them
 * @param record where `install` notes what it makes, for the verb "remove": the scripts of the removal run, as they were brought
 *     last, or those that were kept in `record`, where the others are gone
 */
export function callOf(scripts: readonly string[], bringing: string, record?: string): string {
    const removing = [
        'removal() { scripts=$1 SCRIPTS=$(cat "$1/removal" 2>/dev/null); there; }',
        // Without its notes nothing was made here, or the machine is another one than it was.
        `if [[ $1 == remove ]] && ! removal "$scripts"; then [[ -d ${record} ]] || exit 0; removal ${record}/scripts; fi`,
    ];
    return [
        `SCRIPTS='${["lib.sh", ...scripts].map(nameOf).join(" ")}' scripts=${scriptsPlace}`,
        'there() (cd "$scripts" && for one in $SCRIPTS; do echo "$one  $one"; done | sha256sum --check --status) 2>/dev/null',
        '((EUID == 0)) || { echo "$(hostname): error: the step runs as $(id -un); log in as root or allow passwordless sudo" >&2; exit 1; }',
        ...(record === undefined ? [] : removing),
        `there || { echo "$(hostname): error: the scripts in $scripts are gone or were changed; bring them again: npm run up, or pulumi up --replace '**::${bringing}'" >&2; exit ${scriptsLost}; }`,
        'for one in $SCRIPTS; do . "$scripts/$one"; done',
        "",
    ].join("\n");
}

const names = new Map<string, string>();

/** What a script is called on machines: the SHA-256 of its text. */
export function nameOf(file: string): string {
    if (!files.includes(file)) {
        throw new Error(
            `scripts/on-machine/${file} is not among the scripts that are brought to machines: ${files.join(", ")}`,
        );
    }
    const name = names.get(file) ?? createHash("sha256").update(read(file)).digest("hex");
    names.set(file, name);
    return name;
}

const brought = new WeakMap<Machine, command.local.Command>();

export const bringingOf = (machine: Machine) => `${machine.name}-scripts`;

/**
 * Brings all scripts to a machine, before the first step there: their text is in no state, and whether anything has changed
 * is seen by their hash.
 *
 * @param after what the first step waits for
 */
export function bring(machine: Machine, after: readonly pulumi.Resource[]): command.local.Command {
    const already = brought.get(machine);
    if (already) {
        return already;
    }
    const brings = ["cli/machines.ts", "components/step.cjs", ...files.map((file) => `scripts/on-machine/${file}`)];
    const made = hostStep(
        bringingOf(machine),
        {
            create: hostCall("scripts bring", brings),
            delete: hostCall("scripts remove"),
            input: {
                connection: machine.connection,
                shell: machine.shell ?? "bash",
                files,
                removal,
                machine: machine.identity,
            },
        },
        {
            dependsOn: [...after],
            customTimeouts: { create: "10m", update: "10m", delete: "2m" },
            deletedWith: machine.resource,
            deleteBeforeReplace: true,
        },
    );
    brought.set(machine, made);
    return made;
}
