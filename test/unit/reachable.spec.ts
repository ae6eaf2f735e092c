import assert from "node:assert/strict";
import { verdict } from "../../components/proof/verdict";
import {
    contradiction,
    type EgressRules,
    isAllowed,
    judge,
    type Probe,
    reachableIn,
} from "../../components/reachable.cjs";
import { handler, provenFacts, reachableFacts } from "../helpers/canned";
import { onExisting, runProgram } from "../helpers/program";

const rules: EgressRules = { allow: [], dns: true };
type Change = Parameters<typeof reachableFacts>[0];

/** The check of the policies, of facts with a change. */
function checked(change?: Change, wanted = rules) {
    const { egress } = judge(reachableFacts(change), wanted);
    assert.ok(egress);
    return egress;
}

/** A change of what sandboxed pods have done. */
const inside =
    (change: (probe: Probe) => Partial<Probe>): Change =>
    (probe, runtimeClass) =>
        runtimeClass === undefined ? {} : change(probe);

const all = "6 of 6 refused; 4 of them get through on the control";

describe("what pods reach", () => {
    it("is a list by class where there are no policies: facts, and no check", () => {
        const { reachable, egress } = judge(reachableFacts());
        assert.equal(egress, undefined);
        assert.deepEqual(Object.keys(reachable), ["myclass"]);
        const rows = reachable.myclass ?? [];
        assert.deepEqual(rows[1], {
            target: "node",
            address: "10.77.0.11:40000",
            namespace: "untrusted",
            reached: false,
            by: "target",
            detail: "connection refused",
            control: true,
        });
        assert.ok(rows.every(({ allowed }) => allowed === undefined));
    });

    it("is said by the target, else by the worker, else by the pod alone; where these differ, that is shown", () => {
        const lie = inside(({ target }) => (target === "node" ? { said: { reached: true, saw: "heard" } } : {}));
        const { reachable } = judge(reachableFacts(lie), rules);
        const by = Object.fromEntries((reachable.myclass ?? []).map((row) => [row.target, row.by]));
        assert.deepEqual([by.node, by.api], ["target", "worker"]);
        assert.equal(
            reachable.myclass?.find(({ target }) => target === "node")?.detail,
            "heard; the pod itself says that it did",
        );
    });
});

