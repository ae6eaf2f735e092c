// The one comment on a pull request that says what its previews have found.
//
// Runs in the workflow that may write, with code of the main branch. The digests were made by code of the pull request,
// so they are nothing but data here: checked, and shown as code. GitHub says which pull request it is, not they.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { type Digest, readDigest } from "./digest.ts";
import { event, list, send, variable } from "./github.ts";
import { previewText } from "./markdown.ts";

/** Marks the comment as ours; invisible when it is read. */
const mark = "<!-- runtime-sandboxes: preview -->";
const mostStacks = 20;

interface Repository {
    readonly full_name: string;
}

/** The run that this one follows. */
interface Run {
    readonly head_sha: string;
    readonly head_branch: string;
    /** None where a fork was deleted since. */
    readonly head_repository: (Repository & { readonly owner: { readonly login: string } }) | null;
    readonly html_url: string;
}

interface Pull {
    readonly number: number;
    readonly head: { readonly sha: string; readonly repo: Repository | null };
    readonly base: { readonly repo: Repository };
}

interface Comment {
    readonly id: number;
    readonly user: { readonly type: string } | null;
    readonly body?: string;
}

/** The digests of a folder. */
function digestsIn(folder: string): Digest[] {
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
    if (names.length > mostStacks) {
        throw new Failure(`${folder} holds ${names.length} digests; allowed: ${mostStacks}.`);
    }
    return names.sort().map((name) => readDigest(join(folder, name)));
}

/** Number of the open pull request whose last commit the run was for; undefined where it has gone on since. */
async function pullRequest({ head_sha: commit, head_branch: branch, head_repository: head }: Run) {
    const from = encodeURIComponent(`${head?.owner.login}:${branch}`);
    const found = (await list<Pull>(`pulls?state=open&head=${from}`)).find(
        (pull) =>
            pull.head.sha === commit &&
            pull.head.repo?.full_name === head?.full_name &&
            pull.base.repo.full_name === variable("GITHUB_REPOSITORY"),
    );
    return found?.number;
}

/** `ci comment FOLDER`: posts or updates the comment. */
export async function comment(folder: string): Promise<void> {
    const { workflow_run: run } = event<{ workflow_run: Run }>();
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
    const own = (await list<Comment>(`issues/${number}/comments`)).find(
        (one) => one.user?.type === "Bot" && one.body?.startsWith(mark),
    );
    if (own) {
        await send("PATCH", `issues/comments/${own.id}`, { body });
    } else {
        await send("POST", `issues/${number}/comments`, { body });
    }
    process.stdout.write(`${own ? "updated" : "posted"} the comment on pull request ${number}\n`);
}
