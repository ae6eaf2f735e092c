// @ts-nocheck
// GitHub's API and files of a run, as far as the workflows need them.
import { appendFileSync, readFileSync } from "node:fs";
import { Failure } from "../failure.ts";

/** Limit for one request, in milliseconds. */
const limit = 30_000;

/** A variable that every run has. */
export function variable(name, env = process.env) {
    const value = env[name];
    if (!value) {
        throw new Failure(`${name} is not set: this command is for a workflow of GitHub Actions.`, {
            exitCode: 2,
            next: "see docs/ci.md for what it needs",
        });
    }
    return value;
}

/** Address of the present run, or undefined outside of one. */
export function runAddress({ GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID } = process.env) {
    return GITHUB_RUN_ID ? `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}` : undefined;
}

/** The event that started the run. */
export function event() {
    return JSON.parse(readFileSync(variable("GITHUB_EVENT_PATH"), "utf8"));
}

/** Adds Markdown to the summary of the run; does nothing outside of one. */
export function addSummary(markdown, env = process.env) {
    if (env.GITHUB_STEP_SUMMARY) {
        appendFileSync(env.GITHUB_STEP_SUMMARY, `${markdown}\n`);
    }
}

/** Gives the step an output; does nothing outside of a run. */
export function setOutput(name, value, env = process.env) {
    if (env.GITHUB_OUTPUT) {
        appendFileSync(env.GITHUB_OUTPUT, `${name}=${value}\n`);
    }
}

/**
 * A request below /repos/OWNER/NAME.
 *
 * @returns the parsed answer; undefined for a 404 of a GET
 */
export async function request(method, path, body) {
    const url = `${variable("GITHUB_API_URL")}/repos/${variable("GITHUB_REPOSITORY")}/${path}`;
    const response = await fetch(url, {
        method,
        headers: {
            accept: "application/vnd.github+json",
            authorization: `Bearer ${variable("GITHUB_TOKEN")}`,
            "x-github-api-version": "2022-11-28",
        },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(limit),
    });
    const text = await response.text();
    if (method === "GET" && response.status === 404) {
        return undefined;
    }
    if (!response.ok) {
        throw new Failure(`GitHub answered ${response.status} to ${method} ${path}: ${text.slice(0, 300)}`, {
            next: [401, 403].includes(response.status)
                ? "see that the job has the permissions that docs/ci.md names"
                : undefined,
        });
    }
    return JSON.parse(text);
}

/** All items of a list, page by page. */
export async function listed(path) {
    const all = [];
    for (let page = 1; ; page += 1) {
        const some = await request("GET", `${path}${path.includes("?") ? "&" : "?"}per_page=100&page=${page}`);
        if (some === undefined) {
            throw new Failure(`GitHub answered 404 to GET ${path}.`, {
                next: "see that the job has the permissions that docs/ci.md names",
            });
        }
        all.push(...some);
        if (some.length < 100) {
            return all;
        }
    }
}
