// What the workflows do beside the project's commands, each against GitHub's API on this host.
import * as assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { compileCache } from "../helpers/compileCache";
import { copyCommandLine } from "./cliProject";
import { GithubApi, type Issue, type Note } from "./githubApi";

const root = path.resolve(__dirname, "../..");
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

interface Digest {
    result: string;
    existing: boolean;
    steps: { op: string; type: string; name: string; changed: string[]; inputs: string }[];
    restarts: object[];
    errors: string[];
    policies: object[];
}

/** A line of an event log about one resource. */
function step(op: string, name: string, more: object = {}): object {
    const type = "command:remote:Command";
    const urn = `urn:pulumi:dev::runtime-sandboxes::runtime-sandboxes:x:Y$${type}::${name}`;
    return { resourcePreEvent: { metadata: { op, urn, type, detailedDiff: null, ...more } } };
}

const custom = (inputs: object) => ({ custom: true, inputs });
const install = (hash: string) => custom({ create: `bash -s -- install # containerd configuration ${hash}` });
const summary = (result = "succeeded") => ({ summaryEvent: { result, resourceChanges: {} } });

describe("what workflows do", function () {
    this.timeout(30_000);
    let folder: string;
    let api: GithubApi;

    beforeEach(async () => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "ci-"));
        copyCommandLine(folder);
        fs.copyFileSync(path.join(root, "CHANGELOG.md"), path.join(folder, "CHANGELOG.md"));
        api = new GithubApi();
        await api.start();
    });
    afterEach(() => {
        api.stop();
        fs.rmSync(folder, { recursive: true, force: true });
    });

    function write(name: string, content: string): string {
        fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
        fs.writeFileSync(path.join(folder, name), content);
        return path.join(folder, name);
    }

    const read = (name: string) => fs.readFileSync(path.join(folder, name), "utf8");

    async function ci(args: string[], env: Record<string, string> = {}) {
        const child = spawn(process.execPath, ["cli/bootstrap.mjs", "ci", ...args], {
            cwd: folder,
            env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: compileCache, ...api.env, ...env },
        });
        let text = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (part: string) => {
                text += part;
            });
        }
        const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
        return { code, text };
    }

    /** The digest of a preview with these events. */
    async function digest(...events: object[]): Promise<{ digest: Digest; text: string }> {
        write(".cache/logs/preview-dev.events.json", events.map((event) => JSON.stringify(event)).join("\n"));
        const { code, text } = await ci(["digest", "dev.json"], { STACK: "dev" });
        assert.equal(code, 0, text);
        return { digest: JSON.parse(read("dev.json")) as Digest, text };
    }

    it("answers a wrong command or number of arguments with one sentence", async () => {
        const cases: [string[], RegExp][] = [
            [["deploy"], /^error: there is no command "deploy"\.\nUsage: /],
            [["digest"], /^error: ci digest takes one argument, FILE\.$/m],
            [["release", "x"], /^error: ci release takes no argument\.$/m],
            [[], /^Usage: /],
        ];
        for (const [args, sentence] of cases) {
            const { code, text } = await ci(args);
            assert.equal(code, 2, text);
            assert.match(text, sentence);
        }
    });

    describe("digest", () => {
        it("names operations, resources and changed properties, and each restart, but no value", async () => {
            const { digest: found, text } = await digest(
                step("same", "cluster-init", { old: custom({}), new: custom({}) }),
                step("update", "worker-1-runtime-install", {
                    old: install("abc123abc123"),
                    new: install("def456def456"),
                    detailedDiff: { create: { kind: "update" }, stdin: { kind: "update" } },
                }),
                step("create", "worker-2-runtime-install", { old: null, new: install("def456def456") }),
                step("update", "worker-3-runtime-install", {
                    old: install("abc123abc123"),
                    new: custom({ create: unknown }),
                    diffs: ["create"],
                }),
                step("update", "worker-4-runtime-install", {
                    old: install("abc123abc123"),
                    new: install("abc123abc123"),
                    diffs: ["stdin"],
                }),
                step("delete", "worker-5-runtime-install", { old: install("abc123abc123") }),
                step("delete-replaced", "pod", { old: custom({}) }),
                step("replace", "pod", { old: custom({}), new: custom({ password: "s3cret" }), diffs: ["password"] }),
                step("create-replacement", "pod", { old: custom({}), new: custom({}) }),
                step("update", "component", { old: {}, new: {} }),
                summary(),
            );
            assert.deepEqual(
                found.steps.map(({ op, name, changed }) => [op, name, ...changed]),
                [
                    ["update", "worker-1-runtime-install", "create", "stdin"],
                    ["create", "worker-2-runtime-install"],
                    ["update", "worker-3-runtime-install", "create"],
                    ["update", "worker-4-runtime-install", "stdin"],
                    ["delete", "worker-5-runtime-install"],
                    ["replace", "pod", "password"],
                ],
            );
            assert.deepEqual(found.restarts, [
                { worker: "worker-1", what: "configuration", before: "abc123abc123", after: "def456def456" },
                { worker: "worker-2", what: "configuration", after: "def456def456" },
                { worker: "worker-3", what: "configuration", before: "abc123abc123" },
                { worker: "worker-5", what: "removal", before: "abc123abc123" },
            ]);
            assert.deepEqual([found.result, found.existing, found.errors], ["succeeded", true, []]);
            assert.match(text, /^### Stack `dev`: 3 updated, 1 created, 1 deleted, 1 replaced$/m);
            assert.match(text, /^containerd would be restarted:$/m);
            assert.match(text, /^- `worker-1`: configuration `abc123abc123` -> `def456def456`$/m);
            assert.match(text, /^- `worker-2`: gVisor is new there -> `def456def456`$/m);
            assert.match(text, /^- `worker-5`: gVisor is taken away there$/m);
            assert.match(text, /^- `worker-3`: configuration `abc123abc123` -> decided when the worker has been/m);
            assert.match(text, /^\| replaced \| `pod` \| `command:remote:Command` \| `password` \|$/m);
            assert.doesNotMatch(`${text}${read("dev.json")}`, /s3cret|bash -s/);
        });

        it("says that nothing is restarted, and that nothing was known of the stack", async () => {
            const none = await digest(step("same", "x", { old: custom({}), new: custom({}) }), summary());
            assert.match(none.text, /^### Stack `dev`: no change\n\nNo containerd would be restarted\.$/m);
            const fresh = await digest(step("create", "x", { old: null, new: custom({}) }), summary());
            assert.equal(fresh.digest.existing, false);
            assert.match(fresh.text, /^Nothing of this stack was known to the preview/m);
            assert.doesNotMatch(fresh.text, /No containerd/);
        });

        it("is there for a preview that failed, was cut off, or broke a policy", async () => {
            const urn = "urn:pulumi:dev::p::t::worker-1";
            const failed = await digest(
                { diagnosticEvent: { severity: "warning", message: "old" } },
                {
                    diagnosticEvent: {
                        severity: "error",
                        urn,
                        message: "<{%fg 1%}>is `wrong`\nsee there<{%reset%}>\n",
                    },
                },
                summary("failed"),
            );
            assert.deepEqual(
                [failed.digest.result, failed.digest.errors],
                ["failed", ["worker-1: is `wrong`\nsee there"]],
            );
            assert.match(failed.text, /^### Stack `dev`: \*\*the preview failed\*\*/m);
            assert.match(failed.text, /^```text\nworker-1: is `wrong`\nsee there\n```$/m);

            const cut = await digest(step("update", "x", { old: custom({}), new: custom({}) }));
            assert.deepEqual(cut.digest.errors, ["the preview did not come to its end; the run's log says why"]);
            fs.rmSync(path.join(folder, ".cache"), { recursive: true });
            const { code } = await ci(["digest", "dev.json"], { STACK: "dev" });
            assert.equal(code, 0);
            assert.equal((JSON.parse(read("dev.json")) as Digest).result, "failed");

            const policy = { policyName: "host-keys", resourceUrn: urn, message: "has | no key" };
            const broken = await digest(
                { policyEvent: { ...policy, enforcementLevel: "mandatory" } },
                { policyEvent: { ...policy, enforcementLevel: "advisory" } },
                summary(),
            );
            assert.equal(broken.digest.result, "failed");
            assert.match(broken.text, /^\| `host-keys` \| `mandatory` \| `worker-1` \| `has \\\| no key` \|$/m);
            const advice = await digest({ policyEvent: { ...policy, enforcementLevel: "advisory" } }, summary());
            assert.equal(advice.digest.result, "succeeded");
        });

        it("goes to the summary of the run", async () => {
            write(".cache/logs/preview-dev.events.json", JSON.stringify(summary()));
            await ci(["digest", "dev.json"], { STACK: "dev", GITHUB_STEP_SUMMARY: path.join(folder, "summary.md") });
            assert.match(read("summary.md"), /^## Preview\n\n### Stack `dev`: no change$/m);
        });
    });

    it("lets an update go on only if it would do what was reviewed", async () => {
        const change = (inputs: object, diffs: string[], op = "update", name = "x") =>
            step(op, name, { old: custom({}), new: custom(inputs), diffs });
        await digest(change({ a: 1, b: 2 }, ["a"]), summary());
        fs.renameSync(path.join(folder, "dev.json"), path.join(folder, "plan.json"));
        const same = async (...events: object[]) => {
            await digest(...events, summary());
            return await ci(["same", "plan.json"], { STACK: "dev" });
        };
        const right = await same(change({ b: 2, a: 1 }, ["a"]));
        assert.equal(right.code, 0, right.text);
        const cases: [object[], RegExp][] = [
            [[], /\| gone: update of x \(command:remote:Command\)$/m],
            [[change({ a: 2, b: 2 }, ["a"])], /\| other inputs: update of x /],
            [[change({ a: 1, b: 2 }, ["a", "secret"])], /\| other inputs: update of x /],
            [[change({ a: 1, b: 2 }, ["a"], "replace")], /\| gone: update of x .*\n.*\| new: replace of x /],
            [[change({ a: 1, b: 2 }, ["a"]), change({}, [], "delete", "y")], /\| new: delete of y /],
        ];
        for (const [events, sentence] of cases) {
            const { code, text } = await same(...events);
            assert.equal(code, 1, text);
            assert.match(
                text,
                /^error: an update of stack dev would not do what was reviewed; nothing was changed\.$/m,
            );
            assert.match(text, sentence);
        }
        await digest(summary("failed"));
        const failed = await ci(["same", "plan.json"], { STACK: "dev" });
        assert.match(failed.text, /\| a preview of dev has failed$/m);
        write("plan.json", "{}");
        const broken = await ci(["same", "plan.json"], { STACK: "dev" });
        assert.equal(broken.code, 1);
        assert.match(broken.text, /^error: plan\.json is not a digest of a preview: wrong version, stack, result/);
    });

    describe("comment", () => {
        const commit = "c".repeat(40);
        const good = { version: 1, stack: "dev", result: "succeeded", existing: true, steps: [], restarts: [] };
        const digestText = (more: object = {}) => JSON.stringify({ ...good, errors: [], policies: [], ...more });

        function pull(number: number, sha: string, from = "stranger/name", to = "owner/name"): object {
            return { number, head: { sha, repo: { full_name: from } }, base: { repo: { full_name: to } } };
        }

        /** Runs the command for a run of stranger/name's branch. */
        async function comment(folderName = "previews") {
            const head_repository = { full_name: "stranger/name", owner: { login: "stranger" } };
            const html_url = "https://github.example/run";
            const file = write(
                "event.json",
                JSON.stringify({ workflow_run: { head_sha: commit, head_branch: "b", head_repository, html_url } }),
            );
            return await ci(["comment", folderName], { GITHUB_EVENT_PATH: file });
        }

        const bodies = (number: number) => (api.comments.get(number) ?? []).map(({ body }) => body);

        it("is one for all stacks, and is updated, also behind a hundred others", async () => {
            api.pulls = [pull(3, "d".repeat(40)), pull(4, commit, "other/name"), pull(5, commit)];
            const others: Note[] = Array.from({ length: 130 }, (_, id) => ({
                id: 1000 + id,
                user: { type: "User" },
                body: "<!-- runtime-sandboxes: preview --> mine",
            }));
            api.comments.set(5, [...others]);
            write("previews/preview-gcp.json", digestText({ stack: "gcp" }));
            write("previews/preview-dev.json", digestText());
            const first = await comment();
            assert.equal(first.code, 0, first.text);
            assert.match(first.text, /^posted the comment on pull request 5$/m);
            write("previews/preview-dev.json", digestText({ result: "failed", errors: ["no"] }));
            const second = await comment();
            assert.match(second.text, /^updated the comment on pull request 5$/m);
            assert.deepEqual(api.changes, ["POST issues/5/comments", "PATCH issues/comments/130"]);
            assert.deepEqual(
                bodies(5).slice(0, 130),
                others.map(({ body }) => body),
                "others' stay as they are",
            );
            const body = bodies(5).at(-1) ?? "";
            assert.match(body, /Stack `dev`: \*\*the preview failed\*\*[\s\S]*Stack `gcp`: no change/);
            assert.match(body, /^## Preview of `cccccccccccc`$/m);
            assert.match(body, /^\[The run\]\(https:\/\/github\.example\/run\)$/m);
        });

        it("is not made where the pull request has gone on, or nothing was previewed", async () => {
            write("previews/preview-dev.json", digestText());
            api.pulls = [pull(3, "d".repeat(40))];
            assert.match((await comment()).text, /^no open pull request ends with commit c{40}/);
            api.pulls = [pull(3, commit)];
            assert.match((await comment("nothing")).text, /^the run has left no digest/);
            assert.deepEqual(api.changes, []);
        });

        it("takes restarts for other packages, also where the repository decides the rest of the version", async () => {
            api.pulls = [pull(5, commit)];
            const restart = { worker: "w", what: "package", before: "2.2.10-*", after: "2.3.7" };
            write("previews/preview-dev.json", digestText({ restarts: [restart] }));
            const { code, text } = await comment();
            assert.equal(code, 0, text);
            assert.match(bodies(5).at(-1) ?? "", /^- `w`: package `2\.2\.10-\*` -> `2\.3\.7`$/m);
        });

        it("shows what a stranger has written as code, and refuses what is no digest", async () => {
            api.pulls = [pull(5, commit)];
            const evil = "`</summary>|@everyone [x](https://evil.example)\n# big <img src=x>`";
            write(
                "previews/preview-dev.json",
                digestText({
                    steps: [{ op: "`|<b>@everyone", type: evil, name: evil, changed: [evil], inputs: "00" }],
                    restarts: [{ worker: evil, what: "configuration" }],
                    errors: ["```\n</details> @everyone"],
                    policies: [{ level: evil, policy: evil, resource: evil, message: evil }],
                    extra: evil,
                }),
            );
            assert.equal((await comment()).code, 0);
            const text = (bodies(5)[0] ?? "").replace(/^<!--.*-->$/m, "");
            assert.match(text, /^````text\n```\n<\/details> @everyone\n````$/m);
            const shown = text.replace(/^````text[\s\S]*?^````$/m, "").replace(/`[^`\n]*`/g, "");
            assert.doesNotMatch(shown, /everyone|evil|img|big|<b>/, shown);

            const cases: [string, RegExp][] = [
                ["not json", /preview-dev\.json Unexpected token/],
                [digestText({ stack: "a b" }), /is not a digest of a preview: wrong stack\./],
                [digestText({ restarts: [{ worker: "w", what: "package", after: "x`y" }] }), /wrong restarts\./],
                [digestText({ steps: [{ op: 1 }] }), /wrong steps\./],
                [digestText({ errors: ["x".repeat(10_000)] }), /wrong errors\./],
                [`"${"x".repeat(2_000_001)}"`, /is 2000003 characters long; allowed: 2000000\./],
            ];
            for (const [content, sentence] of cases) {
                write("previews/preview-dev.json", content);
                const { code, text: told } = await comment();
                assert.equal(code, 1);
                assert.match(told, sentence);
            }
            assert.equal(bodies(5).length, 1);
        });

        it("is never longer than GitHub takes", async () => {
            api.pulls = [pull(5, commit)];
            const name = "n".repeat(290);
            const one = { op: "update", type: name, name, changed: Array(40).fill("c".repeat(400)), inputs: "00" };
            const policy = { level: name, policy: name, resource: name, message: "m".repeat(2000) };
            const more = { errors: Array(20).fill("e".repeat(2000)), policies: Array(20).fill(policy) };
            for (const stack of ["a", "b", "c", "d"]) {
                const text = digestText({ stack, steps: Array(60).fill(one), ...more });
                write(`previews/preview-${stack}.json`, text);
            }
            assert.equal((await comment()).code, 0);
            const body = bodies(5)[0] ?? "";
            assert.ok(body.length > 30_000 && body.length < 65_536, `${body.length} characters`);
            assert.match(body, /^… and 59 more\n\n<\/details>$/m);
            assert.match(body, /^### Stack `d`: .*\n\nThe rest is in the summary of the run\.\n\n\[The run\]/m);
        });
    });

    describe("drift-issue", () => {
        const drifted = JSON.stringify({
            looked: 9,
            machines: [{ worker: "worker-1", differences: ["/etc/x is <b>changed</b>"] }],
            objects: [{ object: "Pod test-1", differences: ["it is gone"] }],
        });
        const nothing = JSON.stringify({ looked: 9, machines: [], objects: [] });
        const pods = (...problems: object[]) => JSON.stringify({ problems });
        const issue = (content: string, asked = pods()) =>
            ci(["drift-issue", write("drift.json", content), write("pods.json", asked)], { STACK: "dev" });

        it("is opened once, updated, and closed when nothing differs any more", async () => {
            const other: Issue = {
                id: 0,
                number: 0,
                user: { type: "User" },
                title: "",
                body: "",
                state: "open",
                labels: ["drift"],
            };
            api.issues.push(other);
            assert.match((await issue(nothing)).text, /^stack dev has not drifted, and no issue says so$/m);
            assert.match((await issue(drifted)).text, /^opened issue 1$/m);
            assert.match((await issue(drifted)).text, /^updated issue 1$/m);
            const [, made] = api.issues;
            assert.deepEqual([made?.title, made?.labels], ["Stack dev has drifted", ["drift"]]);
            assert.match(
                made?.body ?? "",
                /^```text\nworker-1: \/etc\/x is <b>changed<\/b>\nPod test-1: it is gone\n```$/m,
            );
            assert.match(made?.body ?? "", /\[The run\]\(https:\/\/github\.example\/owner\/name\/actions\/runs\/7\)$/);
            assert.match((await issue(nothing)).text, /^closed issue 1: stack dev has not drifted$/m);
            assert.equal(made?.state, "closed");
            assert.match((await issue(drifted)).text, /^opened issue 2$/m);
            assert.deepEqual([other.state, other.body], ["open", ""]);
        });

        it("is left alone where not all could be looked at, which is said where something differs", async () => {
            const unseen = [{ what: "worker-2", why: "it cannot be reached" }];
            const blind = await issue(JSON.stringify({ ...JSON.parse(nothing), unseen }));
            assert.equal(blind.code, 1);
            assert.match(
                blind.text,
                /could not be looked at in full; its issue was left as it is\..*\n.*worker-2: it cannot/,
            );
            assert.deepEqual(api.changes, []);
            await issue(JSON.stringify({ ...JSON.parse(drifted), unseen }));
            assert.match(
                api.issues[0]?.body ?? "",
                /could not be looked at:\n\n```text\nworker-2: it cannot be reached\n```/,
            );
        });

        it("names pods that are not where they should be, and is left alone while nobody can look at them", async () => {
            const unseen = { kind: "unseen", message: "worker-1 cannot be asked" };
            const wrong = {
                kind: "unsandboxed",
                worker: "worker-1",
                message: "the pod a/<b>: seen; wanted: a sandbox",
            };
            assert.match((await issue(nothing, pods(wrong, unseen))).text, /^opened issue \d+$/m);
            const made = api.issues.at(-1);
            assert.match(made?.body ?? "", /^```text\nthe pod a\/<b>: seen; wanted: a sandbox\n```$/m);
            assert.doesNotMatch(made?.body ?? "", /not as its last update/);
            assert.match(made?.body ?? "", /could not be looked at:\n\n```text\nworker-1 cannot be asked\n```/);
            const blind = await issue(nothing, pods(unseen));
            assert.equal(blind.code, 1);
            assert.match(
                blind.text,
                /could not be looked at in full; its issue was left as it is\.\n.*worker-1 cannot be asked/,
            );
            assert.equal(made?.state, "open");
            assert.match((await issue(nothing)).text, /^closed issue \d+: stack dev has not drifted$/m);
        });

        it("is left alone where `drift` or `check` itself failed", async () => {
            const { code: status, text: said } = await issue(nothing, '{"result":1}');
            assert.equal(status, 1);
            assert.match(
                said,
                /pods\.json holds no result of `npm run check -- --pods --json`; the issue was left as it is\./,
            );
            for (const content of ["", "null", '{"machines":[]}']) {
                const { code, text } = await issue(content);
                assert.equal(code, 1);
                assert.match(
                    text,
                    /drift\.json holds no result of `npm run drift -- --json`; the issue was left as it is\./,
                );
            }
            assert.deepEqual(api.changes, []);
        });
    });

    describe("release", () => {
        const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as { version: string };

        beforeEach(() => {
            const author = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
            fs.writeFileSync(path.join(folder, ".gitignore"), "node_modules\n");
            for (const args of [
                ["init", "--quiet"],
                ["add", "."],
                [...author, "commit", "--quiet", "--message", "all"],
            ]) {
                execFileSync("git", args, { cwd: folder });
            }
        });

        it("is made from the changelog's part about the version", async () => {
            write(
                "CHANGELOG.md",
                `# Changelog\n\n## [Unreleased]\n\n- not yet\n\n## [${version}] - 2026-11-25\n\n### Added\n\n- all\n\n## [0.0.1] - 2026-01-01\n\n- old\n`,
            );
            for (const verb of ["made", "updated"]) {
                const { code, text } = await ci(["release"], { GITHUB_REF_NAME: `v${version}` });
                assert.equal(code, 0, text);
                assert.match(text, new RegExp(`^${verb} the release `, "m"));
            }
            assert.equal(api.releases.length, 1);
            const { tag_name, body, prerelease } = api.releases[0] ?? {};
            assert.deepEqual([tag_name, prerelease], [`v${version}`, false]);
            assert.match(String(body), /^### Added\n\n- all\n\n### Checksums\n/);
        });

        it("has the source, a bill of materials and their checksums, those of its last run", async () => {
            const files = () => new Map([...api.assets.values()].map(({ name, content }) => [name, content]));
            const name = `runtime-sandboxes-${version}`;
            for (let round = 0; round < 2; round++) {
                const { code, text } = await ci(["release"], { GITHUB_REF_NAME: `v${version}` });
                assert.equal(code, 0, text);
                assert.deepEqual([...files().keys()], [`${name}.tar.gz`, `${name}.spdx.json`, "SHA256SUMS"]);
                const target = fs.mkdtempSync(path.join(folder, "release-"));
                for (const [file, content] of files()) {
                    fs.writeFileSync(path.join(target, file), content);
                }
                execFileSync("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: target });
                assert.ok(String(api.releases[0]?.body).includes(String(files().get("SHA256SUMS"))));
                execFileSync("tar", ["-xzf", `${name}.tar.gz`], { cwd: target });
                assert.equal(fs.readFileSync(path.join(target, name, "CHANGELOG.md"), "utf8"), read("CHANGELOG.md"));
            }
            const { packages } = JSON.parse(String(files().get(`${name}.spdx.json`))) as {
                packages: { name: string }[];
            };
            for (const wanted of ["runtime-sandboxes", "@pulumi/pulumi", "zod"]) {
                assert.ok(
                    packages.some((one) => one.name === wanted),
                    wanted,
                );
            }
        });

        it("is not made of a tag that is not the version's, or without a word in the changelog", async () => {
            write("CHANGELOG.md", "# Changelog\n");
            const { code, text } = await ci(["release"], { GITHUB_REF_NAME: "v9.9.9" });
            assert.equal(code, 1);
            assert.match(
                text,
                new RegExp(`the tag is v9\\.9\\.9, but package\\.json says version ${version}: it should be`),
            );
            assert.match(text, new RegExp(`CHANGELOG\\.md says nothing about ${version}`));
            assert.deepEqual(api.changes, []);
        });

        it("of this version has its part in the project's changelog", async () => {
            const { code, text } = await ci(["release"], { GITHUB_REF_NAME: `v${version}` });
            assert.equal(code, 0, text);
            assert.match(String(api.releases[0]?.body), /^### Added$/m);
        });
    });

    it("says what is missing outside of a run, and what GitHub has refused", async () => {
        const without = await ci(["release"], { GITHUB_REF_NAME: "" });
        assert.equal(without.code, 2);
        assert.match(
            without.text,
            /^error: GITHUB_REF_NAME is not set: this command is for a workflow of GitHub Actions\.$/m,
        );
        const refused = await ci(
            ["drift-issue", write("drift.json", '{"machines":[],"objects":[]}'), write("pods.json", '{"problems":[]}')],
            {
                GITHUB_TOKEN: "wrong",
            },
        );
        assert.equal(refused.code, 1);
        assert.match(refused.text, /^error: GitHub answered 401 to GET issues\?state=open.*Bad credentials/m);
        assert.match(refused.text, /^ {2}next: check that the job has the permissions that docs\/ci\.md names$/m);
    });
});
