// `npm run versions`, with an npm and a go that answer what the test says: no registry is asked here.
import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const root = path.resolve(__dirname, "../..");

interface Row {
    pin: string;
    pinned: string;
    compatible: string;
    newest: string;
    status: string;
    reason: string;
}

interface Pins {
    versions: {
        containerd: { version: string };
        kubernetes: { version: string };
        gvisor: { module: string };
    };
    packages: { dependencies: Record<string, string>; devDependencies: Record<string, string> };
}

describe("versions", function () {
    this.timeout(60_000);
    let folder: string;

    beforeEach(() => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "versions-"));
        const recipes = fs
            .readdirSync(path.join(root, "scripts/mirror/build"))
            .map((name) => `scripts/mirror/build/${name}/go.mod`)
            .filter((name) => fs.existsSync(path.join(root, name)));
        for (const name of ["package.json", "versions.json", "Pulumi.yaml", "scripts/cli", ...recipes]) {
            fs.cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
        }
    });
    afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

    function tool(name: string, script: string): void {
        fs.mkdirSync(path.join(folder, "bin"), { recursive: true });
        fs.writeFileSync(path.join(folder, "bin", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }

    /** npm and go that know these versions by name, and for every other name none newer than 0.0.1. */
    function registry(known: Record<string, readonly string[]>): void {
        const cases = (shape: (list: readonly string[]) => string) =>
            Object.entries(known)
                .map(([name, list]) => `*" ${name}"*) echo '${shape(list)}';;`)
                .join("\n");
        tool("npm", `case " $3 $*" in\n${cases((list) => JSON.stringify(list))}\n*) echo '"0.0.1"';;\nesac`);
        const versions = (list: readonly string[]) => JSON.stringify({ Versions: list.map((one) => `v${one}`) });
        tool(
            "go",
            `case " $*" in\n*" gvisor.dev/gvisor@go"*) echo '{"Version":"v0.0.0-20260910000000-aaaaaaaaaaaa"}';;
${cases(versions)}\n*) echo '{"Versions":["v0.0.1"]}';;\nesac`,
        );
    }

    /** Changes pins. */
    function change(edit: (pins: Pins) => void): void {
        const files = { versions: "versions.json", packages: "package.json" };
        const load = (name: string) => JSON.parse(fs.readFileSync(path.join(folder, name), "utf8")) as never;
        const pins: Pins = { versions: load(files.versions), packages: load(files.packages) };
        edit(pins);
        fs.writeFileSync(path.join(folder, files.versions), JSON.stringify(pins.versions));
        fs.writeFileSync(path.join(folder, files.packages), JSON.stringify(pins.packages));
    }

    async function run(...args: string[]) {
        const child = spawn(process.execPath, ["scripts/cli/versions.mjs", ...args], {
            cwd: folder,
            env: { ...process.env, PATH: `${path.join(folder, "bin")}:${process.env.PATH}` },
        });
        const text = { stdout: "", stderr: "" };
        for (const name of ["stdout", "stderr"] as const) {
            child[name].setEncoding("utf8").on("data", (part: string) => {
                text[name] += part;
            });
        }
        const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
        return { code, ...text };
    }

    async function rows(expected = 0): Promise<Map<string, Row>> {
        const { code, stdout, stderr } = await run("--json");
        assert.equal(code, expected, stderr);
        return new Map((JSON.parse(stdout) as Row[]).map((row) => [row.pin, row]));
    }

    const seen = (row?: Row) => [row?.compatible, row?.newest, row?.status];

    it("shows what is newer and fits, and why the newest does not", async () => {
        registry({
            "k8s.io/kubernetes": ["1.36.9", "1.38.0"],
            "github.com/containerd/containerd/v2": ["2.2.9", "2.3.7", "2.4.2", "2.5.0-rc.1"],
            "@pulumi/command": ["1.1.0", "1.2.1", "1.3.0", "4.5.0"],
            typescript: ["5.9.3", "6.0.3", "7.0.2", "7.1.0-beta"],
            "@pulumi/pulumi": ["3.259.0", "3.260.0", "3.270.0"],
            "github.com/pulumi/pulumi/pkg/v3": ["3.260.0", "3.274.1"],
            node: ["25.9.0"],
        });
        const found = await rows();
        assert.deepEqual(seen(found.get("Kubernetes")), ["1.36.9", "1.38.0", "update"]);
        assert.equal(found.get("Kubernetes")?.reason, "1.38.0: versions.json has no row for Kubernetes 1.38");
        assert.deepEqual(seen(found.get("containerd")), ["2.3.7", "2.4.2", "update"]);
        assert.deepEqual(seen(found.get("npm @pulumi/command")), ["1.3.0", "4.5.0", "update"]);
        assert.match(found.get("npm @pulumi/command")?.reason ?? "", /^4\.5\.0: .*strays.*; only 1\.x$/);
        assert.deepEqual(seen(found.get("npm typescript")), ["6.0.3", "7.0.2", "update"]);
        assert.deepEqual(seen(found.get("Pulumi CLI")), ["3.260.0", "3.274.1", "update"]);
        assert.deepEqual(seen(found.get("npm @pulumi/pulumi")), ["3.260.0", "3.270.0", "update"]);
        const { node } = (JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as Pins["packages"])
            .devDependencies;
        assert.deepEqual(seen(found.get("npm node")), [node, "25.9.0", "held"]);
        assert.deepEqual(found.get("npm zod")?.status, "current");
        assert.equal(found.get("gVisor module")?.newest, "v0.0.0-20260910000000-aaaaaaaaaaaa");
        assert.deepEqual([found.get("pause")?.status, found.get("pause")?.newest], ["not asked", ""]);
        const packages = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as Pins["packages"];
        for (const name of Object.keys({ ...packages.dependencies, ...packages.devDependencies })) {
            assert.ok(found.has(`npm ${name}`), `${name} is shown`);
        }
    });

    it("is a table for people", async () => {
        registry({ typescript: ["7.0.2"] });
        const { code, stdout } = await run();
        assert.equal(code, 0);
        assert.match(stdout, /^PIN {2,}PINNED {2,}COMPATIBLE {2,}NEWEST {2,}STATUS {2,}REASON$/m);
        assert.match(
            stdout,
            /^npm typescript +5\.9\.3 +5\.9\.3 +7\.0\.2 +held +7\.0\.2: Pulumi's SDK takes TypeScript below 7$/m,
        );
        const unknown = await run("--yaml");
        assert.equal(unknown.code, 2);
        assert.match(unknown.stderr, /^error: versions does not know "--yaml"; allowed: --json\.$/m);
    });

    it("says which source is not reached, and is no failure for that", async () => {
        registry({});
        tool("npm", `echo '{"error": {"code": "ENOTFOUND", "summary": "no"}}' | sed 's/: /: /'; exit 1`);
        tool("go", "echo 'go: x: reading https://proxy.example/list: 403 Forbidden' >&2; exit 1");
        const found = await rows();
        assert.deepEqual([found.get("npm zod")?.status, found.get("npm zod")?.reason], ["not reached", "ENOTFOUND"]);
        assert.deepEqual([found.get("etcd")?.status, found.get("etcd")?.reason], ["not reached", "403 Forbidden"]);
    });

    it("fails for pins that do not fit together", async () => {
        registry({});
        const cases: [(pins: Pins) => void, Record<string, RegExp>][] = [
            [
                ({ versions }) => {
                    versions.containerd.version = "2.1.9";
                },
                {
                    containerd:
                        /go\.mod takes 2\.2\.5 .*; containerd's table names 2\.2\.0\+, 2\.3\.0\+ for .* 1\.36, not 2\.1/,
                    Kubernetes: /^containerd's table names/,
                },
            ],
            [
                ({ versions }) => {
                    versions.kubernetes.version = "1.35.4";
                },
                {
                    Kubernetes: /scripts\/mirror\/build\/kubernetes\/go\.mod takes 1\.36\.\d+ /,
                    etcd: /scripts\/mirror\/build\/etcd\/go\.mod takes 3\.6\.8 /,
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
                { "gVisor release": /gvisor\.module is 221 days away from it; allowed: 31/ },
            ],
            [
                ({ packages }) => {
                    packages.dependencies["@pulumi/command"] = "4.5.0";
                    packages.dependencies.zod = "^4.6.7";
                    packages.devDependencies.typescript = "7.0.2";
                },
                { "npm @pulumi/command": /strays/, "npm zod": /^it is no exact version$/, "npm typescript": /below 7/ },
            ],
            [
                ({ packages }) => {
                    packages.dependencies["@pulumi/pulumi"] = "3.260.0";
                },
                { "Pulumi CLI": /^package\.json takes another @pulumi\/pulumi$/ },
            ],
        ];
        const saved = ["versions.json", "package.json"].map(
            (name) => [name, fs.readFileSync(path.join(folder, name))] as const,
        );
        for (const [edit, expected] of cases) {
            change(edit);
            const found = await rows(1);
            for (const [pin, reason] of Object.entries(expected)) {
                assert.equal(found.get(pin)?.status, "wrong", pin);
                assert.match(found.get(pin)?.reason ?? "", reason);
            }
            for (const [name, content] of saved) {
                fs.writeFileSync(path.join(folder, name), content);
            }
        }
    });

    describe("that Renovate may propose", () => {
        const renovate = JSON.parse(fs.readFileSync(path.join(root, "renovate.json"), "utf8")) as {
            customManagers: { matchStrings: string[]; depNameTemplate?: string }[];
            packageRules: { matchPackageNames?: string[]; allowedVersions?: string }[];
        };
        const text = fs.readFileSync(path.join(root, "versions.json"), "utf8");

        it("are found in versions.json, each once, or are named here with their reason", () => {
            const byHand: Record<string, string> = {
                "pulumi.languageHostModule": "later modules hold no language host",
                "node.minimumMajor": "is what Pulumi's SDK asks for",
                "kubernetes.releases": "kubeadm and containerd's table name them",
                "gvisor.module": "a commit of the days of gvisor.release",
                "flannel.cniPluginModule": "belongs to flannel.cniPluginImage",
                "debian.suite": "a suite",
            };
            const found = renovate.customManagers.flatMap(({ matchStrings }) =>
                matchStrings.flatMap((pattern) => {
                    const matches = [...text.matchAll(new RegExp(pattern, "g"))];
                    assert.equal(matches.length, 1, pattern);
                    return matches[0]?.groups?.currentValue ?? "";
                }),
            );
            const pins = Object.entries(JSON.parse(text) as Record<string, Record<string, unknown>>).flatMap(
                ([group, values]) =>
                    Object.entries(values).map(
                        ([key, value]) =>
                            [`${group}.${key}`, typeof value === "string" ? value.replace(/@.*/, "") : value] as const,
                    ),
            );
            const covered = (value: unknown) =>
                found.some(
                    (one) =>
                        value === one ||
                        (typeof value === "string" && value.endsWith(`:${one}`)) ||
                        value === `v${one}`,
                );
            const tagged = (value: unknown) =>
                typeof value === "string" && found.some((one) => value.endsWith(`:v${one}`));
            const open = pins.filter(
                ([name, value]) => !name.startsWith("aptKeys.") && !covered(value) && !tagged(value),
            );
            assert.deepEqual(open.map(([name]) => name).sort(), Object.keys(byHand).sort());
        });

        it("are those that this command calls compatible", async () => {
            type Rule = (version: string, context: object) => string | undefined;
            const file = path.join(root, "scripts/cli/pins.mjs");
            const { allPins } = (await import(file)) as {
                allPins: () => { packages: object; pins: { pin: string; rule?: Rule }[] };
            };
            const { packages, pins } = allPins();
            const cases: Record<string, [string, string[]]> = {
                Kubernetes: ["kubernetes/kubernetes", ["1.35.9", "1.36.0", "1.36.12", "1.37.0"]],
                containerd: ["containerd/containerd", ["1.7.30", "2.1.9", "2.2.0", "2.2.9", "2.3.7", "2.4.2", "3.0.0"]],
                "npm @pulumi/command": ["@pulumi/command", ["1.2.1", "1.3.0", "2.0.0", "4.5.0"]],
                "npm typescript": ["typescript", ["5.9.3", "6.0.3", "7.0.2"]],
                "npm google-protobuf": ["google-protobuf", ["3.21.4", "4.0.3"]],
                "npm node": ["node", ["24.21.0", "25.1.0", "26.10.0"]],
            };
            for (const [pin, [dependency, versions]] of Object.entries(cases)) {
                const rule = pins.find((one) => one.pin === pin)?.rule;
                const wanted = renovate.packageRules.find(({ matchPackageNames }) =>
                    matchPackageNames?.includes(dependency),
                );
                const allowed = wanted?.allowedVersions ?? "";
                for (const version of versions) {
                    const [, pattern, below] = /^(?:\/(.*)\/|<(\d+))$/.exec(allowed) ?? [];
                    const may = pattern
                        ? new RegExp(pattern).test(version)
                        : Number(version.split(".")[0]) < Number(below);
                    // A minor release of Kubernetes changes more than its own pin, so that one is never proposed.
                    const other = pin === "Kubernetes" && !version.startsWith("1.36.");
                    const fits = rule?.(version, { packages, available: new Map() }) === undefined && !other;
                    assert.equal(may, fits, `${dependency} ${version}`);
                }
            }
        });
    });
});