describe("the check of policies", () => {
    it("passes where all is refused that they forbid, and the allowed target is reached", () => {
        assert.deepEqual(checked(), { passed: true, detail: all });
    });

    it("fails where nothing enforces them, and says that the network plug-in ignores them", () => {
        const ignored = checked(
            inside(({ heard, carried, target }) => ({
                ...(heard === undefined
                    ? { carried: target !== "metadata" && carried !== undefined }
                    : { heard: true }),
            })),
        );
        assert.equal(ignored.passed, false);
        assert.match(
            ignored.detail,
            /^1 of 6 refused; not refused: node at 10\.77\.0\.11:40000 from myclass in untrusted, pod at /,
        );
        assert.match(
            ignored.detail,
            /; the cluster's network plug-in ignores the policies, as flannel does by itself$/,
        );
    });

    it("fails where one target is reached, and names it; the plug-in does not ignore them then", () => {
        const { passed, detail } = checked(inside(({ target }) => (target === "kubelet" ? { carried: true } : {})));
        assert.deepEqual(
            [passed, detail],
            [false, "5 of 6 refused; not refused: kubelet at 10.77.0.11:10250 from myclass in untrusted"],
        );
    });

    it("fails where one namespace of several is open", () => {
        const facts = reachableFacts();
        const open = reachableFacts(inside(({ target }) => (target === "pod" ? { heard: true } : {}))).inside;
        const both = [...facts.inside, ...open.map((pod) => ({ ...pod, namespace: "other" }))];
        const { egress } = judge({ ...facts, inside: both }, rules);
        assert.deepEqual(egress, {
            passed: false,
            detail: "5 of 6 refused; not refused: pod at 10.244.1.5:40004 from myclass in other",
        });
    });

    it("fails where the allowed target is not reached: a network that is down is no policy", () => {
        const { passed, detail } = checked(inside(({ target }) => (target === "allowed" ? { heard: false } : {})));
        assert.equal(passed, false);
        assert.equal(
            detail,
            `${all}; the allowed target was not reached from myclass in untrusted, so this shows nothing`,
        );
    });

    it("fails where the control reaches nothing of it either", () => {
        const closed = checked((probe) => ({
            ...(probe.target === "allowed" ? {} : probe.heard === undefined ? { carried: false } : { heard: false }),
        }));
        assert.equal(closed.passed, false);
        assert.match(
            closed.detail,
            /0 of them .*; the control reaches nothing that is refused, so this shows nothing$/,
        );
    });

    it("counts what the rules allow by neither way", () => {
        const wide = { allow: [{ cidr: "10.77.0.0/24" }], dns: true };
        assert.deepEqual(checked(undefined, wide), {
            passed: true,
            detail: "2 of 2 refused; 1 of them get through on the control",
        });
        const strict = checked(undefined, { allow: [], dns: false });
        assert.match(strict.detail, /^6 of 7 refused; not refused: dns at 10\.96\.0\.10:53 /);
    });

    describe("takes no pod's word for it", () => {
        const saying = (reached: boolean): Change => inside(() => ({ said: { reached, saw: "faked" } }));

        it("whether it says that it has reached nothing, or all", () => {
            for (const reached of [true, false]) {
                assert.deepEqual(checked(saying(reached)), { passed: true, detail: all });
            }
        });

        it("where a pod denies what a target has heard, or the worker carried", () => {
            for (const [target, seen] of [
                ["pod", { heard: true }],
                ["api", { carried: true }],
            ] as const) {
                const { passed, detail } = checked(inside((probe) => (probe.target === target ? seen : {})));
                assert.equal(passed, false);
                assert.match(detail, new RegExp(`not refused: ${target} at `));
            }
        });

        it("where a pod is silent, or claims to have reached the allowed target", () => {
            const claimed = checked(
                inside(({ target }) =>
                    target === "allowed" ? { heard: false, said: { reached: true, saw: "heard" } } : {},
                ),
            );
            assert.equal(claimed.passed, false);
        });

        it("where nobody else knows: that is named, and counts neither way", () => {
            for (const reached of [true, false]) {
                const alone = inside(({ carried }) =>
                    carried === undefined ? {} : { carried: undefined, said: { reached, saw: "faked" } },
                );
                const { passed, detail } = checked(alone);
                const said = reached ? "reached" : "not reached";
                assert.equal(passed, true);
                assert.equal(
                    detail,
                    "2 of 2 refused; 2 of them get through on the control; not judged, because only the pods report them: " +
                        `metadata (${said}), api (${said}), kubelet (${said}), kubelet-read-only (${said})`,
                );
            }
        });
    });

    it("is one of the verdict's where there are policies, and decides", () => {
        const facts = provenFacts();
        const of = (passed: boolean) => verdict(facts, handler, ["myclass"], undefined, { passed, detail: "d" });
        assert.deepEqual(of(true).checks.at(-1), { name: "egress", passed: true, detail: "d" });
        assert.deepEqual([of(true).proven, of(false).proven], [true, false]);
        assert.equal(verdict(facts, handler, ["myclass"]).checks.length, of(true).checks.length - 1);
    });

    it("can be drawn again from the output", () => {
        assert.equal(contradiction(judge(reachableFacts(), rules).reachable), undefined);
        const open = inside(({ target }) => (target === "pod" ? { heard: true } : {}));
        assert.equal(
            contradiction(judge(reachableFacts(open), rules).reachable),
            "pod at 10.244.1.5:40004 from myclass in untrusted is reached",
        );
        const silent = inside(({ target }) => (target === "allowed" ? { heard: false } : {}));
        assert.match(
            contradiction(judge(reachableFacts(silent), rules).reachable) ?? "",
            /^the allowed target was not reached/,
        );
    });
});

