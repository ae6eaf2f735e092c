// @ts-nocheck
// Stamps: a step whose inputs hash to what its stamp holds has nothing to do.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readOr } from "./project.ts";

/** SHA-256 over files, folders (recursively, in name order) and plain strings ("text:..."); a missing file counts as such. */
export function hashOf(...inputs) {
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

function addPath(hash, path) {
    let stat;
    try {
        stat = statSync(path);
    } catch {
        hash.update(`missing ${basename(path)}\0`);
        return;
    }
    if (!stat.isDirectory()) {
        hash.update(`file ${basename(path)}\0`).update(readFileSync(path));
        return;
    }
    hash.update(`folder ${basename(path)}\0`);
    for (const name of readdirSync(path).sort()) {
        if (name !== "node_modules") {
            addPath(hash, join(path, name));
        }
    }
}

/** True if the stamp at `path` holds `value`. */
export function stamped(path, value) {
    return readOr(path, "").trim() === value;
}

/** Writes a file so that a reader sees the old or the new content, never a part. */
export function writeAtomically(path, content, mode = 0o644) {
    mkdirSync(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}.tmp`;
    try {
        writeFileSync(temporary, content, { mode });
        renameSync(temporary, path);
    } finally {
        rmSync(temporary, { force: true });
    }
}
