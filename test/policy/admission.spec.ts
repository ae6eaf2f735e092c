import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as k8s from "@pulumi/kubernetes";
import { SandboxPolicy, type SandboxPolicyArgs } from "../../components/admission/sandboxPolicy";
import { complyingPod, type Manifest, refusedPods, refusedWorkloads } from "../e2e/policyPods";
import { eventually } from "../helpers/eventually";
import { record } from "../helpers/mocks";
import { useCluster } from "../plugins/kubernetes-api";

const cache = process.env.CACHE_DIR ?? path.resolve(__dirname, "../../.cache");
const programs = path.join(process.env.MIRROR_BUILD_DIR ?? path.join(cache, "mirror-build"), "parts/kubernetes");
const kubectlFile = path.join(programs, "kubectl");

/** The namespace that the component marks, one that is marked by hand, and one that is not marked. */
const made = "policy-made";
const marked = "policy-marked";
const trusted = "policy-trusted";
const label = { "runtime-sandboxes/untrusted": "true" };
const classes = ["policy-sandbox", "policy-sandbox-kvm"];
const plainClass = "policy-plain";
const image = "example.com/any:1";

/** The objects that the component makes. */
async function objects(args: Partial<SandboxPolicyArgs>): Promise<Manifest[]> {
    const mocks = { project: "runtime-sandboxes", stack: "mocked", provide: () => ({}) };
    const [, resources] = await record(mocks, async () => {
        const provider = new k8s.Provider("cluster", { kubeconfig: "" });
        new SandboxPolicy("policy", { classes, provider, ...args });
    });
    return resources.filter(({ type }) => /^kubernetes:/.test(type)).map(({ inputs }) => inputs as unknown as Manifest);
}

