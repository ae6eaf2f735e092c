/** Pods that are not where they should be, and what `check --pods` makes of them. */
import assert from "node:assert/strict";
import type { TestStack } from "./stack";

const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
const dropIn = "/etc/containerd/conf.d/50-runtime-sandboxes.toml";

interface Placed {
    readonly name: string;
    readonly node: string;
    readonly namespace?: string;
    readonly runtimeClassName?: string;
}

/** Starts a pod that says of itself, in every way that it has, that it is in a sandbox. */
export function startFaking(stack: TestStack, { name, node, namespace = "default", runtimeClassName }: Placed): void {
    const lie = [
        "printf '#!/bin/sh\\necho 4.19.0-gvisor\\n' >/bin/uname",
        'printf \'#!/bin/sh\\necho "[    0.000000] Starting gVisor..."\\necho "[    2.000000] Ready!"\\n\' >/bin/dmesg',
        "exec -a 'runsc-sandbox --platform=systrap boot' sleep infinity",
    ];
    const labels = { faking: name, "io.kubernetes.pod.uid": "another", "runtime-sandboxes/test-pod": "none" };
    const annotations = { "io.kubernetes.cri.runtime-handler": "runsc", "kubernetes.io/config.hash": "another" };
    const pod = {
        ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace, labels, annotations } },
        spec: {
            ...{ nodeName: node, runtimeClassName, terminationGracePeriodSeconds: 0 },
            containers: [
                {
                    ...{ name, image: "docker.io/library/nginx:1.28", imagePullPolicy: "IfNotPresent" },
                    command: ["bash", "-c", lie.join("; ")],
                },
            ],
        },
    };
    stack.on("control-plane", `${kubectl} create -f - <<'JSON'\n${JSON.stringify(pod)}\nJSON`);
    stack.on("control-plane", `${kubectl} -n ${namespace} wait --for condition=Ready pod/${name} --timeout 90s`);
    assert.match(stack.on("control-plane", `${kubectl} -n ${namespace} exec ${name} -- uname -r`), /gvisor/);
}

interface Told {
    readonly problems: readonly { readonly kind: string; readonly worker: string; readonly message: string }[];
    readonly pods: { readonly machines: readonly { readonly worker: string; readonly pods: number }[] };
}

/** What `check --pods` says is wrong, as "KIND WORKER: MESSAGE". */
export async function problemsOf(stack: TestStack, code: number, ...args: string[]): Promise<string[]> {
    const text = await stack.run(["check", "--pods", ...args, "--json"], code);
    const told = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1)) as Told;
    return told.problems.map(({ kind, worker, message }) => `${kind} ${worker}: ${message}`);
}

/** Somebody has the handler of a worker start runc: what asks for the class gets no sandbox there, and nothing says so. */
export async function findFallenBack(stack: TestStack, worker: string, runtimeClassName: string): Promise<void> {
    const problem =
        `unsandboxed ${worker}: the pod default/fell-back: containerd: io.containerd.runc.v2; runsc: 0 running; ` +
        `wanted: a sandbox: it asks for the class ${runtimeClassName}`;
    assert.deepEqual(await problemsOf(stack, 0), []);
    stack.on(worker, `sed -i 's/runsc\\.v1"$/runc.v2"/; /options]/,$d' ${dropIn}; systemctl restart containerd`);
    startFaking(stack, { name: "fell-back", node: worker, runtimeClassName });
    assert.deepEqual(await problemsOf(stack, 7), [problem]);
    assert.deepEqual(await problemsOf(stack, 7, "faking=fell-back"), [problem]);
    assert.deepEqual(await problemsOf(stack, 9, "faking=none"), [
        "unseen undefined: no pod that runs has the labels faking=none, so nothing was looked at",
    ]);
    assert.match(await stack.run(["check", "--pods", "=="], 2), /--pods is "==", which is not a label selector/);
    // What is put right again holds for new pods only.
    await stack.run(["up"]);
    assert.deepEqual(await problemsOf(stack, 7), [problem]);
    stack.on("control-plane", `${kubectl} delete pod fell-back`);
    assert.deepEqual(await problemsOf(stack, 0), []);
}
