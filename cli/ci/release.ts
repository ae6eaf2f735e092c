// A release on GitHub from a tag and the changelog.
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { readJson, readOr, root } from "../project.ts";
import { get, send, variable } from "./github.ts";

interface Release {
    readonly id: number;
    readonly html_url: string;
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
    const body = { tag_name: tag, name: tag, body: notes, prerelease: version.includes("-") };
    const there = await get<Release>(`releases/tags/${tag}`);
    const { html_url: url } = there
        ? await send<Release>("PATCH", `releases/${there.id}`, body)
        : await send<Release>("POST", "releases", body);
    process.stdout.write(`${there ? "updated" : "made"} the release ${url}\n`);
}