describe("rules", () => {
    const probe = { target: "api" as const, addresses: ["10.96.0.1:443", "10.77.0.10:6443"], protocol: "TCP" as const };
    const allows = (cidr: string, ports?: EgressRules["allow"][number]["ports"]) =>
        isAllowed(probe, { allow: [{ cidr, ...(ports && { ports }) }], dns: false });

    it("allow what lies in a range and at a port, of a service by what stands behind it", () => {
        assert.deepEqual(
            [allows("10.96.0.0/12"), allows("10.77.0.10/32"), allows("10.78.0.0/24")],
            [true, true, false],
        );
        assert.equal(allows("10.77.0.0/24", [{ port: 6443, protocol: "TCP" }]), true);
        assert.equal(allows("10.77.0.0/24", [{ port: 443, protocol: "TCP" }]), false);
        assert.equal(allows("10.77.0.0/24", [{ port: 6443, protocol: "UDP" }]), false);
        assert.equal(allows("::/0"), false);
        const six = { target: "pod" as const, addresses: ["[2001:db8::1]:80"], protocol: "TCP" as const };
        assert.equal(isAllowed(six, { allow: [{ cidr: "2001:db8::/32" }], dns: false }), true);
    });
});

describe("the setting reachable", () => {
    it("is on by itself only where there are policies to be proven", () => {
        const on = (reachable: string, egress?: object) => reachableIn({ reachable, egress });
        assert.deepEqual([on(""), on("", {})], [false, true]);
        assert.deepEqual([on("false"), on("true")], [false, true]);
    });

    it("off makes no such pod, no check and no entry", async () => {
        const { resources, outputs } = await runProgram();
        assert.deepEqual(
            resources.filter(({ name }) => name.includes("reachable")),
            [],
        );
        assert.deepEqual(outputs.reachable?.value, {});
    });

    it("keeps the worker's processors busy, so what is measured waits for it", async () => {
        const run = await runProgram({ settings: { reachable: "true" } });
        const names = run.get("worker-1-surface-pods").dependencies.map(({ name }) => name);
        assert.ok(names.includes("worker-1-reachable-pods"), names.join());
    });

    it("alone makes no policy, no engine and no check", async () => {
        const { resources, outputs } = await runProgram({ settings: { reachable: "true" } });
        assert.deepEqual(
            resources.filter(({ type }) => /NetworkPolicy|DaemonSet|PolicyEngine|EgressPolicy/.test(type)),
            [],
        );
        assert.doesNotMatch(JSON.stringify(outputs.isolation?.value), /"egress"/);
    });
});

describe("the setting egress", () => {
    const settings = {
        mandatory: JSON.stringify({ namespaces: ["untrusted"], existingNamespaces: ["apps"] }),
        egress: JSON.stringify({ allow: [{ cidr: "203.0.113.0/24", ports: [443] }] }),
    };

    it("makes a policy in each mandatory namespace, and what enforces it; then it is tried in these", async () => {
        const run = await runProgram({ settings });
        const names = (type: RegExp) => run.resources.filter((one) => type.test(one.type)).map(({ name }) => name);
        assert.deepEqual(names(/NetworkPolicy$/).sort(), ["egress-apps", "egress-untrusted"]);
        assert.deepEqual(names(/DaemonSet$/), ["cluster-policies-daemonset"]);
        const policy = run.get("egress-untrusted");
        assert.ok(policy.dependencies.some(({ name }) => name === "policy-untrusted"));
        assert.ok(policy.dependencies.some(({ name }) => name.startsWith("cluster-policies")));
        const pods = run.get("worker-1-reachable-pods");
        assert.deepEqual(
            pods.dependencies
                .map(({ name }) => name)
                .filter((name) => name.startsWith("egress-"))
                .sort(),
            ["egress-apps", "egress-untrusted"],
        );
        const { egress } = JSON.parse(pods.inputs.stdin as string) as { egress: object };
        assert.deepEqual(egress, {
            namespaces: ["untrusted", "apps"],
            rules: { allow: [{ cidr: "203.0.113.0/24", ports: [{ port: 443, protocol: "TCP" }] }], dns: true },
        });
        const isolation = run.outputs.isolation?.value as Record<string, { checks: { name: string }[] }>;
        assert.equal(isolation["worker-1"]?.checks.at(-1)?.name, "egress");
    });

    it("leaves what enforces it to a cluster that the stack did not make", async () => {
        const run = await runProgram({ settings: { ...settings, ...onExisting() }, preview: true });
        const types = run.resources.map(({ type }) => type);
        assert.ok(types.some((type) => type.endsWith("NetworkPolicy")));
        assert.ok(!types.some((type) => /DaemonSet|PolicyEngine/.test(type)));
    });
});
