import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Archive, Asset } from "../shared/properties";
import type { Context } from "../shared/provider";
import { archive, assets } from "./files";
import { interruption, type Logging, Output } from "./output";

/** How long a command that is told to end may take to do so before it is killed. */
const GRACE_MS = 5_000;

interface LocalCommand {
    command: string;
    /** The command as error texts may show it. */
    shown: string;
    interpreter?: string[];
    dir?: string;
    environment?: Record<string, string>;
    stdin?: string;
    logging?: Logging;
    assetPaths?: string[];
    archivePaths?: string[];
}

interface LocalResult {
    stdout: string;
    stderr: string;
    assets?: Record<string, Asset>;
    archive?: Archive;
}

/** Go's words for the signals that end a command. */
const SIGNALS: Record<string, string> = {
    SIGABRT: "aborted",
    SIGHUP: "hangup",
    SIGINT: "interrupt",
    SIGKILL: "killed",
    SIGPIPE: "broken pipe",
    SIGQUIT: "quit",
    SIGSEGV: "segmentation fault",
    SIGTERM: "terminated",
};

/** Go's words for a command that could not be started. */
function startFailure(error: NodeJS.ErrnoException, program: string, directory: string): string {
    const reasons: Record<string, string> = {
        ENOENT: "no such file or directory",
        ENOTDIR: "not a directory",
        EACCES: "permission denied",
        E2BIG: "argument list too long",
    };
    const reason = reasons[error.code ?? ""] ?? error.message;
    if (error.code === "ENOENT" && !existsSync(directory)) {
        return `chdir ${directory}: ${reason}`;
    }
    if (error.code === "ENOENT" && !program.includes("/")) {
        return `exec: "${program}": executable file not found in $PATH`;
    }
    return `fork/exec ${program}: ${reason}`;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
    try {
        if (child.pid !== undefined) {
            process.kill(-child.pid, signal);
        }
    } catch {
        // Nothing of the group is left.
    }
}

/**
 * Ends the command's whole process group when the signal is aborted: asked first, killed after a grace. Its pipes are
 * closed then, since a process that left the group may hold them open for ever. Returns what undoes it.
 */
function bindToSignal(child: ChildProcess, signal: AbortSignal): () => void {
    let timer: NodeJS.Timeout | undefined;
    const end = (): void => {
        signalGroup(child, "SIGTERM");
        timer = setTimeout(() => {
            signalGroup(child, "SIGKILL");
            child.stdout?.destroy();
            child.stderr?.destroy();
        }, GRACE_MS);
    };
    if (signal.aborted) {
        end();
    } else {
        signal.addEventListener("abort", end);
    }
    return () => {
        signal.removeEventListener("abort", end);
        clearTimeout(timer);
    };
}

function ended(child: ChildProcess): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
        child.once("error", reject);
        child.once("close", (code, signal) => {
            if (code === 0) {
                resolve(undefined);
            } else {
                resolve(code === null ? `signal: ${SIGNALS[signal ?? ""] ?? signal}` : `exit status ${code}`);
            }
        });
    });
}

/** Runs a command on this machine and collects what it leaves. */
export async function runLocally(c: LocalCommand, signal: AbortSignal, context: Context): Promise<LocalResult> {
    const [program = "/bin/sh", ...args] = c.interpreter?.length ? c.interpreter : ["/bin/sh", "-c"];
    const directory = c.dir ?? process.cwd();
    const output = new Output(context, c.logging);
    const failure = (reason: string) => output.failure(interruption(signal) ?? reason, c.shown);
    let child: ChildProcess;
    let exit: Promise<string | undefined>;
    try {
        // A group of its own, so that all it starts can be ended with it.
        child = spawn(program, [...args, c.command], {
            cwd: directory,
            env: { ...process.env, ...c.environment },
            stdio: [c.stdin ? "pipe" : "ignore", "pipe", "pipe"],
            detached: true,
        });
        exit = ended(child);
    } catch (error) {
        throw failure(startFailure(error as NodeJS.ErrnoException, program, directory));
    }
    const release = bindToSignal(child, signal);
    try {
        child.stdin?.on("error", () => undefined);
        child.stdin?.end(c.stdin);
        const { stdout, stderr } = child;
        const reading = stdout && stderr ? output.read(stdout, stderr) : Promise.resolve();
        const [reason] = await Promise.all([exit, reading]);
        if (reason !== undefined) {
            throw failure(reason);
        }
    } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        throw code === undefined ? error : failure(startFailure(error as NodeJS.ErrnoException, program, directory));
    } finally {
        release();
    }
    return {
        ...output.result(),
        ...(c.assetPaths && { assets: await assets(directory, c.assetPaths) }),
        ...(c.archivePaths && { archive: await archive(directory, c.archivePaths) }),
    };
}
