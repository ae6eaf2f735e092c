// actionlint (https://github.com/rhysd/actionlint), built from its Go module at the version that ci/actionlint pins.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { toolEnvironment } from "../environment.ts";
import { cacheDir, root } from "../project.ts";
import { runInTerminal, runLogged } from "../run.ts";
import { hashOf, stamped, writeAtomically } from "../stamps.ts";

const source = join(root, "cli", "ci", "actionlint");
const binary = join(cacheDir, "actionlint", "actionlint");

/** Builds it unless it is there. Resolves with its path. */
async function builtActionlint(): Promise<string> {
    const hash = hashOf(join(source, "go.mod"), join(source, "go.sum"), `text:${process.arch}`);
    if (!existsSync(binary) || !stamped(`${binary}.stamp`, hash)) {
        const temporary = `${binary}.${process.pid}.tmp`;
        mkdirSync(dirname(binary), { recursive: true });
        try {
            const args = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", temporary];
            await runLogged("build-actionlint", "go", [...args, "github.com/rhysd/actionlint/cmd/actionlint"], {
                cwd: source,
                env: { ...toolEnvironment(), CGO_ENABLED: "0", GOWORK: "off" },
                failure: {
                    tried: "actionlint could not be built from its Go module",
                    next: "see that Go is installed and the Go module proxy of this machine is reached, then run again",
                },
            });
            renameSync(temporary, binary);
        } finally {
            rmSync(temporary, { force: true });
        }
        writeAtomically(`${binary}.stamp`, `${hash}\n`);
    }
    return binary;
}

/** `ci actionlint`: all workflows, their shell by shellcheck. Returns actionlint's exit code. */
export async function actionlint(): Promise<number> {
    const folder = join(".github", "workflows");
    const workflows = readdirSync(join(root, folder)).filter((name) => name.endsWith(".yml"));
    const files = workflows.map((name) => join(folder, name));
    // Named, so that it fails where there is no shellcheck.
    const args = ["-no-color", "-shellcheck", "shellcheck", "-pyflakes", "", ...files];
    return await runInTerminal(await builtActionlint(), args, { env: toolEnvironment() });
}
