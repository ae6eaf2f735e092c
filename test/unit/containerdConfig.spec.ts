import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { parse } from "smol-toml";
import type { Handler } from "../../components/contracts";
import { applyRoot, markBegin, markEnd, mask, withoutMarked } from "../../components/gvisor/configFile";
import type { ConfigPlan } from "../../components/gvisor/configPlan";
import { planConfig } from "../../components/gvisor/containerdConfig";
import { dropInName } from "../../components/gvisor/dropIn";
import {
    confD,
    cri,
    criV3,
    default17,
    docker,
    factsOf,
    kubeadm17,
    modern,
    nothing,
    password,
    root,
} from "../helpers/containerdFiles";
import { wantedDifference } from "../helpers/effective";

const dropIn = `${confD}/${dropInName}`;

const runsc: Handler = { name: "runsc", runtimeClass: "myclass", options: { platform: "systrap" } };
const debug: Handler = {
    name: "runsc-debug",
    runtimeClass: "debug",
    options: { platform: "systrap", debug: "true", "debug-log": "/var/log/runsc/%ID%/" },
};

/** The table of a handler, as it has to be in force. */
const tableOf = (name: string) => ({
    runtime_type: "io.containerd.runsc.v1",
    options: { TypeUrl: "io.containerd.runsc.v1.options", ConfigPath: `/etc/containerd/runsc/${name}.toml` },
});

const planOf = (version: string, files: Readonly<Record<string, string>>, ...handlers: Handler[]) =>
    planConfig(factsOf(version, files), handlers.length > 0 ? handlers : [runsc]);

/**
 * Asserts that a plan can be written, keeps every byte of the root file, and stays the same once it is written.
 *
 * @returns the plan, the new root file, and what containerd 1.x and 2.x then read as tables of runtimes
 */
function written(version: string, files: Readonly<Record<string, string>>, ...handlers: Handler[]) {
    const plan = planOf(version, files, ...handlers);
    assert.deepEqual(plan.complaints, []);
    const before = withoutMarked(files[root] ?? "");
    const text = applyRoot(files[root] ?? "", plan.root);
    if (text !== before) {
        assert.ok(text.replace(mask, "").includes(before));
        assert.equal(withoutMarked(text).trimEnd(), before.trimEnd());
        assert.equal(applyRoot(text, plan.root), text);
    }
    const own = Object.fromEntries(plan.files.map((file) => [file.path, file.text]));
    const after = { ...files, ...(text === "" ? {} : { [root]: text }), ...own };
    assert.deepEqual(planOf(version, after, ...handlers), plan);
    return { plan, text, own };
}

function refusal(plan: ConfigPlan): string {
    assert.deepEqual(plan.files, []);
    assert.deepEqual([plan.root.head, plan.root.tail], ["", ""]);
    return plan.complaints.join("\n");
}

function runtimesOf(text: string): Record<string, unknown> {
    type Plugins = Record<string, { containerd?: { runtimes?: Record<string, unknown> } }>;
    const { plugins = {} } = parse(text) as { plugins?: Plugins };
    return JSON.parse(
        JSON.stringify(
            Object.fromEntries(
                Object.entries(plugins).flatMap(([name, { containerd }]) =>
                    Object.entries(containerd?.runtimes ?? {}).map(([runtime, table]) => [`${name} ${runtime}`, table]),
                ),
            ),
        ),
    );
}

describe("lines of ours in a file", () => {
    const text = `a = 1\n${markBegin}\nb = 2\n${markEnd}\n# >>> runtime-sandboxes of mine\nc = 3\n${markBegin}\n${markEnd}\nd = 4`;

    it("are found as the scripts find them", () => {
        const sed = execFileSync("sed", [`/^${markBegin}$/,/^${markEnd}$/d`], { input: text, encoding: "utf8" });
        assert.equal(withoutMarked(text), sed);
        assert.equal(sed, "a = 1\n# >>> runtime-sandboxes of mine\nc = 3\nd = 4");
    });

    it("stand at its start and its end, once", () => {
        const lines = { head: "version = 2", tail: "[t]\nx = 1\n" };
        const once = applyRoot("# theirs", lines);
        assert.equal(once, `${markBegin}\nversion = 2\n${markEnd}\n# theirs\n${markBegin}\n[t]\nx = 1\n${markEnd}\n`);
        assert.equal(applyRoot(once, lines), once);
        assert.equal(applyRoot(once, { head: "", tail: "" }), "# theirs\n");
    });
});

