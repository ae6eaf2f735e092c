// A release on GitHub from a tag and the changelog, with the source, a bill of materials and the checksums of both.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { projectName, readJson, readOr, root } from "../project.ts";
import { capture, lastLine } from "../run.ts";
import { get, remove, send, upload, variable } from "./github.ts";

interface Release {
    readonly id: number;
    readonly html_url: string;
    /** With fields in braces at its end. */
    readonly upload_url: string;
    readonly assets?: readonly { readonly id: number; readonly name: string }[];
}

/** What a release has, by name. */
type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/** Runs a program in the checkout. @returns what it prints */
async function printed(program: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await capture(program, args, { cwd: root });
    if (code !== 0) {
        throw new Failure(`\`${program} ${args[0]}\` failed, so nothing was released: ${lastLine(stderr)}`);
    }
    return stdout;
}

/** The source as the tag has it, the npm packages as an SPDX document, and the checksums of both. */
async function filesOf(version: string): Promise<Files> {
    const name = `${projectName}-${version}`;
    const folder = mkdtempSync(join(tmpdir(), "release-"));
    try {
        const archive = join(folder, "source.tar.gz");
        await printed("git", "archive", "--format", "tar.gz", "--prefix", `${name}/`, "--output", archive, "HEAD");
        const packages = join(folder, "packages.json");
        writeFileSync(packages, await printed("npm", "sbom", "--sbom-format", "spdx", "--package-lock-only"));
        const files = new Map([
            [`${name}.tar.gz`, readFileSync(archive)],
            [`${name}.spdx.json`, readFileSync(packages)],
        ]);
        return files.set("SHA256SUMS", Buffer.from(checksums(files)));
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** As sha256sum writes and checks them. */
const checksums = (files: Files) =>
    [...files].map(([name, content]) => `${createHash("sha256").update(content).digest("hex")}  ${name}\n`).join("");

/** Gives a release its files, in place of those of an earlier run. */
async function attach({ upload_url, assets = [] }: Release, files: Files): Promise<void> {
    for (const [name, content] of files) {
        for (const { id } of assets.filter((asset) => asset.name === name)) {
            await remove(`releases/assets/${id}`);
        }
        await upload(`${upload_url.replace(/\{.*$/, "")}?name=${name}`, content);
    }
}

/** The part of a changelog (https://keepachangelog.com) about one version, without its heading; undefined where there is none. */
function changelogPart(text: string, version: string): string | undefined {
    const lines = text.split("\n");
    const start = lines.findIndex((line) => line.startsWith(`## [${version}]`));
    if (start < 0) {
        return undefined;
    }
    const end = lines.findIndex((line, index) => index > start && (line.startsWith("## ") || /^\[.+\]: /.test(line)));
    return lines
        .slice(start + 1, end < 0 ? undefined : end)
        .join("\n")
        .trim();
}

/** `ci release`: makes the release of the tag that the run is for, or updates it. */
export async function release(): Promise<void> {
    const tag = variable("GITHUB_REF_NAME");
    const { version } = readJson<{ version: string }>(join(root, "package.json")) ?? { version: "" };
    const notes = changelogPart(readOr(join(root, "CHANGELOG.md"), ""), version);
    const complaints = [
        tag === `v${version}`
            ? ""
            : `the tag is ${tag}, but package.json says version ${version}: it should be v${version}`,
        notes ? "" : `CHANGELOG.md says nothing about ${version}: it needs a part "## [${version}] - YYYY-MM-DD"`,
    ].filter((complaint) => complaint !== "");
    if (complaints.length > 0) {
        throw new Failure(`nothing was released: ${complaints.join("; ")}.`, {
            next: 'correct it, then move the tag: docs/ci.md, "A release"',
        });
    }
    const files = await filesOf(version);
    const text = `${notes}\n\n### Checksums\n\n\`\`\`text\n${files.get("SHA256SUMS")}\`\`\`\n`;
    const body = { tag_name: tag, name: tag, body: text, prerelease: version.includes("-") };
    const there = await get<Release>(`releases/tags/${tag}`);
    const made = there
        ? await send<Release>("PATCH", `releases/${there.id}`, body)
        : await send<Release>("POST", "releases", body);
    await attach(made, files);
    process.stdout.write(`${there ? "updated" : "made"} the release ${made.html_url}\n`);
}
