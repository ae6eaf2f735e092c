import assert from "node:assert/strict";
import { hasOptions, checks as names } from "../../components/evidence.cjs";
import { type Facts, verdict } from "../../components/proof/verdict";
import { gvisorDmesg, handler, kernels, provenFacts, refusedDmesg, sandboxOptions } from "../helpers/canned";

type Change = (facts: ReturnType<typeof provenFacts>) => void;

function factsWith(change: Change): Facts {
    const facts = provenFacts();
    change(facts);
    return facts;
}

const judge = (facts: Facts) => verdict(facts, handler, ["myclass"]);

const control = "test-1 shares the worker's kernel";
const ownKernel = "test-2 has a kernel of its own";
const gvisorLog = "test-2's kernel log is gVisor's";
const controlLog = "test-1's kernel log is not gVisor's";
const hostControl = "the worker runs test-1 with runc";
const hostSandbox = "the worker runs test-2 with runsc";
const canary = "a new pod of each class starts in its sandbox";
const optionsArrived = "test-2's sandbox has the options of its handler";

const runc = "io.containerd.runc.v2";
const runsc = "io.containerd.runsc.v1";

const proven: readonly [string, Change][] = [
    ["gVisor as of today (4.19.0-gvisor)", () => {}],
    [
        "an older gVisor (4.4.0)",
        ({ pods }) => {
            pods["test-2"].kernel = "4.4.0";
        },
    ],
    [
        "a version that nobody has seen yet",
        ({ pods }) => {
            pods["test-2"].kernel = "7.2.0-gvisor2";
        },
    ],
    [
        "another draw of gVisor's random messages",
        ({ pods }) => {
            pods["test-2"].dmesg = [
                "[    0.000000] Starting gVisor...",
                "[    0.100000] Feeding the init monster...",
                "[   12.900000] Ready!\n",
            ].join("\n");
        },
    ],
    [
        "a worker that lets test-1 read its kernel log",
        ({ pods, host }) => {
            pods["test-1"].dmesg = `[    0.000000] ${host.version}\n[    0.000000] Command line: quiet`;
        },
    ],
    [
        "test-2 with a second container",
        ({ host }) => {
            host.pods["test-2"] = {
                runtimes: [runsc, runsc, runsc],
                runscRunning: 3,
                sandboxExecutable: "/usr/bin/gvisor-bin/sentry",
                sandboxOptions,
            };
        },
    ],
];

