// A stack that the commit which CHANGELOG.md calls 0.1.0 has made is taken over by this one, as by `git pull`: new files in
// the same directory, over the same state, keys and machines.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { plan, root, TestStack, traces } from "./stack";

const early = "416be4c";
const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
const directory = path.join(root, ".cache", "upgrade");
const cache = path.join(directory, ".cache");
const versionsFile = path.join(directory, "versions.json");
const machines = ["control-plane", "worker-1"];
const counters = ["plain", "sandboxed"];
const kept = [".cache", ".local", ".pulumi", "Pulumi.e2e-upgrade.yaml"];

type Versions = Readonly<Record<string, Record<string, string>>>;
const versionsOf = (file: string) => JSON.parse(fs.readFileSync(file, "utf8")) as Versions;
const pinned = versionsOf(path.join(root, "versions.json"));
const containerd = pinned.containerd?.version;
const kubernetes = pinned.kubernetes?.version ?? "";
const image = pinned.nginx?.image?.replace(/@.*/, "");

/** Runs a shell command in this repository. */
const shell = (command: string) => execFileSync("bash", ["-c", `set -o pipefail; ${command}`], { cwd: root });

/** Gives the directory the files of a version, and what is not kept goes. */
function put(archive: string): void {
    for (const name of fs.existsSync(directory) ? fs.readdirSync(directory) : []) {
        if (!kept.includes(name)) {
            fs.rmSync(path.join(directory, name), { recursive: true });
        }
    }
    fs.mkdirSync(directory, { recursive: true });
    shell(`${archive} | tar -x -C '${directory}'`);
}

function pin(change: Versions): void {
    fs.writeFileSync(versionsFile, JSON.stringify({ ...versionsOf(versionsFile), ...change }));
}

/** Lets the mirror have the images of today's Kubernetes under other names too, those of then and those of a later one. */
function nameImages(suffixes: readonly string[]): void {
    const mirror = path.join(cache, "mirror");
    const file = path.join(mirror, "index.json");
    const index = JSON.parse(fs.readFileSync(file, "utf8")) as { files: Record<string, object | undefined> };
    for (const role of ["control-plane", "worker"]) {
        const today = `images/${role}-${kubernetes}.tar`;
        for (const other of suffixes.map((suffix) => `images/${role}${suffix}.tar`)) {
            fs.linkSync(path.join(mirror, today), path.join(mirror, other));
            index.files[other] = index.files[today];
        }
    }
    // The files are links to those of the mirror itself.
    fs.rmSync(file);
    fs.rmSync(`${file}.asc`);
    fs.writeFileSync(file, `${JSON.stringify(index, null, 2)}\n`);
    shell(`source mirror/lib.sh; source mirror/repository.sh; with_key sign_index '${mirror}'`);
}

/** Counts, in a pod that nobody would create again. */
const counter = (name: string, runtimeClassName?: string) =>
    JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name },
        spec: {
            runtimeClassName,
            nodeName: "worker-1",
            restartPolicy: "Never",
            terminationGracePeriodSeconds: 0,
            containers: [
                {
                    name,
                    image,
                    imagePullPolicy: "IfNotPresent",
                    command: ["sh", "-c", "n=0; while :; do n=$((n + 1)); echo $n >/tmp/count; sleep 0.1; done"],
                },
            ],
        },
    });

