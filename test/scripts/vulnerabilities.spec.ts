// A row added to vulnerabilities.json is all that the next one takes: what of a copy of the project reads it then.
import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Row } from "../../components/vulnerabilities.cjs";
import versions from "../../versions.json";
import { CliProject, goodOutputs } from "./cliProject";

const root = path.resolve(__dirname, "../..");
const row: Row = {
    id: "CVE-2099-10001",
    component: "gvisor",
    affected: [{ from: "20260824.0", fixed: "29990101.0" }],
    option: { name: "debug", values: ["true"] },
    summary: "A pod that does what nobody has thought of owns the host.",
    source: "https://example.com/2099-10001",
};
const other: Row = {
    id: "CVE-2099-10002",
    component: "containerd",
    affected: [{ from: "2.3.0" }],
    summary: "An image stops the node.",
    source: "https://example.com/2099-10002",
};

describe("a row that is added to the table", function () {
    this.timeout(300_000);
    let project: CliProject;

    before(() => {
        project = new CliProject();
        for (const name of ["components", "settings", "mirror", "scripts/on-machine", "bench/matrix.md"]) {
            fs.cpSync(path.join(root, name), project.path(name), { recursive: true });
        }
        project.write("outputs.json", JSON.stringify(goodOutputs()));
        const rows = JSON.parse(project.read("vulnerabilities.json")) as Row[];
        project.write("vulnerabilities.json", JSON.stringify([...rows, row, other], null, 4));
    });
    after(() => project.remove());

    /** What TypeScript of the copy prints, by the loader that Pulumi uses. */
    const evaluated = (code: string): string[] => {
        project.write("ask.ts", code);
        const load = "require('ts-node').register({}); require('./ask.ts')";
        const { stdout, stderr } = spawnSync(path.join(root, "node_modules/.bin/node"), ["-e", load], {
            cwd: project.directory,
            encoding: "utf8",
        });
        assert.equal(stderr, "");
        return JSON.parse(stdout) as string[];
    };

    it("is what the settings and the gate refuse", () => {
        const asked = JSON.stringify({
            gvisorVersion: versions.gvisor.release,
            handlers: JSON.stringify({ runsc: { options: { debug: true } } }),
        });
        const complaints = evaluated(
            'import { parseSettings } from "./settings";' +
                `try { parseSettings(${asked}); } catch (error) { console.log(JSON.stringify(error.message.split("\\n"))); }`,
        );
        for (const setting of ["gvisorVersion", "handlers.runsc.options.debug"]) {
            const said = complaints.find((line) => line.startsWith(`  - runtime-sandboxes:${setting} is `));
            assert.match(
                said ?? complaints.join("\n"),
                /CVE-2099-10001 \(A pod that does .* owns the host\); allowed: /,
            );
        }
        const refused = evaluated(
            'import { incompatibilities } from "./components/gvisor/compatibility";' +
                "const facts: any = { containerd: { version: '2.3.7', killMode: 'process', configPath: '/c', dropIns: '', files: [], effective: '' }," +
                " kernel: '6.1', architecture: 'x86_64', ptraceScope: 1, freeMiB: 9999, apt: true, managers: [] };" +
                "const wanted = { handlers: [], release: '20261116.0', install: 'apt' as const };" +
                "console.log(JSON.stringify(incompatibilities(facts, wanted)));",
        );
        assert.match(
            refused.join("\n"),
            /^it would get gVisor 20261116\.0 .* CVE-2099-10001 .* allowed: 29990101\.0 or newer/,
        );
        const accepted = JSON.stringify({ ...JSON.parse(asked), acceptVulnerabilities: row.id });
        assert.deepEqual(
            evaluated(
                `import { parseSettings } from "./settings"; console.log(JSON.stringify(parseSettings(${accepted}).acceptVulnerabilities));`,
            ),
            [row.id],
        );
    });

    it("fails check, and is in its summary, in the report and in what drift says", async () => {
        const check = await project.run("check", "outputs.json");
        assert.equal(check.code, 6);
        assert.match(
            check.stdout,
            /✗ gVisor 20261116\.0 has CVE-2099-10001, fixed in 29990101\.0\n {2}! containerd 2\.3\.7 has CVE-2099-10002\n/,
        );
        assert.match(check.stderr, /^error: gVisor is vulnerable on worker-1 .*CVE-2099-10001 /);

        assert.equal((await project.run("report", "outputs.json", "--out", "report")).code, 0);
        for (const name of ["report/report.html", "report/report.md"]) {
            for (const { id, source } of [row, other]) {
                assert.ok(project.read(name).includes(id) && project.read(name).includes(source), `${name}: ${id}`);
            }
        }

        await project.run("up");
        const seen = {
            looked: 1,
            machines: [],
            objects: [],
            unseen: [],
            again: [],
            versions: { "worker-1": { gvisor: "release-20261116.0" } },
        };
        project.write("cli/look.ts", `console.log(${JSON.stringify(JSON.stringify(seen))});`);
        const drift = await project.run("drift");
        assert.equal(drift.code, 0, drift.stderr);
        assert.match(
            drift.stdout,
            /\nknown to be vulnerable, no drift: worker-1: gVisor 20261116\.0 has CVE-2099-10001, /,
        );
    });

    it("is in the reference", () => {
        fs.mkdirSync(project.path("docs"), { recursive: true });
        const { status, stderr } = spawnSync(process.execPath, ["cli/bootstrap.mjs", "reference"], {
            cwd: project.directory,
            encoding: "utf8",
        });
        assert.equal(status, 0, stderr);
        assert.ok(
            project
                .read("docs/reference.md")
                .includes(
                    `| [${row.id}](${row.source}) | gvisor | from 20260824.0 on, fixed in 29990101.0 | \`debug=true\` | ${row.summary} |\n`,
                ),
        );
    });
});
