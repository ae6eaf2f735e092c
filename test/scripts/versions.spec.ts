// `npm run versions`, with an npm and a go that answer what the test says: no registry is asked here.
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { later, load, type Pins, packages, pinned, type Row, root, VersionsProject } from "./versionsProject";

const patchOf = ({ version }: { version: string }) => Number(version.split(".")[2]);
const seen = (row?: Row) => [row?.compatible, row?.newest, row?.status];

describe("versions", function () {
    this.timeout(180_000);
    let project: VersionsProject;

    beforeEach(() => {
        project = new VersionsProject();
    });
    afterEach(() => project.remove());

    it("shows what is newer and fits, and why the newest does not", async () => {
        const [kubernetes, containerd] = [later(pinned.kubernetes.version), later(pinned.containerd.version)];
        project.registry({
            "k8s.io/kubernetes": [kubernetes, "1.99.2"],
            "github.com/containerd/containerd/v2": [containerd, "2.99.2", "2.99.3-rc.1"],
            "@pulumi/command": ["1.1.0", "1.2.1", "1.3.0", "4.5.0"],
            typescript: ["5.9.3", "6.0.3", "7.0.2", "7.1.0-beta"],
            "@pulumi/pulumi": ["3.259.0", "3.900.0", "3.970.0"],
            "github.com/pulumi/pulumi/pkg/v3": ["3.900.0", "3.974.1"],
            node: ["27.9.0"],
        });
        project.repository("20991116.0", "20990104.0", "20991109.0");
        const found = await project.rows();
        assert.deepEqual(seen(found.get("Kubernetes")), [kubernetes, "1.99.2", "update"]);
        assert.match(found.get("Kubernetes")?.reason ?? "", /^1\.99\.2: .* has no row for Kubernetes 1\.99$/);
        assert.deepEqual(seen(found.get("containerd")), [containerd, "2.99.2", "update"]);
        assert.deepEqual(seen(found.get("npm @pulumi/command")), ["1.3.0", "4.5.0", "update"]);
        assert.match(found.get("npm @pulumi/command")?.reason ?? "", /^4\.5\.0: .*strays.*; only 1\.x$/);
        assert.deepEqual(seen(found.get("npm typescript")), ["6.0.3", "7.0.2", "update"]);
        assert.deepEqual(seen(found.get("Pulumi CLI")), ["3.900.0", "3.974.1", "update"]);
        assert.deepEqual(seen(found.get("npm @pulumi/pulumi")), ["3.900.0", "3.970.0", "update"]);
        assert.deepEqual(seen(found.get("npm node")), [packages.devDependencies.node, "27.9.0", "held"]);
        assert.deepEqual(found.get("npm zod")?.status, "current");
        assert.deepEqual(seen(found.get("gVisor release")), ["20991116.0", "20991116.0", "update"]);
        assert.deepEqual(seen(found.get("gVisor module")), [
            "v0.0.0-20990910000000-aaaaaaaaaaaa",
            "v0.0.0-20990910000000-aaaaaaaaaaaa",
            "update",
        ]);
        assert.deepEqual([found.get("pause")?.status, found.get("pause")?.newest], ["not asked", ""]);
        for (const name of Object.keys({ ...packages.dependencies, ...packages.devDependencies })) {
            assert.ok(found.has(`npm ${name}`), `${name} is shown`);
        }
    });

    it("asks by number for what a list omits, also over a gap, but not for what the rules refuse", async () => {
        const tools = "sigs.k8s.io/cri-tools";
        const mod = path.join(project.folder, "mirror/build/addons/go.mod");
        fs.writeFileSync(mod, fs.readFileSync(mod, "utf8").replace(/(cri-tools) v\S+/, "$1 v1.40.3"));
        project.registry(
            {
                [tools]: ["1.40.1", "1.41.0"],
                "@pulumi/pulumi": [pinned.pulumi.cli, later(pinned.pulumi.cli)],
                "k8s.io/kubernetes": ["1.99.2"],
            },
            {
                [tools]: ["1.40.6", "1.41.2", "1.42.0", "1.42.3", "1.42.7"],
                "github.com/containerd/containerd/v2": [
                    later(pinned.containerd.version, patchOf(pinned.containerd) + 1),
                ],
                "github.com/pulumi/pulumi/pkg/v3": ["3.999.0"],
            },
        );
        const found = await project.rows();
        // 1.42.7 comes after three numbers that are not there, and is not looked for.
        assert.deepEqual(seen(found.get("cri-tools")), ["1.42.3", "1.42.3", "update"]);
        assert.deepEqual(
            found.get("containerd")?.compatible,
            later(pinned.containerd.version, patchOf(pinned.containerd) + 1),
        );
        const numbers = project.asked().filter((line) => line.includes(" -f "));
        assert.ok(numbers.some((line) => line.includes(`${tools}@v1.40.6`)));
        for (const none of [
            "k8s.io/kubernetes@v1.99.3",
            "go.etcd.io/etcd",
            "github.com/coredns",
            "pulumi/pkg/v3@v3.999.0",
        ]) {
            assert.deepEqual(
                numbers.filter((line) => line.includes(none)),
                [],
            );
        }
        // cri-tools: until three in a row are missing after 1.42.3.
        assert.ok(numbers.filter((line) => line.includes(tools)).length <= 4, numbers.join("\n"));
    });

    it("says where it does not know what a list omits", async () => {
        project.registry({});
        const go = fs.readFileSync(path.join(project.folder, "bin/go"), "utf8");
        for (const failure of [
            "echo 'go: dial tcp: lookup proxy.example: no such host' >&2; exit 1",
            `for one in "$@"; do case "$one" in *@*) echo "\${one#*@} \\"$one: dial tcp: i/o timeout\\"";; esac; done; exit 0`,
        ]) {
            project.tool("go", go.replace("\n", `\ncase "$*" in *" -e "*) ${failure};; esac\n`));
            const flannel = (await project.rows()).get("flannel");
            assert.equal(flannel?.status, "current");
            assert.match(flannel?.reason ?? "", /^what its list omits is not known: .*(no such host|timeout)$/);
        }
    });

    it("names what is known against a pin and which compatible release is free of it, and fails", async () => {
        const { version } = pinned.containerd;
        const row = (component: string, fixed: string, id = "CVE-2999-1") => ({
            id,
            component,
            affected: [{ fixed }],
            summary: "An image takes the host",
            source: "https://advisories.example/1",
        });
        project.registry({ "github.com/containerd/containerd/v2": [90, 91, 92].map((patch) => later(version, patch)) });
        project.write("vulnerabilities.json", [row("containerd", later(version, 91))]);
        const found = (await project.rows(1)).get("containerd");
        assert.deepEqual(seen(found), [later(version, 92), later(version, 92), "vulnerable"]);
        assert.equal(found?.reason, `it has CVE-2999-1; ${later(version, 91)} is compatible and free of that`);
        assert.deepEqual(
            found?.vulnerabilities.map(({ id }) => id),
            ["CVE-2999-1"],
        );
        const text = await project.run();
        assert.equal(text.code, 1);
        assert.match(text.stderr, /^error: containerd cannot be pinned like that\.$/m);
        assert.ok(
            text.stdout.endsWith(
                `\ncontainerd: containerd ${version} has CVE-2999-1 (fixed in ${later(version, 91)}): An image takes the host ` +
                    "(https://advisories.example/1)\n",
            ),
            text.stdout,
        );

        // Neither a listed release nor one that is asked for by its number is proposed while it is vulnerable.
        project.write("vulnerabilities.json", [row("containerd", "2.99.0")]);
        const none = (await project.rows(1)).get("containerd");
        assert.deepEqual(seen(none), [version, later(version, 92), "vulnerable"]);
        assert.equal(
            none?.reason,
            `it has CVE-2999-1; nothing is compatible and free of that; ${later(version, 92)}: it has CVE-2999-1`,
        );

        project.tool("go", "#!/bin/sh\nexit 1");
        assert.match(
            (await project.rows(1)).get("containerd")?.reason ?? "",
            /^it has CVE-2999-1; whether another .* not known; /,
        );
    });

    it("judges gVisor's two pins apart, whatever lies between them", async () => {
        project.registry({});
        for (const [release, module] of [
            ["20991116.0", "20260101"],
            ["20260101.0", "20991116"],
        ] as const) {
            project.change(({ versions }) => {
                versions.gvisor = { release, module: `v0.0.0-${module}035102-160fafc42237` };
            });
            const recipe = path.join(project.folder, "mirror/build/gvisor/go.mod");
            fs.writeFileSync(
                recipe,
                fs.readFileSync(recipe, "utf8").replace(/(gvisor v0\.0\.0-)\S+/, `$1${module}035102-160fafc42237`),
            );
            const states = async (code: number, fixed?: string) => {
                const table = { id: "CVE-2999-2", component: "gvisor", affected: [{ fixed }], summary: "", source: "" };
                project.write("vulnerabilities.json", fixed ? [table] : []);
                const found = await project.rows(code);
                return ["gVisor release", "gVisor module"].map((pin) => found.get(pin)?.status === "vulnerable");
            };
            assert.deepEqual(await states(0), [false, false]);
            assert.deepEqual(await states(1, "20260824.0"), [release < "20260824", module < "20260824"]);
        }
    });

    it("names what ends within 90 days or has ended, and is no failure for that", async () => {
        project.registry({});
        const source = "https://support.example";
        const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
        const branchOf = ({ version }: { version: string }) => version.replace(/\.\d+$/, "");
        const branch = branchOf(pinned.containerd);
        project.write("support.json", [
            { component: "containerd", branch, ends: inDays(80), source },
            { component: "kubernetes", branch: branchOf(pinned.kubernetes), ends: inDays(200), source },
            { component: "node", branch: packages.devDependencies.node?.split(".")[0], ends: inDays(-3), source },
        ]);
        const { code, stdout } = await project.run();
        assert.equal(code, 0);
        const [soon, ended, ...more] = stdout.split("\n").filter((line) => line.includes(source));
        assert.match(
            soon ?? "",
            new RegExp(
                `^containerd ${pinned.containerd.version}: support of ${branch} ends on ${inDays(80)}, in (79|80) days `,
            ),
        );
        assert.match(ended ?? "", new RegExp(`^npm node \\S+: support of \\d+ has ended on ${inDays(-3)} `));
        assert.deepEqual(more, []);
        assert.equal((await project.rows()).get("Kubernetes")?.support?.ends, inDays(200));
    });

    it("is a table for people", async () => {
        project.registry({ typescript: ["7.0.2"] });
        project.write("support.json", load(root, "support.json"));
        const { code, stdout } = await project.run();
        assert.equal(code, 0);
        assert.match(stdout, /^PIN {2,}PINNED {2,}COMPATIBLE {2,}NEWEST {2,}SUPPORTED UNTIL {2,}STATUS {2,}REASON$/m);
        assert.match(
            stdout,
            /^npm typescript +5\.9\.3 +5\.9\.3 +7\.0\.2 +held +7\.0\.2: Pulumi's SDK takes TypeScript below 7$/m,
        );
        const unknown = await project.run("--yaml");
        assert.equal(unknown.code, 2);
        assert.match(unknown.stderr, /^error: versions does not know "--yaml"; allowed: --json\.$/m);
    });

    it("says which source is not reached, and is no failure for that", async () => {
        project.registry({});
        project.tool(
            "npm",
            `#!/bin/sh\necho '{"error": {"code": "ENOTFOUND", "summary": "no"}}' | sed 's/: /: /'; exit 1`,
        );
        project.tool("go", "#!/bin/sh\necho 'go: x: reading https://proxy.example/list: 403 Forbidden' >&2; exit 1");
        fs.writeFileSync(
            path.join(project.folder, "fetch.mjs"),
            `globalThis.fetch = async () => { throw new TypeError("fetch failed", { cause: { code: "EHOSTDOWN" } }); };`,
        );
        const found = await project.rows();
        assert.equal(found.get("gVisor release")?.reason, "EHOSTDOWN");
        assert.deepEqual([found.get("npm zod")?.status, found.get("npm zod")?.reason], ["not reached", "ENOTFOUND"]);
        assert.deepEqual([found.get("etcd")?.status, found.get("etcd")?.reason], ["not reached", "403 Forbidden"]);
    });

    it("fails for pins that do not fit together", async () => {
        project.registry({});
        const cases: [(pins: Pins) => void, Record<string, RegExp>][] = [
            [
                ({ versions }) => {
                    versions.containerd.version = "2.1.9";
                },
                {
                    containerd:
                        /go\.mod takes \S+ .*; containerd's table names 2\.2\.0\+, 2\.3\.0\+ for .* 1\.36, not 2\.1/,
                    Kubernetes: /^containerd's table names/,
                },
            ],
            [
                ({ versions }) => {
                    versions.kubernetes.version = "1.35.4";
                },
                {
                    Kubernetes: /go\.mod takes \S+ .*; containerd's table names/,
                    etcd: /mirror\/build\/etcd\/go\.mod takes 3\.6\.8 /,
                },
            ],
            [
                ({ versions }) => {
                    versions.kubernetes.version = "1.38.0";
                },
                { Kubernetes: /versions\.json has no row for Kubernetes 1\.38$/ },
            ],
            [
                ({ versions }) => {
                    versions.gvisor.module = "v0.0.0-20260122000000-aaaaaaaaaaaa";
                },
                { "gVisor module": /^mirror\/build\/gvisor\/go\.mod takes \S+ gvisor\.dev\/gvisor$/ },
            ],
            [
                ({ packages }) => {
                    packages.dependencies["@pulumi/command"] = "4.5.0";
                    packages.dependencies.zod = "^4.6.7";
                    packages.devDependencies.typescript = "7.0.2";
                },
                {
                    "npm @pulumi/command": /strays/,
                    "npm zod": /^it is not an exact version$/,
                    "npm typescript": /below 7/,
                },
            ],
            [
                ({ packages }) => {
                    packages.dependencies["@pulumi/pulumi"] = "3.260.0";
                },
                { "Pulumi CLI": /^package\.json takes another @pulumi\/pulumi$/ },
            ],
        ];
        const saved = ["versions.json", "package.json"].map(
            (name) => [name, fs.readFileSync(path.join(project.folder, name))] as const,
        );
        for (const [edit, expected] of cases) {
            project.change(edit);
            const found = await project.rows(1);
            for (const [pin, reason] of Object.entries(expected)) {
                assert.equal(found.get(pin)?.status, "wrong", pin);
                assert.match(found.get(pin)?.reason ?? "", reason);
            }
            for (const [name, content] of saved) {
                fs.writeFileSync(path.join(project.folder, name), content);
            }
        }
    });
});
