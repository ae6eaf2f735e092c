// What a run has seen, as a page: tests say what machines have said, mocha how each test has ended.
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const root = path.resolve(__dirname, "../..");

/** What a machine has said, by name. */
type Seen = Readonly<Record<string, string>>;

const seenBy = new Map<Mocha.Runnable, Seen>();
const versions = new Map<string, Set<string>>();
let current: Mocha.Runnable | undefined;

/** Notes what a machine has said: in the row of the test, and the version of a program in the head of the page, too. */
export function saw(what: Seen): void {
    if (current) {
        seenBy.set(current, { ...seenBy.get(current), ...what });
    }
    for (const [name, version] of Object.entries(what).filter(([name]) => name in programs)) {
        versions.set(name, (versions.get(name) ?? new Set()).add(version));
    }
}

/** Says which test it is that sees something from now on. */
export function begin(test: Mocha.Runnable | undefined): void {
    current = test;
}

/** Programs whose versions are in the head of the page, with the Go module that a recipe pins. */
const programs: Readonly<Record<string, RegExp | undefined>> = {
    containerd: /github\.com\/containerd\/containerd(?:\/v2)? v\S+/,
    runc: undefined,
    runsc: /gvisor\.dev\/gvisor v\S+/,
    k0s: /github\.com\/k0sproject\/k0s v\S+/,
    kubelet: /k8s\.io\/kubernetes v\S+/,
};

/** A version without what a program and its module say differently; gVisor's module has a day in place of one. */
const bare = (version: string) =>
    version
        .replace(/^v0\.0\.0-(\d{8}).*/, "$1.0")
        .replace(/^(?:release-|v)/, "")
        .replace(/[-+~].*/, "");

/** How a program was built, by the recipe that pins its version. */
function built(program: string, version: string): string {
    const recipes = fs.readdirSync(path.join(root, "mirror/build")).sort();
    for (const recipe of [...recipes.map((name) => `mirror/build/${name}`), "test/matrix/k0s"]) {
        const [, name, pin = ""] =
            /^(\S+) (\S+)/.exec(
                programs[program]?.exec(fs.readFileSync(path.join(root, recipe, "go.mod"), "utf8"))?.[0] ?? "",
            ) ?? [];
        const release = path.join(root, recipe, "release");
        const named = fs.existsSync(release) ? fs.readFileSync(release, "utf8").trim() : pin;
        if (name && bare(named) === bare(version)) {
            const releases = program === "runsc" ? ", which is not a release" : "";
            return `with the recipe ${recipe} from the Go module ${name} ${pin}${releases}`;
        }
    }
    return programs[program] && !/ds\d/.test(version) ? "by no recipe of this project" : "as Debian's package";
}

/** Text that has its place in one cell: of a long one the begin, and the end, where a cause is most often said. */
function cell(text: string): string {
    const line = text.replaceAll(`${root}/`, "").replace(/\s+/g, " ").trim().replaceAll("|", "\\|");
    return line.length > 400 ? `${line.slice(0, 120)} … ${line.slice(-250)}` : line;
}
const row = (...cells: string[]) => `| ${cells.join(" | ")} |`;
const seconds = (tests: readonly Mocha.Runnable[]) =>
    (tests.reduce((sum, { duration = 0 }) => sum + duration, 0) / 1000).toFixed(0);
const failure = (what: Mocha.Runnable & { err?: Error }) => `**FAILED**: ${cell(what.err?.message ?? "")}`;

function outcome(test: Mocha.Test): string {
    return test.isFailed() ? failure(test) : test.isPassed() ? "passed" : test.isPending() ? "skipped" : "not run";
}

/** All tests of a suite. */
function all({ tests, suites }: Mocha.Suite): Mocha.Test[] {
    return [...tests, ...suites.flatMap(all)];
}

/** Everything that tests have seen, each once. */
function seenIn(tests: readonly Mocha.Test[]): string {
    const lines = tests.flatMap((test) =>
        Object.entries(seenBy.get(test) ?? {}).map(([name, text]) => `${name} ${text}`),
    );
    return cell([...new Set(lines)].join("; "));
}

