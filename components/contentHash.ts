import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { checkout } from "./checkout";

/**
 * A short hash over the content of files and directories of this repository, texts for readers (.md) left out: what a
 * command runs is part of its inputs.
 */
export function contentHash(...roots: string[]): string {
    const hash = crypto.createHash("sha256");
    const visit = (file: string): void => {
        const place = path.resolve(checkout, file);
        if (fs.statSync(place).isDirectory()) {
            fs.readdirSync(place)
                .sort()
                .forEach((entry) => {
                    visit(path.join(file, entry));
                });
        } else if (!file.endsWith(".md")) {
            hash.update(`${file}\0`).update(fs.readFileSync(place));
        }
    };
    roots.forEach(visit);
    return hash.digest("hex").slice(0, 16);
}
