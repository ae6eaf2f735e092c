// @ts-nocheck
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
function server() {
    return (process.env.RUNTIME_SANDBOXES_PULUMI_RELEASES ?? "https://get.pulumi.com/releases/sdk").replace(/\/+$/, "");
}

async function get(url, limit) {
    const response = await fetch(url, { signal: AbortSignal.timeout(limit) });
    if (!response.ok) {
        throw new Error(`${url} answered ${response.status}`);
    }
    return response;
}

/** Asks the server once. Resolves with { reachable, reason }: the reason is for people. */
export async function releaseReachable(version = versions.pulumi.cli) {
    try {
        const response = await get(`${server()}/pulumi-${version}-checksums.txt`, probeLimit);
        await response.text();
        return { reachable: true, reason: "" };
    } catch (error) {
        const host = new URL(server()).host;
        const timeout = error.name === "TimeoutError" ? `no answer in ${probeLimit / 1000} s` : undefined;
        return {
            reachable: false,
            reason: `${host}: ${timeout ?? error.cause?.code ?? error.cause?.message ?? error.message}`,
        };
    }
}

/** Name of the release archive for this machine. */
function archiveName(version) {
    return `pulumi-v${version}-${process.platform}-${process.arch}.tar.gz`;
}

/**
 * Downloads and unpacks the release.
 *
 * @returns folder that holds `pulumi` and the language hosts
 * @throws {Failure} if the checksum is wrong: such an archive is never used, and building instead would hide it
 */
export async function downloadRelease(version, say) {
    const folder = join(cacheDir, "official", `pulumi-v${version}`);
    if (existsSync(folder)) {
        return folder;
    }
    const name = archiveName(version);
    const sums = await (await get(`${server()}/pulumi-${version}-checksums.txt`, probeLimit)).text();
    const expected = new RegExp(`^([0-9a-f]{64})\\s+\\*?${name.replaceAll(".", "\\.")}$`, "m").exec(sums)?.[1];
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

async function save(url, path, say) {
    const response = await get(url, downloadLimit);
    const total = Number(response.headers.get("content-length")) || 0;
    const hash = createHash("sha256");
    let bytes = 0;
    const count = async function* (chunks) {
        for await (const chunk of chunks) {
            hash.update(chunk);
            bytes += chunk.length;
            say(`${Math.round(bytes / 1e6)}${total ? ` of ${Math.round(total / 1e6)}` : ""} MB`);
            yield chunk;
        }
    };
    await pipeline(Readable.fromWeb(response.body), count, createWriteStream(path));
    return hash.digest("hex");
}
