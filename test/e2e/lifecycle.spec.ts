import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { corpus, type JudgedAttacks } from "../../components/attacks.cjs";
import type { publicFacts } from "../../components/gvisor/publicFacts";
import { type Verdict, verdict } from "../../components/proof/verdict";
import type { JudgedReachable } from "../../components/reachable.cjs";
import type { ClassSurface } from "../../components/surface.cjs";
import { type Vulnerability, vulnerabilitiesIn } from "../../components/vulnerabilities.cjs";
import { findFallenBack, problemsOf, startFaking } from "./everyPod";
import { factsWithFake, recordedSteps, saidByPreparation } from "./facts";
import { complyingPod, refusedPods, refusedWorkloads } from "./policyPods";
import { plan, root, TestStack, traces } from "./stack";

interface Outputs {
    runtimeClass: string;
    handlers: Record<string, string>;
    uname: Record<string, { worker: string; "test-1": string; "test-2": string }>;
    dmesg: Record<string, { "test-1": string; "test-2": string }>;
    isolation: Record<string, Verdict>;
    attacks: Record<string, JudgedAttacks["attempts"]>;
    surface: Record<string, Record<string, ClassSurface>>;
    reachable: Record<string, JudgedReachable["reachable"]>;
    workers: Record<string, Record<string, unknown>>;
    kubeconfig: string;
}

/** In both namespaces, by the output: all that is forbidden is refused, and what is allowed is not. */
async function everyPolicyHolds(stack: TestStack): Promise<void> {
    const { reachable } = await stack.outputs<Outputs>();
    const rows = Object.values(reachable).flatMap((classes) => Object.values(classes).flat());
    assert.deepEqual([...new Set(rows.map(({ namespace }) => namespace))].sort(), ["early", "untrusted"]);
    assert.deepEqual(
        rows.filter(({ target, reached, allowed }) => target !== "dns" && reached !== allowed),
        [],
    );
}

