import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { root, TestStack, traces } from "./stack";

const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
const workers = ["worker-1", "worker-2"] as const;
const example = path.join(root, "examples/use-the-components");
const page = path.join(root, "docs/use-the-components.md");

/** A pod of the class without a node: the scheduler finds one. */
const sandboxed = JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "sandboxed" },
    spec: {
        runtimeClassName: "gvisor",
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "nginx", image: "docker.io/library/nginx:1.28", imagePullPolicy: "IfNotPresent" }],
    },
});

describe("the components in another program, on a cluster made elsewhere", function () {
    this.timeout(580_000);
    const theirs = new TestStack("e2e-other", {
        workers: "2",
        bridge: "sbxe2e4",
        addressRange: "10.86.0.0/24",
        sources: "mirror",
        runtimeClass: "theirs",
        overrides: { "worker-1": { sandbox: false }, "worker-2": { sandbox: false } },
    });
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "components-"));
    const leftBefore = traces("sbxe2e4", theirs.files);
    const config = path.join(scratch, "Pulumi.dev.yaml");

    /** Runs Pulumi on the stack "dev" of the example, with state and settings in a directory of their own. */
    function pulumi(args: string[], cwd = example): Promise<{ code: number; text: string }> {
        const home = path.join(root, ".cache/pulumi-home");
        const tools = [path.join(root, ".cache/bin"), path.join(root, "node_modules/.bin"), process.env.PATH];
        const env = {
            ...process.env,
            PATH: tools.join(path.delimiter),
            PULUMI_BACKEND_URL: `file://${scratch}`,
            PULUMI_CONFIG_PASSPHRASE: "test",
            PULUMI_SKIP_UPDATE_CHECK: "true",
            ...(fs.existsSync(home) ? { PULUMI_HOME: home, PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" } : {}),
        };
        const all = ["--non-interactive", "--color=never", "--stack", "dev", ...args];
        const child = spawn("pulumi", all, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
        let text = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (part: string) => {
                text += part;
            });
        }
        return new Promise((resolve) => child.on("close", (code) => resolve({ code: code ?? 1, text })));
    }

    /** Fails, with all it printed, unless Pulumi succeeds. */
    async function succeed(...args: string[]): Promise<string> {
        const { code, text } = await pulumi(args);
        assert.equal(code, 0, text);
        return text;
    }

    const known = (machine: string) =>
        fs
            .readFileSync(path.join(theirs.files, "machines", machine, "known_hosts"), "utf8")
            .trim()
            .split(" ");

    async function configure(machines: Record<string, string>): Promise<void> {
        const secrets = {
            kubeconfig: theirs.on("control-plane", "cat /etc/kubernetes/admin.conf"),
            privateKey: fs.readFileSync(path.join(theirs.files, "id_ed25519"), "utf8"),
        };
        const reach = Object.entries(machines).flatMap(([name, machine]) => {
            const [host, ...key] = known(machine);
            return [
                [`workers.${name}.host`, host],
                [`workers.${name}.hostKey`, key.slice(0, 2).join(" ")],
            ];
        });
        const settings = {
            ...Object.fromEntries(reach),
            "sources.mirror": "file:///srv/mirror",
            "sources.mirrorFingerprint": fs.readFileSync(path.join(root, ".cache/mirror/fingerprint"), "utf8").trim(),
        };
        const flags = (flag: string, values: object) =>
            Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${value}`]);
        const all = [...flags("--secret", secrets), ...flags("--plaintext", settings)];
        await succeed("config", "set-all", "--path", "--config-file", config, ...all);
    }

    before(async () => {
        await theirs.run(["setup", "--for", "up"]);
        // Not the project's `up`: that wants something to be proven.
        await theirs.pulumi("stack", "select", "--create", theirs.name);
        await theirs.pulumi("up", "--yes", "--skip-preview");
    });

    after(async () => {
        await theirs.remove();
        fs.rmSync(scratch, { recursive: true });
        assert.deepEqual(traces("sbxe2e4", theirs.files), leftBefore);
    });

    it("are shown on the page as they are run here", () => {
        const text = fs.readFileSync(page, "utf8");
        const [, shown] = /```ts\n([\s\S]*?)```/.exec(text) ?? [];
        assert.equal(shown, fs.readFileSync(path.join(example, "index.ts"), "utf8"));
    });

    it("refuse a machine that is another node, with their words, before anything is changed", async () => {
        // Where it leaves its settings.
        fs.cpSync(path.join(example, "Pulumi.yaml"), path.join(scratch, "Pulumi.yaml"));
        const { code: made, text: words } = await pulumi(["stack", "init", "--no-select"], scratch);
        assert.equal(made, 0, words);
        await configure({ "worker-1": "worker-2" });
        const { code, text } = await pulumi(["up", "--yes", "--skip-preview", "--config-file", config]);
        assert.notEqual(code, 0);
        assert.match(text, /the machine that worker-1 is reached at is the node worker-2/);
        assert.equal(theirs.on("worker-2", "command -v runsc || echo none"), "none");
    });

    it("put gVisor on the workers, and a pod of the class behind it", async () => {
        await configure({ "worker-1": "worker-1", "worker-2": "worker-2" });
        await succeed("up", "--yes", "--skip-preview", "--config-file", config);
        const outputs = JSON.parse(await succeed("stack", "output", "--json")) as object;
        assert.deepEqual(outputs, {
            runtimeClass: "gvisor",
            gvisor: workers.map((name) => ({
                name,
                runsc: theirs.on(name, "runsc --version | sed -n 's/^runsc version //p'"),
                handlers: ["runc", "runsc"],
            })),
        });
        theirs.on("control-plane", `${kubectl} apply -f - <<'JSON'\n${sandboxed}\nJSON`);
        theirs.on("control-plane", `${kubectl} wait --for condition=Ready pod/sandboxed --timeout 90s`);
        assert.match(theirs.on("control-plane", `${kubectl} exec sandboxed -- dmesg`), /Starting gVisor/);
    });

    it("have nothing to do after that, and no path of this computer in the state", async () => {
        await succeed("preview", "--expect-no-changes", "--config-file", config);
        assert.equal((await succeed("stack", "export")).includes(root), false);
    });

    it("take away what they have put there, and nothing else", async () => {
        theirs.on("control-plane", `${kubectl} delete pod sandboxed`);
        await succeed("destroy", "--yes", "--skip-preview", "--config-file", config);
        for (const worker of workers) {
            assert.equal(theirs.on(worker, "command -v runsc || echo none"), "none");
            assert.equal(theirs.on(worker, "systemctl is-active containerd kubelet"), "active\nactive");
        }
        assert.equal(
            theirs.on("control-plane", `${kubectl} get runtimeclass -o name`),
            "runtimeclass.node.k8s.io/theirs",
        );
    });
});
