import assert from "node:assert/strict";
import { costs, measuredIn, surfaceIn, surfaceOf } from "../../components/surface.cjs";
import { surfaceFacts } from "../helpers/canned";
import { runProgram } from "../helpers/program";

/** What becomes of facts with a change. */
function surface(change: (facts: ReturnType<typeof surfaceFacts>) => void = () => {}) {
    const facts = surfaceFacts();
    change(facts);
    const { myclass } = surfaceOf(facts);
    assert.ok(myclass);
    return myclass;
}

describe("what a process reaches of the kernel", () => {
    it("is counted in the sandbox, on the control, and under the profile that containerd has for all", () => {
        const { inside, control, runtimeDefault } = surface().systemCalls;
        assert.deepEqual([inside.reachable, inside.of, inside.filter], [68, 385, "2 with 517 instructions"]);
        assert.deepEqual([control.reachable, control.of, control.filter], [385, 385, "none"]);
        assert.deepEqual([runtimeDefault.reachable, runtimeDefault.of], [330, 385]);
        assert.match(inside.how, /filters of the pod's Sentry, read on the worker \(PTRACE_SECCOMP_GET_FILTER\)/);
    });

    it("has no number where the filters cannot be read, but the reason", () => {
        const { inside, control } = surface((facts) => {
            Object.assign(facts.inside.myclass ?? {}, {
                filters: { unreadable: "PTRACE_SEIZE: operation not permitted" },
            });
        }).systemCalls;
        assert.deepEqual(
            [inside.filter, inside.reachable, inside.of],
            ["unreadable: PTRACE_SEIZE: operation not permitted", undefined, undefined],
        );
        assert.equal(control.reachable, 385);
    });

    it("has no number of a pod that the worker runs with something else", () => {
        const { inside, control, runtimeDefault } = surface((facts) => {
            Object.assign(facts.inside.myclass ?? {}, { runtime: "io.containerd.runc.v2" });
            Object.assign(facts.control, { runtime: "io.containerd.runsc.v1" });
        }).systemCalls;
        assert.equal(inside.filter, "unreadable: the worker runs this pod with io.containerd.runc.v2");
        assert.equal(control.filter, "unreadable: the worker runs this pod with io.containerd.runsc.v1");
        assert.deepEqual([inside.reachable, control.reachable, runtimeDefault.reachable], [undefined, undefined, 330]);
    });
});

describe("what a sandbox costs", () => {
    it("is each cost on both sides with a ratio, which is above 1 where the sandbox costs more", () => {
        const found = surface().costs;
        assert.deepEqual(Object.keys(found), Object.keys(costs));
        const numbers = Object.entries(found).map(([name, { inside, control, ratio, unit }]) => [
            ...[name, inside, control, ratio, unit],
        ]);
        assert.deepEqual(numbers, [
            ["podStart", 1600, 800, 2, "ms"],
            ["systemCall", 200, 100, 2, "ns"],
            ["openRead", 8, 4, 2, "µs"],
            ["write", 450, 900, 2, "MiB/s"],
            ["tcpThroughput", 1000, 2000, 2, "MiB/s"],
            ["tcpLatency", 25, 12.5, 2, "µs"],
            ["memory", 4, 2, 2, "MiB"],
        ]);
        assert.ok(Object.values(found).every(({ how }) => how.length > 10));
    });

    it("says where TCP went, and compares nothing that went to different places", () => {
        const own = (of: { measured: object }) => Object.assign(of.measured, { peer: false });
        const both = surface(({ control, inside }) => [control, ...Object.values(inside)].forEach(own));
        assert.match(
            both.costs.tcpLatency?.how ?? "",
            /with a server in the same pod, because the third pod was not reached/,
        );
        assert.equal(both.costs.tcpLatency?.ratio, 2);
        const one = surface(({ control }) => own(control)).costs;
        assert.equal(one.tcpThroughput?.failed, "only one of both has reached the third pod");
        assert.deepEqual([one.tcpThroughput?.ratio, one.openRead?.ratio], [undefined, 2]);
    });

    it("has no number of a pod that the worker runs with something else, or that was measured long after the control", () => {
        const swapped = surface((facts) => {
            Object.assign(facts.inside.myclass ?? {}, { runtime: "io.containerd.runc.v2" });
        }).costs;
        for (const [name, { failed, ratio }] of Object.entries(swapped)) {
            assert.equal(failed, "in the sandbox: the worker runs this pod with io.containerd.runc.v2", name);
            assert.equal(ratio, undefined, name);
        }
        const late = surface(({ control, inside }) => {
            Object.assign(inside.myclass ?? {}, { at: control.at + 61_000 });
        }).costs;
        assert.deepEqual(
            Object.values(late).map(({ failed }) => failed),
            Object.keys(costs).map(() => "they were measured more than a minute apart"),
        );
    });

    it("says what could not be measured, and on which side", () => {
        const { write, openRead } = surface(({ control, inside }) => {
            Object.assign(control.measured.costs, { write: { failed: "no space left on device" } });
            Object.assign(inside.myclass?.measured ?? {}, { costs: {} });
        }).costs;
        assert.equal(
            write?.failed,
            "in the sandbox: the program in the pod says nothing of it; on the control: no space left on device",
        );
        assert.deepEqual([openRead?.inside, openRead?.control, openRead?.ratio], [undefined, undefined, undefined]);
    });
});

describe("what a pod says of itself", () => {
    it("is taken as far as it is what it should be", () => {
        const said = {
            peer: true,
            costs: [
                { name: "write", value: 12.5 },
                { name: "openRead", value: 0, failed: "EROFS" },
            ],
        };
        assert.deepEqual(measuredIn(JSON.stringify(said)), {
            peer: true,
            costs: { openRead: { failed: "EROFS" }, write: { value: 12.5 } },
        });
    });

    it("can be anything: then nothing is known, and nothing else is said", () => {
        const nothing = { peer: false, costs: {} };
        for (const said of [
            "",
            "{",
            "null",
            "[]",
            "7",
            '{"costs":{}}',
            '{"costs":[null,7]}',
            '{"peer":"yes","costs":[]}',
        ]) {
            assert.deepEqual(measuredIn(said), nothing, said);
        }
        for (const value of ["1", null, -1, 0, "NaN", {}]) {
            assert.deepEqual(measuredIn(JSON.stringify({ costs: [{ name: "write", value }] })), nothing);
        }
        const long = measuredIn(JSON.stringify({ costs: [{ name: "write", failed: "x".repeat(10_000) }] })).costs.write;
        assert.ok(long && "failed" in long && long.failed.length === 200);
        assert.deepEqual(
            measuredIn('{"costs":[{"name":"another","value":1},{"name":"__proto__","value":1}]}'),
            nothing,
        );
    });
});

describe("the setting surface", () => {
    it("is on by itself on machines that are made here alone", () => {
        const on = (target: string, own = "") => surfaceIn({ target, surface: own });
        assert.deepEqual(
            ["local", "existing", "gcp"].map((target) => on(target)),
            [true, false, false],
        );
        assert.deepEqual([on("local", "false"), on("existing", "true")], [false, true]);
    });

    it("gives each worker an entry for each class, and changes no verdict", async () => {
        const { outputs } = await runProgram({});
        assert.deepEqual(outputs.surface?.value, { "worker-1": surfaceOf(surfaceFacts()) });
        const facts = surfaceFacts();
        Object.assign(facts.inside.myclass ?? {}, { runtime: "io.containerd.runc.v2", measured: measuredIn("{") });
        const other = await runProgram({ stdout: { "worker-1-surface-pods": facts } });
        assert.deepEqual(other.outputs.isolation, outputs.isolation);
        assert.notDeepEqual(other.outputs.surface, outputs.surface);
    });

    it("off makes no such pod and no entry", async () => {
        const { resources, outputs } = await runProgram({ settings: { surface: "false" } });
        assert.deepEqual(
            resources.filter(({ name }) => name.includes("surface")),
            [],
        );
        assert.deepEqual(outputs.surface?.value, {});
        assert.deepEqual(outputs.isolation?.value, (await runProgram({})).outputs.isolation?.value);
    });

    it("names the file where this host notes a machine of its own, which its kernel tells nothing", async () => {
        const { get } = await runProgram({});
        const stdin = JSON.parse(String(get("worker-1-surface-pods").inputs.stdin)) as { process?: string };
        assert.match(stdin.process ?? "", /^\.local\/\S+\/machines\/worker-1\/process\.json$/);
    });

    it("is measured before limits are tried, which keep a processor busy", async () => {
        const limits = {
            cpu: { limitMillicores: 250, usedMillicores: 250 },
            memory: {
                limitMiB: 128,
                takenMiB: 512,
                kills: 1,
                state: "CONTAINER_EXITED",
                exitCode: 137,
                reason: "",
                said: "",
            },
            memoryMiB: { plain: 1, sandboxed: 2 },
            idleMillicores: { plain: 1, sandboxed: 2 },
        };
        const { get } = await runProgram({ settings: { limits: "true" }, stdout: { "worker-1-limits-host": limits } });
        assert.ok(get("worker-1-limits-pod").dependencies.some(({ name }) => name === "worker-1-surface-pods"));
    });
});