describe("mandatory sandboxes on a real API server", function () {
    this.timeout(300_000);
    const cluster = useCluster();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "policy-"));
    const kubeconfig = path.join(folder, "kubeconfig");

    /** Runs kubectl as its user does. @returns what it wrote, whatever it ended with */
    async function kubectl(input: object, ...args: string[]): Promise<{ code: number | null; text: string }> {
        const child = spawn(kubectlFile, ["--kubeconfig", kubeconfig, "--cache-dir", folder, ...args]);
        let text = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (part: string) => {
                text += part;
            });
        }
        child.stdin.end(JSON.stringify(input));
        return { code: await new Promise((resolve) => child.on("close", resolve)), text };
    }
    const create = (manifest: object, ...flags: string[]) => kubectl(manifest, "create", "-f", "-", ...flags);
    const attempt = (manifest: object) => create(manifest, "--dry-run=server");

    async function apply(...manifests: readonly object[]): Promise<void> {
        for (const manifest of manifests) {
            const { code, text } = await kubectl(manifest, "apply", "-f", "-", "--server-side", "--force-conflicts");
            assert.equal(code, 0, text);
        }
    }

    async function admitted(manifest: object): Promise<string> {
        const { code, text } = await attempt(manifest);
        assert.equal(code, 0, text);
        return text;
    }

    async function refused(manifest: object, messages: readonly string[]): Promise<void> {
        const { code, text } = await attempt(manifest);
        assert.equal(code, 1, text);
        for (const message of messages) {
            assert.ok(text.includes(message), `"${message}" is not in: ${text}`);
        }
    }

    const options = (namespace: string) => ({ namespace, sandboxClass: classes[0] ?? "", plainClass, image });
    const write = 'write one of "policy-sandbox", "policy-sandbox-kvm"';

    before(async () => {
        assert.ok(fs.existsSync(kubectlFile), `${kubectlFile} is not built; build the mirror: npm run mirror -- build`);
        fs.writeFileSync(kubeconfig, cluster.current.kubeconfig, { mode: 0o600 });
        for (const [name, handler] of [...classes.map((one) => [one, "runsc"]), [plainClass, "runc"]]) {
            await apply({ apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name }, handler });
        }
        for (const [name, labels] of [[marked, label] as const, [trusted, {}] as const]) {
            await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
        }
        // One that was there before the policy.
        await cluster.current.account(marked);
        await apply({
            ...complyingPod(options(marked), "older"),
            spec: { containers: [{ name: "main", image }], terminationGracePeriodSeconds: 1 },
        });
        await apply(...(await objects({ namespaces: [made] })));
        await cluster.current.account(made);
        await eventually("the policy to be in force", async () => {
            const { code } = await attempt(refusedPods(options(marked))[0]?.manifest ?? {});
            return code === 1;
        });
    });

    after(async () => {
        await kubectl({}, "delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "runtime-sandboxes");
        fs.rmSync(folder, { recursive: true, force: true });
    });

    it("has no mistake in its types", async () => {
        const controller = spawn(
            path.join(programs, "kube-controller-manager"),
            [
                ...["--kubeconfig", kubeconfig, "--controllers=validatingadmissionpolicy-status-controller"],
                ...["--leader-elect=false", "--secure-port=0"],
            ],
            { cwd: folder, stdio: "ignore" },
        );
        const ended = new Promise((resolve) => controller.once("exit", resolve));
        try {
            await eventually("the policy to be checked", async () => {
                const target = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/runtime-sandboxes";
                const { status } = (await cluster.current.get(target)) as { status?: Record<string, unknown> };
                assert.deepEqual(status?.typeChecking ?? {}, {});
                return status?.observedGeneration !== undefined;
            });
        } finally {
            controller.kill("SIGTERM");
            await ended;
        }
    });

    it("admits a pod that complies, of each class", async () => {
        for (const sandboxClass of classes) {
            for (const namespace of [made, marked]) {
                await admitted(complyingPod({ ...options(namespace), sandboxClass }));
            }
        }
    });

    for (const { what, manifest, messages, restricted } of refusedPods(options(marked))) {
        it(`refuses ${what}`, async () => {
            await refused(
                manifest,
                messages.map((message) => message.replace('write "policy-sandbox"', write)),
            );
            const there = { ...manifest, metadata: { ...manifest.metadata, namespace: made } };
            await refused(there, [restricted ? 'violates PodSecurity "restricted:latest"' : "must be sandboxed"]);
            // The same pod is nobody's business elsewhere.
            await admitted({ ...manifest, metadata: { ...manifest.metadata, namespace: trusted } });
        });
    }

    for (const { manifest, path: where } of refusedWorkloads(options(marked))) {
        it(`refuses a ${manifest.kind} whose pods would be refused`, async () => {
            await refused(manifest, [`${where}.runtimeClassName is not set: ${write}`]);
        });
    }

    it("refuses a privileged container that is added to a pod that runs", async () => {
        const pod = complyingPod(options(marked), "debugged");
        await create(pod);
        const add = async (securityContext: object) => {
            const ephemeralContainers = [{ name: "debugger", image, securityContext }];
            const patch = JSON.stringify({ spec: { ephemeralContainers } });
            return await kubectl(
                {},
                ...["patch", "pod", "debugged", "-n", marked, "--subresource=ephemeralcontainers", "--patch", patch],
            );
        };
        const { code, text } = await add({ privileged: true });
        assert.equal(code, 1, text);
        assert.match(text, /spec\.ephemeralContainers\[debugger\]\.securityContext\.privileged is true: leave it out/);
        assert.equal((await add({})).code, 0);
    });

    it("leaves alone, and lets go, what was there before", async () => {
        const change = ["label", "pod", "older", "-n", marked, "seen=yes"];
        assert.equal((await kubectl({}, ...change)).code, 0);
        const { code, text } = await kubectl({}, "delete", "pod", "older", "-n", marked, "--now");
        assert.equal(code, 0, text);
    });

    it("lets a workload that was there before be scaled down, not rolled out again", async () => {
        const deployment = refusedWorkloads(options(trusted)).find(({ manifest }) => manifest.kind === "Deployment");
        await apply(deployment?.manifest ?? {});
        await kubectl({}, "label", "namespace", trusted, "runtime-sandboxes/untrusted=true");
        await eventually("the namespace to count as untrusted", async () => {
            return (await attempt(refusedPods(options(trusted))[0]?.manifest ?? {})).code === 1;
        });
        const name = deployment?.manifest.metadata.name ?? "";
        const change = (patch: object) =>
            kubectl({}, "patch", "deployment", name, "-n", trusted, "--patch", JSON.stringify(patch));
        const scaled = await change({ spec: { replicas: 0 } });
        assert.equal(scaled.code, 0, scaled.text);
        const again = { template: { metadata: { annotations: { again: "yes" } } } };
        const { code, text } = await change({ spec: again });
        assert.equal(code, 1, text);
        assert.match(text, /spec\.template\.spec\.runtimeClassName is not set/);
        await kubectl({}, "label", "namespace", trusted, "runtime-sandboxes/untrusted-");
    });

    it("only warns in audit mode, which can come first", async () => {
        const [first] = refusedPods(options(made));
        await apply(...(await objects({ namespaces: [made], mode: "audit" })));
        const { text: labels } = await kubectl({}, "get", "namespace", made, "-o", "jsonpath={.metadata.labels}");
        assert.match(labels, /"pod-security\.kubernetes\.io\/warn":"restricted"/);
        assert.doesNotMatch(labels, /pod-security\.kubernetes\.io\/enforce/);
        let said = "";
        await eventually("the pod to be admitted", async () => {
            const { code, text } = await attempt(first?.manifest ?? {});
            said = text;
            return code === 0;
        });
        assert.match(said, /^Warning: .*must be sandboxed: spec\.runtimeClassName is not set: write one of/m);
        const hostNetwork = refusedPods(options(made)).find(({ what }) => what === "hostNetwork");
        assert.match(await admitted(hostNetwork?.manifest ?? {}), /^Warning: would violate PodSecurity "restricted:/m);

        await apply(...(await objects({ namespaces: [made] })));
        await eventually("the pod to be refused", async () => (await attempt(first?.manifest ?? {})).code === 1);
    });
});
