// The mirror's table of contents, index.json: what it was built from, what it holds, the digest of each file.
// usage: index.ts write DIR KEY PACKAGE=VERSION...   |   index.ts current DIR KEY   |   index.ts check DIR
import { createHash } from "node:crypto";
import { createReadStream, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Contents of index.json. */
export interface Index {
    /** Hash of all that decides what the mirror holds. */
    readonly key: string;
    /** Of the key that signs the repositories. */
    readonly fingerprint: string;
    readonly packages: Packages;
    readonly files: Readonly<Record<string, { readonly size: number; readonly sha256: string }>>;
}

/** By name of the package: the version of the pins, and all that are there. */
type Packages = Record<string, { default?: string; readonly versions: string[] }>;

const own = new Set(["index.json", "index.json.asc"]);

function filesBelow(dir: string): string[] {
    return readdirSync(dir, { recursive: true, encoding: "utf8" })
        .filter((name) => !own.has(name) && statSync(path.join(dir, name)).isFile())
        .sort();
}

async function sha256(file: string): Promise<string> {
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(file)) {
        hash.update(chunk);
    }
    return hash.digest("hex");
}

function readIndex(dir: string): Index | undefined {
    try {
        return JSON.parse(readFileSync(path.join(dir, "index.json"), "utf8"));
    } catch {
        return undefined;
    }
}

/** All versions of each package that the repositories list. */
function packagesIn(dir: string, files: readonly string[]): Packages {
    const packages: Packages = {};
    for (const file of files.filter((name) => path.basename(name) === "Packages")) {
        for (const entry of readFileSync(path.join(dir, file), "utf8").split("\n\n")) {
            const name = /^Package: (.*)$/m.exec(entry)?.[1];
            const version = /^Version: (.*)$/m.exec(entry)?.[1];
            if (name && version) {
                packages[name] ??= { versions: [] };
                packages[name].versions.push(version);
            }
        }
    }
    return packages;
}

async function write(dir: string, key: string, defaults: readonly string[]): Promise<void> {
    const files = filesBelow(dir);
    const packages = packagesIn(dir, files);
    for (const [name = "", version] of defaults.map((text) => text.split("="))) {
        const found = packages[name];
        if (found === undefined) {
            throw new Error(`no repository of ${dir} lists ${name}`);
        }
        found.default = version;
    }
    const entries: Record<string, { size: number; sha256: string }> = {};
    for (const file of files) {
        entries[file] = { size: statSync(path.join(dir, file)).size, sha256: await sha256(path.join(dir, file)) };
    }
    const fingerprint = readFileSync(path.join(dir, "fingerprint"), "utf8").trim();
    const index: Index = { key, fingerprint, packages, files: entries };
    writeFileSync(path.join(dir, "index.json.new"), `${JSON.stringify(index, null, 2)}\n`);
    renameSync(path.join(dir, "index.json.new"), path.join(dir, "index.json"));
}

/** Whether the mirror was built from this key and each of its files has its size. */
function isCurrent(dir: string, key: string): boolean {
    const index = readIndex(dir);
    return (
        index?.key === key &&
        Object.entries(index.files).every(
            ([file, { size }]) => statSync(path.join(dir, file), { throwIfNoEntry: false })?.size === size,
        )
    );
}

async function check(dir: string): Promise<string[]> {
    const index = readIndex(dir);
    if (index === undefined) {
        return [`${dir}/index.json is missing or not JSON`];
    }
    const complaints: string[] = [];
    const present = new Set(filesBelow(dir));
    for (const [file, { sha256: expected }] of Object.entries(index.files)) {
        if (!present.delete(file)) {
            complaints.push(`${dir}/${file} is missing`);
        } else {
            const actual = await sha256(path.join(dir, file));
            if (actual !== expected) {
                complaints.push(`${dir}/${file} has SHA-256 ${actual}, the signed index says ${expected}`);
            }
        }
    }
    complaints.push(...[...present].map((file) => `${dir}/${file} is not in the index`));
    return complaints;
}

const [verb, dir = "", key = "", ...rest] = process.argv.slice(2);
if (verb === "write") {
    await write(dir, key, rest);
} else if (verb === "current") {
    process.exitCode = isCurrent(dir, key) ? 0 : 1;
} else {
    const complaints = await check(dir);
    for (const complaint of complaints) {
        console.error(`mirror: ${complaint}`);
    }
    process.exitCode = complaints.length === 0 ? 0 : 1;
}
