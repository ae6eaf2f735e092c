import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

/**
 * A short hash over the content of files and directories, texts for readers (.md) left out: what a command runs is part
 * of its inputs.
 */
export function contentHash(...roots: string[]): string {
    const hash = crypto.createHash("sha256");
    const visit = (file: string): void => {
        if (fs.statSync(file).isDirectory()) {
            fs.readdirSync(file)
                .sort()
                .forEach((entry) => {
                    visit(path.join(file, entry));
                });
        } else if (!file.endsWith(".md")) {
            hash.update(`${file}\0`).update(fs.readFileSync(file));
        }
    };
    roots.forEach(visit);
    return hash.digest("hex").slice(0, 16);
}
