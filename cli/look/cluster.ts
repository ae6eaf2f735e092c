// Looks at the Kubernetes objects of a stack.
import { KubeConfig, type KubernetesObject, KubernetesObjectApi, type V1Taint } from "@kubernetes/client-node";
import { quantityToScalar } from "@kubernetes/client-node/dist/util.js";
import { showTaint } from "../../scripts/on-host/api.ts";
import type { Properties, Resource } from "../state.ts";
import { reasonOf } from "./machines.ts";

export interface ObjectLook {
    /** "KIND NAME" */
    readonly object: string;
    readonly differences: readonly string[];
    readonly down?: boolean;
    readonly unseen?: string;
    readonly again?: readonly string[];
}

/** On a node: this program has cordoned it, see scripts/on-host/maintenance.ts. */
const cordonMark = "runtime-sandboxes/cordoned";

/** Where `live` lacks what `wanted` asks for, as "PATH is LIVE, wanted WANTED". What it has beside that is ignored. */
export function lacking(wanted: unknown, live: unknown, path = ""): string[] {
    if (Array.isArray(wanted) && Array.isArray(live)) {
        return wanted.flatMap((one, index) => lacking(one, live[index], `${path}[${index}]`));
    }
    if (isFields(wanted)) {
        const has = isFields(live) ? live : {};
        return Object.entries(wanted).flatMap(([key, value]) =>
            lacking(value, has[key], path === "" ? key : `${path}.${key}`),
        );
    }
    const isQuantity = /(^|\.)(podFixed|limits|requests)\./.test(path);
    if (wanted === live || wanted === undefined || wanted === null || (isQuantity && sameQuantity(wanted, live))) {
        return [];
    }
    return [`${path} is ${live === undefined ? "missing" : JSON.stringify(live)}, wanted ${JSON.stringify(wanted)}`];
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
    typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether two quantities mean the same: the API server writes "0.5" as "500m". */
function sameQuantity(...both: readonly unknown[]): boolean {
    try {
        const [a, b] = both.map((one) => Number(quantityToScalar(String(one))));
        return a === b;
    } catch {
        return false; // One is no quantity.
    }
}

/** Reads each Kubernetes object of the stack again. */
export async function lookAtCluster(resources: readonly Resource[], down: readonly string[]): Promise<ObjectLook[]> {
    const present = resources.filter(({ leaving }) => !leaving);
    const provider = resources.find(({ type }) => type === "pulumi:providers:kubernetes");
    const objects = present.filter(({ type, inputs }) => type.startsWith("kubernetes:") && inputs.metadata?.name);
    if (!provider || objects.length === 0) {
        return [];
    }
    if (down.includes("control-plane")) {
        return [{ object: "control-plane", down: true, differences: ["the machine is down"] }];
    }
    const taints = present.flatMap(({ name, inputs: { stdin = "{}" } }): [string, V1Taint[]][] => {
        const [, node] = /^(.+)-taints$/.exec(name) ?? [];
        return node === undefined ? [] : [[node, (JSON.parse(stdin) as { readonly taints?: V1Taint[] }).taints ?? []]];
    });
    const config = new KubeConfig();
    config.loadFromString(provider.inputs.kubeconfig ?? "");
    const api = KubernetesObjectApi.makeApiClient(config);
    return await Promise.all(objects.map(({ inputs }) => lookAtObject(api, inputs, new Map(taints))));
}

/** An object as the API server has it, as far as it is read here. */
interface Live extends KubernetesObject {
    readonly spec?: { readonly taints?: readonly V1Taint[] };
    readonly status?: { readonly phase?: string };
}

/** @param taints by node, those of this stack */
async function lookAtObject(
    api: KubernetesObjectApi,
    inputs: Properties,
    taints: ReadonlyMap<string, readonly V1Taint[]>,
): Promise<ObjectLook> {
    const kind = (inputs.kind ?? "").replace(/Patch$/, "");
    const { name = "", namespace } = inputs.metadata ?? {};
    const object = `${kind} ${name}`;
    try {
        const live = await api.read<Live>({ apiVersion: inputs.apiVersion, kind, metadata: { name, namespace } });
        const phase = live.status?.phase ?? "";
        const lost = kind === "Node" ? missingTaints(taints.get(name), live.spec?.taints) : [];
        const cordoned = live.metadata?.annotations?.[cordonMark] !== undefined;
        return {
            object,
            differences: [
                ...lacking(withoutNotes(inputs), live),
                ...(live.metadata?.deletionTimestamp ? ["it is being deleted"] : []),
                ...lost,
                ...(cordoned ? ["it is cordoned, by an `up` that did not come through"] : []),
                ...(kind === "Pod" && !["Running", "Pending"].includes(phase) ? [`it is ${phase}`] : []),
            ],
            again: [...(cordoned ? [`${name}-runtime-look`] : []), ...(lost.length > 0 ? [`${name}-taints`] : [])],
        };
    } catch (error) {
        return (error as { readonly code?: unknown }).code === 404
            ? { object, differences: ["it is gone"] }
            : { object, differences: [], unseen: `it cannot be read: ${reasonOf(error)}` };
    }
}

/** Taints of ours that a node has lost, as sentences. */
function missingTaints(wanted: readonly V1Taint[] = [], live: readonly V1Taint[] = []): string[] {
    const has = live.map((taint) => showTaint(taint));
    const missing = wanted.map((taint) => showTaint(taint)).filter((taint) => !has.includes(taint));
    return missing.map((taint) => `the taint ${taint} is missing`);
}

/** Inputs without what Pulumi notes in them for itself. */
function withoutNotes({ metadata = {}, ...rest }: Properties): object {
    const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => !key.startsWith("pulumi.com/"));
    return { ...rest, kind: undefined, metadata: { ...metadata, annotations: Object.fromEntries(annotations) } };
}
