import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { plan, root, TestStack, traces } from "./stack";

describe("runs that are cut off", function () {
    this.timeout(900_000);
    const bridge = "sbxe2e1";
    // Machines of other targets have nothing of what a node needs: here they start like that too.
    const env = { ...process.env, LOCAL_NODE_IMAGE: "no" };
    const settings = { bridge, addressRange: "10.79.0.0/24", sources: "mirror" };
    const stack = new TestStack("e2e-cut", settings, { directory: root, within: [], env });
    const before = traces(bridge, stack.files);

    after(async () => {
        await stack.remove();
    });

    /** Runs `up` until this shows. */
    async function upUntil(when: RegExp): Promise<ReturnType<TestStack["start"]>> {
        // Pulumi's own lines say when a step begins.
        const started = stack.start("up", "--verbose");
        await new Promise<void>((resolve, reject) => {
            let text = "";
            started.child.stdout?.on("data", (part) => {
                text += String(part);
                if (when.test(text)) {
                    resolve();
                }
            });
            started.child.on("close", () => reject(new Error(`up ended before ${when} showed:\n${text}`)));
        });
        return started;
    }

    /** Runs `up`, and kills it and all that it started, as an operator's machine that dies does, when the text shows. */
    async function cutOff(when: RegExp): Promise<void> {
        const { child, finished } = await upUntil(when);
        process.kill(-(child.pid ?? 0), "SIGKILL");
        await finished;
    }

    it("destroy after a half-done up leaves nothing", async () => {
        await cutOff(/local-machine-worker-1 creat/);
        await stack.run(["destroy"]);
        assert.deepEqual(traces(bridge, stack.files), before);
    });

    /** Kills kubeadm on a machine as soon as it has written a file; the step fails, and so does `up`. */
    async function kubeadmDies(machine: string, step: RegExp, file: string): Promise<void> {
        const { finished } = await upUntil(step);
        stack.on(machine, `timeout 300 bash -c 'until [ -e ${file} ]; do sleep 0.01; done' && pkill -KILL -x kubeadm`);
        const { code, text } = await finished;
        assert.notEqual(code, 0, text);
        assert.match(text, /kubeadm (init|join) failed/);
    }

    const etcd = "/etc/kubernetes/manifests/etcd.yaml";
    const bootstrap = "/etc/kubernetes/bootstrap-kubelet.conf";
    for (const [what, cut] of [
        ["up was killed while it prepared the control plane", () => cutOff(/cluster-node-step creat/)],
        ["kubeadm init died half-way", () => kubeadmDies("control-plane", /cluster-init creat/, etcd)],
        ["up was killed while it made the cluster", () => cutOff(/cluster-init creat/)],
        ["kubeadm join died half-way", () => kubeadmDies("worker-1", /worker-1-join creat/, bootstrap)],
        ["up was killed while a worker joined", () => cutOff(/worker-1-join creat/)],
        ["up was killed while it made a test pod", () => cutOff(/test-2-pod creat/)],
    ] as const) {
        it(`goes on to the next of these after ${what}`, cut);
    }

    it("two at once: the second says so and changes nothing", async () => {
        const first = stack.start("up", "--verbose");
        await new Promise((resolve) => first.child.stdout?.once("data", resolve));
        const second = await stack.start("up").finished;
        assert.notEqual(second.code, 0);
        assert.match(second.text, /running: pid \d+/);
        const { code, text } = await first.finished;
        assert.equal(code, 0, text);
        await stack.run(["check"]);
        assert.deepEqual(await plan(stack), []);
        assert.deepEqual(fs.globSync(path.join(stack.files, "machines", "*", "image")), [], "they had no image");
    });
});
