import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import {
    compareVersions,
    known,
    linesOf,
    type Row,
    safeFrom,
    sentenceOf,
    vulnerabilitiesIn,
} from "../../components/vulnerabilities.cjs";
import versions from "../../versions.json";
import { root } from "../helpers/program";

const ids = (...asked: Parameters<typeof vulnerabilitiesIn>) => vulnerabilitiesIn(...asked).map(({ id }) => id);

describe("versions", () => {
    it("compare by number, and pre-releases come before their release", () => {
        const ordered = [
            "1.6",
            "1.6.20~ds1",
            "1.10.0",
            "2.0.0-alpha",
            "2.0.0-beta.2",
            "2.0.0-rc.1",
            "2.0.0-rc.10",
            "2.0.0",
            "v2.0.6",
            "release-20260905.0",
            "20261116.0",
            "20261116.1",
        ];
        for (const [index, a] of ordered.entries()) {
            for (const [other, b] of ordered.entries()) {
                assert.equal(Math.sign(compareVersions(a, b)), Math.sign(index - other), `${a} and ${b}`);
            }
        }
    });

    it("are the same whatever a distribution, a tool or a person writes around the numbers", () => {
        for (const [a, b] of [
            ["2.2.5", "2.2.5-1~debian.12~bookworm"],
            ["2.0", "2.0.0"],
            ["release-20260905.0", "20260905.0"],
            ["go1.26.8", "1.26.8"],
            ["1.1.5", "1.1.5+ds1-1+deb12u1"],
            ["1.7.28", "v1.7.28-0ubuntu1~24.04.1"],
            ["1.36.5", "v1.36.5+k0s.0"],
            ["2.0.0-rc.1", "2.0.0~rc1-1"],
            ["1.0.0-rc95", "1.0.0~rc.95+ds1"],
        ] as const) {
            assert.equal(compareVersions(a, b), 0, `${a} and ${b}`);
        }
    });
});

describe("the matcher", () => {
    const rows: Row[] = [
        {
            id: "CVE-1",
            component: "containerd",
            affected: [
                { fixed: "1.7.36" },
                { from: "2.2.0", fixed: "2.2.10" },
                { from: "2.3.0-rc.2", fixed: "2.3.7" },
                { from: "2.5.0" },
            ],
            summary: "Anything.",
            source: "https://example.com/1",
        },
        {
            id: "CVE-2",
            component: "gvisor",
            affected: [{ fixed: "20260824.0" }],
            option: { name: "policy", values: ["passthrough", "prefer"] },
            summary: "Everything.",
            source: "https://example.com/2",
        },
    ];
    const hit = (version: string) => vulnerabilitiesIn({ containerd: version }, { rows })[0]?.fixed ?? "none";

    it("takes `from` as affected, with its pre-releases, and `fixed` as not affected any more", () => {
        for (const [version, fixed] of [
            ["0.9", "1.7.36"],
            ["1.7.35", "1.7.36"],
            ["1.7.36-rc.1", "1.7.36"],
            ["1.7.36", "none"],
            ["1.7.36~ds1", "none"],
            ["2.1.99", "none"],
            ["2.2.0-beta.0", "2.2.10"],
            ["v2.2.0", "2.2.10"],
            ["2.2.9-1~debian.12~bookworm", "2.2.10"],
            ["2.2.10", "none"],
            ["2.2.10+ds1", "none"],
            ["2.3.0-rc.1", "none"],
            ["2.3.0-rc.2", "2.3.7"],
            ["2.3.6", "2.3.7"],
            ["2.3.7", "none"],
            ["2.4.99", "none"],
        ] as const) {
            assert.equal(hit(version), fixed, version);
        }
    });

    it("finds no end where nothing is fixed, and judges no version that is none", () => {
        assert.deepEqual(ids({ containerd: "99.0" }, { rows }), ["CVE-1"]);
        assert.deepEqual(ids({ containerd: "" }, { rows }), []);
        assert.deepEqual(ids({ gvisor: "VERSION_MISSING" }, { rows }), []);
        assert.deepEqual(ids({}, { rows }), []);
        assert.deepEqual(ids({ runc: "0.1" }, { rows }), []);
    });

    it("says where it is fixed, whether somebody accepts it, and where it can be read", () => {
        assert.deepEqual(vulnerabilitiesIn({ gvisor: "release-20260823.0" }, { rows, accepted: ["CVE-2"] }), [
            {
                id: "CVE-2",
                component: "gvisor",
                version: "release-20260823.0",
                fixed: "20260824.0",
                summary: "Everything.",
                source: "https://example.com/2",
                accepted: true,
            },
        ]);
    });

    it("finds flags that open it again, whatever the release, and once where both hold", () => {
        const options = [{ policy: "emulated" }, { policy: "prefer" }];
        const [found, ...more] = vulnerabilitiesIn({ gvisor: "20261116.0" }, { rows, options });
        assert.deepEqual(more, []);
        assert.deepEqual([found?.option, found?.fixed, found?.accepted], ["policy=prefer", undefined, false]);
        assert.deepEqual(ids({}, { rows, options }), ["CVE-2"]);
        assert.deepEqual(ids({ gvisor: "20261116.0" }, { rows, options: options.slice(0, 1) }), []);
        const [old, ...none] = vulnerabilitiesIn({ gvisor: "20260817.0" }, { rows, options });
        assert.deepEqual(none, []);
        assert.equal(old?.fixed, "20260824.0");
    });

    it("knows the next release that is free of all, if there is one", () => {
        const more: Row[] = [
            ...rows,
            { ...(rows[0] as Row), id: "CVE-3", affected: [{ from: "2.2.10", fixed: "2.3.1" }] },
        ];
        assert.equal(safeFrom("containerd", "2.1.2", rows), "2.1.2");
        assert.equal(safeFrom("containerd", "2.2.3", rows), "2.2.10");
        assert.equal(safeFrom("containerd", "2.2.3", more), "2.3.7");
        assert.equal(safeFrom("containerd", "2.5.0", rows), undefined);
    });

    it("speaks in sentences", () => {
        const [range] = vulnerabilitiesIn({ gvisor: "release-20260817.0" }, { rows });
        const [flag] = vulnerabilitiesIn({}, { rows, options: [{ policy: "prefer" }] });
        const [endless] = vulnerabilitiesIn({ containerd: "v2.5.1" }, { rows });
        assert.ok(range && flag && endless);
        assert.equal(sentenceOf(range), "gVisor 20260817.0 has CVE-2 (fixed in 20260824.0): Everything");
        assert.equal(sentenceOf(flag), "runsc's flag policy=prefer opens CVE-2: Everything");
        assert.equal(sentenceOf(endless), "containerd 2.5.1 has CVE-1: Anything");
        const two = [range, { ...range, id: "CVE-4", fixed: "20260901.0", accepted: true }, flag];
        assert.deepEqual(linesOf(two), [
            "gVisor 20260817.0 has CVE-2, CVE-4 (accepted), fixed in 20260901.0",
            "runsc's flag policy=prefer opens CVE-2",
        ]);
        const kubelet = { ...range, component: "kubernetes", version: "v1.36.5" } as const;
        assert.match(sentenceOf(kubelet), /^kubelet 1\.36\.5 has /);
    });
});

