import assert from "node:assert/strict";
import { attacksIn, corpus, judge, resultOf } from "../../components/attacks.cjs";

import { verdict } from "../../components/proof/verdict";
import { attackFacts, handler, provenFacts } from "../helpers/canned";
import { runProgram } from "../helpers/program";

const worker = { marker: "0123", kernel: "Linux version 6.1.0" };
const [first] = corpus;
const count = corpus.length;

/** What is judged of facts with a change. */
function judged(change: (facts: ReturnType<typeof attackFacts>) => void = () => {}) {
    const facts = attackFacts();
    change(facts);
    return judge(facts);
}

/** The first attempt, changed. */
const withFirst = (change: (one: ReturnType<typeof attackFacts>["attempts"][number]) => void) =>
    judged(({ attempts }) => attempts.slice(0, 1).forEach(change));

describe("the table of attacks", () => {
    it("says of each what it does, what it stands for with a source, and what is to be seen on both sides", () => {
        assert.ok(count >= 40, `${count} rows`);
        assert.equal(new Set(corpus.map(({ name }) => name)).size, count);
        for (const row of corpus) {
            assert.deepEqual(Object.keys(row), ["name", "tries", "stands", "source", "inside", "control"], row.name);
            assert.match(row.name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
            assert.match(row.source, /^https:\/\/\S+$/, row.name);
            const [, cve] = /(CVE-\d{4}-\d+)/.exec(row.stands) ?? [];
            assert.ok(cve === undefined || !row.source.includes("CVE-") || row.source.includes(cve), row.name);
            for (const text of [row.tries, row.stands, row.inside, row.control]) {
                assert.match(text, /^\S.{3,}[^.]$/, row.name);
            }
        }
    });
});

describe("what an attempt came to", () => {
    it("is what the kernel says that answered", () => {
        assert.deepEqual(resultOf({ name: "bpf", did: true, saw: "a descriptor" }, worker), {
            reached: true,
            saw: "a descriptor",
        });
        assert.equal(resultOf({ name: "bpf", did: false, saw: "no" }, worker).reached, false);
    });

    it("is compared with the worker, where something was read: a sandbox has a /proc of its own", () => {
        const read = (of: "marker" | "kernel", value: string) =>
            resultOf({ name: "x", did: true, saw: "opened", proof: { of, value } }, worker);
        assert.deepEqual(read("kernel", worker.kernel), { reached: true, saw: "opened" });
        assert.deepEqual(read("kernel", "Linux version 4.19.0-gvisor"), {
            reached: false,
            saw: "opened: not the worker's",
        });
        assert.equal(read("marker", worker.marker).reached, true);
        assert.equal(read("marker", "guessed").reached, false);
    });

    it("counts as let through where nothing is said: a pod cannot pass by keeping silent", () => {
        assert.equal(resultOf(undefined, worker).reached, true);
    });
});

describe("the check of attacks", () => {
    it("passes where all are refused in the sandboxes, and get through on the control", () => {
        const { passed, detail, attempts } = judged();
        assert.deepEqual(
            [passed, detail],
            [true, `${count} of ${count} refused; ${count} of them get through on the control`],
        );
        assert.deepEqual([...new Set(attempts.map(({ state }) => state))], ["refused"]);
    });

    it("marks one that fails on both sides: it proves nothing, and is not counted among those that the control shows", () => {
        const { passed, detail, attempts } = withFirst((one) => {
            one.control = { reached: false, saw: "operation not permitted" };
        });
        assert.equal(attempts[0]?.state, "proves nothing");
        assert.deepEqual(
            [passed, detail],
            [true, `${count} of ${count} refused; ${count - 1} of them get through on the control`],
        );
    });

    it("fails where one gets through in a class, and names it, the class and what was reached", () => {
        const { passed, detail, attempts } = withFirst((one) => {
            one.inside.weak = { reached: true, saw: "/given/engine.sock, connected" };
        });
        assert.equal(attempts[0]?.state, "reached");
        assert.deepEqual(
            [passed, detail],
            [
                false,
                `${count - 1} of ${count} refused; not refused: ${first?.name} in weak (/given/engine.sock, connected)`,
            ],
        );
    });

    it("fails where one gets through in a sandbox, whatever the control says", () => {
        const { passed, attempts } = withFirst((one) => {
            one.control = { reached: false, saw: "operation not permitted" };
            one.inside.myclass = { reached: true, saw: "a descriptor" };
        });
        assert.deepEqual([passed, attempts[0]?.state], [false, "reached"]);
    });

    it("fails where a row of the table was not tried", () => {
        const { passed, detail } = judged(({ attempts }) => attempts.splice(0, 1));
        assert.equal(passed, false);
        assert.match(detail, new RegExp(`not refused: ${first?.name} \\(it was not tried\\)$`));
    });

    it("fails where the control is refused everything: then nothing is shown", () => {
        const { passed, detail } = judged(({ attempts }) => {
            for (const one of attempts) {
                one.control = { reached: false, saw: "operation not permitted" };
            }
        });
        assert.equal(passed, false);
        assert.match(detail, /; the control is refused everything, so this shows nothing$/);
    });

    it("fails where the worker says that the pods are not what they should be", () => {
        const swapped = judged(({ host }) => {
            const { "test-1": plain, "test-2": sandboxed } = provenFacts().host.pods;
            Object.assign(host, { control: sandboxed, inside: { myclass: plain } });
        });
        assert.equal(swapped.passed, false);
        assert.match(swapped.detail, /; the control is not on runc \(containerd: io\.containerd\.runsc\.v1; /);
        assert.match(
            swapped.detail,
            /; the pod of class myclass is not in a sandbox \(containerd: io\.containerd\.runc\.v2; /,
        );
    });

    it("is one of the verdict's, where attempts are made, and decides", () => {
        const judge = (passed: boolean) => verdict(provenFacts(), handler, ["myclass"], { passed, detail: "d" });
        assert.deepEqual(judge(true).checks.at(-1), { name: "attacks", passed: true, detail: "d" });
        assert.deepEqual([judge(true).proven, judge(false).proven], [true, false]);
        assert.equal(verdict(provenFacts(), handler, ["myclass"]).checks.length, judge(true).checks.length - 1);
    });
});

describe("the setting attacks", () => {
    it("is on by itself on machines that are made here alone", () => {
        const on = (target: string, attacks = "") => attacksIn({ target, attacks });
        assert.deepEqual(
            ["local", "existing", "gcp"].map((target) => on(target)),
            [true, false, false],
        );
        assert.deepEqual([on("local", "false"), on("existing", "true")], [false, true]);
    });

    it("off makes no such pod, no check and no entry", async () => {
        const { resources, outputs } = await runProgram({ settings: { attacks: "false" } });
        assert.deepEqual(
            resources.filter(({ name }) => name.includes("attacks")),
            [],
        );
        assert.deepEqual(outputs.attacks?.value, {});
        assert.doesNotMatch(JSON.stringify(outputs.isolation?.value), /"attacks"/);
    });
});
