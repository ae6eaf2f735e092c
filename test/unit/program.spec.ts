import assert from "node:assert/strict";
import { publicFacts } from "../../components/gvisor/publicFacts";
import { known, type Vulnerability } from "../../components/vulnerabilities.cjs";
import { configSha256, gvisorDmesg, kernels, nodeFacts, provenFacts, refusedDmesg, secrets } from "../helpers/canned";
import type { Recorded } from "../helpers/mocks";
import { onExisting, type ProgramRun, runProgram } from "../helpers/program";

/** The tree as text: a line for each resource, children below their parent, in the order of their names. */
function tree(resources: readonly Recorded[], parent?: Recorded, indent = ""): string {
    return resources
        .filter((one) => one.parent === parent)
        .sort((a, b) => (`${a.name} ${a.type}` < `${b.name} ${b.type}` ? -1 : 1))
        .map((one) => `${indent}${one.name}  ${one.type}\n${tree(resources, one, `${indent}  `)}`)
        .join("");
}

const clusterTree = `\
cluster  runtime-sandboxes:cluster:ControlPlane
  cluster-init  command:remote:Command
  cluster-kubernetes  pulumi:providers:kubernetes
  cluster-node  runtime-sandboxes:cluster:NodePreparation
    cluster-node-step  command:remote:Command
control-plane-scripts  command:local:Command
`;
const targetTree = (workers: readonly string[]) => `\
local  runtime-sandboxes:target:Local
  local-image  command:local:Command
  local-key  command:local:Command
${["control-plane", ...workers]
    .sort()
    .map((name) => `  local-machine-${name}  command:local:Command\n`)
    .join("")}\
  local-network  command:local:Command
  local-sources  command:local:Command
`;
const classTree = `\
sandbox-myclass  runtime-sandboxes:workload:SandboxClass
  sandbox-myclass-runtimeclass  kubernetes:node.k8s.io/v1:RuntimeClass
`;
const workerTree = (name: string) => `\
${name}  runtime-sandboxes:worker:SandboxNode
  ${name}-label  kubernetes:core/v1:NodePatch
  ${name}-ready  command:remote:Command
${name}  runtime-sandboxes:worker:Worker
  ${name}-join  command:remote:Command
  ${name}-membership  command:remote:Command
  ${name}-ticket  command:remote:Command
${name}-attacks  runtime-sandboxes:probe:Attacks
  ${name}-attacks-pods  command:local:Command
${name}-canary  runtime-sandboxes:probe:Canary
  ${name}-canary-pods  command:local:Command
${name}-drain-for-removal  command:local:Command
${name}-node  runtime-sandboxes:cluster:NodePreparation
  ${name}-node-step  command:remote:Command
${name}-probe  runtime-sandboxes:probe:IsolationProbe
  ${name}-probe-host  command:remote:Command
  ${name}-probe-pods  command:local:Command
${name}-runtime  runtime-sandboxes:sandbox:SandboxRuntime
  ${name}-runtime-facts  command:remote:Command
  ${name}-runtime-install  command:remote:Command
  ${name}-runtime-look  command:remote:Command
${name}-scripts  command:local:Command
${name}-surface  runtime-sandboxes:probe:Surface
  ${name}-surface-pods  command:local:Command
${name}-test-1  runtime-sandboxes:workload:TestPod
  ${name}-test-1-pod  kubernetes:core/v1:Pod
${name}-test-2  runtime-sandboxes:workload:TestPod
  ${name}-test-2-pod  kubernetes:core/v1:Pod
`;

/** All that must be there before this resource is made. */
function waitsFor(resource: Recorded, found = new Set<string>()): Set<string> {
    for (const one of [...resource.dependencies, ...(resource.provider ? [resource.provider] : [])]) {
        if (!found.has(one.name)) {
            found.add(one.name);
            waitsFor(one, found);
        }
    }
    return found;
}

