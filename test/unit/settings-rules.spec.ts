import assert from "node:assert/strict";
import { versions } from "../../components/versions";
import { known, safeFrom } from "../../components/vulnerabilities.cjs";
import { parseSettings } from "../../settings";
import { complaintsOf } from "../../settings/rules";
import { complaints, existing, existingIn, fingerprint, projectFile } from "../helpers/settings";

describe("settings that do not go together", () => {
    it("want the containerd that the wanted Kubernetes asks for", () => {
        for (const [kubernetesVersion, containerdVersion, floor] of [
            ["1.35.9", "2.1.4", "2.1.5"],
            ["1.35.9", "2.0.9", "2.1.5"],
            ["1.37.2", "2.2.10", "2.3.0"],
        ] as const) {
            assert.deepEqual(complaints({ kubernetesVersion, containerdVersion }), [
                `containerdVersion is "${containerdVersion}"; Kubernetes ${kubernetesVersion.slice(0, 4)} asks for ` +
                    `${floor} or newer, such as 2.3.7`,
            ]);
            assert.deepEqual(complaints({ kubernetesVersion, containerdVersion: floor }), []);
        }
    });

    it("want mirror and its fingerprint together, and not against sources", () => {
        const together =
            "mirrorFingerprint and runtime-sandboxes:mirror belong together: set both (a ready mirror) or none (built on this host)";
        assert.deepEqual(complaints({ mirror: "https://mirror.example/" }), [together]);
        assert.deepEqual(complaints({ mirrorFingerprint: fingerprint }), [together]);
        assert.deepEqual(complaints({ mirror: "https://mirror.example/", mirrorFingerprint: fingerprint }), []);
        assert.deepEqual(
            complaints({ mirror: "file:///srv/mirror", mirrorFingerprint: fingerprint, sources: "upstream" }),
            ['sources is "upstream" although runtime-sandboxes:mirror is set; remove one of them'],
        );
        assert.deepEqual(complaints({ mirror: "ftp://mirror.example", mirrorFingerprint: "12" }), [
            'mirror is "ftp://mirror.example"; allowed: an http, https or file URL, or empty',
            'mirrorFingerprint is "12"; allowed: 40 hexadecimal digits, or empty',
        ]);
    });

    const gcp = JSON.stringify({ project: "my-project", region: "us-central1", adminRanges: ["203.0.113.7/32"] });

    it("are refused where they have no effect on the target, all at once; what Pulumi fills in is nobody's choice", () => {
        const defaults = Object.fromEntries(
            Object.entries(projectFile.config)
                .filter(([, setting]) => typeof setting.default === "string")
                .map(([key, setting]) => [key, String(setting.default)]),
        );
        const chosen = {
            containerdVersion: "2.3.7",
            kubernetesVersion: "1.36.5",
            bridge: "lab0",
            addressRange: "10.88.0.0/24",
            sources: "mirror",
        };
        const remove = (setting: string, reason: string) =>
            `${setting} is "${chosen[setting as keyof typeof chosen]}", which has no effect: target ${reason}. ` +
            `Remove it: npm run pulumi -- config rm ${setting}`;
        const noMirror = (target: string) =>
            `sources is "mirror"; allowed with target ${target}: upstream, or the URL of a mirror that the machines reach (mirror)`;
        assert.deepEqual(complaints({ ...defaults, target: "existing", existing }), []);
        assert.deepEqual(complaints({ ...defaults, target: "gcp", gcp }), []);
        assert.deepEqual(complaints({ ...defaults, ...chosen }), []);
        assert.deepEqual(complaints({ ...defaults, ...chosen, target: "existing", existing }), [
            remove("containerdVersion", "existing leaves the nodes their containerd"),
            remove("kubernetesVersion", "existing leaves the cluster its Kubernetes"),
            remove("bridge", "existing makes no machines on this host"),
            remove("addressRange", "existing makes no machines on this host"),
            noMirror("existing"),
        ]);
        assert.deepEqual(complaints({ ...defaults, ...chosen, target: "gcp", gcp }), [
            remove("bridge", "gcp makes no machines on this host"),
            remove("addressRange", "gcp has gcp.networkRange instead"),
            noMirror("gcp"),
        ]);
        const mirror = { sources: "mirror", mirror: "https://mirror.example", mirrorFingerprint: fingerprint };
        assert.deepEqual(complaints({ ...defaults, ...mirror, target: "existing", existing }), []);
        assert.deepEqual(complaints({ ...defaults, ...mirror, target: "gcp", gcp }), []);
    });

    it("are refused where they do not fit Google Cloud", () => {
        const kvm = 'is "kvm"; allowed with target gcp: systrap (its machines have no /dev/kvm)';
        const small = JSON.stringify({ ...JSON.parse(gcp), networkRange: "10.20.0.0/27" });
        const onGcp = { target: "gcp", gcp };
        const file = { mirror: "file:///srv/mirror", mirrorFingerprint: fingerprint };
        assert.deepEqual(complaints(onGcp), []);
        assert.deepEqual(complaints({ ...onGcp, ...file, mirror: "https://mirror.example" }), []);
        assert.deepEqual(complaints({ ...onGcp, gcp: small, workers: "20" }), []);
        const all: readonly [Record<string, string>, ...string[]][] = [
            [
                { gcp: "{}" },
                'gcp and target "gcp" belong together; target is "gcp"',
                "gcp is missing; allowed with target gcp: at least project, region and adminRanges, see docs/google-cloud.md",
            ],
            [file, 'mirror is "file:///srv/mirror"; allowed with target gcp: an http or https URL'],
            [{ gvisorPlatform: "kvm" }, `gvisorPlatform ${kvm}`],
            [
                { handlers: JSON.stringify({ runsc: {}, fast: { options: { platform: "kvm" } } }) },
                `handlers.fast.options.platform ${kvm}`,
            ],
            [
                { overrides: JSON.stringify({ "worker-1": { options: { platform: "kvm" } } }) },
                `overrides.worker-1.options.platform ${kvm}`,
            ],
        ];
        for (const [more, ...expected] of all) {
            assert.deepEqual(complaints({ ...onGcp, ...more }), expected);
        }
        const workers = Array.from({ length: 28 }, (_, index) => `worker-${index + 1}`);
        const reason = 'is "10.20.0.0/27"; allowed with 28 workers: a larger range';
        const many = { ...parseSettings({ ...onGcp, gcp: small }), workers };
        assert.deepEqual(complaintsOf(many), [{ setting: "gcp.networkRange", reason }]);
    });

    for (const [key, value, ...expected] of [
        ["handlers", "runsc", 'handlers is "runsc"; allowed: an object, see Pulumi.yaml'],
        ["handlers", '{"Runsc":{}}', /^handlers\.Runsc .*a DNS label/],
        ["handlers", '{"runsc":{"option":{}}}', /^handlers\.runsc Unrecognized key: "option"/],
        ["handlers", '{"runsc":{"options":{"--debug":"x"}}}', /^handlers\.runsc\.options\.--debug .*without dashes/],
        [
            "handlers",
            '{"a":{"runtimeClass":"x"},"b":{"runtimeClass":"x"}}',
            'handlers gives the RuntimeClass "x" to several handlers; each needs one of its own',
        ],
        [
            "overrides",
            '{"worker-1":{"sandbox":false,"labels":{"pool":"a"},"handlers":["runsc"]}}',
            "overrides.worker-1.sandbox is false, and handlers, labels would have no effect there: remove them",
        ],
        ["overrides", '{"nobody":{}}', 'overrides names the worker "nobody"; allowed: worker-1'],
        [
            "overrides",
            '{"worker-1":{"handlers":["x"]}}',
            'overrides.worker-1.handlers names "x"; allowed: runsc (runtime-sandboxes:handlers)',
        ],
        ["overhead", '{"memory":"much"}', 'overhead.memory is "much"; allowed: a quantity such as 64Mi or 50m'],
        ["drain", "yes", 'drain is "yes"; allowed: true, false'],
        [
            "gvisorArchive",
            "file:///a",
            "gvisorArchiveSha512 and runtime-sandboxes:gvisorArchive belong together: set both or none",
            /^gvisorVersion is empty/,
        ],
        ["existing", '{"kubeconfig":"k","workers":{}}', /^existing\.workers is empty/],
        [
            "existing",
            '{"kubeconfig":"k","privateKeyPassword":"p","workers":{"a":{"host":"h","hostKey":"ssh-rsa AAAA"}}}',
            "existing has privateKeyPassword and no private key; allowed: with privateKey or privateKeyFile",
        ],
    ] as const) {
        it(`refuse ${key} ${value}`, () => {
            const found = complaints({ [key]: value });
            for (const one of expected) {
                assert.ok(
                    found.some((text) => (typeof one === "string" ? text === one : one.test(text))),
                    `${one} is not among\n${found.join("\n")}`,
                );
            }
        });
    }

    it("refuse what is known to be vulnerable, before any machine is asked, unless it is accepted by name", () => {
        const old = "20260122.0";
        const id = "CVE-2026-96812";
        const better = safeFrom("gvisor", old);
        const archive = { gvisorArchive: "file:///a", gvisorArchiveSha512: "0".repeat(128) };
        for (const more of [{}, archive, { target: "local", sources: "upstream" }] as Record<string, string>[]) {
            const [found, ...others] = complaints({ ...more, gvisorVersion: old });
            assert.deepEqual(others, []);
            assert.match(
                found ?? "",
                new RegExp(
                    `^gvisorVersion is "${old}", which has .*${id} \\(An image .*\\).*; allowed: ${better} or newer, or \\S*${id}\\S* in acceptVulnerabilities$`,
                ),
            );
        }
        const all = known.filter(({ component }) => component === "gvisor").map((one) => one.id);
        assert.deepEqual(complaints({ gvisorVersion: old, acceptVulnerabilities: all.join(",") }), []);
        assert.equal(complaints({ gvisorVersion: old, acceptVulnerabilities: "CVE-2025-2713" }).length, 1);
        assert.deepEqual(complaints({ gvisorVersion: better ?? "" }), []);

        const flags = {
            handlers: JSON.stringify({ runsc: { options: { "character-device-policy": "passthrough" } } }),
            overrides: JSON.stringify({ "worker-1": { options: { "character-device-policy": "prefer-emulated" } } }),
        };
        const opened = complaints(flags);
        assert.deepEqual(
            opened.map((one) => one.replace(/ \(An image .*\)/, "")),
            [
                ["handlers.runsc", "passthrough"],
                ["overrides.worker-1", "prefer-emulated"],
            ].map(
                ([where, value]) =>
                    `${where}.options.character-device-policy is "${value}", which opens ${id}; allowed: to leave it ` +
                    `out, or ${id} in acceptVulnerabilities`,
            ),
        );
        assert.deepEqual(complaints({ ...flags, acceptVulnerabilities: id }), []);
        assert.equal(complaints({ ...flags, gvisorVersion: old }).length, 3);
    });

    it("take no namespace for the test pods where only sandboxed pods may run", () => {
        for (const kind of ["namespaces", "existingNamespaces"]) {
            const own = { target: "existing", mandatory: JSON.stringify({ [kind]: ["apps"] }) };
            const said = complaints({ ...own, existing: existingIn("apps") });
            assert.deepEqual(said, ['existing has test-1 in "apps", where mandatory refuses it']);
            assert.deepEqual(complaints({ ...own, existing: existingIn("checks") }), []);
        }
    });

    it("take as classes that are there already only those of handlers", () => {
        const own = { target: "existing", runtimeClass: "gvisor" };
        const of = (...runtimeClasses: string[]) => JSON.stringify({ ...JSON.parse(existing), runtimeClasses });
        assert.deepEqual(complaints({ ...own, existing: of("gvisor") }), []);
        assert.deepEqual(complaints({ ...own, existing: of("gvisor", "kata") }), [
            'existing.runtimeClasses names "kata"; allowed: gvisor (the classes of runtime-sandboxes:handlers)',
        ]);
    });

    it("take rules for what leaves namespaces, where there are some that they hold in", () => {
        const mandatory = JSON.stringify({ namespaces: ["apps"] });
        const egress = (value: object) => ({ mandatory, egress: JSON.stringify(value) });
        const allow = [{ cidr: "203.0.113.0/24", ports: [443, "53/UDP"] }, { cidr: "2001:db8::/32" }];
        const ports = [
            { port: 443, protocol: "TCP" },
            { port: 53, protocol: "UDP" },
        ];
        assert.deepEqual(parseSettings(egress({ allow })).egress, {
            allow: [{ cidr: "203.0.113.0/24", ports }, { cidr: "2001:db8::/32" }],
            dns: true,
        });
        assert.deepEqual(parseSettings(egress({ dns: false })).egress, { allow: [], dns: false });
        const port =
            "allowed: a port from 1 to 65535, with /UDP or /SCTP behind it where it is not one of TCP, such as 443 or 53/UDP";
        const range = "allowed: a range such as 203.0.113.0/24";
        for (const [value, said] of [
            [{ allow: [{ cidr: "203.0.113.0" }] }, `egress.allow.0.cidr is "203.0.113.0"; ${range}`],
            [{ allow: [{ cidr: "203.0.113.0/33" }] }, `egress.allow.0.cidr is "203.0.113.0/33"; ${range}`],
            [{ allow: [{ cidr: "example.org/24" }] }, `egress.allow.0.cidr is "example.org/24"; ${range}`],
            [{ allow: [{ cidr: "10.0.0.0/8", ports: [0] }] }, `egress.allow.0.ports.0 is "0"; ${port}`],
            [{ allow: [{ cidr: "10.0.0.0/8", ports: ["53/ICMP"] }] }, `egress.allow.0.ports.0 is "53/ICMP"; ${port}`],
            [{ dns: "no" }, 'egress.dns is "no"; allowed: true, false'],
        ] as const) {
            assert.deepEqual(complaints(egress(value)), [said]);
        }
        assert.deepEqual(complaints({ egress: JSON.stringify({ dns: true }) }), [
            "egress has no namespaces to hold in; name some in runtime-sandboxes:mandatory",
        ]);
        assert.deepEqual(complaints({ ...egress({ dns: true }), reachable: "false" }), [
            "reachable is false although runtime-sandboxes:egress is set, which it proves; remove one of them",
        ]);
    });

    it("judge the pinned gVisor where it is known which one it is", () => {
        const pins = { ...versions.gvisor };
        const ready = { mirror: "https://mirror.example/", mirrorFingerprint: fingerprint };
        const pinned = (settings: Record<string, string>) => complaints(settings).map((one) => one.split(",")[0]);
        const empty = ["gvisorVersion is empty"];
        try {
            versions.gvisor.release = "20260817.0";
            assert.deepEqual(pinned({ sources: "upstream" }), empty);
            assert.deepEqual(pinned({ target: "existing", existing }), empty);
            const built: Record<string, string>[] = [
                { sources: "mirror" },
                ready,
                { target: "existing", existing, ...ready },
            ];
            for (const settings of [{}, ...built]) {
                assert.deepEqual(complaints(settings), [], JSON.stringify(settings));
            }
        } finally {
            Object.assign(versions.gvisor, pins);
        }
    });
});
