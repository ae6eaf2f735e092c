// Another Kubernetes than the pinned one, from nothing to nothing. The mirror builds it at first, which takes minutes.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Verdict } from "../../components/proof/verdict";
import { kubernetesRelease, versions } from "../../components/versions";
import { complyingPod } from "../e2e/policyPods";
import { root, TestStack, traces } from "../e2e/stack";
import { saw } from "./record";

const wanted = "1.37.2";
const pinned = versions.kubernetes.version;
const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";

describe(`Kubernetes ${wanted} on the local target`, function () {
    this.timeout(900_000);
    const bridge = "sbxk8s0";
    const stack = new TestStack("e2e-kubernetes", {
        ...{ bridge, addressRange: "10.94.0.0/24", sources: "mirror", kubernetesVersion: wanted },
        mandatory: { namespaces: ["untrusted"] },
    });
    const before = traces(bridge, stack.files);
    /** Digests of the mirror's image archives of a Kubernetes version. */
    const archives = (version: string) => {
        const { files } = JSON.parse(fs.readFileSync(path.join(root, ".cache/mirror/index.json"), "utf8")) as {
            files: Readonly<Record<string, { readonly sha256: string } | undefined>>;
        };
        return ["control-plane", "worker"].map((role) => files[`images/${role}-${version}.tar`]?.sha256);
    };

    after(async () => {
        await stack.remove();
    });

    it("is refused, before there are machines, in a version that nobody builds", async () => {
        stack.configure({ kubernetesVersion: "1.37.99" });
        const { code, text } = await stack.start("up").finished;
        assert.notEqual(code, 0);
        assert.match(text, new RegExp(`kubelet 1\\.37\\.99-\\*: it holds ${pinned}-1\\.1`));
        assert.deepEqual(traces(bridge, stack.files), before);
        stack.configure({ kubernetesVersion: wanted });
    });

    it("is proven, with what its kubeadm asks for, and what is pinned stays as it is in the mirror", async function () {
        this.timeout(3_600_000); // The first build, on a host that does other things too.
        const then = archives(pinned);
        await stack.run(["up"]);
        assert.deepEqual(archives(pinned), then);
        const { isolation, workers } = await stack.outputs<{
            isolation: Record<string, Verdict>;
            workers: Record<string, { containerd: string; runsc: string }>;
        }>();
        const { containerd = "", runsc = "" } = workers["worker-1"] ?? {};
        const { proven } = isolation["worker-1"] ?? {};
        const kubelet = stack.on("worker-1", "kubelet --version").replace("Kubernetes ", "");
        saw({ containerd, runsc, kubelet, proven: String(proven) });
        assert.equal(proven, true);
        await stack.run(["check"]);
        await stack.run(["drift"]);
        const nodes = `${kubectl} get nodes -o jsonpath='{.items[*].status.nodeInfo.kubeletVersion}'`;
        assert.equal(stack.on("control-plane", nodes), `v${wanted} v${wanted}`);
        const { etcd, coredns } = kubernetesRelease(wanted);
        const running = stack.on(
            "control-plane",
            `${kubectl} get pods -A -o jsonpath='{.items[*].spec.containers[*].image}'`,
        );
        for (const image of [
            `kube-apiserver:v${wanted}`,
            `kube-proxy:v${wanted}`,
            `etcd:${etcd}`,
            `coredns:v${coredns}`,
        ]) {
            assert.ok(running.includes(`/${image}`), `${image} is not among ${running}`);
        }
        assert.equal(stack.on("worker-1", "ls /var/lib/containerd-imports"), archives(wanted)[1]);
        const images = stack.on("worker-1", "ctr --namespace k8s.io images list --quiet");
        assert.ok(images.includes(`kube-proxy:v${wanted}`) && !images.includes(`v${pinned}`), images);
        await stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes");
    });

    it("admits only sandboxed pods where sandboxes are mandatory", () => {
        const pod = complyingPod({
            ...{ namespace: "untrusted", sandboxClass: "myclass", plainClass: "plain" },
            image: "docker.io/library/nginx:1.28",
        });
        const plain = { ...pod, spec: { ...pod.spec, runtimeClassName: undefined } };
        const create = (manifest: object) => {
            const text = JSON.stringify(manifest);
            return stack.on(
                "control-plane",
                `${kubectl} create --dry-run=server -f - 2>&1 <<'JSON' || true\n${text}\nJSON`,
            );
        };
        assert.match(create(pod), /created/);
        assert.match(create(plain), /forbidden.*runtimeClassName/s);
    });

    it("leaves nothing", async () => {
        await stack.run(["destroy"]);
        assert.deepEqual(traces(bridge, stack.files), before);
    });
});
