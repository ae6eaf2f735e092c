// `report`: the page in a real browser, the Markdown, and what changed. With SCREENSHOTS=1 the pictures in docs/images are
// taken again.
import * as assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { judge } from "../../components/attacks.cjs";
import { verdict } from "../../components/proof/verdict";
import { judge as judgeReachable } from "../../components/reachable.cjs";
import { surfaceOf } from "../../components/surface.cjs";
import { sentenceOf, vulnerabilitiesIn } from "../../components/vulnerabilities.cjs";
import {
    attackFacts,
    configSha256,
    gvisorDmesg,
    handler,
    kernels,
    nodeFacts,
    provenFacts,
    reachableFacts,
    refusedDmesg,
    surfaceFacts,
} from "../helpers/canned";
import { CliProject, type Finished, goodOutputs } from "./cliProject";

const images = path.resolve(__dirname, "../../docs/images");
const chromium = "/usr/bin/chromium";
const kubeconfig = "users: [{ user: { token: not-for-anybody } }]";

/** Outputs of a stack with two workers and all that is optional. A new object each time, to be changed freely. */
function outputs() {
    const { containerd, basis: _, ...facts } = nodeFacts();
    const { files: _files, effective: _effective, ...found } = containerd;
    const entries = <T>(make: (worker: string, index: number) => T) =>
        Object.fromEntries(["worker-1", "worker-2"].map((name, index) => [name, make(name, index)])) as Record<
            "worker-1" | "worker-2",
            T
        >;
    const log = gvisorDmesg.replace("\n", "\n[    0.331902] Consulting tar man page...\n");
    return {
        runtimeClass: "myclass",
        handlers: { runsc: "myclass", "runsc-debug": "myclass-debug" },
        uname: entries(() => ({ worker: kernels.worker, "test-1": kernels.worker, "test-2": kernels.sandbox })),
        dmesg: entries(() => ({ "test-1": refusedDmesg, "test-2": log })),
        isolation: entries(() => {
            const { proven, checks } = verdict(
                ...([provenFacts(), handler, ["myclass", "myclass-debug"], judge(attackFacts())] as const),
            );
            return { proven, checks: checks.map((check) => ({ ...check })) };
        }),
        workers: entries((_name, index) => ({
            address: `10.77.0.${11 + index}`,
            os: "Debian GNU/Linux 12 (bookworm)",
            kernel: kernels.worker,
            containerd: "v2.3.7",
            runsc: "release-20261116.0",
            handlers: ["runc", "runsc", "runsc-debug"],
            configSha256,
            survivors: [] as string[],
            facts: { ...facts, containerd: found },
            evidence: {
                declared: { sha256: configSha256, handlers: ["runsc", "runsc-debug"] },
                loaded: ["runsc", "runsc-debug"],
                serving: ["runsc"],
            },
        })),
        limits: entries(() => ({
            memory: { limitMiB: 128, outcome: "OOMKilled", passed: true },
            cpu: { limitMillicores: 250, usedMillicores: 251.4, passed: true },
            overhead: { memoryMiB: 24.5, cpuMillicores: 3 },
        })),
        attacks: entries(() => judge(attackFacts()).attempts.map((one) => ({ ...one }))),
        surface: entries(() => surfaceOf(surfaceFacts())),
        reachable: entries(() => ({
            myclass: (judgeReachable(reachableFacts()).reachable.myclass ?? []).map((one) => ({ ...one })),
        })),
        kubeconfig,
    };
}

/** The same, with worker-2's sandbox on the worker's own kernel. */
function broken() {
    const bad = outputs();
    const facts = provenFacts();
    facts.pods["test-2"] = { kernel: kernels.worker, dmesg: refusedDmesg };
    facts.host.pods["test-2"] = facts.host.pods["test-1"];
    bad.uname["worker-2"]["test-2"] = kernels.worker;
    bad.dmesg["worker-2"]["test-2"] = refusedDmesg;
    const { proven, checks } = verdict(facts, handler, ["myclass", "myclass-debug"]);
    bad.isolation["worker-2"] = { proven, checks: checks.map((check) => ({ ...check })) };
    bad.workers["worker-2"].evidence.serving = [];
    return bad;
}