describe("a stack of version 0.1.0", function () {
    this.timeout(900_000);
    const bridge = "sbxe2e5";
    const leftBefore = traces(bridge, path.join(directory, ".local", "e2e-upgrade"));
    const later = kubernetes.replace(/\d+$/, "99");
    const older = { containerdVersion: "2.2.9", gvisorVersion: "20260824.0" };
    let stack: TestStack;
    let then: Record<string, unknown>;
    let counts: readonly number[];

    const control = (command: string) => stack.on("control-plane", `${kubectl} ${command}`);
    const counted = () => counters.map((pod) => Number(control(`exec ${pod} -- cat /tmp/count`)));
    const containerds = () =>
        machines.map((machine) =>
            stack.on(machine, "ctr version | awk '/^Server/ { on = 1 } on && /Version/ { print $2 }'"),
        );
    /** What an update must leave as it is. */
    const lasting = () => ({
        machines: machines.map((name) => stack.pid(name)),
        cluster: control("get namespace kube-system -o jsonpath={.metadata.uid}"),
        node: control("get node worker-1 -o jsonpath='{.metadata.uid} {.status.nodeInfo.kubeletVersion}'"),
        pods: counters.map((pod) =>
            control(`get pod ${pod} -o jsonpath='{.metadata.uid} {.status.containerStatuses[0].containerID}'`),
        ),
        sandbox: stack.on("worker-1", "pgrep -f '^runsc-sandbox .*default_sandboxed_'"),
    });

    before(async () => {
        if (spawnSync("git", ["cat-file", "-e", `${early}^{commit}`], { cwd: root }).status !== 0) {
            throw new Error(
                `this clone has no commit ${early}, which made version 0.1.0, so the way from there cannot be tested. ` +
                    "Run: git fetch --unshallow (in GitHub's workflows fetch-depth: 0 of actions/checkout)",
            );
        }
        // A `pulumi` that a user has is not built once more.
        const { pulumi } = JSON.parse(fs.readFileSync(path.join(root, ".cache", "toolchain.json"), "utf8"));
        const env = { ...process.env, PATH: `${path.dirname(fs.realpathSync(pulumi))}:${process.env.PATH}` };
        const place = { directory, within: [], env };
        if (fs.existsSync(path.join(directory, ".local", "e2e-upgrade"))) {
            // A run that was killed has left its machines.
            await new TestStack("e2e-upgrade", {}, place).run(["destroy"]);
        }
        fs.rmSync(directory, { recursive: true, force: true });
        put(`git archive ${early}`);
        // It takes what today's mirror has: its Kubernetes, its images, and older releases of all else.
        const tag = (image = "") => image.replace(/@.*/, "");
        const { flannel = {}, nginx = {} } = pinned;
        pin({
            kubernetes: { ...versionsOf(versionsFile).kubernetes, version: kubernetes },
            flannel: { ...flannel, image: tag(flannel.image), cniPluginImage: tag(flannel.cniPluginImage) },
            nginx: { image: tag(nginx.image) },
        });
        shell(`mkdir '${cache}' && cp -al .cache/base .cache/mirror '${cache}'`);
        nameImages(["", `-${later}`]);
        const mirrorFingerprint = fs.readFileSync(path.join(root, ".cache", "mirror", "fingerprint"), "utf8").trim();
        stack = new TestStack(
            "e2e-upgrade",
            {
                ...{ bridge, addressRange: "10.87.0.0/24", sources: "mirror" },
                ...{ mirror: "file:///srv/mirror", mirrorFingerprint, ...older },
            },
            place,
        );
    });

    after(async () => {
        await stack?.remove();
        fs.rmSync(directory, { recursive: true, force: true });
    });

    it("is made, and gets pods of its user", async () => {
        await stack.run(["up"]);
        for (const manifest of [counter("plain"), counter("sandboxed", "myclass")]) {
            control(`apply -f - <<'JSON'\n${manifest}\nJSON`);
        }
        control("wait --for condition=Ready pod plain sandboxed --timeout 90s");
        then = lasting();
        assert.deepEqual(containerds(), ["v2.2.9", "v2.2.9"]);
    });

    it("is previewed by this version, which says what happens and changes nothing", async () => {
        put("git ls-files -coz --exclude-standard | tar --null --files-from=- --ignore-failed-read -c");
        shell(`cp -al node_modules '${directory}'`);
        pin({ kubernetes: { ...pinned.kubernetes, version: later } });
        stack.configure({ containerdVersion: "", gvisorVersion: "" });
        const text = await stack.run(["preview"]);
        for (const machine of machines) {
            assert.match(
                text,
                new RegExp(`^containerd restarts on ${machine}: package 2.2.9-\\S+ -> ${containerd}$`, "m"),
            );
        }
        const stays = `Kubernetes ${kubernetes} stays on control-plane, worker-1: nodes in use keep theirs, a new stack gets ${later}`;
        assert.ok(text.includes(stays), text);
        // While the kubeconfig is not known, a plan says of the test pods no more than that they change.
        const steps = await plan(stack);
        assert.deepEqual(
            steps.filter((step) => !step.startsWith("update ")),
            [
                // Components, which only hold others.
                "create control-plane-scripts",
                ...["create sandbox-myclass", "create worker-1"],
                ...["create worker-1-attacks", "create worker-1-attacks-pods", "create worker-1-canary"],
                ...["create worker-1-canary-pods", "create worker-1-drain-for-removal"],
                ...["create worker-1-reachable", "create worker-1-reachable-pods"],
                ...["create worker-1-runtime-facts", "create worker-1-runtime-look"],
                ...["create worker-1-scripts", "delete sandbox"],
            ],
        );
        assert.match(await stack.run(["drift"], 3), /worker-1: an earlier version of this program has set it up/);
        assert.deepEqual(lasting(), then);
        assert.deepEqual(containerds(), ["v2.2.9", "v2.2.9"]);
        counts = counted();
    });

    it("is taken over by up: the machines, the cluster and all pods but the stack's own go on", async () => {
        const text = await stack.run(["up"]);
        assert.match(text, /verdict: PROVEN on every worker/);
        assert.deepEqual(lasting(), then);
        for (const [index, count] of counted().entries()) {
            assert.ok(count > (counts[index] ?? 0), `${counters[index]} counted ${counts[index]}, then ${count}`);
        }
        assert.deepEqual(containerds(), [`v${containerd}`, `v${containerd}`]);
        const { workers } = await stack.outputs<{ workers: Record<string, Record<string, unknown>> }>();
        assert.deepEqual(workers["worker-1"]?.survivors, ["default/sandboxed"]);
        assert.notEqual(workers["worker-1"]?.runsc, "release-20260824.0");
        assert.equal(
            stack.on("worker-1", "ls /etc/containerd/conf.d"),
            "10-kubernetes.toml\n50-runtime-sandboxes.toml",
        );
        // What will be given back is a machine without gVisor: no file of it is kept, and no version of the package.
        const keptFiles = "find /var/lib/runtime-sandboxes/original -type f ! -name '*.absent' ! -name config.toml";
        assert.equal(stack.on("worker-1", `cat /var/lib/runtime-sandboxes/package; ${keptFiles}`), "");
    });

    it("is as any other stack from then on", async () => {
        assert.deepEqual(await plan(stack), []);
        await stack.run(["check"]);
        await stack.run(["drift"]);
        assert.match(await stack.run(["preview"]), /stays on control-plane, worker-1/);
    });

    it("is destroyed, and leaves nothing", async () => {
        await stack.run(["destroy"]);
        assert.deepEqual(traces(bridge, stack.files), leftBefore);
    });
});