describe("the table of vulnerabilities", () => {
    it("has rows of one shape, each id once", () => {
        assert.equal(new Set(known.map(({ id }) => id)).size, known.length);
        for (const { id, component, affected, option, summary, source, ...more } of known) {
            assert.match(id, /^(CVE-\d{4}-\d{4,}|GHSA(-\w{4}){3})$/);
            assert.ok(["gvisor", "containerd", "runc", "kubernetes"].includes(component), id);
            assert.ok(affected.length > 0, id);
            assert.match(summary, /^[A-Z][^\n]*[^.]\.$/, id);
            assert.match(source, /^https:\/\/\S+$/, id);
            assert.deepEqual(more, {}, id);
            if (option) {
                assert.deepEqual(Object.keys(option), ["name", "values"], id);
                assert.match(option.name, /^[a-z][a-z0-9-]*$/, id);
                assert.ok(option.values.length > 0, id);
                assert.equal(component, "gvisor", `${id}: the flags are runsc's`);
            }
        }
    });

    it("has ranges in order, none within another", () => {
        for (const { id, affected } of known) {
            const ends = affected.flatMap(({ from, fixed, ...more }, index) => {
                assert.deepEqual(more, {}, id);
                assert.ok(from !== undefined || index === 0, `${id}: only the first range has no start`);
                assert.ok(fixed !== undefined || index === affected.length - 1, `${id}: only the last has no end`);
                return [...(from === undefined ? [] : [from]), ...(fixed === undefined ? [] : [fixed])];
            });
            for (const version of ends) {
                assert.match(version, /^\d+(\.\d+)+(-(alpha|beta|rc)\.\d+)?$/, id);
            }
            for (const [index, end] of ends.slice(1).entries()) {
                assert.ok(compareVersions(ends[index] ?? "", end) < 0, `${id}: ${ends[index]} before ${end}`);
            }
        }
    });

    it("holds nothing against what is pinned", () => {
        const { containerd, kubernetes, gvisor } = versions;
        const built = /-(\d{8})\d{6}-/.exec(gvisor.module)?.[1] ?? "";
        assert.match(built, /^\d{8}$/);
        assert.deepEqual(ids({ containerd: containerd.version, kubernetes: kubernetes.version }), []);
        for (const release of [gvisor.release, `${built}.0`]) {
            assert.deepEqual(ids({ gvisor: release }), [], release);
        }
    });

    it("holds nothing against a gVisor that documents, settings or the mirror's recipes name", () => {
        const pages = fs.readdirSync(path.join(root, "docs")).filter((name) => /\.md$/.test(name));
        const recipes = fs.readdirSync(path.join(root, "mirror/build")).filter((name) => /^gvisor-/.test(name));
        const files = [
            ...["README.md", "Pulumi.yaml", "mirror/README.md", "mirror/mirror.sh"],
            ...pages.filter((name) => name !== "reference.md").map((name) => `docs/${name}`),
            ...recipes.map((name) => `mirror/build/${name}/release`),
        ];
        const named = files.flatMap((file) =>
            [...fs.readFileSync(path.join(root, file), "utf8").matchAll(/\b20\d{6}(?:\.\d+)?\b/g)].map(([text]) => [
                file,
                text,
            ]),
        );
        assert.ok(named.length > 5, `${named.length} releases`);
        assert.deepEqual(
            named.filter(([, gvisor]) => ids({ gvisor }).length > 0),
            [],
        );
    });

    it("knows the ways to root on the host of 2026", () => {
        assert.ok(ids({ gvisor: "20260122.0" }).includes("CVE-2026-96812"));
        assert.ok(!ids({ gvisor: "20260824.0" }).includes("CVE-2026-96812"));
        for (const value of ["passthrough", "prefer-emulated"]) {
            assert.deepEqual(ids({}, { options: [{ "character-device-policy": value }] }), ["CVE-2026-96812"]);
        }
        assert.deepEqual(ids({}, { options: [{ "character-device-policy": "emulated-only" }] }), []);
        assert.ok(ids({ containerd: "2.2.9" }).includes("CVE-2026-95839"));
        assert.ok(!ids({ containerd: "2.2.10" }).includes("CVE-2026-95839"));
    });
});
