import assert from "node:assert/strict";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Machine } from "../../components/contracts";
import { type Limits, type LimitsFacts, LimitsProbe, limitsVerdict } from "../../components/proof/limitsProbe";
import { TestPod } from "../../components/proof/testPod";
import { machineDocument, provider } from "../helpers/canned";
import { promiseOf, type Recorded, record } from "../helpers/mocks";

/** Facts of a worker on which all limits bind. */
function boundFacts(): LimitsFacts {
    return {
        cpu: { limitMillicores: 250, usedMillicores: 247 },
        memory: {
            limitMiB: 128,
            takenMiB: 512,
            kills: 1,
            state: "CONTAINER_EXITED",
            exitCode: 128,
            reason: "OOMKilled",
            said: "the sandbox is gone",
        },
        memoryMiB: { plain: 3, sandboxed: 26 },
        idleMillicores: { plain: 1, sandboxed: 4 },
    };
}

const memoryOf = (memory: Partial<LimitsFacts["memory"]>): Limits["memory"] => {
    const facts = boundFacts();
    return limitsVerdict({ ...facts, memory: { ...facts.memory, ...memory } }).memory;
};
const cpuOf = (limitMillicores: number | null, usedMillicores: number): Limits["cpu"] =>
    limitsVerdict({ ...boundFacts(), cpu: { limitMillicores, usedMillicores } }).cpu;

describe("limitsVerdict", () => {
    it("passes where the container was killed and the loop got what it may", () => {
        assert.deepEqual(limitsVerdict(boundFacts()), {
            memory: { limitMiB: 128, outcome: "OOMKilled", passed: true },
            cpu: { limitMillicores: 250, usedMillicores: 247, passed: true },
            overhead: { memoryMiB: 23, cpuMillicores: 3 },
        });
    });

    for (const [title, memory, outcome] of [
        [
            "killed, as the shell shows it, where Kubernetes is told no reason",
            { exitCode: 137, reason: "Error", kills: 0 },
            "killed (exit code 137, 0 kills by the kernel)",
        ],
        [
            "killed by the kernel, where only it knows",
            { exitCode: 128, reason: "Error", kills: 1 },
            "killed (exit code 128, 1 kills by the kernel)",
        ],
    ] as const) {
        it(`passes a container that was ${title}`, () => {
            assert.deepEqual(memoryOf(memory), { limitMiB: 128, outcome, passed: true });
        });
    }

    for (const [title, memory, outcome] of [
        [
            "completed",
            { exitCode: 0, reason: "Completed", kills: 0 },
            "ended with exit code 0 (Completed); last line: the sandbox is gone",
        ],
        ["failed of itself", { exitCode: 1, reason: "", kills: 0, said: "" }, "ended with exit code 1 (no reason)"],
        [
            "gave the memory",
            { state: "CONTAINER_RUNNING", exitCode: 0, reason: "", kills: 0, said: "" },
            "a process took 512 MiB and was not killed",
        ],
        [
            "refused the memory",
            { state: "CONTAINER_RUNNING", exitCode: 0, reason: "", kills: 0, said: "dd: memory exhausted" },
            "a process that takes 512 MiB failed, the container runs on; last line: dd: memory exhausted",
        ],
        ["vanished", { state: "gone", exitCode: 0, reason: "", kills: 0, said: "" }, "the container is gone"],
        [
            "has a limit too far away to be tried",
            { state: "untried", exitCode: 0, reason: "", kills: 0, said: "" },
            "not tried: the limit in force is not below 512 MiB",
        ],
    ] as const) {
        it(`fails a container that ${title}`, () => {
            assert.deepEqual(memoryOf(memory), { limitMiB: 128, outcome, passed: false });
        });
    }

    it("fails where no limit is in force, whatever was seen", () => {
        assert.deepEqual(memoryOf({ limitMiB: null, state: "untried", reason: "", kills: 0 }), {
            outcome: "not tried: no memory limit is in force on the pod's control group",
            passed: false,
        });
        assert.deepEqual(cpuOf(null, 200), { usedMillicores: 200, passed: false });
    });

    it("takes a little more than the limit for the limit, and a loop that hardly ran for no proof", () => {
        const passed = ([75, 76, 250, 287, 288, 1000] as const).map((used) => [used, cpuOf(250, used).passed]);
        assert.deepEqual(Object.fromEntries(passed), {
            75: false,
            76: true,
            250: true,
            287: true,
            288: false,
            1000: false,
        });
    });

    it("knows no overhead below nothing", () => {
        const { overhead } = limitsVerdict({
            ...boundFacts(),
            memoryMiB: { plain: 9, sandboxed: 8 },
            idleMillicores: { plain: 5, sandboxed: 0 },
        });
        assert.deepEqual(overhead, { memoryMiB: 0, cpuMillicores: 0 });
    });
});

