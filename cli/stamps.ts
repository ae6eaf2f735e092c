// Stamps: a step whose inputs hash to what its stamp holds has nothing to do.
import { createHash, type Hash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readOr } from "./project.ts";

/** SHA-256 over files, folders (recursively, in name order) and plain strings ("text:..."); a missing file counts as such. */
export function hashOf(...inputs: string[]): string {
    const hash = createHash("sha256");
    for (const input of inputs) {
        if (input.startsWith("text:")) {
            hash.update(`${input}\0`);
        } else {
            addPath(hash, input);
        }
    }
    return hash.digest("hex");
}

function addPath(hash: Hash, path: string): void {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
        hash.update(`missing ${basename(path)}\0`);
    } else if (!stat.isDirectory()) {
        hash.update(`file ${basename(path)}\0`).update(readFileSync(path));
    } else {
        hash.update(`folder ${basename(path)}\0`);
        for (const name of readdirSync(path).sort()) {
            if (name !== "node_modules") {
                addPath(hash, join(path, name));
            }
        }
    }
}

/** Whether the stamp at `path` holds `value`. */
export function stamped(path: string, value: string): boolean {
    return readOr(path, "").trim() === value;
}

/** Writes a file so that a reader sees the old or the new content, never a part. */
export function writeAtomically(path: string, content: string, mode = 0o644): void {
    mkdirSync(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}.tmp`;
    try {
        writeFileSync(temporary, content, { mode });
        renameSync(temporary, path);
    } finally {
        rmSync(temporary, { force: true });
    }
}
