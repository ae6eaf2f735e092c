import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Sources } from "../../components/targets/target";
import { TestStack } from "../e2e/stack";
import { type Machine, Machines, output, root, start } from "./machine";
import { aptValues, mirrorSources } from "./worker";

const bridge = "sbxk0s0";
const address = "10.88.0.11";
const dropIns = "/etc/k0s/containerd.d";
/** k0s without what it embeds in its releases, and the Kubernetes that it starts: test/matrix/k0s/go.mod pins them. */
const programs = path.join(root, ".cache", "k0s");
const recipe = path.join(root, "test", "matrix", "k0s");

/** What must be as it was after gVisor has been taken off. */
const snapshot = `
    find /etc /usr/share/keyrings /usr/local /opt /usr/bin \\( -type f -o -type l \\) | grep -v -e /etc/cni -e /etc/mtab |
        sort | xargs -d '\\n' sha256sum 2>/dev/null
    find /var/lib/runtime-sandboxes 2>/dev/null; dpkg-query --show
    /var/lib/k0s/bin/containerd --config /etc/k0s/containerd.toml config dump`;

const counter = JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "counter" },
    spec: {
        automountServiceAccountToken: false,
        containers: [
            {
                name: "counter",
                image: "docker.io/library/nginx:1.28",
                imagePullPolicy: "IfNotPresent",
                command: ["sh", "-c", "n=0; while :; do n=$((n + 1)); echo $n >/tmp/count; sleep 0.1; done"],
            },
        ],
    },
});