describe("configuration for containerd 1.x", () => {
    it("goes to the end of the root file, and nothing else changes", () => {
        for (const [version, text] of [
            ["1.7.36~ds1", default17],
            ["1.7.36", kubeadm17],
        ] as const) {
            const { plan, text: after } = written(version, { [root]: text }, runsc, debug);
            assert.equal(plan.root.head, "");
            assert.ok(after.startsWith(text));
            assert.deepEqual(
                plan.files.map((file) => file.path),
                ["/etc/containerd/runsc/runsc.toml", "/etc/containerd/runsc/runsc-debug.toml"],
            );
            const added = wantedDifference(text, after, []);
            assert.equal(added.length, 6);
            assert.deepEqual(wantedDifference(text, after, [runsc, debug]), []);
            assert.deepEqual(runtimesOf(after)["io.containerd.grpc.v1.cri runsc-debug"], tableOf("runsc-debug"));
        }
    });

    it("is plain TOML with quoted plug-in names", () => {
        assert.equal(
            written("1.7.36", { [root]: kubeadm17 }).plan.root.tail,
            `[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc]
runtime_type = "io.containerd.runsc.v1"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc.options]
TypeUrl = "io.containerd.runsc.v1.options"
ConfigPath = "/etc/containerd/runsc/runsc.toml"`,
        );
    });

    it("names runc too where the root file names no runtime, as it is in force", () => {
        const effective = `version = 2\n[${cri}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\nsandbox_mode = "podsandbox"
            [${cri}.containerd.runtimes.runc.options]\nSystemdCgroup = false\nIoGid = 0\n`;
        const text = `version = 2\n[${cri}]\nsandbox_image = "pause:3"\n`;
        const plan = planConfig(factsOf("1.7.36", { [root]: text }, effective), [runsc]);
        assert.deepEqual(plan.complaints, []);
        assert.deepEqual(runtimesOf(applyRoot(text, plan.root)), {
            "io.containerd.grpc.v1.cri runc": {
                runtime_type: "io.containerd.runc.v2",
                sandbox_mode: "podsandbox",
                options: { SystemdCgroup: false, IoGid: 0 },
            },
            "io.containerd.grpc.v1.cri runsc": tableOf("runsc"),
        });
    });

    it("begins with the version where there is no root file, an empty one, or only comments", () => {
        for (const files of nothing) {
            const { plan, text } = written("1.7.36", files);
            assert.equal(plan.root.head, "version = 2");
            assert.deepEqual(Object.keys(runtimesOf(text)), [
                "io.containerd.grpc.v1.cri runc",
                "io.containerd.grpc.v1.cri runsc",
            ]);
        }
    });

    it("is refused where the root file is of another version, or of none", () => {
        for (const [text, seen] of [
            [`[plugins.cri]\n  sandbox_image = "pause:3"\n`, /config\.toml has no version, so it is of version 1;/],
            [`version = 1\n[plugins.cri]\n`, /config\.toml has version 1;/],
            [modern(3), /config\.toml has version 3;/],
        ] as const) {
            const said = refusal(planOf("1.7.36", { [root]: text }));
            assert.match(said, seen);
            assert.match(said, /in version 2 only\. Run: containerd config dump/);
        }
    });

    it("is refused where an imported file would wipe it out, and only there", () => {
        const text = `imports = ["site.d/*.toml"]\n${kubeadm17}`;
        const file = "/etc/containerd/site.d/registry.toml";
        const wiped = { [root]: text, [file]: `version = 2\n[${cri}]\nsandbox_image = "pause:3"\n` };
        assert.match(
            refusal(planOf("1.7.36", wiped)),
            /^\/etc\/containerd\/site\.d\/registry\.toml, which \/etc\/containerd\/config\.toml imports, has a section .* Move it into/,
        );
        written("1.7.36", { [root]: text, [file]: 'version = 2\n[debug]\nlevel = "info"\n' });
    });

    it("leaves a handler that is there by hand as it is if it is ours, and is refused if it is not", () => {
        const header = `\n[${cri}.containerd.runtimes.runsc]\nruntime_type = "io.containerd.runsc.v1" # by hand\n`;
        const same = `${kubeadm17}${header}  [${cri}.containerd.runtimes.runsc.options]
            ConfigPath = "/etc/containerd/runsc/runsc.toml"\n    TypeUrl = "io.containerd.runsc.v1.options"\n`;
        const { plan } = written("1.7.36", { [root]: same }, runsc, debug);
        assert.deepEqual(Object.keys(runtimesOf(plan.root.tail)), ["io.containerd.grpc.v1.cri runsc-debug"]);
        assert.equal(plan.files.length, 2);
        assert.equal(written("1.7.36", { [root]: same }, runsc).text, same);

        const other = refusal(planOf("1.7.36", { [root]: `${kubeadm17}${header}` }, runsc, debug));
        assert.match(
            other,
            /^\/etc\/containerd\/config\.toml has a handler "runsc" of its own; name yours differently/,
        );
    });

    it("is refused where the root file is written so that no table can be added", () => {
        for (const text of [
            `version = 2\nplugins = { "io.containerd.grpc.v1.cri" = { sandbox_image = "pause:3" } }\n`,
            `version = 2\n[${cri}]\ncontainerd = { runtimes = { runc = { runtime_type = "io.containerd.runc.v2" } } }\n`,
        ]) {
            assert.match(
                refusal(planOf("1.7.36", { [root]: text })),
                /config\.toml is written so that nothing can be added to it \(.+\); write its table plugins without inline/,
            );
        }
    });
});