describe("the local target, from nothing to nothing", function () {
    this.timeout(900_000);
    const bridge = "sbxe2e0";
    const stack = new TestStack("e2e", {
        workers: "2",
        bridge,
        addressRange: "10.78.0.0/24",
        sources: "mirror",
        reachable: "true",
    });
    const machines = ["control-plane", "worker-1", "worker-2"];
    let before: string[] = [];

    before = traces(bridge, stack.files);

    after(async () => {
        await stack.remove();
    });

    function nothingLeft(): void {
        assert.deepEqual(traces(bridge, stack.files), before);
    }

    it("preview of a new stack plans everything and makes nothing", async () => {
        const text = await stack.run(["preview"]);
        for (const name of ["cluster-init", "worker-2-join", "sandbox-myclass-runtimeclass", "worker-1-test-2-pod"]) {
            assert.match(text, new RegExp(name));
        }
        nothingLeft();
    });

    it("up proves the sandbox on each worker and shows it", async () => {
        const text = await stack.run(["up"]);
        assert.match(text, /PROVEN/);
        const outputs = await stack.outputs<Outputs>();
        assert.deepEqual(Object.keys(outputs).sort(), [
            ...[
                "attacks",
                "dmesg",
                "handlers",
                "isolation",
                "kubeconfig",
                "limits",
                "reachable",
                "runtimeClass",
                "surface",
                "uname",
                "workers",
            ],
        ]);
        assert.equal(outputs.runtimeClass, "myclass");
        assert.equal(outputs.kubeconfig, "[secret]");
        const kernel = spawnSync("uname", ["-r"], { encoding: "utf8" }).stdout.trim();
        for (const worker of ["worker-1", "worker-2"]) {
            const seen = outputs.uname[worker];
            assert.equal(seen?.worker, kernel);
            assert.equal(seen?.["test-1"], kernel);
            assert.notEqual(seen?.["test-2"], kernel);
            assert.match(outputs.dmesg[worker]?.["test-2"] ?? "", /Starting gVisor\.\.\.[\s\S]*Ready!$/);
            assert.equal(outputs.isolation[worker]?.proven, true);
            assert.deepEqual(Object.keys(outputs.workers[worker] ?? {}).sort(), [
                ...["address", "configSha256", "containerd", "evidence", "facts", "handlers", "kernel", "os"],
                ...["runsc", "survivors", "vulnerabilities"],
            ]);
            const { facts, evidence, vulnerabilities } = outputs.workers[worker] as unknown as {
                facts: ReturnType<typeof publicFacts>;
                evidence: Record<string, unknown>;
                vulnerabilities: Vulnerability[];
            };
            assert.equal(stack.on(worker, "runc --version | head -n 1"), `runc version ${facts.runc}`);
            assert.equal(stack.on(worker, "kubelet --version"), `Kubernetes v${facts.kubelet}`);
            // The table has nothing against what is pinned; runc is Debian's.
            assert.deepEqual(vulnerabilities, vulnerabilitiesIn({ runc: facts.runc }));
            // As it was before gVisor came.
            assert.deepEqual(facts.containerd.handlers, ["runc"]);
            assert.deepEqual([facts.containerd.schema, facts.runsc.version], [3, ""]);
            assert.deepEqual(evidence, {
                declared: {
                    sha256: outputs.workers[worker]?.configSha256,
                    handlers: ["runsc"],
                    options: { runsc: { platform: "systrap" } },
                },
                loaded: ["runsc"],
                serving: ["runsc"],
            });
            assert.deepEqual(outputs.workers[worker]?.handlers, ["runc", "runsc"]);
        }
        await stack.run(["check"]);
        const told = await stack.run(["drift", "--json"]);
        const { vulnerabilities } = JSON.parse(told.slice(told.indexOf("{"))) as { vulnerabilities: unknown[] };
        const recorded = outputs.workers as unknown as Record<string, { vulnerabilities: Vulnerability[] }>;
        assert.deepEqual(
            vulnerabilities,
            Object.entries(recorded).flatMap(([worker, own]) => own.vulnerabilities.map((one) => ({ worker, ...one }))),
        );
    });

    it("attempts to leave a sandbox are all refused, the control shows that they can succeed, and nothing of them is left", async () => {
        const { attacks, isolation } = await stack.outputs<Outputs>();
        for (const worker of ["worker-1", "worker-2"]) {
            const { passed, detail } = isolation[worker]?.checks.find(({ name }) => name === "attacks") ?? {};
            assert.equal(passed, true, detail);
            assert.match(
                detail ?? "",
                new RegExp(`^${corpus.length} of ${corpus.length} refused; \\d+ of them get through`),
            );
            assert.deepEqual(
                attacks[worker]?.map(({ name }) => name),
                corpus.map(({ name }) => name),
            );
            // What gets through on every machine, also on one in a user namespace: else the attempts are not what they are to be.
            const shown = attacks[worker]?.filter(({ state }) => state === "refused").map(({ name }) => name) ?? [];
            for (const name of [
                ...["setns-host", "host-root", "leaked-descriptors", "engine-socket", "engine-socket-through-root"],
                ...["host-processes", "ptrace-neighbour", "neighbour-environment", "kernel-parameters", "add-key"],
                ...["packet-ring", "netlink-sock-diag", "user-namespace-netfilter", "given-device"],
            ]) {
                assert.ok(shown.includes(name), `${name} is not among ${shown.join(", ")}`);
            }
            assert.equal(stack.on(worker, "ls /run | grep decoys; pgrep -f '^runtime-sandboxes-decoys' || true"), "");
        }
        const pods = "kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -A -l runtime-sandboxes/canary -o name";
        assert.equal(stack.on("control-plane", pods), "");
    });

    it("measures what a sandbox keeps from the kernel and what it costs, by filters that the host reads, and leaves nothing", async () => {
        const { surface } = await stack.outputs<Outputs>();
        for (const worker of ["worker-1", "worker-2"]) {
            const { systemCalls, costs = {} } = surface[worker]?.myclass ?? {};
            const [inside = 0, control = 0, runtimeDefault = 0] = [
                ...[systemCalls?.inside, systemCalls?.control, systemCalls?.runtimeDefault].map(
                    (one) => one?.reachable,
                ),
            ];
            const said = JSON.stringify(systemCalls);
            assert.ok(inside > 30 && inside < runtimeDefault && runtimeDefault < control, said);
            assert.match(systemCalls?.inside.how ?? "", /read on the worker's host/);
            assert.deepEqual(Object.keys(costs).sort(), [
                ...["memory", "openRead", "podStart", "systemCall", "tcpLatency", "tcpThroughput", "write"],
            ]);
            for (const [name, { ratio = 0, failed }] of Object.entries(costs)) {
                assert.ok(ratio > 0.05 && failed === undefined, `${name}: ${failed ?? ratio}`);
            }
            assert.match(costs.tcpLatency?.how ?? "", /a third pod/);
            assert.equal(stack.on(worker, "ls /var/lib/runtime-sandboxes-scripts | grep surface || true"), "");
        }
    });

    it("machines start prepared, from one image, and what makes each of them itself is its own", () => {
        const said = saidByPreparation(stack);
        assert.deepEqual(Object.keys(said).sort(), machines);
        for (const text of Object.values(said)) {
            assert.doesNotMatch(text, /changed|installed|imported/);
        }
        const file = (machine: string, name: string) => path.join(stack.files, "machines", machine, name);
        assert.equal(new Set(machines.map((machine) => fs.realpathSync(file(machine, "image")))).size, 1);
        const containerd = "/var/lib/containerd";
        for (const own of [
            ...["cat /etc/machine-id", "cat /etc/ssh/ssh_host_ed25519_key.pub", "hostname", "hostname -I"],
            ...[`cat ${containerd}/io.containerd.grpc.v1.introspection/uuid`, "ctr version | grep UUID"],
            `stat -c %i ${containerd}/io.containerd.metadata.v1.bolt/meta.db`,
            `stat -c %i ${containerd}/io.containerd.snapshotter.v1.overlayfs/metadata.db`,
        ]) {
            const found = machines.map((machine) => stack.on(machine, own));
            assert.equal(new Set(found).size, machines.length, `${own}: ${found.join(", ")}`);
        }
        const pods = machines.map((machine) => stack.on(machine, "crictl pods --quiet").split("\n"));
        assert.equal(new Set(pods.flat()).size, pods.flat().length, "no pod is on two machines");
    });

    it("up with nothing to do touches nothing", async () => {
        assert.deepEqual(await plan(stack), []);
        const running = machines.map((name) => stack.pid(name));
        const containerd = stack.on("worker-1", "systemctl show containerd --property ActiveEnterTimestampMonotonic");
        await stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes");
        assert.deepEqual(
            machines.map((name) => stack.pid(name)),
            running,
        );
        assert.equal(
            stack.on("worker-1", "systemctl show containerd --property ActiveEnterTimestampMonotonic"),
            containerd,
        );
    });

    it("keeps secrets out of state, logs and process lists", () => {
        const secrets = /PRIVATE KEY|client-key-data|\b[0-9a-f]{6}\.[0-9a-f]{16}\b/;
        const logs = path.join(root, ".cache", "logs");
        const files = [
            path.join(root, ".pulumi", "stacks", "runtime-sandboxes", `${stack.name}.json`),
            ...fs
                .readdirSync(logs)
                .filter((name) => name.includes(stack.name))
                .map((name) => path.join(logs, name)),
        ];
        assert.ok(files.length >= 2, `no log of ${stack.name} in ${logs}`);
        for (const file of files) {
            assert.doesNotMatch(fs.readFileSync(file, "utf8"), secrets, file);
        }
        for (const machine of ["control-plane", "worker-1"]) {
            assert.doesNotMatch(stack.on(machine, "journalctl --no-pager -o cat; ps axww -o args"), secrets, machine);
        }
    });

    it("pods of different workers reach each other by name", () => {
        const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
        const address = stack.on("control-plane", `${kubectl} get pod test-1-worker-2 -o jsonpath={.status.podIP}`);
        stack.on("control-plane", `${kubectl} expose pod test-1-worker-2 --name far --port 80`);
        // The cluster's DNS comes up beside everything else; nothing that `up` does needs it.
        stack.on("control-plane", `${kubectl} --namespace kube-system rollout status deployment/coredns --timeout 90s`);
        for (const [pod, host] of [
            ["test-1", address],
            ["test-2", address],
            ["test-1", "far.default.svc.cluster.local"],
            ["test-2", "far.default.svc.cluster.local"],
        ]) {
            const request = `until exec 3<>/dev/tcp/${host}/80; do ((SECONDS < 30)) || exit 1; sleep 0.2; done; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; head -1 <&3`;
            const answer = stack.on(
                "control-plane",
                `${kubectl} exec ${pod} -- bash -c ${JSON.stringify(request).replaceAll("$", "\\$")}`,
            );
            assert.match(answer, /200 OK/, `${pod} to ${host}`);
        }
        stack.on("control-plane", `${kubectl} delete service far`);
    });

    it("a pod on runc that fakes uname and dmesg is not proven", async () => {
        const facts = await factsWithFake(stack);
        const judged = verdict(facts, { name: "runsc", options: { platform: "systrap" } }, ["myclass"]);
        assert.match(facts.pods["test-2"].kernel, /gvisor/);
        assert.equal(judged.proven, false);
        assert.deepEqual(
            judged.checks.filter((check) => !check.passed).map((check) => check.name),
            ["the worker runs test-2 with runsc", "test-2's sandbox has the options of its handler"],
        );
    });

    it("each script that has run changes nothing when it runs again", () => {
        for (const { machine, stdin, call } of recordedSteps(stack)) {
            const known = path.join(stack.files, "machines", machine, "known_hosts");
            const address = fs.readFileSync(known, "utf8").split(" ")[0];
            const again = spawnSync(
                "ssh",
                [
                    "-i",
                    path.join(stack.files, "id_ed25519"),
                    "-o",
                    `UserKnownHostsFile=${known}`,
                    `root@${address}`,
                    call,
                ],
                { input: stdin, encoding: "utf8" },
            );
            assert.equal(again.status, 0, again.stderr);
            assert.doesNotMatch(again.stderr, /changed|restarted|installed|imported/);
        }
    });

    it("what pods reach is listed, by the word of targets and worker, and nothing of it is left", async () => {
        const { reachable } = await stack.outputs<Outputs>();
        for (const worker of ["worker-1", "worker-2"]) {
            const rows = reachable[worker]?.myclass ?? [];
            const of = (name: string) => rows.find(({ target }) => target === name);
            assert.deepEqual([of("allowed")?.reached, of("allowed")?.by, of("node")?.by], [true, "target", "target"]);
            for (const name of ["api", "api-token", "kubelet", "dns", "pod"]) {
                assert.deepEqual([of(name)?.reached, of(name)?.by], [true, "worker"], JSON.stringify(of(name)));
            }
            assert.match(of("kubelet")?.detail ?? "", /^HTTP 401 /);
            assert.match(of("api-token")?.detail ?? "", /^HTTP /);
            // Some hosts have something at that address.
            assert.equal(of("metadata")?.by, "worker");
            assert.ok(rows.every(({ allowed, namespace }) => allowed === undefined && namespace === "default"));
        }
        const pods = "kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -A -l runtime-sandboxes/canary -o name";
        assert.equal(stack.on("control-plane", pods), "");
    });

    it("one changed setting gives exactly the updates that it asks for", async () => {
        stack.configure({ runtimeClass: "sandboxed" });
        const changed = await plan(stack);
        assert.deepEqual(
            changed.filter((step) => /^(create-replacement|replace|update|create|delete) /.test(step)),
            [
                "create sandbox-sandboxed",
                "create sandbox-sandboxed-runtimeclass",
                "delete sandbox-myclass",
                "delete sandbox-myclass-runtimeclass",
                "replace worker-1-test-2-pod",
                "replace worker-2-test-2-pod",
                "update worker-1-attacks-pods",
                "update worker-1-canary-pods",
                "update worker-1-probe-host",
                "update worker-1-probe-pods",
                "update worker-1-reachable-pods",
                "update worker-1-surface-pods",
                "update worker-2-attacks-pods",
                "update worker-2-canary-pods",
                "update worker-2-probe-host",
                "update worker-2-probe-pods",
                "update worker-2-reachable-pods",
                "update worker-2-surface-pods",
            ],
        );
        await stack.run(["up"]);
        assert.equal((await stack.outputs<Outputs>()).runtimeClass, "sandboxed");
        await stack.run(["check"]);
    });

    it("an older gVisor with another kernel version is proven too, and so is the way back", async () => {
        const installed = async () => (await stack.outputs<Outputs>()).workers["worker-1"]?.runsc;
        const pinned = await installed();
        // A sandbox that runs keeps its programs, is listed, and is no matter to anything else.
        const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
        const stays = JSON.stringify({
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name: "stays" },
            spec: {
                nodeName: "worker-1",
                runtimeClassName: "sandboxed",
                terminationGracePeriodSeconds: 0,
                containers: [{ name: "stays", image: "docker.io/library/nginx:1.28", imagePullPolicy: "IfNotPresent" }],
            },
        });
        stack.on("control-plane", `${kubectl} apply -f - <<'JSON'\n${stays}\nJSON`);
        stack.on("control-plane", `${kubectl} wait --for condition=Ready pod/stays --timeout 90s`);
        const sandbox = () => stack.on("worker-1", "pgrep -f '^runsc-sandbox .*default_stays_'");
        const running = sandbox();
        stack.configure({ gvisorVersion: "20260824.0" });
        await stack.run(["up"]);
        assert.equal(sandbox(), running);
        assert.deepEqual((await stack.outputs<Outputs>()).workers["worker-1"]?.survivors, ["default/stays"]);
        const release = String(pinned).replace("release-", "");
        assert.deepEqual(await problemsOf(stack, 8), [
            `replaced worker-1: the pod default/stays: its sandbox runs gVisor ${release}, which has been replaced; wanted: gVisor 20260824.0`,
        ]);
        assert.deepEqual(await problemsOf(stack, 0, "--allow-replaced"), []);
        stack.on("control-plane", `${kubectl} delete pod stays --grace-period 0 --force`);
        const { uname } = await stack.outputs<Outputs>();
        assert.equal(await installed(), "release-20260824.0");
        assert.equal(uname["worker-1"]?.["test-2"], "4.19.0-gvisor");
        await stack.run(["check"]);
        stack.configure({ gvisorVersion: "" });
        await stack.run(["up"]);
        assert.equal(await installed(), pinned);
        await stack.run(["check"]);
    });

    it("attempts find a sandbox that flags have opened, on the worker that has it", async () => {
        const options = { "host-uds": "open", "character-device-policy": "passthrough", network: "host" };
        stack.configure({
            acceptVulnerabilities: "CVE-2026-96812",
            handlers: { runsc: {}, weak: { options } },
            overrides: { "worker-2": { handlers: ["runsc"] } },
        });
        assert.match(await stack.run(["up"], 1), /the sandbox is not proven on worker-1 of stack/);
        const { attacks, isolation } = await stack.outputs<Outputs>();
        const of = (worker: string) => isolation[worker]?.checks.find(({ name }) => name === "attacks");
        assert.equal(of("worker-2")?.passed, true, of("worker-2")?.detail);
        assert.equal(
            of("worker-1")?.detail,
            `${corpus.length - 3} of ${corpus.length} refused; not refused: given-device in weak (/given-devices/pts/0, opened), ` +
                "engine-socket in weak (/given/engine.sock, connected), kernel-tcp in weak (the TCP of a kernel)",
        );
        const through = attacks["worker-1"]?.filter(({ state }) => state === "reached") ?? [];
        assert.deepEqual(
            through.map(({ inside }) => [inside.sandboxed?.reached, inside.weak?.reached]),
            Array(3).fill([false, true]),
        );
        assert.match(await stack.run(["check"], 1), /the check "attacks" has not passed|✗ attacks: /);
        stack.configure({ acceptVulnerabilities: "", handlers: {}, overrides: {} });
        await stack.run(["up"]);
        await stack.run(["check"]);
    });

    it("a worker may have no sandbox; pods of the class go where their handler is", async () => {
        const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
        stack.configure({
            overrides: {
                "worker-1": { labels: { pool: "untrusted" }, taints: [{ key: "untrusted", effect: "NoSchedule" }] },
                "worker-2": { sandbox: false },
            },
        });
        await stack.run(["up"]);
        assert.deepEqual(Object.keys((await stack.outputs<Outputs>()).isolation), ["worker-1"]);
        await stack.run(["check"]);
        // Taken off again: no program, no handler, no label.
        assert.equal(stack.on("worker-2", "command -v runsc || ls /etc/containerd/conf.d"), "10-kubernetes.toml");
        const labels = (worker: string) =>
            stack.on("control-plane", `${kubectl} get node ${worker} -o jsonpath={.metadata.labels}`);
        assert.match(labels("worker-1"), /"pool":"untrusted".*"runtime-sandboxes\/runsc":"true"/);
        assert.doesNotMatch(labels("worker-2"), /runtime-sandboxes/);
        const pod = (name: string) => ({
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name, labels: { free: "yes" } },
            spec: {
                runtimeClassName: "sandboxed",
                terminationGracePeriodSeconds: 0,
                containers: [{ name, image: "docker.io/library/nginx:1.28", imagePullPolicy: "IfNotPresent" }],
            },
        });
        const items = ["free-1", "free-2", "free-3"].map(pod);
        const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
        stack.on("control-plane", `${kubectl} apply -f - <<'JSON'\n${list}\nJSON`);
        stack.on("control-plane", `${kubectl} wait --for condition=Ready pod -l free=yes --timeout 90s`);
        assert.equal(
            stack.on("control-plane", `${kubectl} get pods -l free=yes -o jsonpath='{.items[*].spec.nodeName}'`),
            "worker-1 worker-1 worker-1",
        );
        assert.match(stack.on("control-plane", `${kubectl} exec free-1 -- uname -r`), /gvisor/);
        stack.on("control-plane", `${kubectl} delete pod -l free=yes`);
        stack.configure({ overrides: {} });
        await stack.run(["up"]);
        await stack.run(["check"]);
        assert.deepEqual(Object.keys((await stack.outputs<Outputs>()).isolation), ["worker-1", "worker-2"]);
    });

    it("namespaces that are not trusted take sandboxed pods only, and say what to write instead", async () => {
        const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
        stack.on("control-plane", `${kubectl} create namespace early`);
        startFaking(stack, { name: "before", namespace: "early", node: "worker-2" });
        stack.configure({
            mandatory: { namespaces: ["untrusted"], existingNamespaces: ["early"] },
            egress: { dns: true },
        });
        const text = await stack.run(["up"]);
        assert.equal(
            text.match(/✓ egress: (\d+) of \1 refused; [1-9]\d* of them get through on the control/g)?.length,
            2,
            text,
        );
        await everyPolicyHolds(stack);
        const options = {
            namespace: "untrusted",
            sandboxClass: "sandboxed",
            plainClass: "plain",
            image: "docker.io/library/nginx:1.28",
        };
        const plain = {
            apiVersion: "node.k8s.io/v1",
            kind: "RuntimeClass",
            metadata: { name: "plain" },
            handler: "runc",
        };
        const create = (manifest: object) => {
            const text = JSON.stringify(manifest);
            return stack.on("control-plane", `${kubectl} create -f - 2>&1 <<'JSON' || true\n${text}\nJSON`);
        };
        create(plain);
        const refused = refusedPods(options);
        // The API server follows a policy a second or two after it was made.
        const deadline = Date.now() + 30_000;
        while (!create(refused[0]?.manifest ?? {}).includes("forbidden")) {
            assert.ok(Date.now() < deadline, "the policy does not come into force");
            stack.on("control-plane", `${kubectl} --namespace untrusted delete pods --all --grace-period 0 --force`);
        }
        for (const { what, manifest, messages, restricted } of refused) {
            const answer = create(manifest);
            for (const message of restricted ? ["PodSecurity"] : messages) {
                assert.ok(answer.includes(message), `${what}: ${answer}`);
            }
        }
        for (const { manifest, path: place } of refusedWorkloads(options)) {
            assert.ok(create(manifest).includes(place), `${manifest.kind} was not refused for ${place}`);
        }
        create(complyingPod(options));
        stack.on(
            "control-plane",
            `${kubectl} --namespace untrusted wait --for condition=Ready pod/complies --timeout 90s`,
        );
        assert.match(stack.on("control-plane", `${kubectl} --namespace untrusted exec complies -- uname -r`), /gvisor/);
        assert.equal(stack.on("control-plane", `${kubectl} --namespace untrusted get pods -o name`), "pod/complies");
        // The policy looks at new pods only: one from before it is found by asking the workers.
        const found =
            "unsandboxed worker-2: the pod early/before: containerd: io.containerd.runc.v2; runsc: 0 running; " +
            "wanted: a sandbox: the namespace early takes sandboxed pods only";
        assert.deepEqual(await problemsOf(stack, 7), [found]);
        stack.on("control-plane", `${kubectl} label namespace early runtime-sandboxes/untrusted-`);
        assert.deepEqual(await problemsOf(stack, 7), [found], "without its label, too");
        stack.configure({ mandatory: {}, egress: {} });
        await stack.run(["up"]);
        assert.deepEqual(await problemsOf(stack, 0), []);
        assert.equal(
            stack.on(
                "control-plane",
                `${kubectl} get networkpolicies,daemonsets -A -o name | grep -v -e flannel -e kube-proxy || true`,
            ),
            "",
        );
        stack.on("control-plane", `${kubectl} delete runtimeclass plain`);
        stack.on("control-plane", `${kubectl} delete namespace early`);
        assert.doesNotMatch(stack.on("control-plane", `${kubectl} get namespaces -o name`), /untrusted/);
    });

    it("machines that are down come back as they were", async () => {
        const key = stack.on("worker-1", "cat /etc/ssh/ssh_host_ed25519_key.pub");
        process.kill(stack.pid("worker-2"), "SIGKILL");
        assert.deepEqual(await problemsOf(stack, 9), [
            "unseen worker-2: worker-2 cannot be asked for its pods: the machine is down",
        ]);
        for (const machine of ["control-plane", "worker-1"]) {
            process.kill(stack.pid(machine), "SIGKILL");
        }
        await stack.run(["up"]);
        assert.equal(stack.on("worker-1", "cat /etc/ssh/ssh_host_ed25519_key.pub"), key);
        await stack.run(["check"]);
        assert.deepEqual(await plan(stack), []);
    });

    it("a new join ticket leaves its worker in the cluster as it is", async () => {
        const running = stack.on("control-plane", "kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -o name");
        await stack.run(["up", "--replace", "**worker-2-ticket"]);
        assert.equal(
            stack.on("control-plane", "kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -o name"),
            running,
        );
        assert.deepEqual(await plan(stack), []);
        await stack.run(["check"]);
    });

    it("drift is in the plan with the restart that it takes, and is repaired after a drain", async () => {
        stack.configure({ drain: "true" });
        await stack.run(["up"]);
        assert.deepEqual(await plan(stack), []);
        stack.on("worker-1", "echo '# mine' >>/etc/containerd/conf.d/50-runtime-sandboxes.toml");
        const differs = "worker-1: /etc/containerd/conf.d/50-runtime-sandboxes.toml is not as wanted";
        assert.ok((await stack.run(["drift"], 3)).includes(`  ${differs}\n`));
        const preview = await stack.run(["preview"]);
        assert.ok(preview.includes(`drifted: ${differs}\n`), preview);
        assert.ok(preview.includes(`containerd restarts on ${differs}\n`), preview);
        assert.doesNotMatch(preview, /(Command|Pod) worker-2-|restarts on worker-2/);
        const up = await stack.run(["up", "--verbose"]);
        assert.match(up, /worker-1-maintenance-drain[\s\S]*worker-1 is drained[\s\S]*worker-1 takes pods again/);
        assert.doesNotMatch(up, /worker-2 is drained/);
        await stack.run(["drift"]);
        assert.deepEqual(await plan(stack), []);
    });

    it("a change that fails leaves a node cordoned, which drift says, and going back gives it back", async () => {
        const unschedulable = () =>
            stack.on(
                "control-plane",
                "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes -o jsonpath='{.items[?(@.spec.unschedulable)].metadata.name}'",
            );
        const missing = { gvisorArchive: "file:///nowhere.tar", gvisorArchiveSha512: "0".repeat(128) };
        // Another way to install is another shim to start.
        stack.configure({ ...missing, gvisorVersion: "20260905.0", overrides: { "worker-2": { sandbox: false } } });
        const preview = await stack.run(["preview"]);
        assert.match(preview, /^containerd restarts on worker-1: configuration [0-9a-f]+ -> [0-9a-f]+$/m);
        const failed = await stack.run(["up"], 1);
        assert.match(failed, /cannot fetch file:\/\/\/nowhere\.tar/);
        assert.equal(unschedulable(), "worker-1");
        assert.match(
            await stack.run(["drift"], 3),
            /^ {2}Node worker-1: it is cordoned, by an `up` that did not come/m,
        );
        stack.configure({ gvisorArchive: "", gvisorArchiveSha512: "", gvisorVersion: "", overrides: {} });
        await stack.run(["up"]);
        assert.equal(unschedulable(), "");
        await stack.run(["drift"]);
        assert.deepEqual(await plan(stack), []);
        stack.configure({ drain: "false" });
        await stack.run(["up"]);
        assert.deepEqual(await plan(stack), []);
    });

    it("a sandbox that would not start any more is found by drift and check, with the reason", async () => {
        // test-2 runs on: what it needs is in memory.
        const sentry = "/usr/bin/gvisor-bin/gvisor_sentry";
        stack.on(
            "worker-1",
            `cp -p ${sentry} /root/kept; printf '#!/bin/sh\nexit 3\n' >${sentry}.x; chmod 755 ${sentry}.x; touch -r ${sentry} ${sentry}.x; mv ${sentry}.x ${sentry}`,
        );
        const told = await stack.run(["drift"], 3);
        assert.match(told, /^ {2}worker-1: no new pod of class sandboxed starts: /m);
        assert.match(await stack.run(["check", "--live"], 1), /no new sandbox starts on worker-1 .*class sandboxed/);
        await stack.run(["up"]);
        await stack.run(["drift"]);
        await stack.run(["check", "--live"]);
        const pods = "kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -l runtime-sandboxes/canary -o name";
        assert.equal(stack.on("control-plane", pods), "");
    });

    it("a pod that fell back to runc is found on the worker that did it, whatever it says of itself", async () => {
        const { runtimeClass } = await stack.outputs<{ runtimeClass: string }>();
        await findFallenBack(stack, "worker-2", runtimeClass);
    });

    it("workers and handlers come and go without touching others, whatever their names sort before", async () => {
        const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
        const uids = () =>
            stack.on(
                "control-plane",
                `${kubectl} get pods/test-1 pods/test-2 runtimeclasses/sandboxed -o jsonpath='{.items[*].metadata.uid}'`,
            );
        const leaving = stack.on("worker-2", "hostname -I");
        stack.configure({ overrides: {}, runtimeClass: "sandboxed" });
        await stack.run(["up"]);
        const then = uids();
        stack.configure({ workers: "alpha,worker-1", handlers: { debug: {}, runsc: {} } });
        await stack.run(["up"]);
        await stack.run(["check"]);
        const nodes = stack.on("control-plane", `${kubectl} get nodes -o name`);
        assert.deepEqual(nodes.split("\n").sort(), ["node/alpha", "node/control-plane", "node/worker-1"]);
        assert.notEqual(stack.on("alpha", "hostname -I"), leaving);
        const { handlers } = await stack.outputs<{ handlers: Record<string, string> }>();
        assert.deepEqual(handlers, { debug: "debug", runsc: "sandboxed" });
        assert.match(then, /^\S+ \S+ \S+$/);
        // A handler more is another configuration of the worker's runtime, which test-2 is to show.
        const [plain, , runtimeClass] = then.split(" ");
        const [plainNow, , runtimeClassNow] = uids().split(" ");
        assert.deepEqual([plainNow, runtimeClassNow], [plain, runtimeClass]);
        stack.configure({ workers: "alpha", handlers: {} });
        await stack.run(["up"]);
        await stack.run(["check"]);
    });

    it("no machine has written to what all share", () => {
        const image = path.dirname(fs.realpathSync(path.join(stack.files, "machines", "control-plane", "image")));
        const last = path.join(image, "containerd/io.containerd.metadata.v1.bolt/meta.db");
        const written = spawnSync("find", [path.join(image, "shared"), "-type", "f", "-newer", last], {
            encoding: "utf8",
        });
        assert.deepEqual([written.status, written.stdout], [0, ""]);
    });

    it("destroy leaves nothing", async () => {
        await stack.run(["destroy"]);
        nothingLeft();
    });
});
