import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { nameOf } from "../../components/machineScripts";
import type { Facts, HostFacts, PodFacts } from "../../components/proof/verdict";
import { renderStep } from "../../components/remoteStep";
import { resultIn } from "../../components/step.cjs";
import { root, type TestStack } from "./stack";

type Values = Readonly<Record<string, unknown>>;

/** A remote step as the stack's state holds it: what is run where, and what it said. */
interface RecordedStep {
    readonly machine: string;
    readonly stdin: string;
    readonly call: string;
    readonly said: string;
}

/** The remote steps of the stack. */
export function recordedSteps(stack: TestStack): RecordedStep[] {
    const exported = spawnSync("node", ["cli/bootstrap.mjs", "pulumi", "--", "stack", "export", "--show-secrets"], {
        cwd: root,
        env: { ...process.env, STACK: stack.name, CI: "true" },
        encoding: "utf8",
        maxBuffer: 1 << 28,
    }).stdout;
    const { deployment } = JSON.parse(exported.slice(exported.indexOf("{"))) as {
        deployment: { resources: { urn: string; type: string; inputs: Values; outputs: Values }[] };
    };
    const plain = (value: unknown): unknown =>
        value !== null && typeof value === "object" && "plaintext" in value
            ? JSON.parse(String((value as { plaintext: string }).plaintext))
            : value;
    return deployment.resources
        .filter(({ type }) => type === "command:remote:Command")
        .map(({ urn, inputs, outputs }) => {
            const stdin = String(plain(inputs.stdin));
            const connection = plain(inputs.connection) as Record<string, unknown>;
            const host = String(plain(connection.host));
            const machine = fs
                .readdirSync(path.join(stack.files, "machines"))
                .find((name) =>
                    fs
                        .readFileSync(path.join(stack.files, "machines", name, "known_hosts"), "utf8")
                        .startsWith(`${host} `),
                );
            assert.ok(machine, `no machine of ${urn} at ${host}`);
            return { machine, stdin, call: String(plain(inputs.create)), said: String(plain(outputs.stderr)) };
        });
}

/** What preparing its nodes said, by machine. */
export function saidByPreparation(stack: TestStack): Record<string, string> {
    const steps = recordedSteps(stack).filter(({ stdin }) => stdin.includes(nameOf("node/prepare-node.sh")));
    return Object.fromEntries(steps.map(({ machine, said }) => [machine, said]));
}

/** Facts of worker-1 with a pod in place of test-2 that runs on runc and lies about its kernel. */
export async function factsWithFake(stack: TestStack): Promise<Facts> {
    const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
    const outputs = await stack.pulumi("stack", "output", "--json", "--show-secrets");
    const { kubeconfig } = JSON.parse(outputs.slice(outputs.indexOf("{"), outputs.lastIndexOf("}") + 1)) as {
        kubeconfig: string;
    };
    const lie = [
        "printf '#!/bin/sh\\necho 4.19.0-gvisor\\n' >/bin/uname",
        'printf \'#!/bin/sh\\necho "[    0.000000] Starting gVisor..."\\necho "[    2.000000] Ready!"\\n\' >/bin/dmesg',
        "exec sleep 600",
    ].join("; ");
    const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "fake" },
        spec: {
            nodeName: "worker-1",
            terminationGracePeriodSeconds: 0,
            containers: [
                {
                    name: "fake",
                    image: JSON.parse(fs.readFileSync(path.join(root, "versions.json"), "utf8")).nginx.image.replace(
                        /@.*/,
                        "",
                    ),
                    imagePullPolicy: "IfNotPresent",
                    command: ["sh", "-c", lie],
                },
            ],
        },
    };
    const send = (text: string, command: string) => stack.on("control-plane", `${command} <<'JSON'\n${text}\nJSON`);
    send(JSON.stringify(pod), `${kubectl} apply -f -`);
    try {
        stack.on("control-plane", `${kubectl} wait --for condition=Ready pod/fake --timeout 60s`);
        const uid = (name: string) =>
            stack.on("control-plane", `${kubectl} get pod ${name} -o jsonpath={.metadata.uid}`);
        const uids = { "test-1": uid("test-1"), "test-2": uid("fake") };
        const inside = spawnSync("node", ["scripts/on-host.mjs", "pod-facts"], {
            cwd: root,
            encoding: "utf8",
            input: JSON.stringify({
                kubeconfig,
                pods: {
                    "test-1": { namespace: "default", name: "test-1", uid: uids["test-1"] },
                    "test-2": { namespace: "default", name: "fake", uid: uids["test-2"] },
                },
            }),
        });
        assert.equal(inside.status, 0, inside.stderr);
        const script = renderStep("probe/host-facts.sh", "test", {
            PODS: `test-1 ${uids["test-1"]}\ntest-2 ${uids["test-2"]}`,
        });
        const host = stack.on("worker-1", `bash -s -- install <<'SCRIPT'\n${script}\nSCRIPT`);
        return {
            pods: JSON.parse(inside.stdout) as Record<"test-1" | "test-2", PodFacts>,
            host: JSON.parse(resultIn(host)) as HostFacts,
        };
    } finally {
        stack.on("control-plane", `${kubectl} delete pod fake --wait=false`);
    }
}
