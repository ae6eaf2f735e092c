// What killed runs leave: Pulumi's locks, and operations that are pending in the state.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileBackend } from "./environment.ts";
import { staleLocks } from "./locks.ts";
import { localDir, projectName, readJson } from "./project.ts";
import { answerOf, type Pulumi } from "./pulumi.ts";
import { stateFile } from "./stack.ts";
import { nameIn } from "./state.ts";

type StaleLocks = ReturnType<typeof staleLocks>;

/** A state of the file backend, as far as it is read here. */
interface StateFile {
    readonly checkpoint?: { readonly latest?: { readonly pending_operations?: readonly Pending[] } };
}

interface Pending {
    /** For example "creating". */
    readonly type: string;
    readonly resource: { readonly urn: string; readonly type: string };
}

/**
 * Refuses if a living Pulumi has the stack. It takes no time, so it comes before anything else.
 *
 * @returns locks that dead ones have left
 */
export function checkStackFree(stack: string): StaleLocks {
    const backend = fileBackend();
    return backend ? staleLocks(backend, stack) : [];
}

/**
 * Note that a run ended while it made an object of the cluster, which may exist without being in the state. Kept until
 * an `up` has come through: only then may objects that exist be taken over, else they could be somebody else's.
 */
export const interruptedFile = (stack: string): string => join(localDir, `${stack}.interrupted`);

/** Clears what a killed run has left in the stack's state, with one line for each thing. */
export async function repairState(
    stack: string,
    stale: StaleLocks,
    pulumi: Pulumi,
    note: (line: string) => void,
): Promise<void> {
    if (stale.length > 0) {
        const tried = `the lock that a killed run left on stack ${stack} could not be removed`;
        await answerOf(pulumi, ["cancel", "--yes", "--stack", stack], tried);
        for (const lock of stale) {
            note(`stack ${stack}: removed the lock of a run that has ended (pid ${lock.pid}, ${lock.timestamp})`);
        }
    }
    const backend = fileBackend();
    const state: StateFile | undefined = backend ? readJson(stateFile(backend, stack)) : undefined;
    const pending = state?.checkpoint?.latest?.pending_operations ?? [];
    if (pending.length === 0) {
        return;
    }
    await dropPending(stack, pulumi);
    for (const { type, resource } of pending) {
        note(`stack ${stack}: ${nameIn(resource.urn)} was interrupted while ${type}; it is done again`);
    }
    if (pending.some(({ type, resource }) => type === "creating" && resource.type.startsWith("kubernetes:"))) {
        mkdirSync(dirname(interruptedFile(stack)), { recursive: true });
        writeFileSync(interruptedFile(stack), "");
    }
}

/**
 * A refresh of the stack's own resource alone: the engine forgets what was under way, with the backend's lock. Every step of
 * the program may be run again, so there is nothing to look up first, which is what Pulumi would otherwise ask for at each
 * update.
 */
async function dropPending(stack: string, pulumi: Pulumi): Promise<void> {
    const target = `urn:pulumi:${stack}::${projectName}::pulumi:pulumi:Stack::${projectName}-${stack}`;
    const flags = ["--yes", "--skip-preview", "--clear-pending-creates", "--target", target, "--stack", stack];
    await answerOf(pulumi, ["refresh", ...flags], `the state of stack ${stack} could not be repaired`);
}