/** Names of the resources that another run would update. */
function changed(before: ProgramRun, after: ProgramRun): string[] {
    const inputs = (run: ProgramRun) => new Map(run.resources.map((one) => [one.name, JSON.stringify(one.inputs)]));
    const then = inputs(before);
    return [...inputs(after)].flatMap(([name, now]) => (then.get(name) === now ? [] : [name])).sort();
}

/** What a run warns of. */
async function warningsOf<T>(run: () => Promise<T>): Promise<[T, string[]]> {
    const warnings: string[] = [];
    const { warn } = console;
    console.warn = (text: string) => void warnings.push(text);
    try {
        return [await run(), warnings];
    } finally {
        console.warn = warn;
    }
}

const workerNames = ["alpha", "beta", "gamma"];

describe("the program", () => {
    let one: ProgramRun;
    let three: ProgramRun;
    before(async () => {
        one = await runProgram();
        three = await runProgram({ workers: workerNames });
    });

    describe("tree", () => {
        it("with one worker is exactly this", () => {
            const expected = clusterTree + targetTree(["worker-1"]) + classTree + workerTree("worker-1");
            assert.equal(tree(one.resources), expected);
            assert.equal(one.resources.length, 43);
        });

        it("with three workers has the same once more for each", () => {
            const [alpha, beta, gamma] = workerNames.map(workerTree);
            assert.equal(
                tree(three.resources),
                `${alpha}${beta}${clusterTree}${gamma}${targetTree(workerNames)}${classTree}`,
            );
            assert.equal(three.resources.length, 43 + 2 * 29);
        });

        it("is the same in the preview of a new stack, when nothing is known", async () => {
            const preview = await runProgram({ preview: true });
            assert.equal(tree(preview.resources), tree(one.resources));
        });

        it("gives each child a name that starts with its component's", () => {
            for (const { name, parent, custom } of three.resources) {
                // What is brought to a machine is for all components that have steps there.
                const free = !custom || /-(scripts|drain-for-removal)$/.test(name);
                assert.ok(parent ? name.startsWith(`${parent.name}-`) : free, `${name} below ${parent?.name}`);
            }
        });

        it("gives each component a token of the project, an area and a class", () => {
            for (const { type, custom } of three.resources.filter((resource) => !resource.custom)) {
                assert.match(type, /^runtime-sandboxes:[a-z]+:[A-Z][A-Za-z]+$/, `${type} ${custom}`);
            }
        });
    });

    // Else an update would make it once more, and then take away what it has just made.
    it("takes over each resource of a stack of version 0.1.0", () => {
        const places = one.resources.flatMap((resource) => resource.places);
        const early = `
            target:Local command:local:Command local-base
            target:Local command:local:Command local-key
            target:Local command:local:Command local-machine-control-plane
            target:Local command:local:Command local-machine-worker-1
            target:Local command:local:Command local-network
            target:Local command:local:Command local-sources
            cluster:ControlPlane command:remote:Command cluster-init
            cluster:ControlPlane pulumi:providers:kubernetes cluster-kubernetes
            cluster:NodePreparation command:remote:Command cluster-node-step
            cluster:NodePreparation command:remote:Command worker-1-node-step
            workload:SandboxClass kubernetes:node.k8s.io/v1:RuntimeClass sandbox-runtimeclass
            sandbox:SandboxRuntime command:remote:Command worker-1-runtime-install
            worker:Worker command:remote:Command worker-1-ticket
            worker:Worker command:remote:Command worker-1-membership
            worker:Worker command:remote:Command worker-1-join
            worker:Worker command:remote:Command worker-1-ready
            worker:Worker kubernetes:core/v1:NodePatch worker-1-label
            workload:TestPod kubernetes:core/v1:Pod worker-1-test-1-pod
            workload:TestPod kubernetes:core/v1:Pod worker-1-test-2-pod
            probe:IsolationProbe command:local:Command worker-1-probe-pods
            probe:IsolationProbe command:remote:Command worker-1-probe-host`;
        const made = early
            .trim()
            .split(/\n\s*/)
            .map((line) => `runtime-sandboxes:${line}`);
        assert.deepEqual(
            made.filter((each) => !places.includes(each)),
            [],
        );
    });

    describe("order", () => {
        it("starts canaries again for whatever was done on a worker", async () => {
            const look = { differences: ["runsc is missing"], restart: [], at: "later" };
            const again = await runProgram({ stdout: { "worker-1-runtime-look": look } });
            assert.deepEqual(changed(one, again), [
                "worker-1-attacks-pods",
                "worker-1-canary-pods",
                "worker-1-runtime-install",
                "worker-1-surface-pods",
            ]);
        });

        it("makes each thing after what it stands on", () => {
            for (const [later, ...earlier] of [
                ["local-image", "local-network", "local-key", "local-sources"],
                ["local-machine-alpha", "local-image"],
                ["cluster-init", "cluster-node-step"],
                // A restart of containerd would disturb pods, and they may come as soon as the node has joined.
                ["alpha-runtime-facts", "alpha-node-step"],
                ["alpha-runtime-look", "alpha-runtime-facts", "alpha-node-step"],
                ["alpha-runtime-install", "alpha-runtime-look"],
                ["alpha-join", "alpha-membership", "alpha-runtime-install", "alpha-ticket", "cluster-init"],
                ["alpha-ready", "alpha-join"],
                ["alpha-label", "alpha-ready"],
                ["alpha-test-1-pod", "alpha-ready"],
                ["alpha-test-2-pod", "alpha-label", "sandbox-myclass-runtimeclass"],
                ["alpha-canary-pods", "alpha-label", "sandbox-myclass-runtimeclass"],
                ["alpha-attacks-pods", "alpha-label", "sandbox-myclass-runtimeclass"],
                // What is at work on the worker would be measured, too.
                ["alpha-surface-pods", "alpha-label", "alpha-canary-pods", "alpha-attacks-pods"],
                ["alpha-probe-pods", "alpha-test-1-pod", "alpha-test-2-pod", "alpha-runtime-install"],
                ["alpha-probe-host", "alpha-test-1-pod", "alpha-test-2-pod", "alpha-runtime-install"],
            ] as const) {
                const found = waitsFor(three.get(later));
                const missing = earlier.filter((name) => !found.has(name));
                assert.deepEqual(missing, [], `${later} must wait for these`);
            }
        });

        it("makes the RuntimeClass before any worker, and no worker waits for another", () => {
            assert.deepEqual(
                [...waitsFor(three.get("sandbox-myclass-runtimeclass"))].filter((name) =>
                    /alpha|beta|gamma/.test(name),
                ),
                [],
            );
            for (const { name } of three.resources.filter((one) => one.custom && one.name.startsWith("beta"))) {
                const others = [...waitsFor(three.get(name))].filter((other) => /alpha|gamma/.test(other));
                assert.deepEqual(others, [], `${name} waits for another worker`);
            }
        });
    });

    describe("identity", () => {
        it("comes from names: a worker that comes or goes touches nothing of another, whatever the order", async () => {
            for (const workers of [
                ["alpha", "worker-1"],
                ["worker-1", "zeta"],
                ["zeta", "worker-1", "alpha"],
            ]) {
                const now = await runProgram({ workers });
                // Here no machine is on disk, so addresses change with the order, and with them what runs on machines;
                // local.spec.ts has those that stay.
                const objects = new Set(
                    now.resources.flatMap(({ type, name }) => (/^kubernetes:/.test(type) ? name : [])),
                );
                const touched = changed(one, now).filter((name) => objects.has(name) && !/alpha|zeta/.test(name));
                assert.deepEqual(touched, [], workers.join());
            }
        });

        it("comes from names: a handler that comes touches neither class nor pods of another", async () => {
            for (const handlers of [
                { debug: {}, runsc: {} },
                { runsc: {}, zdebug: {} },
            ]) {
                const now = await runProgram({ settings: { handlers: JSON.stringify(handlers) } });
                const touched = changed(one, now).filter((name) => !/^sandbox-z?debug/.test(name));
                assert.deepEqual(touched, [
                    "worker-1-attacks-pods",
                    ...["worker-1-canary-pods", "worker-1-label", "worker-1-ready", "worker-1-runtime-install"],
                    ...["worker-1-runtime-look", "worker-1-surface-pods"],
                ]);
                assert.equal(now.outputs.runtimeClass?.value, "myclass");
            }
        });

        it("of the default handler is a setting: it alone moves the class of the setting and test-2", async () => {
            const settings = { handlers: JSON.stringify({ debug: {}, runsc: {} }), defaultHandler: "debug" };
            const now = await runProgram({ settings });
            const classes = now.resources.filter(({ type }) => type.endsWith(":RuntimeClass"));
            assert.deepEqual(
                classes.map(({ inputs }) => [(inputs.metadata as { name: string }).name, inputs.handler]).sort(),
                [
                    ["myclass", "debug"],
                    ["runsc", "runsc"],
                ],
            );
            // The pod of a class that has got another handler is another pod.
            assert.ok(changed(one, now).includes("worker-1-test-2-pod"));
        });
    });

    it("asks the sources for no gVisor that comes as an archive: a mirror need not hold it", async () => {
        const asked = async (settings: Record<string, string>) =>
            (await runProgram({ settings })).resources
                .filter(({ name }) => /^local-(sources|gvisor)$/.test(name))
                .map(({ name }) => name);
        const archive = { gvisorArchive: "file:///a.tar", gvisorArchiveSha512: "0".repeat(128) };
        assert.deepEqual(await asked({ ...archive, gvisorVersion: "20261116.0" }), ["local-sources"]);
    });

    describe("workers that are in use", () => {
        let run: ProgramRun;
        before(async () => {
            const emptied = workerNames.flatMap((name) => [
                ...["give-back", "drain-for-packages", "drain", "uncordon"].map((one) => [
                    `${name}-maintenance-${one}`,
                    "",
                ]),
                [`${name}-node-look`, { restart: ["containerd.io 2.3.6-1 becomes 2.3.7-1"], at: "now" }],
            ]);
            run = await runProgram({
                workers: workerNames,
                settings: { drain: "true", maxUnavailable: "1" },
                stdout: Object.fromEntries(emptied),
            });
        });

        it("are changed one after the other, their packages too, and after the proof of the one before", () => {
            for (const step of ["node-look", "node-step", "runtime-facts", "runtime-look", "runtime-install"]) {
                assert.ok(waitsFor(run.get(`beta-${step}`)).has("alpha-maintenance-uncordon"), step);
                assert.ok(waitsFor(run.get(`beta-${step}`)).has("alpha-canary-pods"), step);
                assert.ok(waitsFor(run.get(`beta-${step}`)).has("alpha-attacks-pods"), step);
                assert.ok(waitsFor(run.get(`beta-${step}`)).has("alpha-proven"), step);
            }
            const { stdin } = run.get("alpha-proven").inputs;
            assert.deepEqual(JSON.parse(String(stdin)), { worker: "alpha", failed: [] });
        });

        it("follow the canaries, which are proven before; what nobody waits for is no step", async () => {
            const { host } = provenFacts();
            const { get, resources } = await runProgram({
                workers: ["alpha", "beta", "gamma", "delta"],
                settings: { canary: "gamma,beta", maxUnavailable: "2" },
            });
            const ofOthers = (worker: string) =>
                [...waitsFor(get(`${worker}-runtime-install`))].filter((name) => name.endsWith("-proven"));
            assert.deepEqual(["beta", "gamma"].map(ofOthers), [[], []]);
            for (const worker of ["alpha", "delta"]) {
                assert.deepEqual(ofOthers(worker).sort(), ["beta-proven", "gamma-proven"], worker);
            }
            const unproven = await runProgram({
                workers: workerNames,
                settings: { maxUnavailable: "1" },
                stdout: { "beta-probe-host": { ...host, pods: { ...host.pods, "test-2": host.pods["test-1"] } } },
            });
            const { failed } = JSON.parse(String(unproven.get("beta-proven").inputs.stdin));
            assert.match(failed[0], /^the worker runs test-2 with runsc: /);
            const gates = resources.map(({ name }) => name).filter((name) => name.endsWith("-proven"));
            assert.deepEqual(gates.sort(), ["beta-proven", "gamma-proven"]);
        });

        it("are changed in their turn also where they have no sandbox", async () => {
            const steps = Object.fromEntries(
                ["give-back", "drain-for-packages", "uncordon"].map((one) => [`alpha-plain-maintenance-${one}`, ""]),
            );
            const { get } = await runProgram({
                workers: ["alpha", "beta"],
                settings: {
                    ...{ drain: "true", maxUnavailable: "1" },
                    overrides: JSON.stringify({ alpha: { sandbox: false }, beta: { sandbox: false } }),
                },
                stdout: {
                    ...steps,
                    ...Object.fromEntries(Object.keys(steps).map((name) => [name.replace("alpha", "beta"), ""])),
                    "alpha-node-look": { restart: [], at: "now" },
                    "beta-node-look": { restart: [], at: "now" },
                },
            });
            assert.ok(waitsFor(get("alpha-node-step")).has("alpha-plain-maintenance-drain-for-packages"));
            assert.ok(waitsFor(get("beta-node-look")).has("alpha-plain-maintenance-uncordon"));
            assert.ok(waitsFor(get("alpha-plain-maintenance-uncordon")).has("alpha-join"));
        });

        it("are all examined before the first is changed", async () => {
            const machines = workerNames.map((name, index) => [
                name,
                { host: `10.0.0.${index + 4}`, hostKey: "ssh-ed25519 AAAA" },
            ]);
            const settings = onExisting({ workers: Object.fromEntries(machines) });
            const ids = Object.fromEntries(workerNames.map((name) => [`cluster-${name}-id`, name]));
            const stdout = { ...ids, "cluster-nodes": {} };
            const { get } = await runProgram({ workers: workerNames, settings, stdout });
            for (const name of workerNames) {
                assert.deepEqual(
                    [...waitsFor(get(`${name}-runtime-facts`))].filter((one) => /proven|examined/.test(one)),
                    [],
                );
                assert.ok(waitsFor(get(`${name}-runtime-look`)).has("workers-examined"));
            }
        });

        it("keep the stack's own pods, also by the names that version 0.1.0 gave those of its first worker", () => {
            for (const drain of ["drain-for-packages", "drain"]) {
                const { keep } = JSON.parse(String(run.get(`alpha-maintenance-${drain}`).inputs.stdin));
                assert.deepEqual(
                    keep,
                    ["test-1-alpha", "test-2-alpha", "limits-alpha", "test-1", "test-2"].map((pod) => `default/${pod}`),
                );
            }
        });

        it("are emptied before another containerd comes, and before it is configured otherwise", () => {
            const packages = run.get("alpha-maintenance-drain-for-packages");
            assert.deepEqual(packages.inputs.triggers, ["containerd.io 2.3.6-1 becomes 2.3.7-1 (now)"]);
            assert.ok(waitsFor(packages).has("alpha-node-look"));
            assert.ok(waitsFor(run.get("alpha-maintenance-drain")).has("alpha-runtime-look"));
            assert.ok(waitsFor(run.get("alpha-node-step")).has(packages.name));
            assert.ok(waitsFor(run.get("alpha-runtime-install")).has("alpha-maintenance-drain"));
            for (const drain of [packages.name, "alpha-maintenance-drain"]) {
                assert.ok(waitsFor(run.get("alpha-maintenance-uncordon")).has(drain), drain);
            }
        });

        it("are emptied before gVisor is taken away, once their labels are gone, and one after the other", () => {
            // What waits for another goes away before it.
            const order = [
                ...["beta-label", "beta-drain-for-removal", "beta-runtime-install"],
                ...["beta-maintenance-give-back", "alpha-maintenance-uncordon", "alpha-label"],
                ...["alpha-drain-for-removal", "alpha-runtime-install", "alpha-maintenance-give-back"],
            ];
            for (const [index, name] of order.slice(1).entries()) {
                assert.ok(waitsFor(run.get(order[index] ?? "")).has(name), `${order[index]} before ${name}`);
            }
        });
    });

    describe("what runs a step again", () => {
        it("is nothing while nothing has changed", async () => {
            assert.deepEqual(changed(one, await runProgram()), []);
        });

        it("is nothing of what is taken over after a run that was cut off", async () => {
            process.env.PULUMI_K8S_UPSERT_EXISTING_OBJECTS = "true";
            assert.deepEqual(changed(one, await runProgram()), []);
        });

        it("is another pod: it is looked at again", async () => {
            const after = await runProgram({ uids: { "worker-1-test-2-pod": "another" } });
            assert.deepEqual(changed(one, after), ["worker-1-probe-host", "worker-1-probe-pods"]);
        });

        it("is another version or configuration of the runtime: node and pods are looked at again", async () => {
            const evidence = { runsc: "release-20261116.0", handlers: [], configSha256, survivors: [] };
            const same = await runProgram({ stdout: { "worker-1-runtime-install": evidence } });
            assert.deepEqual(changed(one, same), []);
            const version = await runProgram({ stdout: { "worker-1-runtime-install": { ...evidence, runsc: "new" } } });
            assert.deepEqual(changed(one, version), [
                "worker-1-probe-host",
                "worker-1-probe-pods",
                "worker-1-test-2-pod",
            ]);
            const config = await runProgram({
                stdout: { "worker-1-runtime-install": { ...evidence, configSha256: "new" } },
            });
            assert.deepEqual(changed(one, config), [
                "worker-1-attacks-pods",
                "worker-1-canary-pods",
                "worker-1-probe-host",
                "worker-1-probe-pods",
                "worker-1-ready",
                "worker-1-surface-pods",
                "worker-1-test-2-pod",
            ]);
        });

        it("is another machine under the name: each step on it, and a new ticket, and nothing elsewhere", async () => {
            const beta = { address: "10.77.0.12", port: 22, user: "root", hostKey: "ssh-ed25519 AAAAbeta" };
            const after = await runProgram({
                workers: workerNames,
                stdout: { "local-machine-beta": { ...beta, identity: "another" } },
            });
            assert.deepEqual(changed(three, after), [
                "beta-attacks-pods",
                "beta-canary-pods",
                "beta-join",
                "beta-node-step",
                "beta-probe-host",
                "beta-probe-pods",
                "beta-ready",
                "beta-runtime-facts",
                "beta-runtime-install",
                "beta-runtime-look",
                "beta-scripts",
                "beta-surface-pods",
                "beta-ticket",
            ]);
        });
    });

    describe("stack outputs", () => {
        it("are exactly these, and only kubeconfig is a secret", () => {
            const secretness = Object.entries(one.outputs).map(([name, { secret }]) => [name, secret]);
            assert.deepEqual(Object.fromEntries(secretness), {
                runtimeClass: false,
                uname: false,
                dmesg: false,
                isolation: false,
                workers: false,
                handlers: false,
                limits: false,
                attacks: false,
                surface: false,
                reachable: false,
                kubeconfig: true,
            });
            assert.equal(one.outputs.kubeconfig?.value, secrets.kubeconfig);
            const open = JSON.stringify({ ...one.outputs, kubeconfig: undefined });
            for (const secret of Object.values(secrets)) {
                assert.ok(!open.includes(JSON.stringify(secret).slice(1, -1)), "an open output holds a secret");
            }
        });

        it("have an entry for each worker, in the shape of the contract", () => {
            const each = <T>(entry: (worker: string, index: number) => T) =>
                Object.fromEntries(workerNames.map((worker, index) => [worker, entry(worker, index)]));
            const value = (name: string) => three.outputs[name]?.value;
            assert.equal(value("runtimeClass"), "myclass");
            assert.deepEqual(
                value("uname"),
                each(() => ({ worker: kernels.worker, "test-1": kernels.worker, "test-2": kernels.sandbox })),
            );
            assert.deepEqual(
                value("dmesg"),
                each(() => ({ "test-1": refusedDmesg, "test-2": gvisorDmesg })),
            );
            assert.deepEqual(
                value("workers"),
                each((_, index) => ({
                    address: `10.77.0.${11 + index}`,
                    os: "Debian GNU/Linux 12 (bookworm)",
                    kernel: kernels.worker,
                    containerd: "v2.3.7",
                    runsc: "release-20261116.0",
                    handlers: ["runc", "runsc"],
                    configSha256,
                    survivors: [],
                    vulnerabilities: [],
                    facts: publicFacts(nodeFacts()),
                    evidence: {
                        declared: {
                            sha256: configSha256,
                            handlers: ["runsc"],
                            options: { runsc: { platform: "systrap" } },
                        },
                        loaded: ["runsc"],
                        serving: ["runsc"],
                    },
                })),
            );
        });

        it("name what is known against each worker, and the plan warns of it unless it is accepted", async () => {
            const facts = nodeFacts();
            const old = {
                "alpha-runtime-facts": { ...facts, runc: "1.1.5+ds1", kubelet: "1.29.0" },
                "beta-runtime-facts": { ...facts, runc: "" },
                "gamma-runtime-install": {
                    ...{ os: "o", kernel: "k", handlers: [], configSha256, survivors: [] },
                    ...{ containerd: "v2.2.9", runsc: "release-20260122.0" },
                },
            };
            const accepted = known.filter(({ component }) => ["gvisor", "kubernetes"].includes(component));
            const settings = { acceptVulnerabilities: accepted.map(({ id }) => id).join(",") };
            const [run, warnings] = await warningsOf(() => runProgram({ workers: workerNames, stdout: old, settings }));
            const workers = run.outputs.workers?.value as Record<string, { vulnerabilities: Vulnerability[] }>;
            const found = (worker: string) =>
                (workers[worker]?.vulnerabilities ?? []).map(
                    (one) => `${one.component} ${one.version} ${one.accepted}`,
                );
            assert.deepEqual([...new Set(found("alpha"))], ["runc 1.1.5+ds1 false", "kubernetes 1.29.0 true"]);
            assert.deepEqual(found("beta"), []);
            assert.deepEqual([...new Set(found("gamma"))].sort(), [
                "containerd v2.2.9 false",
                "gvisor release-20260122.0 true",
            ]);
            const [warning = "", ...more] = warnings;
            assert.deepEqual(more, []);
            assert.match(
                warning,
                /alpha has known vulnerabilities: runc 1\.1\.5\+ds1 has [^;]*CVE-2025-31133[^;]*, fixed in \S+\. /,
            );
            assert.match(warning, /A distribution may have fixed them without a new version number/);

            const [, none] = await warningsOf(() => runProgram());
            assert.deepEqual(none, []);
            const [, early] = await warningsOf(() =>
                runProgram({ stdout: { "worker-1-runtime-facts": { ...facts, runc: undefined, kubelet: undefined } } }),
            );
            assert.deepEqual(early, [], "facts of an earlier release of this program");
        });

        it("say for each worker by itself whether it is proven", async () => {
            const { host } = provenFacts();
            host.pods["test-2"] = host.pods["test-1"];
            const run = await runProgram({ workers: workerNames, stdout: { "beta-probe-host": host } });
            const isolation = run.outputs.isolation?.value as Record<string, { proven: boolean; checks: object[] }>;
            const proven = Object.entries(isolation).map(([worker, verdict]) => [worker, verdict.proven]);
            assert.deepEqual(Object.fromEntries(proven), { alpha: true, beta: false, gamma: true });
            for (const check of Object.values(isolation).flatMap(({ checks }) => checks)) {
                assert.deepEqual(Object.keys(check), ["name", "passed", "detail"]);
            }
        });
    });
});