/** The hooks of a suite that have failed, and so its tests have not run. mocha has no other way to ask for them. */
function failedHooks(suite: Mocha.Suite): Mocha.Hook[] {
    const { getHooks } = suite as unknown as { getHooks(kind: string): Mocha.Hook[] };
    return ["beforeAll", "beforeEach", "afterEach", "afterAll"]
        .flatMap((kind) => getHooks.call(suite, kind))
        .filter((hook) => hook.isFailed());
}

/** Rows of a suite: one for each test; one for a suite within it, with those of its tests that have not passed. */
function rows(suite: Mocha.Suite): string[] {
    const hooks = failedHooks(suite).map((hook) => row("", cell(hook.title), "", failure(hook), ""));
    const tests = suite.tests.map((test, index) =>
        row(`${index + 1}`, cell(test.title), seenIn([test]), outcome(test), seconds([test])),
    );
    const groups = suite.suites.flatMap((group) => {
        const within = all(group);
        const passed = within.filter((test) => test.isPassed());
        const others = within.filter((test) => !test.isPassed());
        return [
            row("", cell(group.title), seenIn(within), `${passed.length} of ${within.length} passed`, seconds(within)),
            ...hooksOf(group).map((hook) => row("", cell(hook.title), "", failure(hook), "")),
            ...others.map((test) => row("", cell(`${group.title}: ${test.title}`), seenIn([test]), outcome(test), "")),
        ];
    });
    return [...hooks, ...tests, ...groups];
}

/** Hooks that have failed, in a suite and all within it. */
const hooksOf = (suite: Mocha.Suite): Mocha.Hook[] => [...failedHooks(suite), ...suite.suites.flatMap(hooksOf)];

const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trimEnd();

/** What is tested, and where: to be asked before the first test. */
export function circumstances(): readonly string[] {
    const changed = git("status", "--porcelain", "--", ".", ":!bench/matrix.md");
    const cgroup = fs.existsSync("/sys/fs/cgroup/cgroup.controllers")
        ? "2"
        : fs.existsSync("/sys/fs/cgroup/unified")
          ? "1 (hybrid)"
          : "1";
    const free = spawnSync("bash", ["-c", "echo -998 >/proc/$$/oom_score_adj"]).status === 0;
    const memory = Math.round(os.totalmem() / 2 ** 30);
    return [
        `Begun ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC, at commit ${git("rev-parse", "HEAD")}${
            changed === ""
                ? ""
                : `, with changes that are not in it: ${changed.replace(/^.. /gm, "").replaceAll("\n", ", ")}`
        }.`,
        "",
        `Host: kernel ${os.release()}, ${os.cpus().length} cores, ${memory} GiB, cgroup version ${cgroup}. ${
            free
                ? ""
                : "It lacks CAP_SYS_RESOURCE: runc and runsc are called by a wrapper that takes oomScoreAdj out of config.json (test/matrix/prepare.sh), and k0s's containerd is told to restrict it (test/matrix/k0s.sh)."
        }`.trimEnd(),
    ];
}

/** The page: what was tested, where, how its parts were built, and how each test that there is has ended. */
export function page(suites: Mocha.Suite, head: readonly string[]): string {
    const tests = all(suites);
    const failed = tests.filter((test) => test.isFailed()).length + hooksOf(suites).length;
    const passed = tests.filter((test) => test.isPassed()).length;
    const others = tests.filter((test) => !test.isPassed() && !test.isFailed()).length;
    return [
        "# gVisor beside each containerd, with faults, on k0s, and on another Kubernetes",
        "",
        "Written by `npm run test:matrix` from what was seen; what is checked in a row is in the test of that name in",
        "test/matrix. Packages and images are those of the mirror, built from pinned Go modules and Debian packages",
        "([how](../mirror/README.md)), on local machines (systemd-nspawn).",
        "",
        ...head,
        "",
        `Result: ${passed} passed, ${failed} failed, ${others} not run.`,
        "",
        row("Program", "Version, by its own word", "Built"),
        "|---|---|---|",
        ...Object.keys(programs).flatMap((program) =>
            [...(versions.get(program) ?? [])].sort().map((version) => row(program, version, built(program, version))),
        ),
        ...suites.suites.flatMap((suite) => [
            "",
            `## ${suite.title[0]?.toUpperCase()}${suite.title.slice(1)}`,
            "",
            row("Row", "Test", "Seen", "Outcome", "Seconds"),
            "|---:|---|---|---|---:|",
            ...rows(suite),
        ]),
        "",
    ].join("\n");
}
