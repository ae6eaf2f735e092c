// `check --pods`: every pod of a stack's machines, by their own word, against what the cluster says that it asked for.
import { join } from "node:path";
import type {
    KubernetesObject,
    V1ValidatingAdmissionPolicy,
    V1ValidatingAdmissionPolicyBinding,
} from "@kubernetes/client-node";
import type { Outputs } from "../schema/outputs.ts";
import type { Problem } from "./check/problems.ts";
import { downMachines } from "./drift.ts";
import { toolEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import type { Mandatory, PodRow } from "./pods/judge.ts";
import type { Input, Looked } from "./pods/look.ts";
import type { Machine } from "./pods/machine.ts";
import { capture, lastLine, type Pulumi } from "./run.ts";
import { setting } from "./settings.ts";
import { recordedMachines, resourcesOf } from "./state.ts";

/** Seconds for which a busy containerd may be late to see that a container has ended. */
const patience = 30;

/** What is read of a resource in the stack's state. */
interface Resource {
    readonly type: string;
    readonly leaving: boolean;
    readonly inputs: unknown;
}

/** What was found of all pods: as a look gives it, or why there was none. */
export interface PodsFound {
    readonly selector: string;
    /** When all had answered. */
    readonly asked?: string;
    readonly machines: Extract<Looked, { asked: string }>["machines"];
    readonly pods: readonly PodRow[];
    /** Why nobody could be asked. */
    readonly refused?: string;
}

/** What the last update has made mandatory where, whatever the cluster holds by now. In the mode "audit" nothing is. */
export function mandatoryIn(resources: readonly Resource[]): Mandatory | undefined {
    const of = <T>(type: string) =>
        resources
            .filter((one) => !one.leaving && one.type.startsWith("kubernetes:") && one.type.endsWith(type))
            .map(({ inputs }) => inputs as T);
    const binding = of<V1ValidatingAdmissionPolicyBinding>(":ValidatingAdmissionPolicyBinding").find(({ spec }) =>
        spec?.validationActions?.includes("Deny"),
    )?.spec;
    const [label, ...others] = Object.entries(binding?.matchResources?.namespaceSelector?.matchLabels ?? {});
    if (label === undefined || others.length > 0) {
        return undefined;
    }
    const [key, value] = label;
    const policy = of<V1ValidatingAdmissionPolicy>(":ValidatingAdmissionPolicy").find(
        ({ metadata }) => metadata?.name === binding?.policyName,
    );
    // components/admission/admission.ts writes the classes as a list of strings, which CEL and JSON write alike.
    const { expression = "" } = policy?.spec?.variables?.find(({ name }) => name === "runtimeClassName") ?? {};
    return {
        label: { key, value },
        namespaces: [...of<KubernetesObject>(":Namespace"), ...of<KubernetesObject>(":NamespacePatch")].flatMap(
            ({ metadata }) => (metadata?.labels?.[key] === value ? (metadata.name ?? []) : []),
        ),
        classes: JSON.parse(/ in (\[[^\]]*\])/.exec(expression)?.[1] ?? "[]"),
    };
}

/** Ids of accepted vulnerabilities, by machine: those of the last update, and those of the settings. */
function acceptedOn(names: readonly string[], stack: string, workers: Outputs["workers"]): Record<string, string[]> {
    const settings = setting(stack, "acceptVulnerabilities").split(",");
    const recorded = (name: string) => workers[name]?.vulnerabilities?.filter(({ accepted }) => accepted) ?? [];
    return Object.fromEntries(
        names.map((name) => [
            name,
            [...settings.map((id: string) => id.trim()), ...recorded(name).map(({ id }) => id)],
        ]),
    );
}

/**
 * Asks each machine of a stack, in one SSH round, for all pods that run there.
 *
 * @param outputs of the stack
 * @param options.selector of labels; default: all pods
 * @param options.allowReplaced whether a sandbox may run a gVisor that has been replaced. Default: false
 * @throws {Failure} if the selector is none
 */
export async function lookAtPods(
    stack: string,
    pulumi: Pulumi,
    outputs: Outputs,
    { selector = "", allowReplaced }: { readonly selector?: string; readonly allowReplaced?: boolean } = {},
): Promise<PodsFound & { readonly problems: Problem[] }> {
    const resources = await resourcesOf(stack, pulumi);
    const machines = recordedMachines(resources);
    const provider = resources.find(({ type }: Resource) => type === "pulumi:providers:kubernetes");
    const withProblems = (found: Partial<PodsFound>) => {
        const all = { selector, machines: [], pods: [], ...found };
        return { ...all, problems: problemsIn(all) };
    };
    if (machines.length === 0 || provider === undefined) {
        return withProblems({
            refused: `the state of stack ${stack} does not say how to reach its machines; run \`npm run up\``,
        });
    }
    const names = machines.map(({ name }: Machine) => name);
    const { handlers = {}, workers } = outputs;
    const accepted = acceptedOn(names, stack, workers);
    const found = await look({
        kubeconfig: String(provider.inputs.kubeconfig),
        selector,
        machines,
        down: downMachines(stack),
        wanted: { handlers, mandatory: mandatoryIn(resources), accepted, allowReplaced },
        patience,
    });
    if (found.refused !== undefined && found.selector) {
        throw new Failure(`--pods is "${selector}", which is not a label selector: ${found.refused}`, {
            exitCode: 2,
            next: "write one as kubectl takes it, for example app=web,tier!=test",
        });
    }
    return withProblems(found.refused === undefined ? found : { refused: found.refused });
}

/** The look is a process of its own: it is ended where nobody answers. */
async function look(input: Input): Promise<Looked> {
    const { code, stdout, stderr } = await capture(process.execPath, [join("cli", "pods", "look.ts")], {
        input: JSON.stringify(input),
        limit: 240_000,
        env: toolEnvironment(),
    });
    return code === 0 ? (JSON.parse(stdout) as Looked) : { refused: lastLine(stderr), selector: false };
}

/** What is wrong with pods, and what could not be looked at. */
function problemsIn({ refused, selector, machines, pods }: PodsFound): Problem[] {
    if (refused !== undefined) {
        return [{ kind: "unseen", message: `no pod could be looked at: ${refused}` }];
    }
    const silent = machines.filter(({ error }) => error !== undefined);
    const none = pods.length === 0 && silent.length === 0;
    const what = selector === "" ? "no pod runs" : `no pod that runs has the labels ${selector}`;
    return [
        ...pods.flatMap(({ worker, namespace, name, flaws }) =>
            flaws.map(({ kind, seen, wanted }) => ({
                kind,
                worker,
                message: `the pod ${namespace}/${name}: ${seen}; wanted: ${wanted}`,
            })),
        ),
        ...silent.map(({ worker, error }) => ({
            kind: "unseen" as const,
            worker,
            message: `${worker} cannot be asked for its pods: ${error}`,
        })),
        ...(none ? [{ kind: "unseen" as const, message: `${what}, so nothing was looked at` }] : []),
    ];
}
