import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { ClassSurface } from "../../components/surface.cjs";
import { TestStack, traces } from "./stack";

const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
const outer = "runtimeclass.node.k8s.io/outer";
const workers = ["worker-1", "worker-2"] as const;

/** What must be on a worker after gVisor has been taken off as it was before it came. */
const snapshot = [
    "find /etc /usr/share/keyrings /usr/local /opt /usr/bin -type f -o -type l | grep -v -e /etc/cni -e /etc/mtab |",
    "sort | xargs -d '\\n' sha256sum 2>/dev/null; find /var/lib/runtime-sandboxes 2>/dev/null; dpkg-query --show;",
    "containerd config dump; systemctl is-active containerd kubelet",
].join(" ");

/** Counts on the worker, in a pod on the default runtime. */
const counter = (worker: string) =>
    JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: `counter-${worker}` },
        spec: {
            nodeName: worker,
            terminationGracePeriodSeconds: 0,
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

describe("machines that exist: a cluster of somebody else's, the least rights in it, an ordinary user, a jump host", function () {
    this.timeout(900_000);
    const outside = new TestStack("e2e-outside", {
        workers: "2",
        bridge: "sbxe2e2",
        addressRange: "10.82.0.0/24",
        sources: "mirror",
        runtimeClass: "outer",
        // A cluster without any sandbox.
        overrides: { "worker-1": { sandbox: false }, "worker-2": { sandbox: false } },
    });
    const stack = new TestStack("e2e-existing", { target: "existing" });
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "existing-"));
    const leftBefore = traces("sbxe2e2", outside.files);
    const original: Record<string, string> = {};

    const address = (machine: string) =>
        fs.readFileSync(path.join(outside.files, "machines", machine, "known_hosts"), "utf8").split(" ")[0] ?? "";
    const hostKey = (machine: string) =>
        fs
            .readFileSync(path.join(outside.files, "machines", machine, "known_hosts"), "utf8")
            .trim()
            .split(" ")
            .slice(1, 3)
            .join(" ");
    /** Where the stack's pods are, and a class of somebody else's, from when these are there. */
    let own: object = {};
    const runtimeClass = (handler: string) =>
        JSON.stringify({
            ...{ apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name: "myclass" }, handler },
            scheduling: { nodeSelector: { "runtime-sandboxes/runsc": "true" } },
        });
    const myclass = () =>
        outside.on("control-plane", `${kubectl} get runtimeclass myclass -o jsonpath={.metadata.uid}`);
    let foreignClass = "";
    const reach = (machine: string) => ({ host: address(machine), user: "ops", hostKey: hostKey(machine) });
    const existing = (more: object = {}, names: readonly string[] = workers) => ({
        workers: Object.fromEntries(names.map((name) => [name, reach(name)])),
        jumpHost: reach("control-plane"),
        privateKeyFile: path.join(scratch, "key"),
        kubeconfigFile: path.join(scratch, "kubeconfig"),
        ...own,
        ...more,
    });
    /** A kubeconfig whose token the API server does not know any more. */
    const expired = () => {
        const file = path.join(scratch, "expired");
        const text = fs.readFileSync(path.join(scratch, "kubeconfig"), "utf8");
        fs.writeFileSync(file, text.replace(/token: .*/, "token: expired"));
        return file;
    };
    const set = (settings: object) => stack.configure({ existing: settings });
    /** How often each counter has counted, and the process that counts. */
    const counts = (of: readonly string[] = workers) =>
        of.map((worker) => ({
            count: Number(outside.on("control-plane", `${kubectl} exec counter-${worker} -- cat /tmp/count`)),
            started: outside.on(
                "control-plane",
                `${kubectl} get pod counter-${worker} -o jsonpath='{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}'`,
            ),
        }));

    before(async () => {
        await outside.run(["setup", "--for", "up"]);
    });

    after(async () => {
        await stack.remove();
        await outside.remove();
        fs.rmSync(scratch, { recursive: true });
        assert.deepEqual(traces("sbxe2e2", outside.files), leftBefore);
    });

    it("a cluster is there that the stack has not made, with pods that count", async () => {
        // Not the project's `up`: that wants something to be proven.
        await outside.pulumi("stack", "select", "--create", outside.name);
        await outside.pulumi("up", "--yes", "--skip-preview");
        fs.copyFileSync(path.join(outside.files, "id_ed25519"), path.join(scratch, "key"));
        fs.chmodSync(path.join(scratch, "key"), 0o600);
        fs.writeFileSync(path.join(scratch, "kubeconfig"), leastKubeconfig(), { mode: 0o600 });
        for (const machine of ["control-plane", ...workers]) {
            outside.on(
                machine,
                "useradd --create-home --shell /bin/bash --password '*' ops && install -d -m 700 -o ops /home/ops/.ssh && " +
                    "install -m 600 -o ops /root/.ssh/authorized_keys /home/ops/.ssh/ && " +
                    "echo 'ops ALL=(root) NOPASSWD: /usr/bin/timeout' >/etc/sudoers.d/ops && " +
                    "echo '# registry mirrors of the site' >>/etc/containerd/config.toml",
            );
        }
        for (const worker of workers) {
            outside.on("control-plane", `${kubectl} apply -f - <<'JSON'\n${counter(worker)}\nJSON`);
            outside.on("control-plane", `${kubectl} wait --for condition=Ready pod/counter-${worker} --timeout 90s`);
            original[worker] = outside.on(worker, snapshot);
        }
    });

    for (const [title, settings, said] of [
        [
            "a host key that is another one",
            () => existing({ jumpHost: { ...reach("control-plane"), hostKey: hostKey("worker-1") } }),
            /cluster-worker-\d-id: .*host key mismatch/,
        ],
        [
            "a user that cannot log in",
            () => existing({ jumpHost: { ...reach("control-plane"), user: "nobody" } }),
            /cluster-worker-\d-id: .*unable to authenticate/,
        ],
        [
            "a machine that is another node",
            () => existing({ workers: { "worker-1": reach("worker-2"), "worker-2": reach("worker-1") } }),
            /the machine that worker-1 is reached at is the node worker-2/,
        ],
        [
            "a worker that is no node",
            () => existing({ workers: { "worker-9": reach("worker-1") } }),
            /worker-9 is not a node of this cluster; its nodes are control-plane, worker-1, worker-2/,
        ],
        [
            "a host that does not answer",
            () => existing({ workers: { "worker-1": { ...reach("worker-1"), host: "10.82.0.99" } } }),
            /cluster-worker-1-id: .*(rejected|timed out|unreachable|no route)/,
        ],
        [
            "a kubeconfig that has expired",
            () => existing({ kubeconfigFile: expired() }),
            /the kubeconfig does not work; the API server refuses it \(401\): it has expired/,
        ],
        [
            "a key file that is not there",
            () => existing({ privateKeyFile: "/nowhere/key" }),
            /existing\.privateKeyFile is "\/nowhere\/key", which cannot be read/,
        ],
    ] as const) {
        it(`refuses ${title} before anything is changed`, async () => {
            set(settings());
            const { code, text } = await stack.start("up").finished;
            assert.notEqual(code, 0);
            assert.match(text, said);
            assert.equal(outside.on("control-plane", `${kubectl} get runtimeclass -o name`), outer);
            for (const worker of workers) {
                assert.equal(outside.on(worker, snapshot), original[worker]);
            }
        });
    }

    it("refuses a node whose pods another runtime runs, before anything is changed", async () => {
        // As a kubelet that runs its pods with CRI-O would register it.
        const look = "jsonpath={.status.nodeInfo}";
        const info = JSON.parse(
            outside.on("control-plane", `${kubectl} get node worker-1 --output '${look}'`),
        ) as object;
        const status = { nodeInfo: { ...info, containerRuntimeVersion: "cri-o://1.36.0" } };
        const node = JSON.stringify({ apiVersion: "v1", kind: "Node", metadata: { name: "other" }, status });
        outside.on("control-plane", `${kubectl} create -f - <<'JSON'\n${node}\nJSON`);
        set(existing({ workers: { other: reach("worker-1") } }));
        const { code, text } = await stack.start("up").finished;
        outside.on("control-plane", `${kubectl} delete node other`);
        assert.notEqual(code, 0);
        assert.match(text, /other runs its pods with cri-o:\/\/1\.36\.0; only containerd is supported/);
        assert.equal(outside.on("worker-1", snapshot), original["worker-1"]);
    });

    it("refuses what has the stack's names, and what the cluster would not take, all at once, before anything is changed", async () => {
        const create = (manifest: string) =>
            outside.on("control-plane", `${kubectl} create -f - <<'JSON'\n${manifest}\nJSON`);
        const pod = { ...JSON.parse(counter("worker-1")), metadata: { name: "test-1", namespace: "checks" } };
        outside.on("control-plane", `${kubectl} create namespace checks`);
        outside.on("control-plane", `until ${kubectl} -n checks get serviceaccount default; do sleep 1; done`);
        create(JSON.stringify(pod));
        create(runtimeClass("kata"));
        outside.on("control-plane", `${kubectl} label namespace checks pod-security.kubernetes.io/enforce=restricted`);
        set(existing({ namespace: "checks" }));
        stack.configure({ attacks: "true" });
        const { code, text } = await stack.start("up").finished;
        assert.notEqual(code, 0);
        assert.match(text, /the RuntimeClass myclass is there already, and another one: handler is kata, not runsc\. /);
        assert.match(text, /the pod checks\/test-1 is there already, and not of Pulumi/);
        assert.match(
            text,
            /does not take the Pod attacks-control-\* in checks: violates PodSecurity "restricted:latest"/,
        );
        for (const worker of workers) {
            assert.equal(outside.on(worker, snapshot), original[worker]);
        }
        outside.on("control-plane", `${kubectl} delete runtimeclass/myclass; ${kubectl} -n checks delete pod/test-1`);
        create(runtimeClass("runsc"));
        foreignClass = myclass();
        own = { namespace: "checks", runtimeClasses: ["myclass"] };
        stack.configure({ attacks: "" });
        set(existing());
    });

    it("refuses a user without sudo, by name, before anything is changed", async () => {
        set(existing());
        stack.configure({ sources: "mirror", mirror: "file:///srv/mirror", mirrorFingerprint: fingerprint() });
        outside.on("worker-1", "mv /etc/sudoers.d/ops /root/ops");
        const { code, text } = await stack.start("up").finished;
        outside.on("worker-1", "mv /root/ops /etc/sudoers.d/ops");
        assert.notEqual(code, 0);
        assert.match(text, /worker-1-(id|scripts|runtime-facts): [\s\S]*sudo: a password is required/);
        assert.equal(outside.on("worker-1", snapshot), original["worker-1"]);
    });

    it("refuses a worker with another runsc, and looks at it again once that is gone", async () => {
        const file = "/etc/containerd/conf.d/zz-other.toml";
        const table = `[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runsc]`;
        // The first worker comes before the second one, and stays as it is.
        for (const odd of [workers, workers.slice(1)]) {
            for (const worker of odd) {
                outside.on(worker, `printf 'version = 3\\n%s\\nruntime_type = "other"\\n' '${table}' >${file}`);
            }
            const { code, text } = await stack.start("up").finished;
            assert.notEqual(code, 0);
            for (const worker of workers) {
                const refused = new RegExp(
                    `gVisor cannot run on ${worker} as it is[^]*zz-other\\.toml has a handler "runsc" of its own`,
                );
                assert.equal(refused.test(text), odd.includes(worker), text);
                outside.on(worker, `rm -f ${file}`);
                assert.equal(outside.on(worker, snapshot), original[worker]);
            }
        }
    });

    it("up proves the sandbox on each worker, in a namespace of the level restricted, while pods that run go on counting", async () => {
        const then = counts();
        const text = await stack.run(["up"]);
        assert.match(text, /verdict: PROVEN on every worker/);
        const now = counts();
        for (const [index, { count, started }] of now.entries()) {
            assert.equal(started, then[index]?.started);
            assert.ok(count > (then[index]?.count ?? 0) + 10, `${count} after ${then[index]?.count}`);
        }
        await stack.run(["check"]);
        await stack.run(["drift"]);
        await stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes");
    });

    it("attempts to leave the sandboxes are made where the setting asks for them, and leave nothing", async () => {
        assert.deepEqual((await stack.outputs<{ attacks: object }>()).attacks, {});
        outside.on("control-plane", `${kubectl} label namespace checks pod-security.kubernetes.io/enforce-`);
        const weak = { runsc: {}, weak: { options: { "host-uds": "open" } } };
        stack.configure({ attacks: "true", handlers: weak });
        const stopped = await stack.run(["up"], 1);
        assert.match(
            stopped,
            /worker-1 is not proven, so no further worker is changed:[\s\S]* - attacks: .* not refused: engine-socket in weak/,
        );
        assert.match(outside.on("worker-1", "grep -r runtimes.weak /etc/containerd"), /weak/);
        assert.equal(outside.on("worker-2", "grep -r runtimes.weak /etc/containerd || true"), "");
        stack.configure({ attacks: "true", handlers: {} });
        const text = await stack.run(["up"]);
        assert.equal(
            text.match(/✓ attacks: (\d+) of \1 refused; \d+ of them get through on the control/g)?.length,
            2,
            text,
        );
        await stack.run(["check"]);
        for (const worker of workers) {
            assert.equal(outside.on(worker, "ls /run | grep decoys; pgrep -f '^runtime-sandboxes-decoys' || true"), "");
        }
        assert.equal(outside.on("control-plane", `${kubectl} get pods -A -l runtime-sandboxes/canary -o name`), "");
        stack.configure({ attacks: "false" });
        await stack.run(["up"]);
        await stack.run(["check"]);
    });

    it("surface and cost are measured where the setting asks for them; a worker in a container cannot read filters, and says so", async () => {
        assert.deepEqual((await stack.outputs<{ surface: object }>()).surface, {});
        stack.configure({ surface: "true" });
        await stack.run(["up"]);
        await stack.run(["check"]);
        const { surface } = await stack.outputs<{ surface: Record<string, Record<string, ClassSurface>> }>();
        for (const worker of workers) {
            const { systemCalls, costs } = surface[worker]?.myclass ?? {};
            assert.match(
                systemCalls?.inside.filter ?? "",
                /^unreadable: PTRACE_SECCOMP_GET_FILTER: permission denied; the kernel shows filters only to root of the machine itself/,
            );
            assert.deepEqual([systemCalls?.inside.reachable, systemCalls?.control.reachable], [undefined, undefined]);
            assert.ok((costs?.systemCall?.ratio ?? 0) > 1, JSON.stringify(costs));
            assert.equal(outside.on(worker, "ls /var/lib/runtime-sandboxes-scripts | grep surface || true"), "");
        }
        assert.equal(outside.on("control-plane", `${kubectl} get pods -A -l runtime-sandboxes/canary -o name`), "");
        stack.configure({ surface: "false" });
        await stack.run(["up"]);
    });

    it("policies that the cluster's network ignores are a failed check, which says so", async () => {
        const atOnce = { canary: "0", maxUnavailable: "0" };
        stack.configure({ ...atOnce, mandatory: { namespaces: ["untrusted"] }, egress: { dns: true } });
        const text = await stack.run(["up"], 1);
        assert.equal(
            text.match(
                /✗ egress: \d of \d refused; not refused: .*; the cluster's network plug-in ignores the policies, as flannel does by itself/g,
            )?.length,
            2,
            text,
        );
        assert.match(await stack.run(["check"], 1), /egress/);
        stack.configure({ canary: "", maxUnavailable: "", mandatory: {}, egress: {} });
        await stack.run(["up"]);
        await stack.run(["check"]);
        assert.equal(
            outside.on("control-plane", `${kubectl} get pods,networkpolicies -A -l runtime-sandboxes/canary -o name`),
            "",
        );
    });

    it("upgrades gVisor in place", async () => {
        stack.configure({ gvisorVersion: "20260824.0" });
        await stack.run(["up"]);
        const outputs = await stack.outputs<{ workers: Record<string, { runsc: string }> }>();
        assert.equal(outputs.workers["worker-2"]?.runsc, "release-20260824.0");
        await stack.run(["check"]);
    });

    it("a worker that leaves the stack is as it was before, and its pods go on", async () => {
        const then = counts();
        set(existing({}, ["worker-1"]));
        await stack.run(["up"]);
        assert.equal(outside.on("worker-2", snapshot), original["worker-2"]);
        assert.equal(
            outside
                .on("control-plane", `${kubectl} get node worker-2 -o jsonpath='{.metadata.labels}'`)
                .includes("runtime-sandboxes"),
            false,
        );
        assert.deepEqual(
            counts().map(({ started }) => started),
            then.map(({ started }) => started),
        );
    });

    const cordoned = `${kubectl} get node worker-1 -o jsonpath={.spec.unschedulable}`;

    it("drains a worker before its containerd is restarted, and only then, and puts it back into service", async () => {
        const pods = () => outside.on("control-plane", `${kubectl} get pods -o name`).split("\n").sort();
        stack.configure({ drain: "true", drainOptions: { force: true } });
        const before = pods();
        await stack.run(["up"]);
        assert.deepEqual(pods(), before);
        stack.configure({ handlers: { runsc: {}, "runsc-more": {} } });
        const text = await stack.run(["up"]);
        assert.match(text, /worker-1-maintenance-drain/);
        assert.deepEqual(
            pods(),
            before.filter((pod) => pod !== "pod/counter-worker-1"),
        );
        assert.equal(outside.on("control-plane", cordoned), "");
        assert.match(outside.on("control-plane", `${kubectl} get runtimeclass -o name`), /runsc-more/);
        await stack.run(["check"]);
    });

    it("destroy leaves the machines and the cluster as they were before", async () => {
        const then = counts(["worker-2"]);
        // As a run leaves it that fails after the drain.
        const mark = `${kubectl} annotate node worker-1 runtime-sandboxes/cordoned=true`;
        outside.on("control-plane", `${kubectl} apply -f - <<'JSON'\n${counter("worker-1")}\nJSON`);
        outside.on("control-plane", `${kubectl} cordon worker-1 && ${mark}`);
        // Somebody has cleaned up: what install has kept is enough to take gVisor away.
        outside.on("worker-1", "rm -r /var/lib/runtime-sandboxes-scripts");
        await stack.run(["destroy"]);
        assert.doesNotMatch(outside.on("control-plane", `${kubectl} get pods -o name`), /counter-worker-1/);
        assert.equal(outside.on("control-plane", cordoned), "", "the node takes pods again");
        for (const worker of workers) {
            assert.equal(outside.on(worker, snapshot), original[worker]);
            assert.equal(outside.on(worker, "compgen -G '/var/lib/runtime-sandboxes*' || true"), "");
        }
        assert.deepEqual(
            counts(["worker-2"]).map(({ started }) => started),
            then.map(({ started }) => started),
        );
        assert.equal(
            outside.on("control-plane", `${kubectl} get runtimeclass -o name`),
            `runtimeclass.node.k8s.io/myclass\n${outer}`,
        );
        assert.equal(myclass(), foreignClass, "somebody else's class stays as it was");
        assert.equal(outside.on("control-plane", `${kubectl} -n checks get pods -o name`), "");
    });

    /** A kubeconfig with the roles of docs/rbac.yaml and no other right. The stack makes the namespaces with policies itself. */
    function leastKubeconfig(): string {
        const roles = fs.readFileSync(path.join(__dirname, "../../docs/rbac.yaml"), "utf8");
        outside.on("control-plane", `${kubectl} apply -f - <<'YAML'\n${roles}\nYAML`);
        outside.on("control-plane", `${kubectl} create serviceaccount pulumi`);
        for (const [, role] of roles.matchAll(/^ {2}name: (runtime-sandboxes\S*)$/gm)) {
            const kind = role === "runtime-sandboxes-pods" ? "rolebinding" : "clusterrolebinding";
            const binding = `${kind} ${role} --clusterrole ${role} --serviceaccount default:pulumi`;
            outside.on("control-plane", `${kubectl} create ${binding}`);
        }
        const token = outside.on("control-plane", `${kubectl} create token pulumi --duration 4h`);
        return outside
            .on("control-plane", "cat /etc/kubernetes/admin.conf")
            .replace(/client-certificate-data: .*\n.*client-key-data: .*/, `token: ${token}`);
    }

    function fingerprint(): string {
        return fs.readFileSync(path.join(__dirname, "../../.cache/mirror/fingerprint"), "utf8").trim();
    }
});