describe("LimitsProbe", () => {
    let resources: readonly Recorded[];
    let limits: Limits;
    before(async () => {
        const provide = provider({ "worker-1-limits-host": boundFacts() });
        [limits, resources] = await record({ provide, project: "runtime-sandboxes", stack: "mocked" }, async () => {
            const { name, address, port, user, hostKey, identity } = machineDocument("worker-1", "10.77.0.11");
            const machine: Machine = {
                name,
                address: pulumi.output(address),
                connection: pulumi.secret({ host: address, port, user, hostKey, privateKey: "key" }),
                identity: pulumi.output(identity),
                resource: new pulumi.ComponentResource("test:Machine", "machine"),
            };
            const cluster = new k8s.Provider("cluster", {});
            const podArgs = { nodeName: name, image: "nginx", provider: cluster, after: [] };
            const ready = new TestPod("ready", { ...podArgs, key: "test-1" });
            const probe = new LimitsProbe("worker-1-limits", {
                machine,
                runtimeClassName: "myclass",
                image: "nginx",
                pods: {
                    "test-1": new TestPod("one", { ...podArgs, key: "test-1" }),
                    "test-2": new TestPod("two", { ...podArgs, key: "test-2" }),
                },
                runtime: "release-1 abc",
                provider: cluster,
                after: [ready],
            });
            return await promiseOf(probe.limits);
        });
    });
    const get = (name: string): Recorded => {
        const found = resources.find((one) => one.name === name);
        assert.ok(found, name);
        return found;
    };

    it("makes one sandboxed pod with limits that idles on the worker", () => {
        const pod = get("worker-1-limits-pod");
        assert.equal(pod.type, "kubernetes:core/v1:Pod");
        assert.equal(pod.provider?.name, "cluster");
        assert.equal(pod.deletedWith?.name, "machine");
        assert.ok(pod.dependencies.some(({ name }) => name === "ready-pod"));
        assert.deepEqual(pod.inputs.metadata, {
            name: "limits-worker-1",
            namespace: "default",
            labels: { run: "limits" },
        });
        assert.deepEqual(pod.inputs.spec, {
            nodeName: "worker-1",
            runtimeClassName: "myclass",
            tolerations: [{ operator: "Exists" }],
            automountServiceAccountToken: false,
            terminationGracePeriodSeconds: 0,
            containers: [
                {
                    name: "limits",
                    image: "nginx",
                    imagePullPolicy: "IfNotPresent",
                    command: ["sleep", "infinity"],
                    env: [{ name: "RUNTIME", value: "release-1 abc" }],
                    resources: {
                        limits: { memory: "128Mi", cpu: "250m" },
                        requests: { memory: "16Mi", cpu: "1m" },
                    },
                },
            ],
        });
    });

    it("has the worker try them, again when a pod, the runtime or the machine is another one", () => {
        const { inputs, deletedWith, secretInputs } = get("worker-1-limits-host");
        const stdin = String(inputs.stdin);
        for (const line of [
            "# machine identity-of-worker-1",
            "readonly POD='uid-of-worker-1-limits-pod'",
            "readonly PLAIN='uid-of-one-pod'",
            "readonly SANDBOXED='uid-of-two-pod'",
            "readonly RUNTIME='release-1 abc'",
        ]) {
            assert.ok(stdin.includes(`${line}\n`), line);
        }
        assert.equal(inputs.create, "timeout --kill-after=10 600 bash -s -- install");
        assert.equal(inputs.delete, undefined);
        assert.equal(deletedWith?.name, "machine");
        assert.deepEqual(secretInputs, ["connection"]);
    });

    it("judges what the worker said", () => {
        assert.deepEqual(limits, limitsVerdict(boundFacts()));
    });
});
