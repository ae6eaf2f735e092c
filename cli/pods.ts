// @ts-nocheck
// `check --pods`: every pod of a stack's machines, by their own word, against what the cluster says that it asked for.
import { join } from "node:path";
import { downMachines } from "./drift.ts";
import { toolEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import { moduleBin } from "./project.ts";
import { capture } from "./run.ts";
import { setting } from "./settings.ts";
import { recordedMachines, resourcesOf } from "./state.ts";

/** Seconds for which a busy containerd may be late to see that a container has ended. */
const patience = 30;

/**
 * What the last update has made mandatory where, whatever the cluster holds by now. In the mode "audit" nothing is.
 *
 * @returns { label: { key, value }, namespaces, classes } or undefined; namespaces are those that it gave the label
 */
export function mandatoryIn(resources) {
    const of = (type) =>
        resources.filter((one) => !one.leaving && one.type.startsWith("kubernetes:") && one.type.endsWith(type));
    const binding = of(":ValidatingAdmissionPolicyBinding").find(({ inputs }) =>
        inputs.spec.validationActions.includes("Deny"),
    );
    const labels = Object.entries(binding?.inputs.spec.matchResources.namespaceSelector.matchLabels ?? {});
    if (labels.length !== 1) {
        return undefined;
    }
    const [[key, value]] = labels;
    const policy = of(":ValidatingAdmissionPolicy").find(
        ({ inputs }) => inputs.metadata.name === binding.inputs.spec.policyName,
    );
    // components/admission/admission.ts writes the classes as a list of strings, which CEL and JSON write alike.
    const rule = policy?.inputs.spec.variables.find(({ name }) => name === "runtimeClassName")?.expression ?? "";
    return {
        label: { key, value },
        namespaces: [...of(":Namespace"), ...of(":NamespacePatch")]
            .filter(({ inputs }) => inputs.metadata.labels?.[key] === value)
            .map(({ inputs }) => inputs.metadata.name),
        classes: JSON.parse(/ in (\[[^\]]*\])/.exec(rule)?.[1] ?? "[]"),
    };
}

/** Ids of vulnerabilities that somebody lives with, by machine: those of the last update, and those of the settings. */
function acceptedOn(names, stack, workers) {
    const settings = setting(stack, "acceptVulnerabilities").split(",");
    const recorded = (name) => workers[name]?.vulnerabilities?.filter((one) => one.accepted).map(({ id }) => id);
    return Object.fromEntries(
        names.map((name) => [name, [...settings.map((id) => id.trim()), ...(recorded(name) ?? [])]]),
    );
}

/**
 * Asks each machine of a stack, in one SSH round, for all pods that run there.
 *
 * @param outputs of the stack
 * @param selector of labels; empty for all pods
 * @param allowReplaced whether a sandbox may run a gVisor that has been replaced
 * @returns { asked, selector, machines: [{ worker, seconds, pods, error }], pods: rows as judge.ts gives them, refused: why nobody
 * could be asked, problems: [{ kind, worker, message }] }
 */
export async function lookAtPods(stack, pulumi, outputs, { selector = "", allowReplaced = false } = {}) {
    const resources = await resourcesOf(stack, pulumi);
    const machines = recordedMachines(resources);
    const provider = resources.find(({ type }) => type === "pulumi:providers:kubernetes");
    const all = { selector, machines: [], pods: [] };
    const told = (found) => ({ ...all, ...found, problems: problemsIn({ ...all, ...found }) });
    if (machines.length === 0 || provider === undefined) {
        return told({
            refused: `the state of stack ${stack} does not say how to reach its machines; run \`npm run up\``,
        });
    }
    const input = JSON.stringify({
        kubeconfig: provider.inputs.kubeconfig,
        selector,
        machines,
        down: downMachines(stack),
        wanted: {
            handlers: outputs.handlers ?? {},
            mandatory: mandatoryIn(resources),
            accepted: acceptedOn(
                machines.map(({ name }) => name),
                stack,
                outputs.workers,
            ),
            allowReplaced,
        },
        patience,
    });
    const script = join("cli", "pods", "look.ts");
    const { code, stdout, stderr } = await capture(join(moduleBin, "node"), [script], {
        input,
        limit: 240_000,
        env: toolEnvironment(),
    });
    if (code !== 0) {
        return told({ refused: stderr.trim().split("\n").pop() });
    }
    const found = JSON.parse(stdout);
    if (found.refused !== undefined && found.selector) {
        throw new Failure(`--pods is "${selector}", which is no selector of labels: ${found.refused}`, {
            exitCode: 2,
            next: "write one as kubectl takes it, for example app=web,tier!=test",
        });
    }
    return told(found);
}

/** What is wrong with a pod, in one sentence. */
const sentence = ({ namespace, name }, { seen, wanted }) => `the pod ${namespace}/${name}: ${seen}; wanted: ${wanted}`;

/** What is wrong with pods, and what could not be looked at. */
function problemsIn({ refused, selector, machines, pods }) {
    if (refused !== undefined) {
        return [{ kind: "unseen", message: `no pod could be looked at: ${refused}` }];
    }
    const silent = machines.filter(({ error }) => error !== undefined);
    const none = pods.length === 0 && silent.length === 0;
    const what = selector === "" ? "no pod runs" : `no pod that runs has the labels ${selector}`;
    return [
        ...pods.flatMap((pod) =>
            pod.flaws.map((flaw) => ({ kind: flaw.kind, worker: pod.worker, message: sentence(pod, flaw) })),
        ),
        ...silent.map(({ worker, error }) => ({
            kind: "unseen",
            worker,
            message: `${worker} cannot be asked for its pods: ${error}`,
        })),
        ...(none ? [{ kind: "unseen", message: `${what}, so nothing was looked at` }] : []),
    ];
}
