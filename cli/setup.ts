// Prepares what a command needs, side by side; does nothing if nothing is missing.
import { debianPackages, installDebian, missingPackages } from "./debian.ts";
import { withLock } from "./locks.ts";
import { elapsed, Progress } from "./progress.ts";
import { together } from "./run.ts";
import { choosePlugins, installStandIns, pluginsReady, removeOldStandIns } from "./standins.ts";
import { chooseCli, chosenToolchain, saveToolchain, type Toolchain } from "./toolchain.ts";

/** Whether Pulumi is needed, or only the npm packages, and which Debian packages are. */
interface Needs {
    readonly pulumi: boolean;
    readonly debian: readonly string[];
}

const { local, verify, test, matrix } = debianPackages;

/** What each purpose needs. */
export const purposes = {
    preview: { pulumi: true, debian: [] },
    up: { pulumi: true, debian: local },
    test: { pulumi: true, debian: [...local, ...verify, ...test] },
    matrix: { pulumi: true, debian: [...local, ...verify, ...test, ...matrix] },
    verify: { pulumi: false, debian: verify },
    packages: { pulumi: false, debian: [] },
} satisfies Record<string, Needs>;

type Purpose = keyof typeof purposes;

interface SetupOptions {
    /** False where the target needs nothing of this host. */
    readonly debian?: boolean;
    /** Names of long steps that come after this where upstream is not reached. */
    readonly later?: readonly string[];
}

/** What is missing: a few files are read and hashed, and dpkg-query is asked once. */
async function missingFor({ pulumi, debian }: Needs) {
    const chosen = pulumi ? chosenToolchain() : undefined;
    return {
        toolchain: pulumi && !(chosen && pluginsReady(chosen)),
        debian: await missingPackages(debian),
    };
}

/**
 * Prepares everything that a purpose needs.
 *
 * @returns the chosen toolchain, or undefined where the purpose needs no Pulumi
 * @throws {Failure} of the first step that failed; the others are ended
 */
export async function setup(purpose: "preview" | "up" | "test" | "matrix", options?: SetupOptions): Promise<Toolchain>;
export async function setup(purpose: Purpose, options?: SetupOptions): Promise<Toolchain | undefined>;
export async function setup(purpose: Purpose, { debian = true, later = [] }: SetupOptions = {}) {
    const needs: Needs = { ...purposes[purpose], ...(debian ? {} : { debian: [] }) };
    const missing = await missingFor(needs);
    if (missing.toolchain || missing.debian.length > 0) {
        const progress = new Progress();
        const started = Date.now();
        let waits = false;
        const release = await withLock("setup", "setup", ({ pid, since }) => {
            if (!waits) {
                progress.note(`setup: another one is at work (pid ${pid} since ${since}); waiting for it`);
                waits = true;
            }
        });
        try {
            await prepare(needs, progress, later);
        } finally {
            release();
        }
        progress.note(`setup: done (${elapsed(Date.now() - started)})`);
    }
    return needs.pulumi ? chosenToolchain() : undefined;
}

async function prepare(needs: Needs, progress: Progress, later: readonly string[]): Promise<void> {
    // Somebody else may have done it while this one waited for the lock.
    const { debian, toolchain } = await missingFor(needs);
    await together([
        ...(debian.length > 0 ? [installDebian(debian, progress)] : []),
        ...(toolchain ? [makeToolchain(progress, later)] : []),
    ]);
}

async function makeToolchain(progress: Progress, later: readonly string[]): Promise<void> {
    let chosen = chosenToolchain();
    if (!chosen || (chosen.plugins === "official" && !pluginsReady(chosen))) {
        const cli = await chooseCli(progress, later);
        chosen = { ...cli, ...(await choosePlugins(cli, progress)) };
        saveToolchain(chosen);
    }
    if (chosen.plugins === "stand-in" && !pluginsReady(chosen)) {
        await installStandIns(progress);
    }
    removeOldStandIns(chosen);
}
