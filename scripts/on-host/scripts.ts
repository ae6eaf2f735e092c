// The scripts that run on a machine, brought to it by content: each file is named by its SHA-256, and only root reads and writes
// there. A step names what it calls, and looks whether it is that, before it runs it: components/machineScripts.ts.
//
// bring   brings those of this checkout, whatever is there. Those of before stay for a month: a run that is cut off leaves steps that
//         call them, and one of these may be what takes away what it has made.
// remove  takes away all.
//
// stdin: {"connection": of a remote Command, "shell": how root's bash is started, "files": below scripts/on-machine/, "removal": those
//        of them, in order, that remove the runtime}; further fields only tell runs apart

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { runOn } from "../../cli/machines.ts";
import { limitedShell, scriptsLost as lost, scriptsPlace as place, shellQuote } from "../../components/step.cjs";

/** Seconds that bringing may take. */
const limit = 60;

interface Machine {
    readonly connection: Parameters<typeof runOn>[0] & { readonly dialErrorLimit?: number };
    readonly shell?: string;
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const read = (file: string) => readFileSync(new URL(`../on-machine/${file}`, import.meta.url), "utf8");

/**
 * What brings files below scripts/on-machine/ to a machine, as a script for bash there.
 *
 * @param removal those of them whose names stand in the file "removal" there, in this order
 */
export function bringing(files: readonly string[], removal: readonly string[] = []): string {
    const named = new Map(files.map(read).map((text) => [sha256(text), text]));
    named.set("removal", removal.map((file) => `${sha256(read(file))}\n`).join(""));
    const list = [...named].map(([name, text]) => `${sha256(text)}  ${name}\n`).join("");
    return [
        "set -eu; umask 077",
        'die() { echo "$(hostname): error: $*" >&2; exit 1; }',
        `((EUID == 0)) || die "the step runs as $(id -un); log in as root or allow passwordless sudo"`,
        `mkdir -p ${place} && chmod 700 ${place} && cd ${place} || die "cannot write ${place}"`,
        // By rename: another step may be reading the old one, and half a file is none.
        `put() { { printf %s "$2" >"$1.new" && sync "$1.new" && mv -f "$1.new" "$1"; } || die "cannot write ${place}/$1; is the disk full?"; }`,
        ...[...named].map(([name, one]) => `put ${name} ${shellQuote(one)}`),
        'if [[ -e list ]]; then while read -r _ name; do touch -c "$name"; done <list; fi',
        `put list ${shellQuote(list)}`,
        `sha256sum --check --status list || die "what was written to ${place} is not what is there now"`,
        "find . -type f -mtime +30 -delete",
        "",
    ].join("\n");
}

/** A machine that is just starting may not let anybody in yet. As the command plug-in tries again: plugins/command/dial.ts. */
async function patiently<T>({ connection }: Machine, work: () => Promise<T>): Promise<T> {
    let wait = 100;
    for (let left = connection.dialErrorLimit ?? 10; ; left--) {
        try {
            return await work();
        } catch (error) {
            if (left <= 0 || /host denied|has no host key/i.test((error as Error).message)) {
                throw error;
            }
            await sleep(wait);
            wait = Math.min(wait * 1.5, 5_000);
        }
    }
}

const run = ({ connection, shell }: Machine, script: string) =>
    runOn(connection, `${limitedShell(shell, limit)} -s`, script);

/** Whether a machine still has what was brought to it. */
export async function areThere(input: Machine): Promise<boolean> {
    const { code, stderr } = await run(input, `cd ${place} && sha256sum --check --status list || exit ${lost}\n`);
    if (code !== 0 && code !== lost) {
        throw new Error(stderr.trim() || `bash ended with ${code}`);
    }
    return code === 0;
}

type Input = Machine & { readonly files: readonly string[]; readonly removal?: readonly string[] };

export async function main(input: Input, verb: "bring" | "remove"): Promise<void> {
    const script = verb === "remove" ? `rm -rf ${place}\n` : bringing(input.files, input.removal);
    const { code, stderr } = await patiently(input, () => run(input, script));
    if (code !== 0) {
        throw new Error(
            stderr.trim() || `the scripts cannot be brought to ${input.connection.host}: bash ended with ${code}`,
        );
    }
}
