// Looks into the test pods again, compares what they see now with the outputs, and starts new pods. A process of its own, which
// live.ts ends where a cluster never answers.
//
// stdin:  {"outputs", "kubeconfig": text, "canaries": [{"worker", "stdin": of scripts/on-host/canary.ts}]}; holds secrets
// stdout: [{"kind", "worker", "message"}]
import { text } from "node:stream/consumers";
import { KubeConfig, type V1Node, type V1NodeList, type V1Pod, type V1PodList } from "@kubernetes/client-node";
import evidence from "../../components/evidence.cjs";
import type { Outputs } from "../../schema/outputs.ts";
import { sentence } from "../../scripts/on-host/api.ts";
import { main as startCanaries } from "../../scripts/on-host/canary.ts";
import { main as podFacts } from "../../scripts/on-host/pod-facts.ts";
import { get } from "../apiServer.ts";
import type { Problem } from "./problems.ts";
import { show } from "./schema.ts";

interface Input {
    readonly outputs: Outputs;
    readonly kubeconfig: string;
    readonly canaries: readonly { readonly worker: string; readonly stdin: string }[];
}

const { endsOf, isGvisorLog, mentionsGvisor } = evidence;
const keys = ["test-1", "test-2"] as const;
type Key = (typeof keys)[number];
type Pods = Readonly<Record<Key, V1Pod | undefined>>;
type Facts = Awaited<ReturnType<typeof podFacts>>[string];
/** Of the test pods (components/names.ts). */
const label = "runtime-sandboxes/test-pod";

/** A worker as its outputs have it. */
const recorded = (name: string, { uname, dmesg }: Outputs) => ({ name, uname: uname[name], dmesg: dmesg[name] });
type Recorded = ReturnType<typeof recorded>;

/** The test pods of a worker, by their label. */
function podsOf(worker: string, pods: readonly V1Pod[]): Pods {
    const of = (key: Key) =>
        pods.find(({ metadata, spec }) => spec?.nodeName === worker && metadata?.labels?.[label] === key);
    return { "test-1": of("test-1"), "test-2": of("test-2") };
}

/** What is not in the cluster as the outputs have it. */
function clusterDifferences(
    { name, uname }: Recorded,
    outputs: Outputs,
    node: V1Node | undefined,
    pods: Pods,
): string[] {
    const found: string[] = [];
    const kernel = node?.status?.nodeInfo?.kernelVersion;
    if (kernel !== uname?.worker) {
        found.push(
            `uname.${name}.worker is ${show(uname?.worker)}, ` +
                (kernel === undefined ? "but the cluster has no such node" : `but the node has ${show(kernel)} now`),
        );
    }
    for (const key of keys.filter((one) => pods[one] === undefined)) {
        found.push(`the pod ${key} of ${name} is not in the cluster (node ${name})`);
    }
    const classes = [outputs.runtimeClass, ...Object.values(outputs.handlers ?? {})];
    const { metadata, spec } = pods["test-2"] ?? {};
    const own = spec?.runtimeClassName;
    if (spec && (own === undefined || !classes.includes(own))) {
        found.push(
            `the pod ${metadata?.name} of ${name} has ${own === undefined ? "no runtime class" : `the runtime class ${show(own)}`} now, ` +
                `the outputs name ${classes.map(show).join(", ")}`,
        );
    }
    return found;
}

/** What a pod sees otherwise than the outputs have it. gVisor's log is compared by its first and last line only. */
function podDifferences({ name, uname, dmesg }: Recorded, key: Key, seen: Facts | undefined): string[] {
    const [kernel, log] = [uname?.[key], dmesg?.[key] ?? ""];
    if (seen === undefined) {
        return [];
    }
    const gvisor = key === "test-2" ? isGvisorLog : mentionsGvisor;
    return [
        ...(seen.kernel === kernel
            ? []
            : [`uname.${name}.${key} is ${show(kernel)}, but the pod sees ${show(seen.kernel)} now`]),
        ...(gvisor(seen.dmesg) === gvisor(log)
            ? []
            : [`dmesg.${name}.${key} is ${show(endsOf(log))}, but the pod prints ${show(endsOf(seen.dmesg))} now`]),
    ];
}

/** The cluster against the outputs. */
async function staleProblems({ outputs, kubeconfig }: Input): Promise<Problem[]> {
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    const [{ items: nodes }, { items: pods }] = await Promise.all([
        get<V1NodeList>(config, "/api/v1/nodes"),
        get<V1PodList>(config, `/api/v1/pods?labelSelector=${label}`),
    ]);
    const workers = Object.keys(outputs.workers).map((name) => ({
        ...recorded(name, outputs),
        pods: podsOf(name, pods),
    }));
    const inside = workers.flatMap(({ name, pods: own }) =>
        keys.flatMap((key) => {
            const { namespace = "", name: pod = "", uid = "" } = own[key]?.metadata ?? {};
            return own[key] ? [[`${name} ${key}`, { namespace, name: pod, uid }] as const] : [];
        }),
    );
    const seen = await podFacts({ kubeconfig, pods: Object.fromEntries(inside) });
    return workers.flatMap((worker) => {
        const node = nodes.find(({ metadata }) => metadata?.name === worker.name);
        return [
            ...clusterDifferences(worker, outputs, node, worker.pods),
            ...keys.flatMap((key) => podDifferences(worker, key, seen[`${worker.name} ${key}`])),
        ].map((message): Problem => ({ kind: "stale", worker: worker.name, message }));
    });
}

/** A new pod of each class on each worker, as its last update has started them. */
async function canaryProblems({ canaries }: Input): Promise<Problem[]> {
    const started = canaries.map(async ({ worker, stdin }): Promise<Problem[]> => {
        try {
            await startCanaries(JSON.parse(stdin), "look");
            return [];
        } catch (error) {
            return [{ kind: "not starting", worker, message: sentence(error) }];
        }
    });
    return (await Promise.all(started)).flat();
}

const input = JSON.parse(await text(process.stdin)) as Input;
const found = await Promise.all([
    staleProblems(input).catch((error): Problem[] => [
        { kind: "stale", message: `the pods cannot be looked into again: ${sentence(error)}` },
    ]),
    canaryProblems(input),
]);
// Connections to the API server would keep it alive.
process.stdout.write(JSON.stringify(found.flat()), () => process.exit());
