// The workflows: what they may, what they run, and their run blocks in a fresh clone.
//
// A comment before each run block says where it is exercised: "# exercised by FILE" (this one: in `executed` below), or
// "# not exercised: REASON".
import * as assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { loadYaml } from "@kubernetes/client-node";
import { goodOutputs } from "./cliProject";
import { GithubApi } from "./githubApi";

const root = path.resolve(__dirname, "../..");
const here = "test/scripts/workflows.spec.ts";

interface Step {
    readonly run?: string;
    readonly uses?: string;
    readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
    readonly uses?: string;
    readonly permissions?: Readonly<Record<string, string>>;
    readonly "timeout-minutes"?: number;
    readonly steps?: readonly Step[];
}

interface Workflow {
    readonly on: Readonly<Record<string, unknown>>;
    readonly permissions?: Readonly<Record<string, string>>;
    readonly concurrency?: { readonly group: string; readonly "cancel-in-progress": boolean };
    readonly jobs: Readonly<Record<string, Job>>;
}

const folder = path.join(root, ".github/workflows");
const workflows = fs.readdirSync(folder).map((name) => {
    const text = fs.readFileSync(path.join(folder, name), "utf8");
    return { name, text, workflow: loadYaml<Workflow>(text) };
});
const action = fs.readFileSync(path.join(root, ".github/actions/setup/action.yml"), "utf8");
const jobs = workflows.flatMap(({ name, workflow }) =>
    Object.entries(workflow.jobs).map(([job, content]) => ({ name: `${name}: ${job}`, workflow, job: content })),
);
const steps = jobs.flatMap(({ name, job }) => (job.steps ?? []).map((step) => ({ name, step })));
const runs = steps.flatMap(({ name, step: { run } }) => (run === undefined ? [] : [{ name, run }]));