const notProven: readonly [string, Change, ...string[]][] = [
    [
        "test-2 on runc with faked uname and dmesg",
        ({ host }) => {
            host.pods["test-2"] = {
                runtimes: [runc, runc],
                runscRunning: 0,
                sandboxExecutable: "",
                sandboxOptions: {},
            };
        },
        hostSandbox,
        optionsArrived,
    ],
    [
        "test-2 on runc, plainly",
        ({ host, pods }) => {
            host.pods["test-2"] = {
                runtimes: [runc, runc],
                runscRunning: 0,
                sandboxExecutable: "",
                sandboxOptions: {},
            };
            pods["test-2"] = { kernel: kernels.worker, dmesg: refusedDmesg };
        },
        ownKernel,
        gvisorLog,
        hostSandbox,
        optionsArrived,
    ],
    [
        "runsc that runs only the pause container",
        ({ host }) => {
            host.pods["test-2"] = {
                runtimes: [runsc, runc],
                runscRunning: 1,
                sandboxExecutable: "/usr/bin/runsc",
                sandboxOptions,
            };
        },
        hostSandbox,
    ],
    [
        "a container that containerd has under runsc but that does not run",
        ({ host }) => {
            host.pods["test-2"].runscRunning = 1;
        },
        hostSandbox,
    ],
    [
        "a pause container alone",
        ({ host }) => {
            host.pods["test-2"] = {
                runtimes: [runsc],
                runscRunning: 1,
                sandboxExecutable: "/usr/bin/runsc",
                sandboxOptions,
            };
        },
        hostSandbox,
    ],
    [
        "a sandbox without a process",
        ({ host }) => {
            host.pods["test-2"].sandboxExecutable = "";
        },
        hostSandbox,
    ],
    [
        "another runtime that carries runsc in its name",
        ({ host }) => {
            host.pods["test-2"].runtimes = ["io.containerd.runsc.v1.fake", "io.containerd.runsc.v1.fake"];
        },
        hostSandbox,
    ],
    [
        "test-1 sandboxed too",
        ({ host, pods }) => {
            pods["test-1"] = { kernel: kernels.sandbox, dmesg: gvisorDmesg };
            host.pods["test-1"] = {
                runtimes: [runsc, runsc],
                runscRunning: 2,
                sandboxExecutable: "/usr/bin/runsc",
                sandboxOptions: {},
            };
        },
        control,
        controlLog,
        hostControl,
    ],
    [
        "test-1 with a kernel of another kind",
        ({ pods }) => {
            pods["test-1"].kernel = "5.15.0-kata";
        },
        control,
    ],
    [
        "a worker whose kernel is called like gVisor's",
        ({ host, pods }) => {
            host.kernel = kernels.sandbox;
            pods["test-1"].kernel = kernels.sandbox;
        },
        ownKernel,
    ],
    [
        "the worker's kernel log in test-2",
        ({ pods }) => {
            pods["test-2"].dmesg = "[    0.000000] Linux version 6.1.0-37-amd64\n[    1.0] Ready!";
        },
        gvisorLog,
    ],
    [
        "a kernel log whose beginning is cut off",
        ({ pods }) => {
            pods["test-2"].dmesg = gvisorDmesg.split("\n").slice(1).join("\n");
        },
        gvisorLog,
    ],
    [
        "a kernel log whose end is cut off",
        ({ pods }) => {
            pods["test-2"].dmesg = gvisorDmesg.split("\n").slice(0, -1).join("\n");
        },
        gvisorLog,
    ],
    [
        "a program that prints gVisor's words after its own",
        ({ pods }) => {
            pods["test-2"].dmesg = `Linux\n${gvisorDmesg}`;
        },
        gvisorLog,
    ],
    [
        "a worker that does not say its kernel",
        ({ host }) => {
            host.kernel = "";
        },
        control,
        ownKernel,
    ],
    [
        "a worker that does not say its kernel while test-1 says none either",
        ({ host, pods }) => {
            host.kernel = "";
            pods["test-1"].kernel = "";
        },
        control,
        ownKernel,
    ],
    [
        "nothing known at all",
        ({ host, pods }) => {
            host.kernel = "";
            for (const key of ["test-1", "test-2"] as const) {
                host.pods[key] = { runtimes: [], runscRunning: 0, sandboxExecutable: "", sandboxOptions: {} };
                pods[key] = { kernel: "", dmesg: "" };
            }
        },
        control,
        ownKernel,
        gvisorLog,
        hostControl,
        hostSandbox,
        optionsArrived,
    ],
];

