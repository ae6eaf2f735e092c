import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import { Archive, Asset, type PropertyMap } from "../shared/properties";

/**
 * The regular expression of a glob in the syntax of the official plug-in (github.com/gobwas/glob, separator "/"):
 * `*` and `?` stop at separators, `**` does not, `[a-z]`, `[!a-z]`, `{one,two}`, backslash escapes.
 */
function globRegExp(glob: string): RegExp {
    let depth = 0;
    const source = glob.replace(/\\.|\*\*+|\[!?[^\]]*\]|[\s\S]/g, (token) => {
        if (token.startsWith("**")) {
            return "[\\s\\S]*";
        }
        if (token.startsWith("[") && token.length > 1) {
            return token.replace(/^\[!/, "[^").replaceAll("\\", "\\\\");
        }
        switch (token) {
            case "*":
                return "[^/]*";
            case "?":
                return "[^/]";
            case "{":
                depth++;
                return "(?:";
            case "}":
                depth--;
                return ")";
            case ",":
                return depth > 0 ? "|" : ",";
            default:
                return token.replace(/^\\/, "").replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
        }
    });
    if (depth !== 0) {
        throw new Error(`glob ${glob}: braces do not match`);
    }
    return new RegExp(`^${source}$`);
}

async function walk(root: string, under = ""): Promise<string[]> {
    const entries = await readdir(path.join(root, under), { withFileTypes: true });
    const files: string[] = [];
    for (const entry of entries) {
        const name = under === "" ? entry.name : `${under}/${entry.name}`;
        if (entry.isDirectory()) {
            files.push(...(await walk(root, name)));
        } else {
            files.push(name);
        }
    }
    return files;
}

/** The files below `directory` that the globs name, sorted; rules apply in order and `!` excludes. */
export async function matching(directory: string, globs: string[]): Promise<string[]> {
    const rules = globs.map((glob) => ({ exclude: glob.startsWith("!"), rule: globRegExp(glob.replace(/^!/, "")) }));
    const matched = (await walk(directory)).filter((file) =>
        rules.reduce((kept, { exclude, rule }) => (rule.test(file) ? !exclude : kept), false),
    );
    return matched.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

async function addTo(hash: Hash, file: string): Promise<void> {
    await pipeline(createReadStream(file), hash, { end: false });
}

/** Assets of the files that match, by their path relative to the directory. */
export async function assets(directory: string, globs: string[]): Promise<Record<string, Asset>> {
    const found: Record<string, Asset> = {};
    for (const name of await matching(directory, globs)) {
        const file = path.join(directory, name);
        const hash = createHash("sha256");
        await addTo(hash, file);
        found[name] = new Asset({ hash: hash.digest("hex"), path: file });
    }
    return found;
}

/** The header that Go's archive/tar writes for a plain file with mode 0600 and nothing else known about it. */
function tarHeader(name: string, size: number): Buffer {
    const header = Buffer.alloc(512);
    const at = Buffer.byteLength(name) > 100 ? name.lastIndexOf("/", 155) : -1;
    header.write(name.slice(at + 1), 0, 100);
    header.write(`0000600\0${"0000000\0".repeat(2)}`, 100);
    header.write(`${size.toString(8).padStart(11, "0")}\0${"0".repeat(11)}\0`, 124);
    header.write(" ".repeat(8), 148);
    header.write("0", 156);
    header.write("ustar\x0000", 257);
    header.write("0000000\0".repeat(2), 329);
    header.write(at < 0 ? "" : name.slice(0, at), 345, 155);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return header;
}

/** One archive of the files that match; its hash is, as the engine's own, that of a tar of them. */
export async function archive(directory: string, globs: string[]): Promise<Archive> {
    const members = await assets(directory, globs);
    const hash = createHash("sha256");
    const fields: PropertyMap = {};
    for (const [name, { fields: asset }] of Object.entries(members)) {
        const file = path.join(directory, name);
        const { size } = await stat(file);
        hash.update(tarHeader(name, size));
        await addTo(hash, file);
        hash.update(Buffer.alloc((512 - (size % 512)) % 512));
        // The official plug-in writes the empty fields too.
        fields[name] = new Asset({ ...asset, text: "", uri: "" });
    }
    hash.update(Buffer.alloc(1024));
    return new Archive({ assets: fields, hash: hash.digest("hex"), path: "", uri: "" });
}
