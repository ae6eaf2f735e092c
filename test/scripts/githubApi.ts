import * as http from "node:http";
import type { AddressInfo } from "node:net";

export interface Note {
    readonly id: number;
    readonly user: { readonly type: string };
    body: string;
}

export interface Issue extends Note {
    readonly number: number;
    title: string;
    state: string;
    labels: string[];
    readonly pull_request?: object;
}

/** GitHub's API as far as the workflows use it, over HTTP on this host. */
export class GithubApi {
    public readonly repository = "owner/name";
    public pulls: object[] = [];
    /** Comments by number of the pull request. */
    public readonly comments = new Map<number, Note[]>();
    public readonly issues: Issue[] = [];
    public readonly releases: Record<string, unknown>[] = [];
    /** Files of releases, by id. */
    public readonly assets = new Map<number, { readonly name: string; readonly content: Buffer }>();
    /** "METHOD path" of each request that changes something. */
    public readonly changes: string[] = [];
    private readonly server = http.createServer((request, response) => {
        const parts: Buffer[] = [];
        request.on("data", (part: Buffer) => parts.push(part));
        request.on("end", () => {
            if (request.headers.authorization !== "Bearer token") {
                response.statusCode = 401;
                response.end(JSON.stringify({ message: "Bad credentials" }));
                return;
            }
            const answer = this.answer(
                request.method ?? "",
                new URL(request.url ?? "", "http://github"),
                Buffer.concat(parts),
            );
            response.statusCode = answer === undefined ? 404 : 200;
            response.end(JSON.stringify(answer ?? { message: "Not Found" }));
        });
    });

    public async start(): Promise<void> {
        await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    }

    public stop(): void {
        this.server.close();
    }

    /** What a run finds in its environment. */
    public get env(): Record<string, string> {
        return {
            GITHUB_API_URL: `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`,
            GITHUB_REPOSITORY: this.repository,
            GITHUB_TOKEN: "token",
            GITHUB_SERVER_URL: "https://github.example",
            GITHUB_RUN_ID: "7",
        };
    }

    private answer(method: string, url: URL, content: Buffer): unknown {
        const path = url.pathname.replace(`/repos/${this.repository}/`, "");
        const isFile = path.startsWith("/upload/");
        const text = isFile ? "" : content.toString();
        const body = text === "" ? undefined : (JSON.parse(text) as Record<string, unknown>);
        if (method !== "GET") {
            this.changes.push(`${method} ${path}`);
        }
        const page = (all: readonly unknown[]) => {
            const size = Number(url.searchParams.get("per_page"));
            const start = (Number(url.searchParams.get("page")) - 1) * size;
            return all.slice(start, start + size);
        };
        const [, number, id] = /^issues\/(?:comments\/(\d+)|(\d+))/.exec(path) ?? [];
        if (method === "GET" && path === "pulls") {
            return page(this.pulls);
        }
        if (path.endsWith("/comments")) {
            const all = this.comments.get(Number(id)) ?? [];
            this.comments.set(Number(id), all);
            return method === "GET" ? page(all) : this.added(all, body);
        }
        if (path.startsWith("issues/comments/")) {
            return Object.assign(
                [...this.comments.values()].flat().find((one) => one.id === Number(number)) ?? {},
                body,
            );
        }
        if (path === "issues") {
            const open = this.issues.filter(
                ({ state, labels }) => state === "open" && labels.includes(url.searchParams.get("labels") ?? ""),
            );
            return method === "GET" ? page(open) : this.added(this.issues, { state: "open", ...body });
        }
        if (path.startsWith("issues/")) {
            return Object.assign(this.issues.find((one) => one.number === Number(id)) ?? {}, body);
        }
        if (isFile) {
            // As GitHub, which takes no second file of a name.
            const name = url.searchParams.get("name") ?? "";
            const isThere = [...this.assets.values()].some((asset) => asset.name === name);
            return isThere ? undefined : this.assets.set(this.changes.length, { name, content });
        }
        if (path.startsWith("releases/assets/")) {
            return this.assets.delete(Number(path.split("/").at(-1))) ? {} : undefined;
        }
        if (path.startsWith("releases/tags/")) {
            return this.releases.find((one) => one.tag_name === path.split("/").at(-1));
        }
        if (path === "releases") {
            const upload_url = `${this.env.GITHUB_API_URL}/upload/files{?name,label}`;
            return this.added(this.releases, { html_url: "https://github.example/release", upload_url, ...body });
        }
        const assets = [...this.assets].map(([id, { name }]) => ({ id, name }));
        return path.startsWith("releases/")
            ? Object.assign(this.releases[Number(path.split("/").at(-1))] ?? {}, body, { assets })
            : undefined;
    }

    private added(all: object[], body: object | undefined): object {
        const one = { id: all.length, number: all.length, user: { type: "Bot" }, ...body };
        all.push(one);
        return one;
    }
}
