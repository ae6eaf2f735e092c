// What a stack makes in a cluster that somebody else has made.
import assert from "node:assert/strict";
import { onExisting, runProgram } from "../helpers/program";

interface Asked {
    readonly objects: readonly {
        readonly manifest: { readonly kind: string; readonly metadata: { readonly name: string } };
        readonly adopted?: boolean;
    }[];
}

describe("the program on somebody's cluster", () => {
    /** What the cluster is asked about before it is changed. */
    const askedOf = (run: Awaited<ReturnType<typeof runProgram>>): Asked =>
        JSON.parse(String(run.get("cluster-nodes").inputs.stdin));

    const runOn = (settings: Readonly<Record<string, string>>) =>
        runProgram({
            settings,
            stdout: {
                ...{ "cluster-worker-1-id": "0123456789abcdef\n", "cluster-nodes": {} },
                "worker-1-limits-host": {
                    cpu: { limitMillicores: 250, usedMillicores: 200 },
                    memory: {
                        limitMiB: 128,
                        takenMiB: 512,
                        kills: 1,
                        state: "gone",
                        exitCode: 0,
                        reason: "",
                        said: "",
                    },
                    ...{ memoryMiB: { plain: 1, sandboxed: 2 }, idleMillicores: { plain: 0, sandboxed: 0 } },
                },
            },
        });

    it("asks about each object that it makes there, as it makes it", async () => {
        const settings = {
            ...onExisting({ namespace: "checks" }),
            ...{ limits: "true", overhead: JSON.stringify({ memory: "64Mi" }), egress: JSON.stringify({ dns: true }) },
            mandatory: JSON.stringify({ namespaces: ["made"], existingNamespaces: ["there"] }),
        };
        const run = await runOn(settings);
        const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
        const made = run.resources
            .filter(({ type }) => type.startsWith("kubernetes:") && !type.endsWith("NodePatch"))
            .map(({ type, inputs: { spec, handler, overhead, scheduling, metadata } }) =>
                plain({ kind: type.replace(/.*:|Patch$/g, ""), spec, handler, overhead, scheduling, metadata }),
            );
        const asked = askedOf(run).objects.map(({ manifest }) => plain({ ...manifest, apiVersion: undefined }));
        for (const one of [...made, ...asked]) {
            // Known later: the image, and what runs the pod.
            const { containers } = (one.spec ?? {}) as { containers?: Record<string, unknown>[] };
            for (const container of containers ?? []) {
                delete container.image;
                delete container.env;
            }
        }
        const sorted = (all: readonly object[]) => all.map((one) => JSON.stringify(one, allKeys(one))).sort();
        assert.equal(made.length, 10);
        assert.deepEqual(sorted(asked), sorted(made));
    });

    it("uses a class that is there already, and neither makes nor deletes it", async () => {
        const run = await runOn(onExisting({ runtimeClasses: ["myclass"] }));
        const found = run.get("sandbox-myclass-runtimeclass");
        assert.deepEqual([found.id, found.inputs], ["myclass", {}]);
        assert.deepEqual(
            askedOf(run).objects.map(({ manifest: { kind, metadata }, adopted }) => [kind, metadata.name, adopted]),
            [
                ["RuntimeClass", "myclass", true],
                ["Pod", "test-1", undefined],
                ["Pod", "test-2", undefined],
            ],
        );
    });

    it("has pods without any rights there, as any namespace takes them", async () => {
        const run = await runOn({ ...onExisting(), limits: "true" });
        for (const pod of ["worker-1-test-1-pod", "worker-1-test-2-pod", "worker-1-limits-pod"]) {
            const { securityContext, containers } = run.get(pod).inputs.spec as {
                securityContext: object;
                containers: readonly { securityContext: object }[];
            };
            assert.deepEqual(securityContext, {
                ...{ runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: "RuntimeDefault" } },
            });
            assert.deepEqual(containers[0]?.securityContext, {
                ...{ allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
            });
        }
        const own = await runProgram();
        assert.equal(
            (own.get("worker-1-test-1-pod").inputs.spec as { securityContext?: object }).securityContext,
            undefined,
        );
    });
});

/** Keys at any depth, in an order that does not depend on who has written them. */
function allKeys(value: unknown): string[] {
    const keys = new Set<string>();
    JSON.stringify(value, (key, inner: unknown) => {
        keys.add(key);
        return inner;
    });
    return [...keys].sort();
}
