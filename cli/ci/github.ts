// GitHub's API and files of a run, as far as the workflows need them.
import { appendFileSync, readFileSync } from "node:fs";
import { Failure } from "../failure.ts";

/** Limit for one request, in milliseconds. */
const limit = 30_000;
const lacksPermission = "check that the job has the permissions that docs/ci.md names";

/** A variable that every run has. @throws {Failure} outside of a run */
export function variable(name: string): string {
    const value = process.env[name];
    if (!value) {
        throw new Failure(`${name} is not set: this command is for a workflow of GitHub Actions.`, {
            exitCode: 2,
            next: "see docs/ci.md for what it needs",
        });
    }
    return value;
}

/** URL of the present run, or undefined outside of one. */
export function runAddress(): string | undefined {
    const { GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID } = process.env;
    return GITHUB_RUN_ID ? `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}` : undefined;
}

/** The event that started the run. */
export function event<Found>(): Found {
    return JSON.parse(readFileSync(variable("GITHUB_EVENT_PATH"), "utf8"));
}

/** Adds Markdown to the summary of the run; does nothing outside of one. */
export function addSummary(markdown: string): void {
    if (process.env.GITHUB_STEP_SUMMARY) {
        appendFileSync(process.env.GITHUB_STEP_SUMMARY, `${markdown}\n`);
    }
}

/** Sets an output of the step; does nothing outside of a run. */
export function setOutput(name: string, value: string): void {
    if (process.env.GITHUB_OUTPUT) {
        appendFileSync(process.env.GITHUB_OUTPUT, `${name}=${value}\n`);
    }
}

/** What is at a path below /repos/OWNER/NAME; undefined for a 404. */
export async function get<Answer>(path: string): Promise<Answer | undefined> {
    const response = await request("GET", path);
    return response.status === 404 ? undefined : ((await response.json()) as Answer);
}

/** All items of a list, page by page. */
export async function list<Item>(path: string): Promise<Item[]> {
    const all: Item[] = [];
    for (let page = 1; ; page += 1) {
        const some = await get<Item[]>(`${path}${path.includes("?") ? "&" : "?"}per_page=100&page=${page}`);
        if (some === undefined) {
            throw new Failure(`GitHub answered 404 to GET ${path}.`, { next: lacksPermission });
        }
        all.push(...some);
        if (some.length < 100) {
            return all;
        }
    }
}

/** Makes or changes what is at a path below /repos/OWNER/NAME. */
export async function send<Answer>(method: "POST" | "PATCH", path: string, body: object): Promise<Answer> {
    return (await (await request(method, path, body)).json()) as Answer;
}

/** Removes what is at a path below /repos/OWNER/NAME. */
export async function remove(path: string): Promise<void> {
    await request("DELETE", path);
}

/** Sends a file to an address that GitHub has named for it. */
export async function upload(address: string, content: Uint8Array<ArrayBuffer>): Promise<void> {
    await request("POST", address, content);
}

/**
 * @param at a path below /repos/OWNER/NAME, or a whole address
 * @throws {Failure} where GitHub refuses; a GET that finds nothing is none
 */
async function request(method: string, at: string, body?: object): Promise<Response> {
    const isFile = body instanceof Uint8Array;
    const path = at.replace(/^https?:\/\/[^/]+\//, "");
    const address = path === at ? `${variable("GITHUB_API_URL")}/repos/${variable("GITHUB_REPOSITORY")}/${at}` : at;
    const response = await fetch(address, {
        method,
        headers: {
            accept: "application/vnd.github+json",
            authorization: `Bearer ${variable("GITHUB_TOKEN")}`,
            "x-github-api-version": "2022-11-28",
            ...(isFile ? { "content-type": "application/octet-stream" } : {}),
        },
        body: isFile ? (body as Uint8Array<ArrayBuffer>) : body && JSON.stringify(body),
        signal: AbortSignal.timeout(limit),
    });
    if (!response.ok && !(method === "GET" && response.status === 404)) {
        const text = await response.text();
        throw new Failure(`GitHub answered ${response.status} to ${method} ${path}: ${text.slice(0, 300)}`, {
            next: [401, 403].includes(response.status) ? lacksPermission : undefined,
        });
    }
    return response;
}
