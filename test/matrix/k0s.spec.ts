import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Sources } from "../../components/contracts";
import { TestStack } from "../e2e/stack";
import { type Machine, Machines, output, root, start } from "./machine";
import { saw } from "./record";
import { aptValues, changes, mirrorSources, versionsOf } from "./worker";

const bridge = "sbxk0s0";
const address = "10.88.0.11";
const dropIns = "/etc/k0s/containerd.d";
/** k0s without what it embeds in its releases, and the Kubernetes that it starts: test/matrix/k0s/go.mod pins them. */
const programs = path.join(root, ".cache", "k0s");
const recipe = path.join(root, "test", "matrix", "k0s");

const dump = "/var/lib/k0s/bin/containerd --config /etc/k0s/containerd.toml config dump";

/** What must be as it was after gVisor has been taken off. */
const snapshot = `
    find /etc /usr/share/keyrings /usr/local /opt /usr/bin \\( -type f -o -type l \\) | grep -v -e /etc/cni -e /etc/mtab |
        sort | xargs -d '\\n' sha256sum 2>/dev/null
    find /var/lib/runtime-sandboxes 2>/dev/null; dpkg-query --show
    ${dump} | grep -v '^imports = ' # in any order`;

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
                command: [
                    "sh",
                    "-c",
                    "n=0; while :; do n=$((n + 1)); echo $n >/tmp/new; mv /tmp/new /tmp/count; sleep 0.1; done",
                ],
            },
        ],
    },
});

describe("a cluster of k0s, whose containerd is its own", function () {
    this.timeout(600_000);
    const machines = new Machines("k0s", bridge, "10.88.0.0/24");
    const stack = new TestStack("e2e-k0s", { target: "existing", sources: "mirror" });
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "k0s-"));
    let node: Machine;
    let original: readonly string[];

    const look = async () => (await node.on(snapshot)).split("\n");
    /** Count of the pod that counts, and the container that does. kubelet tries a containerd that was away only after a while. */
    const counted = async () => {
        const container = "jsonpath={.status.containerStatuses[0].containerID}";
        const text = await node.on(`
            for ((round = 0; round < 60; round++)); do
                ! k0s kubectl exec counter -- cat /tmp/count || break
                sleep 0.5
            done
            k0s kubectl get pod counter --output '${container}'`);
        const [count, id] = text.split("\n");
        assert.ok(Number(count) > 0 && id, `the pod that counts says "${text}"`);
        return { count: Number(count), id };
    };

    before(async function () {
        this.timeout(1_800_000);
        await stack.run(["setup", "--for", "up"]);
        await build();
        const sources = await mirrorSources("1.7.35");
        await machines.up();
        node = await machines.machine("k0s", 11);
        await node.copy(programs, "/var/lib/k0s/bin");
        const made = node.startStep({
            scripts: ["../../test/matrix/network.sh", "../../test/matrix/k0s.sh"],
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
        await counted();
        original = await look();
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
        const before = await look();
        const { code, text } = await stack.start("up").finished;
        assert.notEqual(code, 0);
        assert.match(text, reason);
        assert.deepEqual(changes(before, await look()), []);
    }

    it("is refused where k0s does not manage its containerd's configuration any more", async () => {
        await node.on("sed -i.was /k0s_managed/d /etc/k0s/containerd.toml");
        await refused(/\/etc\/k0s\/containerd\.toml is not k0s's any more/);
        await node.on("mv /etc/k0s/containerd.toml.was /etc/k0s/containerd.toml");
    });

    it("is refused where somebody's drop-in has a handler of that name", async () => {
        const file = `${dropIns}/gvisor.toml`;
        const table = `plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc`;
        // k0s restarts its containerd for each change.
        const changed = (how: string) => `
            was=$(cat /run/k0s/containerd.pid)
            ${how}
            until [ "$(cat /run/k0s/containerd.pid)" != "$was" ] && k0s ctr version >/dev/null 2>&1; do sleep 0.2; done`;
        const text = `version = 2\n[${table}]\nruntime_type = "io.containerd.runc.v2"\n`;
        await node.on(changed(`cat >${file}`), text);
        await refused(/gvisor\.toml has a handler "runsc" of its own/);
        await node.on(changed(`rm ${file}`));
    });

    it("up proves the sandbox, keeps what was configured, and pods that run go on", async () => {
        const then = await counted();
        const text = await stack.run(["up"]);
        assert.match(text, /verdict: PROVEN/);
        const now = await counted();
        assert.equal(now.id, then.id);
        assert.ok(now.count > then.count);
        const inForce = await node.on(dump);
        for (const line of ["max_concurrent_downloads = 5", "max_recv_message_size = 33554432", "runtimes.runsc]"]) {
            assert.ok(inForce.includes(line), line);
        }
        await stack.run(["check"]);
        await stack.run(["drift"]);
        await stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes");
        saw({
            ...(await versionsOf(node, "/var/lib/k0s/bin")),
            runsc: await node.on("runsc --version | awk 'NR == 1 { print $NF }'"),
            k0s: await node.on("k0s version"),
            kubelet: (await node.on("/var/lib/k0s/bin/kubelet --version")).replace("Kubernetes ", ""),
            verdict: /^verdict: (.*)$/m.exec(text)?.[1] ?? "none",
        });
    });

    it("drift names a drop-in that is gone, and the next up brings it back", async () => {
        await node.on(`rm ${dropIns}/50-runtime-sandboxes.toml`);
        const text = await stack.run(["drift"], 3);
        assert.match(text, /50-runtime-sandboxes\.toml is missing/);
        await stack.run(["up"]);
        await stack.run(["drift"]);
        await stack.run(["check"]);
    });

    it("destroy leaves the machine as it was before, and its pods go on", async () => {
        const then = await counted();
        await stack.run(["destroy"]);
        assert.deepEqual(changes(original, await look()), []);
        assert.equal((await counted()).id, then.id);
    });
});