/** The same, proven on a gVisor that nobody should run, and with an old containerd, of which something is accepted. */
function vulnerable() {
    const bad = outputs();
    const [accepted, ...others] = vulnerabilitiesIn({ containerd: "2.2.9" });
    assert.ok(accepted);
    bad.workers["worker-1"].runsc = "release-20260817.0";
    Object.assign(bad.workers["worker-2"], {
        containerd: "v2.2.9",
        vulnerabilities: [{ ...accepted, accepted: true }, ...others],
    });
    return bad;
}

const hostile = '<img src="https://example.com/x" onerror="alert(1)"><script>document.title = "owned"</script>';

/** Text of a pod or of another program wherever the contract takes any text. */
function hostileOutputs() {
    const bad = broken();
    bad.dmesg["worker-1"]["test-1"] = `${hostile}\n</pre></style>\u202e| \`\`\` |\n\`\`\`\`\n# heading @everyone`;
    Object.assign(bad.isolation["worker-2"].checks[0] ?? {}, { name: hostile, detail: `\`a\` | b\n${hostile}` });
    Object.assign(bad.workers["worker-1"], { os: hostile, runsc: `"'&${hostile}`, address: "x".repeat(300) });
    const long = `${"4.19.0-gvisor-<b>".repeat(4)}`.slice(0, 64);
    bad.uname["worker-2"] = { worker: long, "test-1": long, "test-2": long };
    bad.workers["worker-2"].kernel = long;
    Object.assign(bad.attacks["worker-1"][0] ?? {}, {
        state: "reached",
        control: { reached: true, saw: `${hostile} |` },
        inside: { myclass: { reached: true, saw: `\`b\` | ${hostile}` } },
    });
    const systemCalls = {
        inside: { filter: hostile, how: hostile },
        control: { filter: "x".repeat(300), how: hostile },
    };
    const cost = { unit: hostile, how: hostile };
    Object.assign(bad.surface["worker-1"], {
        myclass: {
            systemCalls,
            costs: {
                [hostile]: { ...cost, failed: hostile },
                write: { ...cost, inside: 1e300, control: 0, ratio: 1e-300 },
            },
        },
    });
    Object.assign(bad.reachable["worker-1"].myclass[0] ?? {}, {
        address: `${hostile} |`,
        detail: `\`c\` | ${hostile}`,
    });
    const name = `class-${"x".repeat(200)}`;
    bad.workers["worker-1"].evidence.declared.handlers.push(name);
    return { ...bad, runtimeClass: name };
}

/** Functions for the browser: as text, since what compiles this file adds calls that only Node has. */
const unreadable = `${readFileSync(path.join(__dirname, "unreadable.mjs"), "utf8").replace("export ", "")}; unreadable()`;

