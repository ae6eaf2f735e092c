// @ts-nocheck
// The one comment on a pull request that says what its previews have found.
//
// Runs in the workflow that may write, with code of the main branch. The digests were made by code of the pull request,
// so they are nothing but data here: checked, and shown as code. Which pull request it is says GitHub, not they.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { parseDigest } from "./digest.ts";
import { event, listed, request, variable } from "./github.ts";
import { previewText } from "./markdown.ts";

/** Marks the comment as ours; invisible when it is read. */
const mark = "<!-- runtime-sandboxes: preview -->";
const mostStacks = 20;

/** The digests of a folder. */
function digestsIn(folder) {
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
    if (names.length > mostStacks) {
        throw new Failure(`${folder} holds ${names.length} digests; allowed: ${mostStacks}.`);
    }
    return names.sort().map((name) => {
        try {
            return parseDigest(readFileSync(join(folder, name), "utf8"));
        } catch (error) {
            throw new Failure(`${join(folder, name)} ${error.message}.`);
        }
    });
}

/** Number of the open pull request whose last commit the run was for; undefined where it has gone on since. */
async function pullRequest({ head_sha: commit, head_branch: branch, head_repository: head }) {
    const from = encodeURIComponent(`${head?.owner?.login}:${branch}`);
    const found = (await listed(`pulls?state=open&head=${from}`)).filter(
        (pull) =>
            pull.head.sha === commit &&
            pull.head.repo?.full_name === head?.full_name &&
            pull.base.repo.full_name === variable("GITHUB_REPOSITORY"),
    );
    return found[0]?.number;
}

/** `ci comment FOLDER`: posts or updates the comment. */
export async function comment(folder) {
    const run = event().workflow_run;
    const digests = digestsIn(folder);
    if (digests.length === 0) {
        process.stdout.write("the run has left no digest of a preview: nothing to say\n");
        return;
    }
    const number = await pullRequest(run);
    if (number === undefined) {
        process.stdout.write(`no open pull request ends with commit ${run.head_sha}: nothing to say\n`);
        return;
    }
    const body = `${mark}\n${previewText(digests, { commit: run.head_sha, run: run.html_url })}`;
    // Anybody may write the mark into a comment of their own.
    const own = (await listed(`issues/${number}/comments`)).find(
        (one) => one.user?.type === "Bot" && one.body?.startsWith(mark),
    );
    if (own) {
        await request("PATCH", `issues/comments/${own.id}`, { body });
    } else {
        await request("POST", `issues/${number}/comments`, { body });
    }
    process.stdout.write(`${own ? "updated" : "posted"} the comment on pull request ${number}\n`);
}
