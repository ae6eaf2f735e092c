import { readdir, stat } from "node:fs/promises";
import * as path from "node:path";
import type { Client, SFTPWrapper, Stats } from "ssh2";
import type { Context } from "../shared/provider";
import { withConnection } from "./connection";
import type { Target } from "./dial";
import { interruption } from "./output";

/** SFTP's status of a file that is not there. */
const NO_SUCH_FILE = 2;

interface Copy {
    connection: Target;
    /** A local file or directory; a directory's trailing slash says "what is in it". */
    sourcePath?: string;
    /** Content that is written to the remote path as it is. */
    text?: string;
    remotePath: string;
}

type Failure = Error & { code?: number };

function openSftp(client: Client): Promise<SFTPWrapper> {
    return new Promise((resolve, reject) => {
        client.sftp((error, sftp) => (error ? reject(error) : resolve(sftp)));
    });
}

/** Turns one SFTP call into a promise whose error says what was tried. */
function attempt<T>(what: string, call: (done: (error?: Failure | null, result?: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
        call((error, result) => (error ? reject(new Error(`${what}: ${error.message}`)) : resolve(result as T)));
    });
}

/** The remote file's attributes; undefined when there is none. */
function remoteStat(sftp: SFTPWrapper, file: string): Promise<Stats | undefined> {
    return new Promise((resolve, reject) => {
        sftp.stat(file, (error: Failure | undefined, stats) => {
            if (error && error.code !== NO_SUCH_FILE) {
                reject(new Error(`failed to stat remote path ${file}: ${error.message}`));
            } else {
                resolve(error ? undefined : stats);
            }
        });
    });
}

/** Makes sure that the directory is there, with those above it. */
async function makeDirectory(sftp: SFTPWrapper, directory: string): Promise<void> {
    const found = await remoteStat(sftp, directory);
    if (found !== undefined) {
        if (!found.isDirectory()) {
            throw new Error(`remote path ${directory} exists but is not a directory`);
        }
        return;
    }
    if (path.posix.dirname(directory) !== directory) {
        await makeDirectory(sftp, path.posix.dirname(directory));
    }
    await attempt(`failed to create remote directory ${directory}`, (done) => sftp.mkdir(directory, done));
}

function copyFile(sftp: SFTPWrapper, source: string, destination: string): Promise<unknown> {
    const what = `failed to copy file ${source} to remote path ${destination}`;
    return attempt(what, (done) => sftp.fastPut(source, destination, done));
}

async function copyDirectory(sftp: SFTPWrapper, source: string, destination: string): Promise<void> {
    await makeDirectory(sftp, destination);
    for (const entry of await readdir(source, { withFileTypes: true })) {
        const from = path.join(source, entry.name);
        const to = path.posix.join(destination, entry.name);
        await (entry.isDirectory() ? copyDirectory(sftp, from, to) : copyFile(sftp, from, to));
    }
}

async function copyText(sftp: SFTPWrapper, text: string, file: string): Promise<void> {
    if ((await remoteStat(sftp, file))?.isDirectory()) {
        throw new Error(`remote path ${file} is a directory; when using a text asset, remotePath must be a file path`);
    }
    await makeDirectory(sftp, path.posix.dirname(file));
    await attempt(`failed to write text content to remote path ${file}`, (done) => sftp.writeFile(file, text, done));
}

/** A directory goes below an existing or new one, unless it ends in a slash; a file goes into a directory that exists. */
async function copyPath(sftp: SFTPWrapper, source: string, destination: string): Promise<void> {
    const base = path.basename(source);
    const there = await remoteStat(sftp, destination);
    if ((await stat(source)).isDirectory()) {
        const target = source.endsWith("/") ? destination : path.posix.join(destination, base);
        await copyDirectory(sftp, source, target);
    } else if (there?.isDirectory()) {
        await copyFile(sftp, source, path.posix.join(destination, base));
    } else {
        await makeDirectory(sftp, path.posix.dirname(destination));
        await copyFile(sftp, source, destination);
    }
}

/** Copies a file, a directory or a text to another machine over SFTP. */
export async function copyToRemote(c: Copy, signal: AbortSignal, context: Context): Promise<void> {
    const work = async (sftp: SFTPWrapper, client: Client): Promise<void> => {
        const stop = (): void => void client.destroy();
        signal.addEventListener("abort", stop);
        try {
            await (c.sourcePath === undefined
                ? copyText(sftp, c.text ?? "", c.remotePath)
                : copyPath(sftp, c.sourcePath, c.remotePath));
        } catch (error) {
            throw new Error(interruption(signal) ?? (error instanceof Error ? error.message : String(error)));
        } finally {
            signal.removeEventListener("abort", stop);
            sftp.end();
        }
    };
    await withConnection(c.connection, signal, context, openSftp, work);
}
