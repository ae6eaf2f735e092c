import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { podNetworkManifest } from "../../components/cluster/podNetwork";
import { podName, podRange } from "../../components/names";
import { hostNumbers, incarnation } from "../../components/targets/local/machineState";
import { versions } from "../../components/versions";
import { eventually } from "../helpers/eventually";

describe("incarnation", () => {
    const bootId = fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    let stack: string;
    let machine: string;

    beforeEach(() => {
        stack = fs.mkdtempSync(path.join(os.tmpdir(), "incarnation-"));
        machine = path.join(stack, "machines", "worker-1");
        fs.mkdirSync(machine, { recursive: true });
    });
    afterEach(() => {
        fs.rmSync(stack, { recursive: true });
    });

    /** Field 22 of stat(5), read in another way than the program does. */
    function startTime(pid: number): string {
        const awk = spawnSync("awk", ['{ sub(/.*\\) /, ""); print $20 }', `/proc/${pid}/stat`], { encoding: "utf8" });
        assert.match(awk.stdout, /^\d+\n$/);
        return awk.stdout.trim();
    }

    function leave(process: { pid: number; startTime: string | number; bootId: string }, token = "first"): void {
        fs.writeFileSync(path.join(machine, "process.json"), JSON.stringify(process));
        fs.writeFileSync(path.join(machine, "incarnation"), `${token}\n`);
    }
    const here = { pid: process.pid, startTime: startTime(process.pid), bootId };

    it("is the first where there is no machine yet", () => {
        assert.equal(incarnation(stack, "worker-2"), "first");
        assert.equal(incarnation(path.join(stack, "none"), "worker-1"), "first");
    });

    it("stays what it was while the machine runs", () => {
        leave(here);
        assert.equal(incarnation(stack, "worker-1"), "first");
        leave(here, "after-0123abcd-12-345");
        assert.equal(incarnation(stack, "worker-1"), "after-0123abcd-12-345");
        leave({ ...here, startTime: Number(here.startTime) }, "after-0123abcd-12-345");
        assert.equal(incarnation(stack, "worker-1"), "after-0123abcd-12-345");
    });

    it("is a new one once the process has ended, the same at each look", () => {
        const { pid } = spawnSync("true");
        leave({ ...here, pid });
        const token = incarnation(stack, "worker-1");
        assert.equal(token, `after-${bootId.slice(0, 8)}-${pid}-${here.startTime}`);
        assert.equal(incarnation(stack, "worker-1"), token);
    });

    it("is a new one when the process id belongs to another process now", () => {
        leave({ ...here, startTime: String(Number(here.startTime) - 1) });
        assert.match(incarnation(stack, "worker-1"), /^after-/);
    });

    it("is a new one after a reboot of the host, even if the process id is taken again", () => {
        leave({ ...here, bootId: "01234567-89ab-cdef-0123-456789abcdef" });
        assert.equal(incarnation(stack, "worker-1"), `after-01234567-${process.pid}-${here.startTime}`);
    });

    it("is a new one each time that the machine ends", () => {
        const tokens = ["01234567", "89abcdef"].map((boot) => {
            leave({ ...here, bootId: boot });
            return incarnation(stack, "worker-1");
        });
        assert.equal(new Set([...tokens, "first"]).size, 3);
    });

    it("takes a process that has ended, but was not waited for, as down", async () => {
        // A shell waits for its children, the sleep that takes its place does not: only then may the child end.
        const parent = spawn("bash", ["-c", "cat <&0 & echo $!; exec sleep 60"]);
        try {
            const [text] = (await once(parent.stdout, "data")) as [Buffer];
            const pid = Number(String(text));
            await eventually(
                "the shell to be replaced",
                () => fs.readFileSync(`/proc/${parent.pid}/comm`, "utf8") === "sleep\n",
            );
            parent.stdin.end();
            const stat = () => fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /, "").split(" ");
            await eventually("the child to end", () => stat()[0] === "Z");
            leave({ ...here, pid, startTime: stat()[19] ?? "" });
            assert.match(incarnation(stack, "worker-1"), /^after-/);
        } finally {
            parent.kill();
        }
    });

    it("is one word for a shell in every case", () => {
        leave({ ...here, pid: 0 });
        assert.match(incarnation(stack, "worker-1"), /^[a-z0-9-]+$/);
    });

    it("is a start after damage where the note cannot be read", () => {
        for (const content of ["", "{", "null", "[]", '{"pid":1}']) {
            fs.writeFileSync(path.join(machine, "process.json"), content);
            assert.equal(incarnation(stack, "worker-1"), "after-damage", content);
        }
        leave(here, "after-0123abcd-12-345");
        fs.rmSync(path.join(machine, "incarnation"));
        assert.equal(incarnation(stack, "worker-1"), "first");
    });
});