describe("configuration for containerd 2", () => {
    it("is a drop-in of the version and with the tables of the root file, which is left alone", () => {
        for (const [version, text, schema, plugin] of [
            ["2.0.14", modern(3), 3, "io.containerd.cri.v1.runtime"],
            ["2.2.10", modern(3), 3, "io.containerd.cri.v1.runtime"],
            ["2.3.7", modern(4), 4, "io.containerd.cri.v1.runtime"],
            ["2.4.2", modern(3), 3, "io.containerd.cri.v1.runtime"],
            ["2.2.10", `imports = ["${confD}/*.toml"]\n${kubeadm17}`, 2, "io.containerd.grpc.v1.cri"],
        ] as const) {
            const { plan, text: after, own } = written(version, { [root]: text }, runsc, debug);
            assert.deepEqual([plan.root.head, plan.root.tail], ["", ""]);
            assert.equal(after, text.endsWith("\n") ? text : `${text}\n`);
            assert.equal(plan.files[0]?.path, dropIn);
            assert.equal(parse(own[dropIn] ?? "").version, schema);
            assert.deepEqual(runtimesOf(own[dropIn] ?? ""), {
                [`${plugin} runsc`]: tableOf("runsc"),
                [`${plugin} runsc-debug`]: tableOf("runsc-debug"),
            });
        }
    });

    it("takes the version that is written, never the one that is in force", () => {
        const facts = factsOf("2.3.7", { [root]: modern(3) }, "version = 4\n");
        assert.match(planConfig(facts, [runsc]).files[0]?.text ?? "", /^version = 3\n/);
    });

    it("adds an imports line, before everything else, to a root file without one", () => {
        for (const text of [kubeadm17, modern(3, ""), modern(4, "")]) {
            const { plan, text: after } = written("2.3.7", { [root]: text });
            assert.deepEqual([plan.root.head, plan.root.tail], [`imports = ["${confD}/*.toml"]`, ""]);
            assert.deepEqual(parse(after).imports, [`${confD}/*.toml`]);
            assert.equal(plan.files[0]?.path, dropIn);
        }
    });

    it("writes the version too where there is no root file, an empty one, or only comments", () => {
        for (const files of nothing) {
            const { plan, own } = written("2.4.2", files);
            assert.equal(plan.root.head, `version = 3\nimports = ["${confD}/*.toml"]`);
            assert.equal(parse(own[dropIn] ?? "").version, 3);
        }
    });

    it("uses the first directory that is imported, relative to the root file", () => {
        for (const [imports, directory] of [
            [`imports = ["/etc/containerd/site.d/*.toml", "${confD}/*.toml"]`, "/etc/containerd/site.d"],
            [`imports = ["/etc/containerd/one.toml", "site.d/*.toml"] # relative`, "/etc/containerd/site.d"],
            [`imports = [\n  "../nodes/*/x.toml",\n  '../etc2/*.toml',\n]`, "/etc/etc2"],
        ] as const) {
            const { plan, text } = written("2.2.10", { [root]: modern(3, imports) });
            assert.equal(text, modern(3, imports));
            assert.equal(plan.files[0]?.path, `${directory}/${dropInName}`);
        }
    });

    it("is refused where what is imported is no directory, and says what to add", () => {
        for (const imports of [
            "imports = [ ]",
            "imports = []\r",
            'imports = ["/etc/containerd/one.toml", "/etc/*/x/*.toml"]',
        ]) {
            assert.match(
                refusal(planOf("2.0.14", { [root]: modern(3, imports) })),
                /config\.toml imports (nothing|\/etc.+), and no directory of \*\.toml; add "\/etc\/containerd\/conf\.d\/\*\.toml" to its imports$/,
            );
        }
    });

    it("takes the place of an empty list of imports, which stays in the file for later", () => {
        const theirs = modern(3, "imports = []");
        const { text, plan } = written("2.0.14", { [root]: theirs });
        assert.equal(plan.root.head, 'imports = ["/etc/containerd/conf.d/*.toml"]');
        assert.equal(text.replace(mask, "").replace(/^# >>>[\s\S]*?# <<< .*\n/, ""), theirs);
        assert.equal(withoutMarked(text), theirs);
    });

    it("takes over a handler that is there by hand", () => {
        const text = `${modern(3)}\n[${criV3}.containerd.runtimes.runsc]\nruntime_type = "io.containerd.runsc.v1" # by hand\n`;
        assert.equal(written("2.2.10", { [root]: text }).text, text);
    });

    it("is refused where a file that is read after ours has another handler of that name", () => {
        const table = `version = 3\n[${criV3}.containerd.runtimes.runsc]\nruntime_type = "io.containerd.runsc.v1"\n`;
        const options = `options = { TypeUrl = "io.containerd.runsc.v1.options", ConfigPath = "/etc/containerd/runsc/runsc.toml" }\n`;
        const files = (file: string, text: string) => ({ [root]: modern(3), [file]: text });
        for (const file of [`${confD}/99-gvisor.toml`, "/etc/containerd/site.d/00.toml"]) {
            assert.match(
                refusal(planOf("2.2.10", files(file, table), debug, runsc)),
                /^\/etc\/\S+\.toml has a handler "runsc" of its own, and is not read before .*; name yours differently/,
            );
            written("2.2.10", files(file, table), debug);
            written("2.2.10", files(file, table + options), runsc);
        }
        written("2.2.10", files(`${confD}/10-gvisor.toml`, table), runsc);
    });

    it("is refused where the root file has no version, or one that containerd 2 does not read", () => {
        for (const [text, seen] of [
            [`[plugins.cri]\n  sandbox_image = "pause:3"\n`, /config\.toml has no version; allowed: 2, 3 or 4\. /],
            ["version = 1\n", /config\.toml has version 1; allowed: 2, 3 or 4\. /],
            ["version = 5\n", /config\.toml has version 5; allowed: 2, 3 or 4\. /],
        ] as const) {
            assert.match(refusal(planOf("2.3.7", { [root]: text })), seen);
        }
    });

    it("overlooks the drop-in of an earlier run, whatever stands in it", () => {
        const files = { [root]: modern(3), [dropIn]: "broken [" };
        assert.deepEqual(planOf("2.2.10", files), planOf("2.2.10", { [root]: modern(3) }));
    });
});

describe("configuration for the containerd of k0s", () => {
    const configPath = "/etc/k0s/containerd.toml";
    const dropIns = "/etc/k0s/containerd.d";
    /** Its containerd, with a root file of that version and these drop-ins. */
    const plan = (version: string, schema: number, others: Readonly<Record<string, string>> = {}) => {
        const root = `# k0s_managed=true\nimports = ["/run/k0s/containerd-cri.toml"]\nversion = ${schema}\n`;
        const facts = factsOf(version, { [configPath]: root, ...others });
        return planConfig({ ...facts, containerd: { ...facts.containerd, configPath, dropIns } }, [runsc, debug]);
    };

    it("is a drop-in beside k0s's own file, which is left alone, whatever version containerd has", () => {
        for (const [version, schema, plugin] of [
            ["1.7.30", 2, "io.containerd.grpc.v1.cri"],
            ["2.1.6", 3, "io.containerd.cri.v1.runtime"],
        ] as const) {
            const { complaints, root, files } = plan(version, schema);
            assert.deepEqual([complaints, root], [[], { path: configPath, head: "", tail: "" }]);
            assert.deepEqual(
                files.map((file) => file.path),
                [`${dropIns}/${dropInName}`, "/etc/k0s/runsc/runsc.toml", "/etc/k0s/runsc/runsc-debug.toml"],
            );
            const text = files[0]?.text ?? "";
            assert.equal(parse(text).version, schema);
            const tables = runtimesOf(text)[`${plugin} runsc`] as ReturnType<typeof tableOf>;
            assert.deepEqual(tables.options, { ...tableOf("").options, ConfigPath: "/etc/k0s/runsc/runsc.toml" });
        }
    });

    it("is refused where a drop-in that k0s merges after ours has another handler of that name", () => {
        const other = `version = 2\n[${cri}.containerd.runtimes.runsc]\nruntime_type = "io.containerd.runc.v2"\n`;
        assert.match(
            plan("1.7.30", 2, { [`${dropIns}/gvisor.toml`]: other }).complaints.join(),
            /^\/etc\/k0s\/containerd\.d\/gvisor\.toml has a handler "runsc" of its own/,
        );
        assert.deepEqual(plan("1.7.30", 2, { [`${dropIns}/10-gvisor.toml`]: other }).complaints, []);
    });
});

describe("configuration for any containerd", () => {
    for (const version of ["1.7.36", "2.2.10"]) {
        it(`is refused where a file is broken, with its place: ${version}`, () => {
            const files = {
                [root]: `version = 2\nimports = ["site.d/*.toml"]\n\n[${cri}\n`,
                "/etc/containerd/site.d/a.toml": "version = 2\nx = \n",
            };
            const [first, second, ...more] = planOf(version, files).complaints;
            assert.match(
                first ?? "",
                /^\/etc\/containerd\/config\.toml is broken in line 4, column \d+: .+\. Correct it/,
            );
            assert.match(second ?? "", /^\/etc\/containerd\/site\.d\/a\.toml is broken in line 2, column \d+: /);
            assert.deepEqual(more, []);
        });

        it(`is refused where the CRI plug-in is switched off: ${version}`, () => {
            const said = refusal(planOf(version, { [root]: docker }));
            assert.match(
                said,
                /^\/etc\/containerd\/config\.toml switches containerd's CRI plug-in off \(disabled_plugins\)/,
            );
            for (const plugin of ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"]) {
                const files = {
                    [root]: `version = 2\ndisabled_plugins = ["io.containerd.snapshotter.v1.zfs", "${plugin}"]\n`,
                };
                assert.equal(refusal(planOf(version, files)), said);
            }
        });
    }

    it("holds the options of each handler as text", () => {
        const options = { platform: "kvm", "debug-log": '/var/log/"x"\\%ID%/', "a.b": "[x]\ny = 1", network: "" };
        const { own } = written("2.2.10", { [root]: modern(3) }, { ...runsc, options }, debug);
        assert.deepEqual(JSON.parse(JSON.stringify(parse(own["/etc/containerd/runsc/runsc.toml"] ?? ""))), {
            runsc_config: { "debug-command": "!runtime-sandboxes/runsc", ...options },
        });
        assert.equal(
            own["/etc/containerd/runsc/runsc-debug.toml"],
            '[runsc_config]\ndebug-command = "!runtime-sandboxes/runsc-debug"\nplatform = "systrap"\ndebug = "true"\ndebug-log = "/var/log/runsc/%ID%/"\n',
        );
    });

    it("is another one for other handlers, options or lines, and the same one for the same", () => {
        const plans = [
            planOf("2.2.10", { [root]: modern(3) }),
            planOf("2.2.10", { [root]: modern(3) }, runsc, debug),
            planOf("2.2.10", { [root]: modern(3) }, { ...runsc, options: { platform: "kvm" } }),
            planOf("2.3.7", { [root]: modern(4) }),
            planOf("2.2.10", { [root]: modern(3, "") }),
            planOf("1.7.36", { [root]: kubeadm17 }),
        ];
        assert.equal(new Set(plans.map((plan) => JSON.stringify(plan))).size, plans.length);
        assert.deepEqual(planOf("2.2.6", { [root]: `# more\n${modern(3)}` }), plans[0]);
    });
});

describe("difference of two effective configurations", () => {
    const before = `version = 3\nimports = ['${confD}/*.toml']\n${modern(3, "").replace("version = 3\n", "")}`;
    const after =
        before.replace("imports = [", "imports = ['/x.toml', ") +
        `[${criV3}.containerd.runtimes.runsc]\nruntime_type = 'io.containerd.runsc.v1'\n` +
        `[${criV3}.containerd.runtimes.runsc.options]\nConfigPath = '/x'\n`;

    it("is nothing where only our handlers and the imports are others", () => {
        assert.deepEqual(wantedDifference(before, after, [runsc]), []);
        assert.deepEqual(wantedDifference(after, before, [runsc]), []);
    });

    it("names each other value that was changed, added or lost", () => {
        const changed = after.replace("SystemdCgroup = true", "SystemdCgroup = false\n        Root = '/r'");
        assert.deepEqual(wantedDifference(before, changed, [runsc]), [
            "plugins.io.containerd.cri.v1.runtime.containerd.runtimes.runc.options.SystemdCgroup: true -> false",
            `plugins.io.containerd.cri.v1.runtime.containerd.runtimes.runc.options.Root: nothing -> "/r"`,
        ]);
        assert.deepEqual(wantedDifference(before, after, []), [
            `plugins.io.containerd.cri.v1.runtime.containerd.runtimes.runsc.runtime_type: nothing -> "io.containerd.runsc.v1"`,
            `plugins.io.containerd.cri.v1.runtime.containerd.runtimes.runsc.options.ConfigPath: nothing -> "/x"`,
        ]);
        assert.deepEqual(wantedDifference(before, before.replace(/^.*pinned_images.*\n.*\n/m, ""), [runsc]), [
            `plugins.io.containerd.cri.v1.images.pinned_images.sandbox: "registry.k8s.io/pause:3.10" -> nothing`,
        ]);
    });
});

describe("every configuration that can be planned", () => {
    const site = { "/etc/containerd/site.d/a.toml": `[debug]\nlevel = "${password}"\n` };
    const windows = (text: string) => text.replaceAll("\n", "\r\n");
    const fixtures: Readonly<Record<string, readonly [version: string, files: Readonly<Record<string, string>>]>> = {
        "1.7, default": ["1.7.36~ds1", { [root]: default17 }],
        "1.7, kubeadm": ["1.7.36", { [root]: kubeadm17 }],
        "1.7, imports": ["1.7.36", { [root]: `imports = ["site.d/*.toml"]\n${kubeadm17}`, ...site }],
        "1.7, lines of Windows": ["1.7.36", { [root]: windows(kubeadm17) }],
        "1.7, no tables of the CRI": ["1.7.36", { [root]: "version = 2\noom_score = 0" }],
        "1.7, a hand's own lines after ours": [
            "1.7.36",
            { [root]: `${applyRoot(kubeadm17, { head: "", tail: "x = 1" })}[debug]\nlevel = "info"\n` },
        ],
        "1.7, nothing": ["1.7.36", {}],
        "2.0, default": ["2.0.14", { [root]: modern(3, "imports = []") }],
        "2.2, version 2": ["2.2.10", { [root]: kubeadm17 }],
        "2.2, no imports": ["2.2.10", { [root]: modern(3, `state = "/${password}"`) }],
        "2.2, imports": ["2.2.10", { [root]: modern(3, 'imports = ["site.d/*.toml"]'), ...site }],
        "2.2, lines of Windows": ["2.2.10", { [root]: windows(modern(3, "")) }],
        "2.2, tables inline": ["2.2.10", { [root]: `version = 3\nplugins = { x = { y = "${password}" } }` }],
        "2.3, version 4": ["2.3.7", { [root]: modern(4) }],
        "2.4, only comments": ["2.4.2", { [root]: `# ${password}` }],
    };
    const quoted: Handler = { ...runsc, name: "runsc.kvm" };

    for (const [name, [version, files]] of Object.entries(fixtures)) {
        for (const handlers of [[runsc], [quoted, runsc, debug]]) {
            it(`gets ${handlers.length} of our handlers and is otherwise as before: ${name}`, () => {
                const { plan, text: after, own } = written(version, files, ...handlers);
                const before = withoutMarked(files[root] ?? "");
                // byte for byte
                assert.ok([before, `${before}\n`].includes(withoutMarked(after)));
                // what it means
                const none = Object.keys(parse(before)).length === 0;
                const added = wantedDifference(before, after, handlers).filter(
                    (difference) => !(none && difference.startsWith("version: nothing -> ")),
                );
                const ownRunc = version.startsWith("1") && !before.includes("runtimes.runc");
                assert.deepEqual(
                    added,
                    ownRunc
                        ? [
                              `plugins.io.containerd.grpc.v1.cri.containerd.runtimes.runc.runtime_type: nothing -> "io.containerd.runc.v2"`,
                          ]
                        : [],
                );
                const tables = Object.entries(
                    runtimesOf(Object.entries(own).find(([file]) => file.endsWith(dropInName))?.[1] ?? after),
                );
                for (const handler of handlers) {
                    assert.deepEqual(
                        tables.filter(([key]) => key.endsWith(` ${handler.name}`)).map(([, table]) => table),
                        [tableOf(handler.name)],
                    );
                    const options = parse(own[`/etc/containerd/runsc/${handler.name}.toml`] ?? "");
                    assert.deepEqual(JSON.parse(JSON.stringify(options)), {
                        runsc_config: { "debug-command": `!runtime-sandboxes/${handler.name}`, ...handler.options },
                    });
                }
                // nobody's secrets
                assert.doesNotMatch(JSON.stringify(plan), new RegExp(password));
            });
        }
    }

    it("or not, holds no text of a file", () => {
        for (const text of [
            `version = 2\n[a]\npassword = "${password}\n`,
            `version = 2\n[a]\npassword = ${password}\n`,
            `version = 2\n[a]\n"${password}" = 1\n"${password}" = 2\n`,
            `version = 2\nplugins = { "io.containerd.grpc.v1.cri" = { p = "${password}" } }\n`,
            `[plugins.cri]\np = "${password}"\n`,
            `${docker}p = "${password}"\n`,
        ]) {
            const plan = planOf("1.7.36", { [root]: text });
            assert.equal(plan.complaints.length, 1, text);
            assert.doesNotMatch(refusal(plan), new RegExp(password));
        }
    });
});
