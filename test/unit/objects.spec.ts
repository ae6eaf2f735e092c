import assert from "node:assert/strict";
import { podNetworkManifest } from "../../components/cluster/podNetwork";
import type { Sources } from "../../components/contracts";
import { imageReference, versions } from "../../components/versions";
import { sources } from "../helpers/canned";
import { type ProgramRun, runProgram } from "../helpers/program";

const workerNames = ["alpha", "beta", "gamma"];

interface PodSpec {
    readonly nodeName: string;
    readonly runtimeClassName?: string;
    readonly containers: readonly { readonly image: string }[];
}

function podSpec(run: ProgramRun, component: string): PodSpec {
    return run.get(`${component}-pod`).inputs.spec as PodSpec;
}

function metadata(run: ProgramRun, component: string): { name: string; namespace: string } {
    return run.get(`${component}-pod`).inputs.metadata as { name: string; namespace: string };
}

describe("the program's objects of the cluster", () => {
    let one: ProgramRun;
    let three: ProgramRun;
    before(async () => {
        one = await runProgram();
        three = await runProgram({ workers: workerNames });
    });

    const objects = (run: ProgramRun) => run.resources.filter(({ type }) => type.startsWith("kubernetes:"));

    it("all have the provider of the cluster, whose identity is known in a preview", async () => {
        assert.equal(objects(three).length, 10);
        for (const object of objects(three)) {
            assert.equal(object.provider?.name, "cluster-kubernetes", object.name);
        }
        const preview = await runProgram({ preview: true });
        assert.equal(preview.get("cluster-kubernetes").inputs.clusterIdentifier, "runtime-sandboxes-mocked");
        assert.equal(preview.get("cluster-kubernetes").inputs.kubeconfig, undefined);
    });

    it("go away with the machine that they are of", () => {
        for (const { name, deletedWith } of objects(three)) {
            const worker = workerNames.find((candidate) => name.startsWith(candidate));
            assert.equal(deletedWith?.name, `local-machine-${worker ?? "control-plane"}`, name);
        }
    });

    it("are the RuntimeClass that sends pods to nodes with the handler", async () => {
        const { inputs, replaceOnChanges, deleteBeforeReplace } = one.get("sandbox-myclass-runtimeclass");
        assert.deepEqual(
            { metadata: inputs.metadata, handler: inputs.handler, scheduling: inputs.scheduling },
            {
                metadata: { name: "myclass" },
                handler: "runsc",
                scheduling: { nodeSelector: { "runtime-sandboxes/runsc": "true" } },
            },
        );
        // The API server refuses to change a handler.
        assert.deepEqual([replaceOnChanges.includes("handler"), deleteBeforeReplace], [true, true]);
        const other = await runProgram({ settings: { runtimeClass: "gvisor" } });
        assert.deepEqual(other.get("sandbox-gvisor-runtimeclass").inputs.metadata, { name: "gvisor" });
        assert.equal(podSpec(other, "worker-1-test-2").runtimeClassName, "gvisor");
        assert.equal(other.outputs.runtimeClass?.value, "gvisor");
    });

    it("are the label that this RuntimeClass selects, on each worker", () => {
        for (const worker of workerNames) {
            assert.deepEqual(three.get(`${worker}-label`).inputs.metadata, {
                name: worker,
                labels: { "runtime-sandboxes/runsc": "true" },
                // The same for every run of the stack.
                annotations: { "pulumi.com/patchFieldManager": "runtime-sandboxes-mocked" },
            });
        }
    });

    it("name their images by digest where they come from a registry, and so does the pod network", async () => {
        const packages = { ...sources.packages, kubelet: "1.35.9-*" };
        const upstream: Sources = { ...sources, kind: "upstream", packages, images: { controlPlane: [], worker: [] } };
        const settings = { sources: "upstream" };
        const run = await runProgram({ settings, stdout: { "local-sources": upstream, "local-gvisor": upstream } });
        for (const key of ["test-1", "test-2"]) {
            const [container] = podSpec(run, `worker-1-${key}`).containers;
            assert.equal(container?.image, versions.nginx.image);
            assert.match(container?.image ?? "", /^docker\.io\/library\/nginx:[\d.]+@sha256:[0-9a-f]{64}$/);
        }
        const stdin = String(run.get("cluster-init").inputs.stdin);
        assert.ok(stdin.includes(`NETWORK='${podNetworkManifest("upstream")}'`));
        assert.ok(
            String(run.get("worker-1-node-step").inputs.stdin).includes("PAUSE_IMAGE='registry.k8s.io/pause:3.10.1'"),
        );
    });

    it("have images that a plan knows before anybody is asked for the sources", async () => {
        for (const [sources, image] of [
            ["upstream", versions.nginx.image],
            ["mirror", imageReference(versions.nginx.image, "mirror")],
        ] as const) {
            const run = await runProgram({ settings: { sources }, preview: true });
            assert.deepEqual(
                podSpec(run, "worker-1-test-1").containers.map((container) => container.image),
                [image],
            );
        }
    });

    it("are two nginx pods on each worker: test-1 on the default runtime, test-2 behind the class", () => {
        const seen = workerNames.flatMap((worker) =>
            ["test-1", "test-2"].map((key) => {
                const { nodeName, runtimeClassName, containers } = podSpec(three, `${worker}-${key}`);
                const { name, namespace } = metadata(three, `${worker}-${key}`);
                const images = containers.map(({ image }) => /^docker\.io\/library\/nginx:[\d.]+$/.test(image));
                return [namespace, name, nodeName, runtimeClassName, images];
            }),
        );
        for (const { replaceOnChanges, deleteBeforeReplace } of three.resources.filter(({ name }) =>
            /-pod$/.test(name),
        )) {
            // The API server refuses to change tolerations, and a pod of this name is there.
            assert.deepEqual([replaceOnChanges, deleteBeforeReplace], [["spec.tolerations"], true]);
        }
        assert.deepEqual(seen, [
            ["default", "test-1-alpha", "alpha", undefined, [true]],
            ["default", "test-2-alpha", "alpha", "myclass", [true]],
            ["default", "test-1-beta", "beta", undefined, [true]],
            ["default", "test-2-beta", "beta", "myclass", [true]],
            ["default", "test-1-gamma", "gamma", undefined, [true]],
            ["default", "test-2-gamma", "gamma", "myclass", [true]],
        ]);
    });

    it("say nothing of what the API server drops, which would be drift forever", async () => {
        const taints = [
            { key: "a", effect: "NoSchedule" },
            { key: "b", value: "yes", effect: "NoExecute" },
        ];
        const overrides = JSON.stringify({ "worker-1": { taints } });
        const run = await runProgram({ settings: { overrides }, stdout: { "worker-1-taints": "" } });
        const { scheduling } = run.get("sandbox-myclass-runtimeclass").inputs as {
            scheduling: { tolerations: object[] };
        };
        assert.deepEqual(scheduling.tolerations, [
            { key: "a", operator: "Equal", effect: "NoSchedule" },
            { key: "b", operator: "Equal", value: "yes", effect: "NoExecute" },
        ]);
    });

    it("are no taints: a node's list of them is not only ours, so a command adds those of the settings", async () => {
        const taint = { key: "untrusted", value: "yes", effect: "NoSchedule" };
        const overrides = JSON.stringify({ "worker-1": { labels: { pool: "a" }, taints: [taint] } });
        const run = await runProgram({ settings: { overrides }, stdout: { "worker-1-taints": "" } });
        const label = run.get("worker-1-label");
        assert.equal(label.inputs.spec, undefined);
        assert.ok(label.dependencies.some(({ name }) => name === "worker-1-taints"));
        const { inputs, secretInputs, deletedWith, dependencies } = run.get("worker-1-taints");
        assert.match(String(inputs.create), /^node scripts\/on-host\.mjs taints set # [0-9a-f]+$/);
        assert.equal(inputs.delete, "node scripts/on-host.mjs taints remove");
        const { kubeconfig, ...rest } = JSON.parse(String(inputs.stdin)) as Record<string, unknown>;
        assert.equal(kubeconfig, run.outputs.kubeconfig?.value);
        assert.deepEqual(rest, { node: "worker-1", taints: [taint] });
        assert.deepEqual(secretInputs, ["stdin"]);
        assert.equal(deletedWith?.name, "local-machine-worker-1");
        assert.ok(dependencies.some(({ name }) => name === "worker-1-ready"));
        assert.deepEqual(
            one.resources.filter(({ name }) => name.endsWith("-taints")),
            [],
        );
    });
});
