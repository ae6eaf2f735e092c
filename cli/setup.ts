// @ts-nocheck
// Makes ready what a command needs, side by side, and does nothing where nothing is missing.
import { debianPackages, installDebian, missingPackages } from "./debian.ts";
import { withLock } from "./locks.ts";
import { elapsed, Progress } from "./progress.ts";
import { together } from "./run.ts";
import { choosePlugins, installStandIns, pluginsReady, removeOldStandIns } from "./standins.ts";
import { chooseCli, chosenToolchain, saveToolchain } from "./toolchain.ts";

const { local, verify, test, matrix } = debianPackages;

/** What each purpose needs: Pulumi (or only the npm packages), and which Debian packages. */
export const purposes = {
    preview: { pulumi: true, debian: [] },
    up: { pulumi: true, debian: local },
    test: { pulumi: true, debian: [...local, ...verify, ...test] },
    matrix: { pulumi: true, debian: [...local, ...verify, ...test, ...matrix] },
    verify: { pulumi: false, debian: verify },
    packages: { pulumi: false, debian: [] },
};

/** What is missing for a purpose: a few files read and hashed, and one dpkg-query. */
async function missingFor({ pulumi, debian }) {
    const chosen = pulumi ? chosenToolchain() : undefined;
    const state = {
        toolchain: pulumi && !(chosen && pluginsReady(chosen)),
        debian: await missingPackages(debian),
    };
    return { ...state, nothing: !state.toolchain && state.debian.length === 0 };
}

/**
 * Makes everything ready for a purpose.
 *
 * @param purpose a key of `purposes`
 * @param later names of long steps that come after this where upstream is not reached
 * @param debian false where the target needs nothing of this host
 * @returns what chosenToolchain answers, or undefined where the purpose needs no Pulumi
 * @throws {Failure} of the first step that failed; the others are ended
 */
export async function setup(purpose, { debian = true, later = [] } = {}) {
    const needs = { ...purposes[purpose], ...(debian ? {} : { debian: [] }) };
    if (!(await missingFor(needs)).nothing) {
        const progress = new Progress();
        const started = Date.now();
        let told = false;
        const release = await withLock("setup", "setup", (holder) => {
            if (!told) {
                progress.note(
                    `setup: another one is at work (pid ${holder.pid} since ${holder.since}); waiting for it`,
                );
                told = true;
            }
        });
        try {
            await makeReady(needs, progress, later);
        } finally {
            release();
        }
        progress.note(`setup: done (${elapsed(Date.now() - started)})`);
    }
    return needs.pulumi ? chosenToolchain() : undefined;
}

async function makeReady(needs, progress, later) {
    const missing = await missingFor(needs);
    const work = [];
    if (missing.debian.length > 0) {
        work.push(installDebian(missing.debian, progress));
    }
    if (missing.toolchain) {
        work.push(makeToolchain(progress, later));
    }
    await together(work);
}

async function makeToolchain(progress, later) {
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
