// The pages that `npm run reference` makes, in a copy of the project.
import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { corpus } from "../../components/attacks.cjs";

const root = path.resolve(__dirname, "../..");

describe("reference", function () {
    this.timeout(180_000);
    let folder: string;
    let made: string;

    const at = (name: string) => path.join(folder, name);
    const read = (name: string) => fs.readFileSync(at(name), "utf8");
    const page = () => read("docs/reference.md");

    function reference(...args: string[]) {
        const env = { ...process.env, NO_COLOR: "1" };
        return spawnSync(process.execPath, ["cli/bootstrap.mjs", "reference", ...args], {
            cwd: folder,
            env,
            encoding: "utf8",
        });
    }

    /** Files that a test has changed, as they were. */
    const kept = new Map<string, string>();

    function change(name: string, from: string | RegExp, to: string): void {
        const text = read(name);
        const changed = text.replace(from, to);
        assert.notEqual(changed, text, `${name} holds no ${from}`);
        kept.set(name, kept.get(name) ?? text);
        fs.writeFileSync(at(name), changed);
    }

    // Once for all: making the page is what takes long here.
    before(() => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "reference-"));
        const names = [
            "package.json",
            "package-lock.json",
            "versions.json",
            "vulnerabilities.json",
            "mirror/build/attacks/corpus.json",
            "tsconfig.json",
            "Pulumi.yaml",
            "bench/matrix.md",
        ];
        for (const name of [...names, "components", "settings", "schema", "scripts/on-host", "cli"]) {
            fs.cpSync(path.join(root, name), at(name), { recursive: true });
        }
        fs.mkdirSync(at("docs"));
        fs.symlinkSync(path.join(root, "node_modules"), at("node_modules"));
        const { status, stderr } = reference();
        assert.equal(status, 0, stderr);
        made = page();
    });

    afterEach(() => {
        for (const [name, text] of [...kept, ["docs/reference.md", made] as const]) {
            fs.writeFileSync(at(name), text);
        }
        kept.clear();
    });

    after(() => {
        fs.rmSync(folder, { recursive: true });
    });

    it("holds every setting with its default and what is allowed, in the words of the program", () => {
        const settings = [...read("Pulumi.yaml").matchAll(/^ {2}(\w+):\n {4}type:/gm)].map(([, name]) => name);
        assert.ok(settings.length > 20);
        const missing = settings.filter((name) => !page().includes(`\n| \`${name}\` | `));
        assert.deepEqual(missing, []);
        assert.match(page(), /^\| `gvisorPlatform` \| string \| `systrap` \| systrap, kvm \| How /m);
        // Fields of structured settings: of records, lists and objects, through defaults and pipes.
        assert.match(page(), /^\| `existing\.workers\.NAME\.port` \| integer \| `22` \| 1 to 65535 \|/m);
        assert.match(page(), /^\| `existing\.privateKey` \| string \| \| \| The private key \(a secret\)/m);
        assert.match(page(), /^\| `gcp\.adminRanges` \| array \| required \| a list of IPv4 ranges .* "iap" \|$/m);
        assert.match(
            page(),
            /^\| `overrides\.NAME\.taints\[\]\.effect` \| string \| required \| NoSchedule, PreferNoSchedule, NoExecute \|$/m,
        );
    });

    it("holds every output, also those that a reference of the schema leads to", () => {
        const { properties } = JSON.parse(read("schema/outputs.v1.schema.json")) as { properties: object };
        assert.deepEqual(
            Object.keys(properties).filter((name) => !page().includes(`\n| \`${name}\` | `)),
            [],
        );
        assert.match(
            page(),
            /^\| `uname\.WORKER\.test-2` \| string \| yes \| Seen in the pod on the RuntimeClass\. \|$/m,
        );
        assert.match(page(), /^\| `isolation\.WORKER\.checks\[\]\.detail` \| string \| yes \|/m);
        assert.match(page(), /^\| `limits\.WORKER\.cpu\.passed` \| boolean \| yes \|/m);
    });

    it("holds every component, command and exit code", () => {
        const classes = fs
            .readdirSync(at("components"), { recursive: true, encoding: "utf8" })
            .filter((name) => name.endsWith(".ts"))
            .flatMap((name) => [...read(`components/${name}`).matchAll(/^export class (\w+) extends pulumi\./gm)])
            .map(([, name]) => name);
        assert.ok(classes.length > 10);
        assert.deepEqual(
            classes.filter((name) => !page().includes(`\n### ${name}\n`)),
            [],
        );
        assert.match(page(), /^\| `overhead` \| `Readonly<Record<string, string>>` \| \| What a sandbox takes /m);
        assert.match(page(), /^ {2}up \[ARGS\.\.\.\] /m);
        assert.match(page(), /^\| 5 \| `check` \| `stale`: /m);
        assert.match(page(), /^\| 3 \| `drift` \| something differs \|$/m);
        assert.match(page(), /^\| 130 \| all \| ended by SIGINT \|$/m);
    });

    it("holds every attempt to leave a sandbox, with its source", () => {
        for (const { name, source } of corpus) {
            assert.ok(
                page()
                    .split("\n")
                    .some((line) => line.startsWith(`| \`${name}\` | `) && line.includes(`](${source})`)),
                name,
            );
        }
    });

    it("has tables whose rows are all as long as their heads, and nothing that Markdown takes for HTML", () => {
        let head: number | undefined;
        for (const line of page().split("\n")) {
            const cells = line.startsWith("|") ? line.replaceAll("\\|", "").split("|").length : undefined;
            head = cells === undefined ? undefined : (head ?? cells);
            assert.equal(cells, head, line);
            assert.doesNotMatch(line.startsWith("|") ? line.replace(/`[^`]*`/g, "") : "", /</, line);
        }
    });

    it("is as it was after a second run, and --check finds nothing", () => {
        const before = page();
        const made = ["reference.md", "compatibility.md", "rbac.yaml"];
        assert.equal(reference().stdout, made.map((name) => `docs/${name}: as it was\n`).join(""));
        assert.equal(page(), before);
        const { status, stdout, stderr } = reference("--check");
        assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: "", stderr: "" });
    });

    it("has beside it what is compatible: each rule with its source, each row of the matrix", () => {
        const compatible = read("docs/compatibility.md");
        const rules = [
            ...read("components/gvisor/compatibility.ts").matchAll(/^ {8}refuses: "(.+)",\n {8}source: "(.+)",$/gm),
        ];
        assert.ok(rules.length > 20);
        for (const [, refuses, source] of rules) {
            assert.ok(compatible.includes(`| ${refuses} | [source](${source}) |\n`), refuses);
        }
        const rows = [
            ...read("bench/matrix.md").matchAll(/^\| \d+ \| \S+, .*: (?:installed and removed|refused) \|/gm),
        ];
        assert.equal(compatible.match(/^\| .* \| (installed and removed|refused: .*) \|$/gm)?.length, rows.length);
        assert.match(compatible, /^\| Kernel \| [\d.]+ \| 5\.6 and newer \| a kernel older than 5\.6 \|$/m);
        // What is said to be run is.
        const [, oldest = ""] = /; (\S+) in an upgrade \|/.exec(compatible) ?? [];
        const upgrade = fs.readFileSync(path.join(root, "test/e2e/existing.spec.ts"), "utf8");
        assert.ok(oldest !== "" && upgrade.includes(`gvisorVersion: "${oldest}"`), oldest);
        change("bench/matrix.md", /^(\| \d+ \| .*: installed and removed \|.*\| )passed( \|.*)$/m, "$1**FAILED**$2");
        assert.match(reference("--check").stderr, /^error: docs\/compatibility\.md is stale in /m);
    });

    it("has beside it the rights that the preflight asks for, as roles", () => {
        assert.match(read("docs/rbac.yaml"), /^ {2}name: runtime-sandboxes-drain$/m);
        change("scripts/on-host/rights.ts", '["create"], "pods/eviction"', '["create", "get"], "pods/eviction"');
        assert.match(reference("--check").stderr, /^error: docs\/rbac\.yaml is stale in /m);
    });

    it("is stale where the code has changed: --check says where, and changes nothing", () => {
        const before = page();
        change("components/gvisor/settings.ts", ".max(3600)", ".max(7200)");
        const { status, stderr } = reference("--check");
        assert.equal(status, 1);
        assert.match(stderr, /^error: docs\/reference\.md is stale in "Fields of drainOptions"\.$/m);
        assert.match(stderr, /^ {2}\| page: .*timeoutSeconds.* 1 to 3600 /m);
        assert.match(stderr, /^ {2}\| code: .*timeoutSeconds.* 1 to 7200 /m);
        assert.match(stderr, /^ {2}next: npm run reference$/m);
        assert.equal(page(), before);
    });

    it("is stale where it is not there, or longer than it should be", () => {
        fs.appendFileSync(at("docs/reference.md"), "| 6 | nobody | more |\n");
        assert.match(reference("--check").stderr, /stale in "Attacks"/);
        fs.rmSync(at("docs/reference.md"));
        assert.match(reference("--check").stderr, /stale in "Reference"/);
    });

    it("refuses code that does not say what it is", () => {
        change("components/proof/testPod.ts", /\/\*\* An nginx pod .* \*\/\n/, "");
        assert.match(reference().stderr, /^error: the component TestPod has no description\.$/m);
    });

    it("takes no other flag", () => {
        const { status, stderr } = reference("--chek");
        assert.equal(status, 2);
        assert.match(stderr, /reference does not know "--chek"; allowed: --check/);
    });
});
