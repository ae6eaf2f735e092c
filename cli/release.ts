// Pulumi's official release: is its server reached, and the download with its checksum.
import { createHash } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Failure } from "./failure.ts";
import { cacheDir, versions } from "./project.ts";
import { capture } from "./run.ts";

/** Limit for the one try whether the server is reached, in milliseconds. */
const probeLimit = 4000;
/** Limit for the whole download, in milliseconds. */
const downloadLimit = 600_000;

/** Where releases come from; a site's own copy can be named by RUNTIME_SANDBOXES_PULUMI_RELEASES. */
function server(): string {
    return (process.env.RUNTIME_SANDBOXES_PULUMI_RELEASES ?? "https://get.pulumi.com/releases/sdk").replace(/\/+$/, "");
}

async function get(url: string, limit: number): Promise<Response> {
    const response = await fetch(url, { signal: AbortSignal.timeout(limit) });
    if (!response.ok) {
        throw new Error(`${url} answered ${response.status}`);
    }
    return response;
}

/** The text with the checksums of a release. */
const checksumsOf = async (version: string) =>
    await (await get(`${server()}/pulumi-${version}-checksums.txt`, probeLimit)).text();

/** Asks the server once. @returns whether it is reached, and the reason why not, for people */
export async function releaseReachable(
    version: string = versions.pulumi.cli,
): Promise<{ readonly reachable: boolean; readonly reason: string }> {
    try {
        await checksumsOf(version);
        return { reachable: true, reason: "" };
    } catch (error) {
        return { reachable: false, reason: `${new URL(server()).host}: ${reasonOf(error)}` };
    }
}

/** Why a request has failed. Of a network's failure the cause says most: its `code` is for example "ECONNREFUSED". */
function reasonOf(error: unknown): string {
    const { name, message, cause } = error instanceof Error ? error : new Error(String(error));
    if (name === "TimeoutError") {
        return `no answer in ${probeLimit / 1000} s`;
    }
    const { code, message: why } = (cause ?? {}) as { readonly code?: string; readonly message?: string };
    return code ?? why ?? message;
}

/**
 * Downloads and unpacks the release.
 *
 * @param say gets how far it is
 * @returns folder that holds `pulumi` and the language hosts
 * @throws {Failure} if the checksum is wrong: such an archive is never used, and building instead would hide it
 */
export async function downloadRelease(version: string, say: (detail: string) => void): Promise<string> {
    const folder = join(cacheDir, "official", `pulumi-v${version}`);
    if (existsSync(folder)) {
        return folder;
    }
    const name = `pulumi-v${version}-${process.platform}-${process.arch}.tar.gz`;
    const lines = (await checksumsOf(version)).split("\n").map((line) => line.trim().split(/\s+\*?/));
    const [expected] = lines.find(([sum = "", file]) => file === name && /^[0-9a-f]{64}$/.test(sum)) ?? [];
    if (!expected) {
        throw new Error(`the checksums name no ${name}`);
    }
    const scratch = `${folder}.${process.pid}.tmp`;
    mkdirSync(scratch, { recursive: true });
    try {
        const archive = join(scratch, name);
        const found = await save(`${server()}/${name}`, archive, say);
        if (found !== expected) {
            throw new Failure(`${server()}/${name} has the SHA-256 ${found}, its checksums file says ${expected}.`, {
                next: "run again; if it stays, something between this machine and the server changes downloads",
            });
        }
        const tar = await capture("tar", ["-xzf", archive, "-C", scratch]);
        if (tar.code !== 0) {
            throw new Failure(`${name} could not be unpacked: ${tar.stderr.trim()}.`);
        }
        renameSync(join(scratch, "pulumi"), folder);
        return folder;
    } finally {
        rmSync(scratch, { recursive: true, force: true });
    }
}

/** Saves a download. @returns its SHA-256 */
async function save(url: string, path: string, say: (detail: string) => void): Promise<string> {
    const response = await get(url, downloadLimit);
    const total = Number(response.headers.get("content-length")) || 0;
    const hash = createHash("sha256");
    let bytes = 0;
    const count = async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
            hash.update(chunk);
            bytes += chunk.length;
            say(`${Math.round(bytes / 1e6)}${total ? ` of ${Math.round(total / 1e6)}` : ""} MB`);
            yield chunk;
        }
    };
    await pipeline(Readable.from(response.body ?? []), count, createWriteStream(path));
    return hash.digest("hex");
}