describe("verdict", () => {
    for (const [title, change] of proven) {
        it(`is proven for ${title}`, () => {
            const { proven, checks } = judge(factsWith(change));
            assert.deepEqual(
                checks.filter(({ passed }) => !passed),
                [],
            );
            assert.equal(proven, true);
        });
    }

    for (const [title, change, ...failed] of notProven) {
        it(`is not proven for ${title}`, () => {
            const { proven, checks } = judge(factsWith(change));
            assert.equal(proven, false);
            assert.deepEqual(
                checks.filter(({ passed }) => !passed).map(({ name }) => name),
                failed,
            );
        });
    }

    it("is not proven unless the options of the handler's own file have arrived in the sandbox", () => {
        const options = { platform: "systrap", network: "none" };
        const marker = { "debug-command": "!runtime-sandboxes/runsc" };
        const judgeOptions = (seen: Record<string, string>) =>
            verdict(
                factsWith(({ host }) => {
                    host.pods["test-2"].sandboxOptions = seen;
                }),
                { name: "runsc", options },
                ["myclass"],
            );
        assert.equal(judgeOptions({ ...marker, ...options }).proven, true);
        const durations = { name: "runsc", options: { a: "1m", b: "1h30m", c: "T", d: "", e: "1.5s" } };
        for (const [seen, passed] of [
            [{ a: "1m0s", b: "1h30m0s", c: "true", d: "", e: "1500ms" }, true],
            [{ a: "1m1s", b: "1h30m0s", c: "true", d: "", e: "1500ms" }, false],
            [{ a: "1m0s", b: "1h30m0s", c: "false", d: "", e: "1500ms" }, false],
            [{ a: "1m0s", b: "1h30m0s", c: "true", e: "1500ms" }, false],
        ] as const) {
            assert.equal(
                hasOptions({ sandboxOptions: { ...marker, ...seen } }, durations),
                passed,
                JSON.stringify(seen),
            );
        }
        for (const [seen, detail] of [
            [{ ...marker, platform: "systrap" }, "debug-command=!runtime-sandboxes/runsc platform=systrap network=?"],
            [
                { ...marker, platform: "systrap", network: "sandbox" },
                "debug-command=!runtime-sandboxes/runsc platform=systrap network=sandbox",
            ],
            [options, "debug-command=? platform=systrap network=none"],
            [
                { ...options, "debug-command": "!runtime-sandboxes/debug" },
                "debug-command=!runtime-sandboxes/debug platform=systrap network=none",
            ],
        ] as const) {
            const { proven, checks } = judgeOptions(seen);
            assert.equal(proven, false);
            assert.deepEqual(
                checks.filter(({ passed }) => !passed).map((check) => [check.name, check.detail]),
                [[optionsArrived, detail]],
            );
        }
    });

    it("is not proven where no new pod was started", () => {
        const { proven, checks } = verdict(provenFacts(), handler, []);
        assert.equal(proven, false);
        assert.deepEqual(
            checks.filter(({ passed }) => !passed).map((check) => [check.name, check.detail]),
            [["a new pod of each class starts in its sandbox", "none was started"]],
        );
    });

    it("holds all checks that there are, and no other", () => {
        assert.deepEqual(
            judge(provenFacts()).checks.map(({ name }) => name),
            Object.values(names),
        );
    });

    it("makes the same checks in every case, and says what was seen", () => {
        const details = (change: Change) =>
            Object.fromEntries(judge(factsWith(change)).checks.map(({ name, detail }) => [name, detail]));
        assert.deepEqual(
            details(() => {}),
            {
                [control]: "test-1 6.1.0-37-amd64, worker 6.1.0-37-amd64",
                [ownKernel]: "test-2 4.19.0-gvisor, worker 6.1.0-37-amd64",
                [gvisorLog]: "[    0.000000] Starting gVisor... … [    2.771003] Ready!",
                [controlLog]: refusedDmesg,
                [optionsArrived]: "debug-command=!runtime-sandboxes/runsc platform=systrap",
                [canary]: "myclass",
                [hostControl]: "containerd: io.containerd.runc.v2; runsc: 0 running",
                [hostSandbox]: "containerd: io.containerd.runsc.v1; runsc: 2 running in /usr/bin/runsc",
            },
        );
        assert.deepEqual(details(notProven[notProven.length - 1]?.[1] ?? (() => {})), {
            [control]: "test-1 nothing, worker nothing",
            [ownKernel]: "test-2 nothing, worker nothing",
            [gvisorLog]: "empty",
            [controlLog]: "empty",
            [optionsArrived]: "debug-command=? platform=?",
            [canary]: "myclass",
            [hostControl]: "containerd: no container; runsc: 0 running",
            [hostSandbox]: "containerd: no container; runsc: 0 running",
        });
    });

    it("does not change what it judges", () => {
        const facts = provenFacts();
        judge(facts);
        assert.deepEqual(facts, provenFacts());
    });
});
