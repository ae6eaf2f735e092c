import type { Client, ClientChannel } from "ssh2";
import type { Context } from "../shared/provider";
import { withConnection } from "./connection";
import type { Target } from "./dial";
import { interruption, type Logging, Output } from "./output";

/** How long a command that is told to end may take to do so before it is told in a rougher way. */
const GRACE_MS = 5_000;
/** The longest value sent by setenv: a longer one makes servers end the connection. */
const LONGEST_VARIABLE = 30_000;

interface RemoteCommand {
    connection: Target;
    command: string;
    /** The command as error texts may show it. */
    shown: string;
    environment: Record<string, string>;
    /** Variables that the server may refuse with no more than a warning. */
    optional: Record<string, string>;
    stdin?: string;
    logging?: Logging;
}

type Reply = (failed: boolean | Error) => void;

type OpenChannel = ClientChannel & { outgoing: { id: number }; _callbacks: Reply[]; subtype?: string };

/**
 * What ssh2 has but does not offer: its exec sends setenv without asking for the answer, while a refused variable must be
 * told before the command runs. The package's version is pinned.
 */
interface Internals {
    _chanMgr: { add(opened: ((error: Error | undefined, channel: OpenChannel) => void) & { type?: string }): number };
    _protocol: {
        session(local: number, window: number, packet: number): void;
        env(remote: number, name: string, value: string, wantReply: boolean): void;
        exec(remote: number, command: string, wantReply: boolean): void;
    };
}

function internals(client: Client): Client & Internals {
    if (!("_chanMgr" in client) || !("_protocol" in client)) {
        throw new Error("this version of ssh2 is not the one that the command plug-in is written for");
    }
    return client as Client & Internals;
}

function openSession(client: Client & Internals): Promise<OpenChannel> {
    return new Promise((resolve, reject) => {
        const opened = Object.assign(
            (error: Error | undefined, channel: OpenChannel) => (error ? reject(error) : resolve(channel)),
            { type: "session" },
        );
        const local = client._chanMgr.add(opened);
        if (local === -1) {
            reject(new Error("ssh: no free channel"));
        } else {
            client._protocol.session(local, 2 * 1024 * 1024, 32 * 1024);
        }
    });
}

/** Sends a channel request and waits for the server's yes or no. */
function request(channel: OpenChannel, send: () => void): Promise<boolean> {
    return new Promise((resolve) => {
        channel._callbacks.push((failed) => resolve(!failed));
        send();
    });
}

async function setVariables(client: Client & Internals, channel: OpenChannel, c: RemoteCommand, context: Context) {
    const set = async (name: string, value: string): Promise<boolean> =>
        Buffer.byteLength(value) <= LONGEST_VARIABLE &&
        (await request(channel, () => client._protocol.env(channel.outgoing.id, name, value, true)));
    const advice = (name: string) =>
        `Unable to set '${name}'. This only works if your SSH server is configured to accept\n` +
        "\tthese variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could\n" +
        "\tprefix the command itself with the variables in the form 'VAR=value command'";
    for (const [name, value] of Object.entries(c.environment)) {
        if (!(await set(name, value))) {
            await context.log("error", advice(name));
            throw new Error(`could not set environment variable "${name}": ssh: setenv failed`);
        }
    }
    for (const [name, value] of Object.entries(c.optional)) {
        if (!(await set(name, value))) {
            await context.log("warning", advice(name));
        }
    }
}

/** Go's words for how a remote command ended, or undefined for a success. */
function verdict(code: number | null | undefined, signal?: string, description?: string): string | undefined {
    if (code === 0) {
        return undefined;
    }
    if (typeof code === "number") {
        return `Process exited with status ${code}`;
    }
    if (signal === undefined) {
        return "wait: remote command exited without exit status or exit signal";
    }
    const numbers: Record<string, number> = { ABRT: 6, ALRM: 14, FPE: 8, HUP: 1, ILL: 4, INT: 2 };
    Object.assign(numbers, { KILL: 9, PIPE: 13, QUIT: 3, SEGV: 11, TERM: 15 });
    const name = signal.replace(/^SIG/, "");
    const reason = description ? `. Reason was: ${description}` : "";
    return `Process exited with status ${128 + (numbers[name] ?? 0)} from signal ${name}${reason}`;
}

/** Resolves when the channel has closed, with why the command did not succeed. */
function ended(channel: ClientChannel): Promise<string | undefined> {
    return new Promise((resolve) => {
        let outcome = verdict(undefined);
        channel.once("exit", (code: number | null, signal?: string, _dumped?: string, description?: string) => {
            outcome = verdict(code, signal, description);
        });
        channel.once("close", () => resolve(outcome));
    });
}

/**
 * Signals the process groups of all other sessions of this connection; there is only the command's. SSH has a request for
 * it, but OpenSSH refuses that to root. Where there is no /proc, nothing happens.
 */
function signalSessions(client: Client, name: "TERM" | "KILL"): void {
    const script =
        `for s in /proc/[0-9]*/stat; do IFS= read -r l < $s || continue; p=\${l%% *}; set -- \${l##*) }; ` +
        `if [ "$2" = "$PPID" ] && [ "$p" != "$$" ]; then kill -${name} "-$p"; fi; done`;
    client.exec(`exec /bin/sh -c '${script}' 2>/dev/null`, (error, channel) => {
        if (!error) {
            channel.resume().stderr.resume();
            channel.end();
        }
    });
}

/** Ends the command when the signal is aborted: asked first, then killed, then left alone with its connection closed. */
function bindToSignal(client: Client, signal: AbortSignal): () => void {
    let timer: NodeJS.Timeout | undefined;
    const steps = [() => signalSessions(client, "TERM"), () => signalSessions(client, "KILL"), () => client.destroy()];
    const end = (): void => {
        try {
            steps.shift()?.();
        } catch {
            // The connection is gone, and the command's channel with it.
        }
        if (steps.length > 0) {
            timer = setTimeout(end, GRACE_MS);
        }
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

async function runOn(channel: OpenChannel, raw: Client, c: RemoteCommand, signal: AbortSignal, context: Context) {
    const client = internals(raw);
    const output = new Output(context, c.logging);
    const exit = ended(channel);
    const release = bindToSignal(client, signal);
    try {
        await setVariables(client, channel, c, context);
        channel.subtype = "exec";
        if (!(await request(channel, () => client._protocol.exec(channel.outgoing.id, c.command, true)))) {
            throw output.failure(interruption(signal) ?? "ssh: command failed", c.shown);
        }
        channel.on("error", () => undefined);
        channel.end(c.stdin ?? "");
        const [reason] = await Promise.all([exit, output.read(channel, channel.stderr)]);
        const failed = reason && (interruption(signal) ?? reason);
        if (failed) {
            throw output.failure(failed, c.shown);
        }
        return output.result();
    } finally {
        release();
        channel.close();
    }
}

/** Runs a command on another machine and returns what it wrote. */
export function runRemotely(
    c: RemoteCommand,
    signal: AbortSignal,
    context: Context,
): Promise<{ stdout: string; stderr: string }> {
    return withConnection(
        c.connection,
        signal,
        context,
        (client) => openSession(internals(client)),
        (channel, client) => runOn(channel, client, c, signal, context),
    );
}