describe("command line: report", function () {
    this.timeout(300_000);
    let project: CliProject;
    let browser: Browser;

    before(async () => {
        assert.ok(existsSync(chromium), `${chromium} is missing: npm test sets it up, or: apt-get install chromium`);
        project = new CliProject();
        browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
    });
    after(async () => {
        await browser?.close();
        project?.remove();
    });

    const run = async (...args: string[]): Promise<Finished> => await project.run("report", ...args);

    const written = async (content: unknown, out: string, ...more: string[]): Promise<string> => {
        project.write(`${out}.json`, JSON.stringify(content));
        const { code, stderr } = await run(`${out}.json`, "--out", out, ...more);
        assert.equal(code, 0, stderr);
        return project.path(out, "report.html");
    };

    /** Opens a page in a window that holds all of it, and fails on any request or complaint of the browser. */
    const opened = async (file: string, width: number, scheme: "light" | "dark"): Promise<Page> => {
        const page = await browser.newPage();
        const complaints: string[] = [];
        page.on("request", (request) => {
            if (request.url() !== `file://${file}` && !request.url().startsWith("data:")) {
                complaints.push(request.url());
            }
        });
        page.on("console", (message) => complaints.push(message.text()));
        page.on("pageerror", (error) => complaints.push(String(error)));
        page.on("dialog", (dialog) => complaints.push(dialog.message()));
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        await page.setViewport({ width, height: 800, isMobile: width < 500, deviceScaleFactor: width < 500 ? 2 : 1 });
        await page.goto(`file://${file}`);
        await page.$$eval("details", (all) => {
            for (const one of all) {
                one.open = true;
            }
        });
        const height = await page.$eval("html", (one) => one.scrollHeight);
        await page.setViewport({ width, height, isMobile: width < 500 });
        assert.deepEqual(complaints, []);
        return page;
    };

    for (const [title, content] of [
        ["proven", outputs()],
        ["not proven", broken()],
        ["vulnerable", vulnerable()],
        ["full of hostile text", hostileOutputs()],
    ] as const) {
        it(`can be read on every screen, in light and dark, where all is ${title}`, async () => {
            const file = await written(content, title.split(" ")[0] ?? "");
            for (const width of [360, 768, 1280]) {
                for (const scheme of ["light", "dark"] as const) {
                    const page = await opened(file, width, scheme);
                    const wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
                    assert.equal(wide, 0, `no scrolling sideways at ${width}`);
                    assert.deepEqual(await page.evaluate(unreadable), [], `${width} ${scheme}`);
                    const paper = await page.evaluate("getComputedStyle(document.body).backgroundColor");
                    assert.equal(paper, scheme === "light" ? "rgb(239, 243, 245)" : "rgb(13, 20, 25)");
                    await page.close();
                }
            }
        });
    }

    it("is built for those who do not see it: one heading, in order, and drawings that are told", async () => {
        const page = await opened(await written(outputs(), "proven"), 1280, "light");
        const levels = await page.$$eval("h1, h2, h3, h4", (all) => all.map((one) => Number(one.tagName[1])));
        assert.equal(levels.filter((level) => level === 1).length, 1);
        for (const [index, level] of levels.entries()) {
            assert.ok(level <= (levels[index - 1] ?? 0) + 1, `h${level} after h${levels[index - 1]}`);
        }
        assert.deepEqual(await page.$$eval("svg > desc", (all) => all.map((one) => one.textContent)), [
            "Every system call of test-1 goes to the worker's kernel 6.1.0-37-amd64. The pod sees 6.1.0-37-amd64.",
            "Every system call of test-2 is caught by systrap and answered by gVisor's Sentry, a kernel in user space that " +
                "shows 4.19.0-gvisor. The Sentry makes a few, filtered system calls to the worker's kernel " +
                "6.1.0-37-amd64; a process of its own, the Gofer, opens files for it.",
            "A process in the sandbox reaches 68 of the kernel's 385 system calls; outside 385.",
            "Starting a pod: 2 times as long (1,600 ms, outside 800 ms). A system call: 2 times as long (200 ns, outside 100 ns). " +
                "Opening a small file: 2 times as long (8 µs, outside 4 µs). Writing to a file: 2 times slower (450 MiB/s, " +
                "outside 900 MiB/s). Sending over TCP: 2 times slower (1,000 MiB/s, outside 2,000 MiB/s). Asking over TCP: 2 times as " +
                "long (25 µs, outside 12.5 µs). Memory at rest: 2 times as much (4 MiB, outside 2 MiB).",
        ]);
        const missing = await page.$$eval("[aria-labelledby]", (all) =>
            all
                .flatMap((one) => one.getAttribute("aria-labelledby")?.split(" ") ?? [])
                .filter((id) => !all[0]?.ownerDocument.getElementById(id)),
        );
        assert.deepEqual(missing, []);
        assert.equal(await page.$eval("html", (one) => one.lang), "en");
        await page.close();
    });

    it("shows what a process reaches and what a sandbox costs, in words, with how each was taken", async () => {
        const page = await opened(await written(outputs(), "surface"), 1280, "light");
        assert.equal(
            await page.$eval("#surface + p", (one) => one.textContent),
            "A process in the sandbox reaches 68 of the kernel's 385 system calls; outside 385.",
        );
        const squares = await page.$$eval("#surface ~ figure path", (all) =>
            all.map((one) => [one.getAttribute("class"), (one.getAttribute("d") ?? "").split("z").length - 1]),
        );
        assert.deepEqual(squares, [
            ["fill own", 68],
            ["closed", 317],
            ["fill host", 385],
            ["closed", 0],
        ]);
        await page.close();
        const text = project.read("surface/report.md");
        assert.match(
            text,
            /\n\| In the sandbox \| 68 of 385; filters: 2 with 517 instructions \| the seccomp filters of the pod's Sentry,/,
        );
        assert.match(text, /\n\| A system call \| 200 ns \| 100 ns \| 2 times as long \| getppid; /);
    });

    it("says why a number is not there, and draws nothing where nothing was measured", async () => {
        const some = outputs();
        const { myclass } = some.surface["worker-1"];
        Object.assign(myclass?.systemCalls.inside ?? {}, {
            ...{ filter: "unreadable: PTRACE_SEIZE: operation not permitted", reachable: undefined, of: undefined },
        });
        Object.assign(myclass?.costs ?? {}, { write: { unit: "MiB/s", how: "so", failed: "in the sandbox: EROFS" } });
        await written(some, "some");
        const text = project.read("some/report.md");
        assert.match(text, /reaches is not known: unreadable: PTRACE\\_SEIZE: operation not permitted\./);
        assert.match(text, /\n\| Writing to a file \| {2}\| {2}\| not measured: in the sandbox: EROFS \| so \|/);
        const { surface: _, ...none } = outputs();
        const page = await opened(await written(none, "without"), 1280, "light");
        assert.equal(await page.$$eval("#surface", (all) => all.length), 0);
        await page.close();
        assert.doesNotMatch(project.read("without/report.md"), /Surface/);
    });

    it("draws what was seen, not what should be", async () => {
        const good = await opened(await written(outputs(), "proven"), 1280, "light");
        assert.equal(await good.$eval("h1", (one) => one.textContent), "Proven on every worker");
        assert.match(
            await good.$eval("figure", (one) => one.textContent ?? ""),
            /Sentry[\s\S]*Gofer[\s\S]*As seen on worker-1/,
        );
        const bad = await opened(await written(broken(), "not"), 1280, "light");
        assert.equal(await bad.$eval("h1", (one) => one.textContent), "Not proven on worker-2");
        const drawn = await bad.$eval("figure", (one) => one.textContent ?? "");
        assert.match(drawn, /gVisor was asked for,\s*and nothing of it is seen[\s\S]*As seen on worker-2/);
        assert.doesNotMatch(drawn, /Sentry/);
        const problems = await bad.$$eval(".problems li", (all) => all.map((one) => one.textContent));
        assert.ok(
            problems.includes(
                'the check "test-2 has a kernel of its own" has not passed: test-2 6.1.0-37-amd64, worker 6.1.0-37-amd64',
            ),
            problems.join("\n"),
        );
        await Promise.all([good.close(), bad.close()]);

        const tampered = outputs();
        tampered.uname["worker-1"]["test-2"] = kernels.worker;
        const page = await opened(await written(tampered, "tampered"), 1280, "light");
        assert.equal(await page.$eval("h1", (one) => one.textContent), "These outputs contradict themselves");
        const badges = await page.$$eval("h3 .badge", (all) => all.map((one) => one.textContent));
        assert.deepEqual(badges, ["Contradicts itself", "Proven"]);
        assert.match(
            project.read("tampered/report.md"),
            /\n## worker-1: Contradicts itself\n[\s\S]*\n## worker-2: Proven\n/,
        );
        await page.close();
    });

    it("names what is known against each worker today, and where it can be read", async () => {
        const page = await opened(await written(vulnerable(), "vulnerable"), 1280, "light");
        assert.equal(await page.$eval("h1", (one) => one.textContent), "Proven, but vulnerable on worker-1");
        const [badges, details, links] = await Promise.all([
            page.$$eval("h3 .badge", (all) => all.map((one) => one.textContent)),
            page.$$eval(".known li", (all) => all.map((one) => one.textContent ?? "")),
            page.$$eval(".known a", (all) => all.map((one) => one.href)),
        ]);
        await page.close();
        assert.deepEqual(badges, ["Vulnerable", "Proven"]);
        const found = [
            ...vulnerabilitiesIn({ gvisor: "20260817.0" }),
            ...vulnerabilitiesIn({ containerd: "2.2.9" }).map((one, index) => ({ ...one, accepted: index === 0 })),
        ];
        assert.deepEqual(
            links,
            found.map(({ source }) => source),
        );
        const text = project.read("vulnerable/report.md");
        for (const [index, one] of found.entries()) {
            assert.ok(details[index]?.includes(sentenceOf(one)), details[index]);
            assert.equal(details[index]?.includes(", accepted"), one.accepted);
            const mark = one.component === "gvisor" ? "✗" : "!";
            assert.ok(text.includes(`\n- ${mark} `), text);
            assert.ok(text.includes(`${one.accepted ? " (accepted)" : ""}. [Source](${one.source})\n`), text);
        }
        assert.match(text, /^# Proven, but vulnerable on worker-1\n/);
    });

    it("shows text of others as text", async () => {
        const page = await opened(await written(hostileOutputs(), "full"), 1280, "light");
        assert.equal(await page.$$eval("img, script, iframe, object, form", (all) => all.length), 0);
        assert.equal(await page.title(), "Not proven on worker-2: sandboxes of full.json");
        const log = await page.$eval("pre", (one) => one.textContent);
        assert.equal(log, hostileOutputs().dmesg["worker-1"]["test-1"].replace("\u202e", "�"));
        await page.close();
        const text = project.read("full/report.md");
        // The log is inside a fence that is longer than any in it; all else is code or escaped.
        const fence = /\n(`{5,})text\n[\s\S]*?\n\1\n/.exec(text)?.[0] ?? "";
        assert.ok(fence.includes("# heading @everyone"), text);
        const outside = text
            .replaceAll(/\n(`{3,})text\n[\s\S]*?\n\1\n/g, "\n")
            .replaceAll(/(`+)(?!`).*?[^`]\1(?!`)/g, "");
        assert.doesNotMatch(outside, /<img|<script|@everyone/);
        assert.ok(outside.includes('&lt;img src="https://example.com/x"'), outside);
    });

    it("holds no secret", async () => {
        await written(outputs(), "secret");
        for (const name of ["report.html", "report.md", "last-outputs.json"]) {
            assert.doesNotMatch(project.read(`secret/${name}`), /not-for-anybody/, name);
        }
    });

    it("tells what changed since the last run, and keeps that run", async () => {
        const changesOf = () => project.read("runs/report.md").replace(/[\s\S]*## What changed since /, "");
        const first = outputs();
        await written(first, "runs");
        assert.equal(changesOf(), "the last run\n\nThere is no earlier run to compare with.\n");

        const second = outputs();
        second.dmesg["worker-1"]["test-2"] = gvisorDmesg;
        second.limits["worker-1"].cpu.usedMillicores = 249;
        Object.assign(second.surface["worker-1"].myclass?.costs.write ?? {}, { inside: 400, ratio: 2.25 });
        await written(second, "runs");
        assert.match(
            changesOf(),
            /^\d{4}-\d\d-\d\d \d\d:\d\d UTC\n\nNothing, except measurements and random values, which differ in every run\.\n$/,
        );

        const { "worker-2": removed, "worker-1": worker } = second.workers;
        const third = {
            ...second,
            ...Object.fromEntries(
                (["uname", "dmesg", "isolation", "limits"] as const).map((key) => [
                    key,
                    { "worker-1": second[key]["worker-1"], "worker-3": second[key]["worker-2"] },
                ]),
            ),
            workers: { "worker-1": { ...worker, runsc: "release-20261207.0" }, "worker-3": removed },
        };
        await written(third, "runs");
        const rows = changesOf().split("\n").slice(4, -1);
        assert.deepEqual(rows, [
            "| `worker-3` | not there | `a new worker` |",
            "| `worker-2` | `a worker` | gone |",
            "| `workers.worker-1.runsc` | `release-20261116.0` | `release-20261207.0` |",
        ]);

        const since = await opened(await written(third, "runs", "--since", "runs.json"), 360, "dark");
        assert.match(await since.$eval("#changes", (one) => one.parentElement?.textContent ?? ""), /Nothing, except/);
        await since.close();
        project.write("runs/last-outputs.json", "{");
        await written(third, "runs");
        assert.match(changesOf(), /^the last run\n\nIt cannot be told: \S+last-outputs\.json cannot be read: /);
    });

    it("refuses what it does not know and what is not valid", async () => {
        project.write("invalid.json", JSON.stringify({ ...outputs(), uname: {} }));
        project.write("good.json", JSON.stringify(outputs()));
        const cases: [string[], number, RegExp][] = [
            [["--open"], 2, /^error: report does not know "--open"; allowed: --out, .*\.\n {2}next: npm run report/],
            [["a", "b"], 2, /^error: report takes only \[FILE], not a, b\./],
            [["none.json"], 2, /^error: \S+none\.json cannot be read/],
            [["invalid.json"], 3, /^error: there is nothing to report: .*\n {2}\| no worker is in uname\n/],
            [
                ["good.json", "--since", "none.json"],
                2,
                /^error: --since none\.json: It cannot be told: \S+none\.json cannot be read/,
            ],
        ];
        for (const [args, exitCode, sentence] of cases) {
            const { code, stderr } = await run(...args);
            assert.equal(code, exitCode, args.join(" "));
            assert.match(stderr, sentence);
        }
        assert.equal(project.exists("report"), false);
    });

    it("reports on the stack, with the time of its outputs", async () => {
        project.write("outputs.json", JSON.stringify(goodOutputs()));
        assert.equal((await project.run("up")).code, 0);
        const { code, stdout, stderr } = await run();
        assert.equal(code, 0, stderr);
        assert.equal(stdout, "Proven on every worker\nreport/report.html\nreport/report.md\n");
        assert.match(
            project.read("report/report.md"),
            /^# Proven on every worker\n\nContainer runtime sandboxes, stack dev\. Outputs of \d{4}-/,
        );
        const page = await opened(project.path("report", "report.html"), 360, "light");
        assert.match(
            await page.$eval("header", (one) => one.textContent ?? ""),
            /one worker, a pod of the class myclass/,
        );
        await page.close();
    });

    it("shows every pod on every screen, whatever a pod is called and its sandbox was given", async () => {
        const pod = (name: string, more: object) => ({
            ...{ worker: "worker-1", namespace: "default", name, uid: name, since: "2026-12-01T00:00:00.000Z" },
            ...{ inSandbox: false, runtimes: ["io.containerd.runc.v2"], flaws: [] },
            containers: [{ name: "", runtime: "io.containerd.runc.v2", runsc: false }],
            ...more,
        });
        const flaws = [{ kind: "unsandboxed", seen: hostile, wanted: "a sandbox", next: "x" }];
        const found = {
            ...{ asked: "2026-12-01T02:50:00.000Z", selector: "" },
            machines: [{ worker: "worker-1", pods: 3 }],
            pods: [
                pod("plain", {}),
                pod("x".repeat(253), { flaws }),
                pod("boxed", { inSandbox: true, release: "release-20260905.0", flags: { note: hostile.repeat(3) } }),
            ],
            problems: [{ kind: "unsandboxed", worker: "worker-1", message: hostile }],
        };
        const real = project.read("cli/pods.ts");
        project.write("cli/pods.ts", `export const lookAtPods = async () => (${JSON.stringify(found)});`);
        const { code, stderr } = await run("--pods", "--out", "pods");
        project.write("cli/pods.ts", real);
        assert.equal(code, 0, stderr);
        for (const [width, scheme] of [
            [360, "light"],
            [1280, "dark"],
        ] as const) {
            const page = await opened(project.path("pods", "report.html"), width, scheme);
            assert.equal(await page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0, `${width}`);
            assert.deepEqual(await page.evaluate(unreadable), [], `${width} ${scheme}`);
            const rows = await page.$$eval("section[aria-labelledby=pods] tbody th", (all) =>
                all.map((one) => one.textContent),
            );
            assert.match(rows[0] ?? "", /^✗failed: default\/x+<img src=/, "what is wrong comes first");
            assert.deepEqual(rows.slice(1), ["default/boxed", "default/plain"]);
            await page.close();
        }
    });

    if (process.env.SCREENSHOTS) {
        it("takes the pictures of the documentation", async () => {
            mkdirSync(images, { recursive: true });
            for (const [name, content, width, scheme, height] of [
                ["report-light", outputs(), 1280, "light", 1110],
                ["report-dark", broken(), 1280, "dark", 1110],
                ["report-phone", outputs(), 360, "light", 1460],
            ] as const) {
                project.write("outputs.json", JSON.stringify(content));
                await project.run("up");
                assert.equal((await run()).code, 0);
                const page = await opened(project.path("report", "report.html"), width, scheme);
                await page.setViewport({ width, height, deviceScaleFactor: width < 500 ? 2 : 1 });
                await page.screenshot({ path: path.join(images, `${name}.png`) as `${string}.png` });
                await page.close();
            }
        });
    }
    if (process.env.SURFACE_OF) {
        it("takes the picture of what was measured from a report that is given", async () => {
            const page = await opened(path.resolve(process.env.SURFACE_OF ?? ""), 1280, "light");
            const figure = await page.$("#surface ~ figure");
            assert.ok(figure, "the report has no picture of the surface");
            await figure.screenshot({ path: path.join(images, "surface.png") });
        });
    }
});
