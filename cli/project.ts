// Where things are in the project, and its pins.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Every pinned version; their sources are named in components/versions.ts. */
export { default as versions } from "../versions.json" with { type: "json" };

/** Root of the checkout, absolute. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Everything that can be rebuilt. */
export const cacheDir = join(root, ".cache");
/** What belongs to the stacks on this host: their machines, and the default passphrase. */
export const localDir = join(root, ".local");
export const logDir = join(cacheDir, "logs");
export const binDir = join(cacheDir, "bin");
export const stampDir = join(cacheDir, "stamps");
/** PULUMI_HOME of every Pulumi but the user's own: stand-ins must not shadow the official plug-ins of other projects. */
export const pulumiHome = join(cacheDir, "pulumi-home");
export const moduleBin = join(root, "node_modules", ".bin");

/** Name of the Pulumi project, the prefix of its settings. Each command needs it, so no YAML parser is loaded for it. */
export const projectName =
    /^name:\s*["']?([\w.-]+)/m.exec(readOr(join(root, "Pulumi.yaml"), ""))?.[1] ?? "runtime-sandboxes";

/** Content of a text file, or `fallback` where it cannot be read. */
export function readOr(path: string, fallback: string): string {
    try {
        return readFileSync(path, "utf8");
    } catch {
        return fallback;
    }
}

/** What a JSON file of the shape T holds, unchecked; undefined where it is missing or broken. */
export function readJson<T>(path: string): T | undefined {
    try {
        return JSON.parse(readFileSync(path, "utf8")) as T;
    } catch {
        return undefined;
    }
}
