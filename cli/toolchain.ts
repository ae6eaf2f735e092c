// @ts-nocheck
// The Pulumi CLI with its Node language host: the user's, else the official release, else built from Go modules.
import {
    accessSync,
    constants,
    existsSync,
    mkdirSync,
    realpathSync,
    renameSync,
    rmSync,
    statSync,
    symlinkSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { compareVersions } from "../components/vulnerabilities.cjs";
import { toolEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import { policyHostSource } from "./policy.ts";
import { expectSteps, longSteps } from "./progress.ts";
import { binDir, cacheDir, moduleBin, pulumiHome, readJson, readOr, root, versions } from "./project.ts";
import { downloadRelease, releaseReachable } from "./release.ts";
import { capture, runLogged } from "./run.ts";
import { hashOf, stamped, writeAtomically } from "./stamps.ts";

const file = join(cacheDir, "toolchain.json");
const buildDir = join(root, "cli", "build");
const languageHost = "pulumi-language-nodejs";
const wanted = versions.pulumi.cli;

/**
 * What is built from Go modules: a folder of cli/build and the package in it; `prepare` puts together another
 * source of that package, to be built instead.
 */
const builds = [
    {
        binary: "pulumi",
        step: longSteps.cli,
        folder: "pulumi",
        source: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    },
    {
        binary: languageHost,
        step: longSteps.languageHost,
        folder: "language-nodejs",
        source: "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
        prepare: policyHostSource,
    },
];

/** What a build depends on. */
function inputsOf({ folder, prepare }) {
    return ["go.mod", "go.sum", ...(prepare ? ["policy"] : [])].map((name) => join(buildDir, folder, name));
}

/** First executable of this name on PATH that is not one of this project's own, or undefined. */
export function findOnPath(name, env = process.env) {
    for (const folder of (env.PATH ?? "").split(delimiter)) {
        const path = join(folder, name);
        const own = [binDir, moduleBin].includes(folder) || folder.startsWith(`${cacheDir}/`);
        if (folder === "" || own) {
            continue;
        }
        try {
            accessSync(path, constants.X_OK);
            if (statSync(path).isFile()) {
                return path;
            }
        } catch {
            // Not here.
        }
    }
    return undefined;
}

/** What the choice depends on; another value means: choose again. */
function choiceKey() {
    const user = findOnPath("pulumi");
    const stat = user ? statSync(user) : undefined;
    return hashOf(
        ...builds.flatMap(inputsOf),
        `text:${root} ${wanted} ${user ?? ""} ${stat?.mtimeMs ?? ""} ${stat?.size ?? ""}`,
    );
}

/**
 * What setup chose, or undefined where it has to choose (again).
 *
 * @returns { cli: "user" | "official" | "built", pulumi: path, version, reachable, home: PULUMI_HOME or undefined for the
 * user's own, plugins: "official" | "stand-in" }
 */
export function chosenToolchain() {
    const chosen = readJson(file);
    const ready = chosen && chosen.key === choiceKey() && existsSync(chosen.pulumi);
    return ready ? chosen : undefined;
}

/** Records the choice. */
export function saveToolchain(chosen) {
    writeAtomically(file, `${JSON.stringify({ ...chosen, key: choiceKey() }, null, 2)}\n`);
}

/** The user's own `pulumi`, if it may be used: same major version, not older than the SDK of this project. */
async function userCli(progress) {
    const path = findOnPath("pulumi");
    if (!path) {
        return undefined;
    }
    const { code, stdout } = await capture(path, ["version"], {
        env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
    });
    const version = /^v?(\d+\.\d+\.\d+\S*)/.exec(stdout.trim())?.[1];
    const refuse = (reason) => progress.note(`pulumi: ${path} is not used: ${reason}`);
    if (code !== 0 || !version) {
        refuse("`pulumi version` failed");
    } else if (version.split(".")[0] !== wanted.split(".")[0] || compareVersions(version, wanted) < 0) {
        refuse(`it is ${version}; this project needs ${wanted} or newer of the same major version`);
    } else if (!findOnPath(languageHost) && !existsSync(join(dirname(realpathSync(path)), languageHost))) {
        refuse(`${languageHost} is neither on PATH nor beside it`);
    } else {
        linkPulumi(undefined);
        return { cli: "user", pulumi: path, version, home: undefined };
    }
    return undefined;
}

/**
 * Puts `pulumi` first on PATH, or takes an earlier choice away. Only `pulumi`: it finds its language host beside its real
 * place, and warns about one on PATH.
 */
function linkPulumi(folder) {
    const link = join(binDir, "pulumi");
    rmSync(link, { force: true });
    if (folder) {
        mkdirSync(binDir, { recursive: true });
        symlinkSync(join(folder, "pulumi"), link);
    }
}

/** Chooses the CLI and makes it ready. @param later as setup has it */
export async function chooseCli(progress, later) {
    const user = await userCli(progress);
    const reach = await releaseReachable();
    if (user) {
        return { ...user, reachable: reach.reachable };
    }
    const common = { pulumi: join(binDir, "pulumi"), version: wanted, home: pulumiHome };
    if (reach.reachable) {
        try {
            const folder = await progress.step(`Pulumi ${wanted}, official release`, (say) =>
                downloadRelease(wanted, say),
            );
            linkPulumi(folder);
            return { ...common, cli: "official", reachable: true };
        } catch (error) {
            if (error instanceof Failure) {
                throw error;
            }
            reach.reason = error.message;
        }
    }
    progress.note(
        `pulumi: the release cannot be downloaded (${reach.reason}); ${wanted} is built from its Go module instead`,
    );
    await buildAll(progress, later);
    return { ...common, cli: "built", reachable: false };
}

/** The Go command, checked against what the modules ask for. */
async function findGo() {
    const minimum = /^go (\S+)$/m.exec(readOr(join(buildDir, "pulumi", "go.mod"), ""))?.[1] ?? "1.25";
    const go = findOnPath("go", toolEnvironment());
    const next = `install Go ${minimum} or newer and run again, or install Pulumi ${wanted} or newer so that \`pulumi\` is on PATH`;
    const why = "Pulumi's release cannot be downloaded here, and building it from its Go module needs Go";
    if (!go) {
        throw new Failure(`${why}: no \`go\` was found on PATH.`, { next });
    }
    const { stdout } = await capture(go, ["env", "GOVERSION", "GOTOOLCHAIN"]);
    const [version = "", toolchain = ""] = stdout.trim().split("\n");
    if (compareVersions(version.replace(/^go/, ""), minimum) < 0 && !/auto|path/.test(toolchain)) {
        throw new Failure(`${why} ${minimum} or newer: ${go} is ${version || "of an unknown version"}.`, { next });
    }
    return go;
}

async function buildAll(progress, later) {
    const go = await findGo();
    const folder = join(cacheDir, "engine");
    const missing = builds
        .map((build) => ({
            ...build,
            target: join(folder, build.binary),
            hash: hashOf(...inputsOf(build), `text:${wanted} ${process.arch}`),
        }))
        .filter(({ target, hash }) => !existsSync(target) || !stamped(`${target}.stamp`, hash));
    expectSteps([...missing.map(({ step }) => step), ...later]);
    for (const build of missing) {
        await progress.step(build.step, (say) => goBuild(go, build, say));
        writeAtomically(`${build.target}.stamp`, `${build.hash}\n`);
    }
    linkPulumi(folder);
}

async function goBuild(go, build, say) {
    const { target } = build;
    const source = join(buildDir, build.folder);
    mkdirSync(dirname(target), { recursive: true });
    const temporary = `${target}.${process.pid}.tmp`;
    const prepared = `${target}.source`;
    const version = `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${wanted}`;
    const args = [
        "build",
        "-v",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        // As the mirror's programs: what they have in common, Go's own library at least, is compiled once.
        "-gcflags=all=-dwarf=false",
        "-ldflags",
        `-s -w ${version}`,
        "-o",
        temporary,
    ];
    try {
        const cwd = build.prepare ? await build.prepare(go, source, prepared) : source;
        await runLogged(`build-${build.binary}`, go, [...args, build.prepare ? "." : build.source], {
            say,
            cwd,
            env: { ...toolEnvironment(), CGO_ENABLED: "0", GOWORK: "off" },
            failure: {
                tried: `${build.binary} could not be built from the Go module ${build.source}`,
                next: "see that the Go module proxy of this machine (`go env GOPROXY`) is reached, then run again",
            },
        });
        renameSync(temporary, target);
    } finally {
        rmSync(temporary, { force: true });
        rmSync(prepared, { recursive: true, force: true });
    }
}
