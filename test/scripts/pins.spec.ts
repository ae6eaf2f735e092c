// The pins themselves: what is known against them, until when they are supported, and what Renovate may propose for them.
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { incompatibilities } from "../../components/gvisor/compatibility";
import { remoteSources, upstreamSources } from "../../components/targets/upstream";
import { type Component, sentenceOf, vulnerabilitiesIn } from "../../components/vulnerabilities.cjs";
import { nodeFacts } from "../helpers/canned";
import { load, root } from "./versionsProject";

interface Pin {
    pin: string;
    where: string;
    pinned: string;
    component?: Component;
    release?: (version: string) => string;
    source?: { go?: string };
    rule?: (version: string, context: object) => string | undefined;
}

const script = (name: string) => import(path.join(root, "cli", name));
const allPins = async () =>
    ((await script("pins.ts")) as { allPins: () => { packages: object; pins: Pin[] } }).allPins();

describe("pins", () => {
    describe("of versions.json and package.json", () => {
        const day = "2026-11-30";
        type Support = { supportOf: (...args: string[]) => { ends: string; days: number } | undefined };
        const command = () => script("versions.ts") as Promise<Support>;

        it("have no known vulnerability, and a row that says until when they are supported", async () => {
            const { supportOf } = await command();
            const components = new Set<string>();
            for (const { pin, pinned, component, release } of (await allPins()).pins) {
                if (component === undefined) {
                    continue;
                }
                components.add(component);
                assert.deepEqual(
                    vulnerabilitiesIn({ [component]: release?.(pinned) ?? pinned }).map(sentenceOf),
                    [],
                    pin,
                );
                // gVisor supports its newest release, whatever the day.
                assert.equal(supportOf(component, pinned, day) === undefined, component === "gvisor", pin);
            }
            assert.deepEqual([...components].sort(), ["containerd", "debian", "gvisor", "kubernetes", "node"]);
        });

        it("are two of gVisor's, and the gate takes both, as packages and as archives", async () => {
            const sources = [upstreamSources({}), remoteSources({ mirror: "https://mirror.example" })];
            const handlers = [{ name: "runsc", runtimeClass: "myclass", options: { platform: "systrap" } }];
            const releases = sources.map(({ packages }) => packages.runsc ?? "");
            const judged = (await allPins()).pins.filter(({ component }) => component === "gvisor");
            assert.deepEqual(
                judged.map(({ pinned, release }) => release?.(pinned) ?? pinned),
                releases,
            );
            for (const release of releases) {
                for (const install of ["apt", "archive"] as const) {
                    assert.deepEqual(incompatibilities(nodeFacts(), { handlers, release, install, accepted: [] }), []);
                }
            }
            const old = { handlers, release: "20260817.0", install: "apt" as const, accepted: [] };
            assert.match(incompatibilities(nodeFacts(), old).join("\n"), /gVisor 20260817\.0 .*CVE-2026-96812/);
        });

        it("end on a day that is in the calendar, by a source that can be looked up", async () => {
            const rows: { component: string; branch: string; ends: string; source: string }[] = load(
                root,
                "support.json",
            );
            const { supportOf } = await command();
            assert.ok(rows.length > 0);
            for (const { component, branch, ends, source } of rows) {
                assert.equal(new Date(`${ends}T00:00:00Z`).toISOString().slice(0, 10), ends, `${component} ${branch}`);
                assert.match(source, /^https:\/\//);
                assert.equal(rows.filter((one) => one.component === component && one.branch === branch).length, 1);
                for (const [version, left] of [
                    [branch, 90],
                    [`${branch}.1`, 0],
                    [`${branch}.12`, -1],
                ] as const) {
                    const on = new Date(Date.parse(ends) - left * 86_400_000).toISOString().slice(0, 10);
                    assert.deepEqual(
                        [supportOf(component, version, on)?.ends, supportOf(component, version, on)?.days],
                        [ends, left],
                    );
                }
                assert.equal(supportOf(component, `${branch}9`, day)?.ends === ends, false);
            }
        });
    });

    describe("that Renovate may propose", () => {
        const renovate = JSON.parse(fs.readFileSync(path.join(root, "renovate.json"), "utf8")) as {
            customManagers: { matchStrings: string[]; depNameTemplate?: string }[];
            packageRules: {
                matchManagers?: string[];
                matchDepTypes?: string[];
                matchFileNames?: string[];
                matchPackageNames?: string[];
                allowedVersions?: string;
                enabled?: boolean;
            }[];
        };
        const text = fs.readFileSync(path.join(root, "versions.json"), "utf8");

        it("are found in versions.json, each once, or are named here with their reason", () => {
            const byHand: Record<string, string> = {
                "pulumi.languageHostModule": "later modules hold no language host",
                "node.minimumMajor": "is what Pulumi's SDK asks for",
                "kubernetes.releases": "kubeadm and containerd's table name them",
                "gvisor.module": "a commit of a branch without releases",
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
            const { packages, pins } = await allPins();
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

        it("are of a recipe only what is pinned nowhere else", async () => {
            const own = (await allPins()).pins.filter(({ where }) => where.endsWith("go.mod"));
            assert.deepEqual(own.length, 3);
            const proposed = (file: string, module: string) => {
                const rules = renovate.packageRules.filter(
                    ({
                        matchManagers = ["gomod"],
                        matchDepTypes,
                        matchFileNames = ["**"],
                        matchPackageNames = [module],
                    }) =>
                        matchManagers.includes("gomod") &&
                        matchDepTypes === undefined &&
                        matchFileNames.some((pattern) => path.matchesGlob(file, pattern)) &&
                        matchPackageNames.includes(module),
                );
                return rules.findLast(({ enabled }) => enabled !== undefined)?.enabled ?? true;
            };
            for (const { where, source } of own) {
                assert.ok(proposed(where, source?.go ?? ""), where);
            }
            const mirror = "mirror/build";
            for (const name of fs.readdirSync(path.join(root, mirror))) {
                const text = fs.readFileSync(path.join(root, mirror, name, "go.mod"), "utf8");
                for (const [, module = ""] of text.matchAll(/^(?:require |\t)(\S+) v\d/gm)) {
                    const mine = own.some(
                        ({ where, source }) => where === `${mirror}/${name}/go.mod` && source?.go === module,
                    );
                    assert.equal(proposed(`${mirror}/${name}/go.mod`, module), mine, `${name}: ${module}`);
                }
            }
        });
    });
});