describe("hostNumbers", () => {
    it("keep the address of a machine that exists and fill the lowest that are free", () => {
        const files = fs.mkdtempSync(path.join(os.tmpdir(), "hosts-"));
        for (const [name, address] of [
            ["beta", "10.77.0.12"],
            ["gone", "10.77.0.11"],
        ] as const) {
            fs.mkdirSync(path.join(files, "machines", name), { recursive: true });
            fs.writeFileSync(path.join(files, "machines", name, "address"), `${address}\n`);
        }
        assert.deepEqual(
            // The machine that leaves runs until the update's end.
            [...hostNumbers(files, ["new", "beta", "other"])].sort(),
            [
                ["beta", 12],
                ["gone", 11],
                ["new", 13],
                ["other", 14],
            ],
        );
        fs.rmSync(files, { recursive: true });
    });
});

interface Manifest {
    readonly apiVersion: string;
    readonly kind: string;
    readonly items: readonly {
        readonly apiVersion: string;
        readonly kind: string;
        readonly metadata: { readonly name: string; readonly namespace?: string };
    }[];
}

describe("podNetworkManifest", () => {
    const manifest = JSON.parse(podNetworkManifest("mirror")) as Manifest;
    const find = <T>(kind: string) => manifest.items.find((item) => item.kind === kind) as T;

    it("is a list of objects, the namespace before what is in it", () => {
        assert.deepEqual([manifest.apiVersion, manifest.kind], ["v1", "List"]);
        assert.deepEqual(
            manifest.items.map(({ apiVersion, kind, metadata }) => [apiVersion, kind, metadata.namespace ?? ""]),
            [
                ["v1", "Namespace", ""],
                ["v1", "ServiceAccount", "kube-flannel"],
                ["rbac.authorization.k8s.io/v1", "ClusterRole", ""],
                ["rbac.authorization.k8s.io/v1", "ClusterRoleBinding", ""],
                ["v1", "ConfigMap", "kube-flannel"],
                ["apps/v1", "DaemonSet", "kube-flannel"],
            ],
        );
        for (const { metadata } of manifest.items) {
            assert.equal(metadata.name, "kube-flannel");
        }
    });

    it("carries configurations that are JSON themselves, with the cluster's pod range", () => {
        const { data } = find<{ data: Record<string, string> }>("ConfigMap");
        assert.deepEqual(JSON.parse(data["net-conf.json"] ?? ""), { Network: podRange, Backend: { Type: "host-gw" } });
        const cni = JSON.parse(data["cni-conf.json"] ?? "") as { plugins: { type: string }[] };
        assert.deepEqual(
            cni.plugins.map(({ type }) => type),
            ["flannel", "portmap"],
        );
    });

    it("mounts only volumes that it has, selects its own pods, and runs on every node that is not ready yet", () => {
        interface Container {
            readonly image: string;
            readonly volumeMounts: readonly { name: string }[];
        }
        const { spec } = find<{
            spec: {
                selector: { matchLabels: object };
                template: {
                    metadata: { labels: object };
                    spec: {
                        hostNetwork: boolean;
                        serviceAccountName: string;
                        tolerations: object[];
                        volumes: { name: string }[];
                        initContainers: Container[];
                        containers: Container[];
                    };
                };
            };
        }>("DaemonSet");
        const pod = spec.template.spec;
        assert.deepEqual(spec.selector.matchLabels, spec.template.metadata.labels);
        const containers = [...pod.initContainers, ...pod.containers];
        const mounted = containers.flatMap(({ volumeMounts }) => volumeMounts.map(({ name }) => name));
        assert.deepEqual([...new Set(mounted)].sort(), pod.volumes.map(({ name }) => name).sort());
        assert.deepEqual(
            containers.map(({ image }) => image),
            [versions.flannel.cniPluginImage, versions.flannel.image, versions.flannel.image],
        );
        assert.equal(pod.hostNetwork, true);
        assert.equal(pod.serviceAccountName, find<{ metadata: { name: string } }>("ServiceAccount").metadata.name);
        assert.deepEqual(pod.tolerations, [{ operator: "Exists" }]);
    });
});

describe("podName", () => {
    it("is the bare name of the lab on worker-1 alone, and carries the worker's name on all others", () => {
        assert.equal(podName("test-1", "worker-1"), "test-1");
        assert.equal(podName("test-2", "alpha"), "test-2-alpha");
        assert.equal(podName("limits", "worker-1"), "limits-worker-1");
    });

    it("is a DNS label of its own for names that are long, or that differ in a dot only", () => {
        const long = "n".repeat(57);
        const workers = [long, `${long}a`, `${long}b`, "node.example.com", "node-example.com", "node-example-com"];
        const names = workers.map((worker) => podName("test-1", worker));
        assert.equal(new Set(names).size, names.length);
        for (const name of names) {
            assert.match(name, /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])$/);
        }
    });
});