describe("workflows", () => {
    it("pass actionlint with shellcheck, which finds what is wrong", async function () {
        this.timeout(300_000);
        execFileSync(process.execPath, ["cli/bootstrap.mjs", "ci", "actionlint"], { cwd: root });
        const wrong = `on: push\njobs:\n  x:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo $x \${{ y }}\n`;
        const linter = path.join(root, ".cache/actionlint/actionlint");
        const failed = await finished(spawn(linter, ["-no-color", "-shellcheck", "shellcheck", "-"]), wrong);
        assert.equal(failed.code, 1);
        assert.match(failed.text, /undefined variable "y"/);
        assert.match(failed.text, /shellcheck reported issue .*SC2086/);
    });

    it("pin each action by its commit, with the version beside it", () => {
        for (const { name, text } of [...workflows, { name: "action.yml", text: action }]) {
            for (const [line, used = ""] of text.matchAll(/^.*\buses: (\S+).*$/gm)) {
                const right = used.startsWith("./") || /@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line);
                assert.ok(right, `${name}: ${line.trim()}`);
            }
        }
        const versions = new Map<string, Set<string>>();
        for (const { text } of [...workflows, { text: action }]) {
            for (const [, name = "", commit = ""] of text.matchAll(/uses: ([\w/-]+)@(.+)$/gm)) {
                versions.set(name, (versions.get(name) ?? new Set()).add(commit));
            }
        }
        assert.ok(versions.size >= 6);
        for (const [name, commits] of versions) {
            assert.equal(commits.size, 1, `${name} is the same everywhere`);
        }
    });

    it("may no more than they need", () => {
        const read = { contents: "read" };
        const cloud = { ...read, "id-token": "write" };
        const allowed: Record<string, Record<string, string>> = {
            "comment.yml: comment": { ...read, actions: "read", "pull-requests": "write" },
            "deploy.yml: plan": cloud,
            "deploy.yml: update": cloud,
            "drift.yml: drift": { ...cloud, issues: "write" },
            "pull-request.yml: preview": cloud,
            "release.yml: release": { contents: "write" },
        };
        for (const { name, workflow, job } of jobs) {
            assert.ok(workflow.permissions, `${name}: the workflow declares its permissions`);
            assert.deepEqual(job.permissions ?? workflow.permissions, allowed[name] ?? read, name);
        }
    });

    it("give pull requests of strangers no secret, and run none of their code where they may write", () => {
        for (const { name, text, workflow } of workflows) {
            assert.doesNotMatch(text, /pull_request_target/, name);
            if ("pull_request" in workflow.on || "workflow_call" in workflow.on || "workflow_run" in workflow.on) {
                assert.doesNotMatch(text, /\bsecrets\b/, name);
            }
        }
        const [comment] = jobs.filter(({ name }) => name === "comment.yml: comment");
        const [checkout, ...others] = comment?.job.steps ?? [];
        assert.match(String(checkout?.with?.ref), /^\$\{\{ github\.event\.repository\.default_branch \}\}$/);
        assert.deepEqual(
            others.flatMap(({ run, uses }) => run ?? uses?.split("@")[0] ?? ""),
            ["./.github/actions/setup", "actions/download-artifact", 'npm run ci -- comment "$RUNNER_TEMP/previews"'],
        );
        for (const { name, step } of steps.filter((one) => one.step.uses?.startsWith("actions/checkout@"))) {
            assert.equal(step.with?.["persist-credentials"], false, name);
        }
        // What an author of a pull request has chosen never becomes part of a script.
        for (const { name, run } of runs) {
            assert.doesNotMatch(run, /\$\{\{/, name);
        }
        // A command of this kind would run at every preview.
        const components = fs.readdirSync(path.join(root, "components"), { recursive: true, encoding: "utf8" });
        for (const file of components.filter((one) => one.endsWith(".ts"))) {
            assert.doesNotMatch(
                fs.readFileSync(path.join(root, "components", file), "utf8"),
                /\brunOutput\b|\.run\(/,
                file,
            );
        }
    });

    it("name files and folders that there are", () => {
        const setups = steps.filter(({ step }) => step.uses?.startsWith("actions/setup-go@"));
        assert.ok(setups.length >= 3);
        for (const { step } of setups) {
            assert.ok(fs.existsSync(path.join(root, String(step.with?.["go-version-file"]))));
            for (const pattern of String(step.with?.["cache-dependency-path"]).trim().split("\n")) {
                assert.ok(fs.globSync(pattern, { cwd: root }).length > 0, pattern);
            }
        }
        for (const { name, run } of runs) {
            const [, pack] = /--policy-pack (\S+)/.exec(run) ?? [];
            assert.ok(
                pack === undefined || fs.existsSync(path.join(root, pack, "PulumiPolicy.yaml")),
                `${name}: ${run}`,
            );
        }
    });

    it("end, and never cut off an update", () => {
        for (const { name, job } of jobs.filter((one) => one.job.uses === undefined)) {
            assert.ok((job["timeout-minutes"] ?? 0) > 0, `${name} has a limit`);
        }
        for (const { name, workflow } of workflows) {
            const changes = /npm run (up|destroy)\b|-- release\b/.test(JSON.stringify(workflow.jobs));
            const { group, "cancel-in-progress": cancels } = workflow.concurrency ?? {};
            assert.ok(group, `${name} has a concurrency group`);
            assert.ok(typeof cancels === "boolean" && !(changes && cancels), name);
        }
    });

    it("run the npm scripts that people use", () => {
        const { scripts } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as {
            scripts: Record<string, string>;
        };
        for (const { name, run } of runs.filter((one) => !/^(rm|cat) bench\/matrix\.md\b/.test(one.run))) {
            const [, script = ""] = /^(?:sudo -E env "PATH=\$PATH" )?npm run (?:-s )?([\w:-]+)(?: |$)/.exec(run) ?? [];
            assert.ok(script in scripts, `${name}: "${run}" is an npm script`);
        }
    });

    it("say of each run block where it is exercised", () => {
        const exercisedHere = new Set<string>();
        for (const { name, text } of workflows) {
            let mark: string | undefined;
            for (const line of text.split("\n")) {
                mark = /^ +# ((?:not )?exercised.*)$/.exec(line)?.[1] ?? mark;
                const [, run] = /^ +(?:- )?run: (.*)$/.exec(line) ?? [];
                if (run !== undefined) {
                    const [, file, reason] =
                        /^(?:exercised by ([^ ,]+)(?:, .+)?|not exercised: (.+))$/.exec(mark ?? "") ?? [];
                    assert.ok(file ?? reason, `${name}: "${run}" has a comment before it`);
                    assert.ok(reason || fs.existsSync(path.join(root, file ?? "")), `${name}: there is a ${file}`);
                    if (file === here) {
                        exercisedHere.add(run);
                    }
                    mark = undefined;
                }
            }
            const counted = [...text.matchAll(/^ +(?:- )?run: .+$/gm)].length;
            assert.equal(runs.filter((one) => one.name.startsWith(`${name}:`)).length, counted, name);
        }
        assert.deepEqual([...exercisedHere].sort(), Object.values(block).sort());
    });

    describe("in a fresh clone", executed);
});

/** The run blocks that need no foreign service, by a short name. */
const block = {
    verify: "npm run verify",
    unit: "npm run test:unit",
    stacks: "npm run ci -- stacks",
    preview: "npm run preview -- --policy-pack policy-pack",
    digest: 'npm run ci -- digest "preview-$STACK.json"',
    plan: "npm run ci -- digest plan.json",
    same: "npm run ci -- same plan.json",
    comment: 'npm run ci -- comment "$RUNNER_TEMP/previews"',
    check: "npm run check",
    checkAsRoot: 'sudo -E env "PATH=$PATH" npm run check',
    outputs: "npm run ci -- outputs outputs.json",
    drift: "npm run -s drift -- --json > drift.json",
    pods: "npm run -s check -- --pods --json > pods.json",
    driftIssue: "npm run ci -- drift-issue drift.json pods.json",
    release: "npm run ci -- release",
    forgetPage: "rm bench/matrix.md",
    showPage: 'cat bench/matrix.md >> "$GITHUB_STEP_SUMMARY"',
} as const;

async function finished(child: ReturnType<typeof spawn>, input = "") {
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding("utf8").on("data", (part: string) => {
            text += part;
        });
    }
    child.stdin?.on("error", () => undefined); // It may end without reading.
    child.stdin?.end(input);
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    return { code, text };
}

function executed(this: Mocha.Suite): void {
    this.timeout(300_000);
    const api = new GithubApi();
    const clone = fs.mkdtempSync(path.join(os.tmpdir(), "clone-"));
    const at = (...parts: string[]) => path.join(clone, ...parts);
    const read = (name: string) => fs.readFileSync(at(name), "utf8");
    /** Where a preview leaves what it has planned. */
    const eventLog = ".cache/logs/preview-dev.events.json";

    before(async () => {
        execFileSync("git", ["clone", "--quiet", root, clone]);
        asItStands();
        // Stands for sudo, which a machine of root's may not have.
        fs.mkdirSync(at(".cache/test-bin"), { recursive: true });
        fs.writeFileSync(at(".cache/test-bin/sudo"), '#!/bin/sh\nshift\nexec "$@"\n', { mode: 0o755 });
        await api.start();
    });
    after(() => {
        api.stop();
        fs.rmSync(clone, { recursive: true, force: true });
    });

    /** Brings what is not committed here into the clone, as one more commit: that is what is to be tried. */
    function asItStands(): void {
        const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" });
        const changed = git("diff", "--name-only", "--no-renames", "-z", "HEAD");
        const added = git("ls-files", "-z", "--others", "--exclude-standard");
        for (const name of `${changed}${added}`.split("\0").filter((one) => one !== "")) {
            fs.rmSync(at(name), { force: true });
            if (fs.existsSync(path.join(root, name))) {
                fs.mkdirSync(path.dirname(at(name)), { recursive: true });
                fs.copyFileSync(path.join(root, name), at(name));
            }
        }
        const author = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
        execFileSync("git", ["add", "--all"], { cwd: clone });
        execFileSync("git", [...author, "commit", "--quiet", "--allow-empty", "--message", "As it stands"], {
            cwd: clone,
        });
    }

    it("are run as they stand here, committed or not", () => {
        for (const name of ["test/scripts/workflows.spec.ts", "cli/ci/main.ts", "package.json"]) {
            assert.equal(read(name), fs.readFileSync(path.join(root, name), "utf8"), name);
        }
    });

    /** What a runner gives, with the engine of this checkout as one that is installed there. */
    function environment(): NodeJS.ProcessEnv {
        const { pulumi } = JSON.parse(fs.readFileSync(path.join(root, ".cache/toolchain.json"), "utf8")) as {
            pulumi: string;
        };
        const others = (process.env.PATH ?? "").split(":").filter((entry) => !entry.startsWith(root));
        return {
            // How this host reaches a registry is its own.
            ...Object.fromEntries(
                Object.entries(process.env).filter(
                    ([key]) =>
                        !/^(PULUMI_|npm_|NODE_)/.test(key) ||
                        /^(NODE_EXTRA_CA_CERTS|npm_config_(cache|cafile|registry))$/.test(key),
                ),
            ),
            ...api.env,
            PATH: [at(".cache/test-bin"), path.dirname(fs.realpathSync(pulumi)), ...others].join(":"),
            CI: "true",
            STACK: "dev",
            RUNNER_TEMP: at(".cache/temp"),
            GITHUB_OUTPUT: at("github-output"),
            GITHUB_STEP_SUMMARY: at("summary.md"),
            npm_config_prefer_offline: "true",
            RUNTIME_SANDBOXES_PULUMI_RELEASES: "http://127.0.0.1:9",
        };
    }

    /** Runs a block as the runner does. */
    async function run(name: keyof typeof block, more: Record<string, string> = {}) {
        const env = { ...environment(), ...more };
        return await finished(spawn("bash", ["-e", "-c", block[name]], { cwd: clone, env }));
    }

    async function succeeds(name: keyof typeof block, more: Record<string, string> = {}): Promise<string> {
        const { code, text } = await run(name, more);
        // Only what `npm test` says of its failures, where that is what failed.
        assert.equal(code, 0, `${block[name]}:\n${text.slice(Math.max(0, text.search(/^failed: /m)))}`);
        return text;
    }

    it("the stacks are found, with no more than the npm packages", async () => {
        await succeeds("stacks");
        assert.match(read("github-output"), /^stacks=\["dev"/m);
        assert.equal(fs.existsSync(at("node_modules")), true);
        assert.equal(fs.existsSync(at(".cache/toolchain.json")), false);
    });

    it("the code is verified, and its units are tested", async () => {
        // `npm test` has just done both with all of the code. Here few tests stand for all.
        const specs = fs.globSync("test/**/*.spec.ts", { cwd: clone });
        for (const spec of specs.filter((name) => name !== "test/unit/security.spec.ts")) {
            fs.rmSync(at(spec));
        }
        await succeeds("verify");
        assert.match(await succeeds("unit"), /^[1-9]\d* passed, 0 failed$/m);
        execFileSync("git", ["checkout", "--quiet", "test"], { cwd: clone });
    });

    it("a preview within the policies becomes the comment, a failed one too", async () => {
        await succeeds("preview");
        await succeeds("digest");
        const changes = /^### Stack `dev`: \d+ created$/m;
        assert.match(read("summary.md"), changes);
        const commit = execFileSync("git", ["rev-parse", "HEAD"], { cwd: clone, encoding: "utf8" }).trim();
        const repo = { full_name: "stranger/name", owner: { login: "stranger" } };
        api.pulls = [{ number: 5, head: { sha: commit, repo }, base: { repo: { full_name: api.repository } } }];
        const event = { workflow_run: { head_sha: commit, head_branch: "b", head_repository: repo, html_url: "x" } };
        fs.writeFileSync(at("event.json"), JSON.stringify(event));
        const comment = async () => {
            fs.mkdirSync(at(".cache/temp/previews"), { recursive: true });
            fs.copyFileSync(at("preview-dev.json"), at(".cache/temp/previews/preview-dev.json"));
            await succeeds("comment", { GITHUB_EVENT_PATH: at("event.json") });
            return api.comments.get(5)?.map(({ body }) => body) ?? [];
        };
        assert.match((await comment())[0] ?? "", changes);
        fs.copyFileSync(at(eventLog), at(".cache/reviewed.json"));

        setting("runtimeClass", "No Label");
        const { code, text } = await run("preview");
        assert.equal(code, 1, text);
        await succeeds("digest");
        const [body = "", ...repeated] = await comment();
        assert.deepEqual(repeated, [], "the comment is updated");
        assert.match(body, /^### Stack `dev`: \*\*the preview failed\*\*/m);
        assert.match(body, /runtimeClass .*"No Label"/);
        setting("runtimeClass", "myclass");
    });

    it("an update goes on only as it was reviewed", async () => {
        fs.copyFileSync(at(".cache/reviewed.json"), at(eventLog));
        await succeeds("plan");
        await succeeds("preview");
        await succeeds("same");
        setting("runtimeClass", "other");
        await succeeds("preview");
        const { code, text } = await run("same");
        assert.equal(code, 1);
        assert.match(text, /gone: create of sandbox-myclass-runtimeclass /);
        setting("runtimeClass", "myclass");
    });

    it("the outputs of a stack are checked, kept and shown without secrets", async () => {
        await importOutputs();
        await succeeds("check");
        await succeeds("checkAsRoot");
        fs.rmSync(at("summary.md"));
        await succeeds("outputs");
        const outputs = JSON.parse(read("outputs.json")) as Record<string, unknown>;
        assert.equal(outputs.kubeconfig, "[secret]");
        assert.match(read("summary.md"), /^## Stack `dev`$[\s\S]*PROVEN/m);
        assert.doesNotMatch(`${read("outputs.json")}${read("summary.md")}`, /s3cret/);
    });

    it("what has not drifted opens no issue", async () => {
        await succeeds("drift");
        // This stack has outputs, and no machine that could be asked.
        const { code, text } = await run("pods");
        assert.equal(code, 9, text);
        assert.match(
            read("pods.json"),
            /"kind": "unseen",\s+"message": "no pod could be looked at: the state of stack dev/,
        );
        assert.equal((await run("driftIssue")).code, 1);
        fs.writeFileSync(at("pods.json"), '{"problems":[]}');
        assert.match(await succeeds("driftIssue"), /^stack dev has not drifted, and no issue says so$/m);
        assert.deepEqual(api.issues, []);
    });

    it("a tag becomes a release", async () => {
        const { version } = JSON.parse(read("package.json")) as { version: string };
        await succeeds("release", { GITHUB_REF_NAME: `v${version}` });
        assert.equal(api.releases[0]?.tag_name, `v${version}`);
    });

    it("the page of the matrix is shown, and none that the run has not written", async () => {
        const page = read("bench/matrix.md");
        fs.rmSync(at("summary.md"), { force: true });
        await succeeds("showPage");
        assert.equal(read("summary.md"), page);
        await succeeds("forgetPage");
        assert.notEqual((await run("showPage")).code, 0);
        fs.writeFileSync(at("bench/matrix.md"), page);
    });

    /** Writes a setting of the stack. */
    function setting(name: string, value: string): void {
        const text = read("Pulumi.dev.yaml").replace(new RegExp(`^ +runtime-sandboxes:${name}:.*\\n`, "m"), "");
        const line = `  runtime-sandboxes:${name}: ${JSON.stringify(value)}\n`;
        fs.writeFileSync(
            at("Pulumi.dev.yaml"),
            text.replace(/^config:\n/m, (head) => head + line),
        );
    }

    /** Makes the stack, with outputs as an update leaves them. */
    async function importOutputs(): Promise<void> {
        const pulumi = (...args: string[]) =>
            finished(spawn("npm", ["run", "-s", "pulumi", "--", ...args], { cwd: clone, env: environment() }));
        await pulumi("config", "set", "workers", "1");
        const secret = "4dabf18193072939515e22adb298388d";
        const kubeconfig = { [secret]: "1b47061264138c4ac30d75fd1eb44270", plaintext: '"s3cret"' };
        const urn = "urn:pulumi:dev::runtime-sandboxes::pulumi:pulumi:Stack::runtime-sandboxes-dev";
        const resources = [
            { urn, custom: false, type: "pulumi:pulumi:Stack", outputs: { ...goodOutputs(), kubeconfig } },
        ];
        const exported = await pulumi("stack", "export", "--stack", "dev");
        const state = JSON.parse(exported.text.slice(exported.text.indexOf("{"))) as { deployment: object };
        fs.writeFileSync(
            at("state.json"),
            JSON.stringify({ ...state, deployment: { ...state.deployment, resources } }),
        );
        const { code, text } = await pulumi("stack", "import", "--stack", "dev", "--file", "state.json");
        assert.equal(code, 0, text);
    }
}
