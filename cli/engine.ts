// Pulumi's CLI and its Node language host, built from their Go modules where the release cannot be downloaded.
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { compareVersions } from "../components/vulnerabilities.cjs";
import { findOnPath, toolEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import { languageHost, policyHostSource } from "./policy.ts";
import { expectSteps, longSteps, type Progress, type Say } from "./progress.ts";
import { cacheDir, readOr, root, versions } from "./project.ts";
import { capture, runLogged } from "./run.ts";
import { hashOf, stamped, writeAtomically } from "./stamps.ts";

const recipes = join(root, "cli", "build");
const folder = join(cacheDir, "engine");
const wanted = versions.pulumi.cli;

interface Build {
    /** File name of the program. */
    readonly program: string;
    readonly step: string;
    /** Folder in cli/build that pins the module. */
    readonly recipe: string;
    /** Names in that folder that the build depends on. */
    readonly inputs: readonly string[];
    /** Go package of the program. */
    readonly source: string;
    /** Makes a folder with another source of that package, to be built instead. */
    readonly prepare?: typeof policyHostSource;
}

const builds: readonly Build[] = [
    {
        program: "pulumi",
        step: longSteps.cli,
        recipe: "pulumi",
        inputs: ["go.mod", "go.sum"],
        source: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    },
    {
        program: "pulumi-language-nodejs",
        step: longSteps.languageHost,
        recipe: "language-nodejs",
        inputs: ["go.mod", "go.sum", "policy"],
        source: languageHost,
        prepare: policyHostSource,
    },
];

const inputsOf = ({ recipe, inputs }: Build) => inputs.map((name) => join(recipes, recipe, name));

/** Files and folders that the built engine depends on. */
export const engineInputs: readonly string[] = builds.flatMap(inputsOf);

/** Builds what is missing or has changed. @returns the folder of the programs */
export async function buildEngine(progress: Progress, later: readonly string[]): Promise<string> {
    const go = await findGo();
    const missing = builds
        .map((build) => ({
            build,
            target: join(folder, build.program),
            hash: hashOf(...inputsOf(build), `text:${wanted} ${process.arch}`),
        }))
        .filter(({ target, hash }) => !existsSync(target) || !stamped(`${target}.stamp`, hash));
    expectSteps([...missing.map(({ build }) => build.step), ...later]);
    for (const { build, target, hash } of missing) {
        await progress.step(build.step, (say) => goBuild(go, build, target, say));
        writeAtomically(`${target}.stamp`, `${hash}\n`);
    }
    return folder;
}

/** Path of a Go command that is new enough for the modules, or that fetches one. */
async function findGo(): Promise<string> {
    const minimum = /^go (\S+)$/m.exec(readOr(join(recipes, "pulumi", "go.mod"), ""))?.[1] ?? "1.25";
    const go = findOnPath("go", toolEnvironment());
    const next = `install Go ${minimum} or newer and run again, or install Pulumi ${wanted} or newer so that \`pulumi\` is on PATH`;
    const why = "Pulumi's release cannot be downloaded here, and building it from its Go module needs Go";
    if (!go) {
        throw new Failure(`${why}: no \`go\` was found on PATH.`, { next });
    }
    const { stdout } = await capture(go, ["env", "GOVERSION", "GOTOOLCHAIN"]);
    const [version = "", toolchain = ""] = stdout.trim().split("\n");
    if (compareVersions(version, minimum) < 0 && !/auto|path/.test(toolchain)) {
        throw new Failure(`${why} ${minimum} or newer: ${go} is ${version || "of an unknown version"}.`, { next });
    }
    return go;
}

async function goBuild(
    go: string,
    { program, recipe, source, prepare }: Build,
    target: string,
    say: Say,
): Promise<void> {
    mkdirSync(folder, { recursive: true });
    const temporary = `${target}.${process.pid}.tmp`;
    const prepared = `${target}.source`;
    // As the mirror's programs, without DWARF: what they have in common, Go's own library at least, is compiled once.
    const shape = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false"];
    const linked = `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${wanted}`;
    try {
        const pinned = join(recipes, recipe);
        const [cwd, what] = prepare ? [await prepare(go, pinned, prepared), "."] : [pinned, source];
        const args = ["build", "-v", ...shape, "-ldflags", linked, "-o", temporary, what];
        await runLogged(`build-${program}`, go, args, {
            say,
            cwd,
            env: { ...toolEnvironment(), CGO_ENABLED: "0", GOWORK: "off" },
            failure: {
                tried: `${program} could not be built from the Go module ${source}`,
                next: "see that the Go module proxy of this machine (`go env GOPROXY`) is reached, then run again",
            },
        });
        renameSync(temporary, target);
    } finally {
        rmSync(temporary, { force: true });
        rmSync(prepared, { recursive: true, force: true });
    }
}
