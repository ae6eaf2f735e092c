import assert from "node:assert/strict";
import { tolerations } from "../../components/gvisor/nodeSettings";
import { parseSettings } from "../../settings";
import { stackSettings } from "../../settings/stack";
import { complaints, existing, existingIn } from "../helpers/settings";

const stackOf = (raw: Record<string, string>) => stackSettings(parseSettings(raw));

describe("what follows from the settings", () => {
    it("are handlers, the default one with the class of the setting, each with the platform and its flags", () => {
        const settings = stackOf({
            workers: "2",
            runtimeClass: "boxed",
            handlers: JSON.stringify({
                runsc: {},
                "runsc-debug": { runtimeClass: "debug", options: { debug: true, dcache: 7 } },
            }),
            overrides: JSON.stringify({
                "worker-1": { handlers: ["runsc"], options: { network: "none" } },
                "worker-2": { sandbox: false },
            }),
        });
        assert.deepEqual(
            settings.classes.map(({ handler }) => handler),
            [
                { name: "runsc", runtimeClass: "boxed", options: { platform: "systrap" } },
                {
                    name: "runsc-debug",
                    runtimeClass: "debug",
                    options: { platform: "systrap", debug: "true", dcache: "7" },
                },
            ],
        );
        assert.deepEqual(settings.forWorker("worker-1").sandboxes?.handlers, [
            { name: "runsc", runtimeClass: "boxed", options: { platform: "systrap", network: "none" } },
        ]);
        assert.equal(settings.forWorker("worker-2").sandboxes, undefined);
    });

    it("is the default handler: by its setting, or runsc, or the only one; else that is refused", () => {
        const named = (handlers: object, defaultHandler = "") =>
            stackOf({ handlers: JSON.stringify(handlers), defaultHandler }).defaultHandler;
        assert.equal(named({ debug: {}, runsc: {} }), "runsc");
        assert.equal(named({ debug: {} }), "debug");
        assert.equal(named({ debug: {}, runsc: {} }, "debug"), "debug");
        assert.deepEqual(complaints({ handlers: JSON.stringify({ b: {}, a: {} }) }), [
            "defaultHandler is empty although there are several handlers and none is called runsc; allowed: b, a",
        ]);
        assert.deepEqual(complaints({ defaultHandler: "debug" }), [
            'defaultHandler is "debug"; allowed: runsc (runtime-sandboxes:handlers)',
        ]);
    });

    it("is which handler is proven on a worker: the default one, or else the first by name", () => {
        const { forWorker } = stackOf({
            workers: "2",
            handlers: JSON.stringify({ a: {}, b: {}, runsc: {} }),
            overrides: JSON.stringify({ "worker-2": { handlers: ["b", "a"] } }),
        });
        assert.equal(forWorker("worker-1").sandboxes?.handler.name, "runsc");
        assert.equal(forWorker("worker-2").sandboxes?.handler.name, "a");
    });

    it("are the taints that pods of a class tolerate: of the workers that have its handler", () => {
        const taint = { key: "untrusted", value: "yes", effect: "NoSchedule" };
        const { classes, forWorker } = stackOf({
            workers: "2",
            handlers: JSON.stringify({ runsc: {}, other: {} }),
            overrides: JSON.stringify({
                "worker-1": { handlers: ["runsc"], labels: { a: "b" }, taints: [taint] },
            }),
        });
        assert.deepEqual(forWorker("worker-1").sandboxes?.nodeSettings, { labels: { a: "b" }, taints: [taint] });
        assert.deepEqual(forWorker("worker-2").sandboxes?.nodeSettings, { labels: {}, taints: [] });
        assert.deepEqual(
            classes.map(({ handler, taints }) => [handler.name, taints]),
            [
                ["other", []],
                ["runsc", [taint]],
            ],
        );
    });

    it("is no empty value of a taint, which the API server would drop", () => {
        const taint = { key: "untrusted", effect: "NoSchedule" };
        const { classes } = stackOf({
            overrides: JSON.stringify({ "worker-1": { taints: [taint, { ...taint, value: "" }] } }),
        });
        const taints = classes[0]?.taints ?? [];
        const sent = JSON.stringify([taints, tolerations(taints)]);
        assert.deepEqual(JSON.parse(sent), [[taint, taint], [{ operator: "Equal", ...taint }]]);
    });

    it("is what a drain leaves: the stack's own pods, also where an earlier version had them", () => {
        const names = ["test-1-a", "test-2-a", "limits-a", "test-1", "test-2"];
        const settings = stackOf({ target: "existing", existing: existingIn("checks"), drain: "true" });
        assert.deepEqual(settings.forWorker("a").drain, {
            options: { force: false, deleteEmptyDirData: false, timeoutSeconds: 300 },
            keep: ["checks", "default"].flatMap((namespace) => names.map((name) => `${namespace}/${name}`)),
        });
        assert.equal(stackOf({}).forWorker("worker-1").drain, undefined);
    });

    it("are all workers of a new cluster at once, those of an existing one in turn", () => {
        const orderOf = (values: Parameters<typeof stackOf>[0]) => stackOf(values).order;
        assert.deepEqual(orderOf({ workers: "3" }), { canaries: [], atOnce: 3 });
        assert.equal(orderOf({ workers: "3", maxUnavailable: "2" }).atOnce, 2);
        for (const [maxUnavailable, many] of [
            ["25%", 2],
            ["1%", 1],
            ["100%", 10],
            ["99%", 9],
        ] as const) {
            assert.equal(orderOf({ workers: "10", maxUnavailable }).atOnce, many, maxUnavailable);
        }
        const settings = stackOf({ target: "existing", existing });
        assert.deepEqual(settings.workers, ["a", "b"]);
        assert.deepEqual(settings.order, { canaries: ["a"], atOnce: 1 });
        assert.equal(orderOf({ target: "existing", existing, maxUnavailable: "0" }).atOnce, 2);
        for (const [canary, names] of [
            ["0", []],
            ["2", ["worker-1", "worker-2"]],
            ["9", ["worker-1", "worker-2", "worker-3"]],
            ["worker-3, worker-1", ["worker-3", "worker-1"]],
        ] as const) {
            assert.deepEqual(orderOf({ workers: "3", canary }).canaries, names, canary);
        }
    });
});