describe("a cluster of k0s, whose containerd is its own", function () {
    this.timeout(600_000);
    const machines = new Machines("k0s", bridge, "10.88.0.0/24");
    const stack = new TestStack("matrix-k0s", { target: "existing", sources: "mirror" });
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "k0s-"));
    let node: Machine;
    let original: string;

    /** Count of the pod that counts, and the container that does. */
    const counted = async () => {
        const container = "jsonpath={.status.containerStatuses[0].containerID}";
        const [count, id] = (
            await node.on(
                `k0s kubectl exec counter -- cat /tmp/count; k0s kubectl get pod counter --output '${container}'`,
            )
        ).split("\n");
        return { count: Number(count), id };
    };
    const dumped = async () =>
        await node.on("/var/lib/k0s/bin/containerd --config /etc/k0s/containerd.toml config dump");

    before(async function () {
        this.timeout(1_800_000);
        await stack.run(["setup", "--for", "up"]);
        await build();
        const sources = await mirrorSources({ containerd: "1.7.35" });
        await machines.up();
        node = await machines.machine("k0s", 11);
        await node.copy(programs, "/var/lib/k0s/bin");
        const made = node.startStep({
            scripts: ["../test/matrix/k0s.sh"],
            verb: "install",
            values: constants(sources),
        });
        fs.writeFileSync(path.join(scratch, "kubeconfig"), await output("k0s.sh", made), { mode: 0o600 });
        const [, type, key] = fs
            .readFileSync(path.join(root, ".local/k0s/machines/k0s/known_hosts"), "utf8")
            .trim()
            .split(" ");
        fs.copyFileSync(path.join(root, ".local/k0s/id_ed25519"), path.join(scratch, "key"));
        stack.configure({
            mirror: "file:///srv/mirror",
            mirrorFingerprint: fs.readFileSync(path.join(root, ".cache/mirror/fingerprint"), "utf8").trim(),
            existing: {
                workers: { k0s: { host: address, hostKey: `${type} ${key}` } },
                privateKeyFile: path.join(scratch, "key"),
                kubeconfigFile: path.join(scratch, "kubeconfig"),
            },
        });
        await node.on(`k0s kubectl apply -f - <<'JSON'\n${counter}\nJSON`);
        await node.on("k0s kubectl wait --for condition=Ready pod/counter --timeout 120s");
        original = await node.on(snapshot);
    });

    after(async () => {
        await stack.remove();
        await machines.down();
        fs.rmSync(scratch, { recursive: true });
    });

    async function build(): Promise<void> {
        const kubernetes = "k8s.io/component-base/version";
        const k0s = "github.com/k0sproject/k0s";
        const flags = `-s -w -X ${kubernetes}.gitVersion=v1.33.13 -X ${kubernetes}.gitMajor=1 -X ${kubernetes}.gitMinor=33`;
        const own = `-X ${k0s}/pkg/build.Version=v1.33.9+k0s.0 -X ${k0s}/pkg/build.KubernetesVersion=1.33.13`;
        const parts = ["kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
        fs.mkdirSync(programs, { recursive: true });
        await go(
            "0",
            "providerless",
            flags,
            parts.map((part) => `k8s.io/kubernetes/cmd/${part}`),
        );
        // Its SQLite is C. Static: the machine may have another libc than this host.
        await go("1", "noembedbins,netgo,osusergo,providerless", `${flags} ${own} -extldflags=-static`, [k0s]);
        fs.copyFileSync(path.join(root, ".cache/mirror-build/bin/etcd"), path.join(programs, "etcd"));
    }

    async function go(cgo: "0" | "1", tags: string, ldflags: string, targets: readonly string[]): Promise<void> {
        const args = ["build", "-C", recipe, "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", `${programs}/`];
        const environment = { CGO_ENABLED: cgo, GOFLAGS: "", GOWORK: "off", GOTOOLCHAIN: "local" };
        await output(
            "go build",
            start("go", [...args, "-tags", tags, "-ldflags", ldflags, ...targets], "", environment),
        );
    }

    function constants(sources: Sources): Record<string, string> {
        return {
            ADDRESS: address,
            CONTAINERD: sources.packages["containerd.io"] ?? "",
            IMAGES: sources.images.worker.join("\n"),
            ...aptValues(sources, "kubernetes"),
            ...aptValues(sources, "containerd"),
        };
    }

    /** `up` is refused with these words, and nothing is changed. */
    async function refused(reason: RegExp): Promise<void> {
        const before = await node.on(snapshot);
        const { code, text } = await stack.start("up").finished;
        assert.notEqual(code, 0);
        assert.match(text, reason);
        assert.equal(await node.on(snapshot), before);
    }

    it("is refused where k0s does not manage its containerd's configuration any more", async () => {
        await node.on("sed -i.was /k0s_managed/d /etc/k0s/containerd.toml");
        await refused(/\/etc\/k0s\/containerd\.toml is not k0s's any more/);
        await node.on("mv /etc/k0s/containerd.toml.was /etc/k0s/containerd.toml");
    });

    it("is refused where somebody's drop-in has a handler of that name", async () => {
        const file = `${dropIns}/gvisor.toml`;
        const table = `plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc`;
        await node.on(`cat >${file}`, `version = 2\n[${table}]\nruntime_type = "io.containerd.runc.v2"\n`);
        await refused(/gvisor\.toml has a handler "runsc" of its own/);
        await node.on(`rm ${file}`);
    });

    it("up proves the sandbox, keeps what was configured, and pods that run go on", async () => {
        const then = await counted();
        const text = await stack.run(["up"]);
        assert.match(text, /verdict: PROVEN/);
        const now = await counted();
        assert.equal(now.id, then.id);
        assert.ok(now.count > then.count);
        const dump = await dumped();
        for (const line of ["max_concurrent_downloads = 5", "max_recv_message_size = 33554432", "runtimes.runsc]"]) {
            assert.ok(dump.includes(line), line);
        }
        await stack.run(["check"]);
        await stack.run(["drift"]);
        await stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes");
    });

    it("drift names a drop-in that is gone, and the next up brings it back", async () => {
        await node.on(`rm ${dropIns}/50-runtime-sandboxes.toml`);
        const text = await stack.run(["drift"], 1);
        assert.match(text, /50-runtime-sandboxes\.toml is missing/);
        await stack.run(["up"]);
        await stack.run(["drift"]);
        await stack.run(["check"]);
    });

    it("destroy leaves the machine as it was before, and its pods go on", async () => {
        const then = await counted();
        await stack.run(["destroy"]);
        assert.equal(await node.on(snapshot), original);
        assert.equal((await counted()).id, then.id);
    });
});
