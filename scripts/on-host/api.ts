// What the scripts share that ask the API server, and change nodes.
import {
    ApiException,
    CoreV1Api,
    KubeConfig,
    PatchStrategy,
    setHeaderOptions,
    type V1Node,
    type V1NodeSpec,
    type V1ObjectMeta,
    type V1Pod,
    type V1Status,
    type V1Taint,
} from "@kubernetes/client-node";

/** What the API server has given these fields, whatever its type says. */
export type Has<T extends object, Key extends keyof T> = T & { readonly [K in Key]-?: NonNullable<T[K]> };
type Meta = Has<V1ObjectMeta, "name" | "namespace" | "uid">;
/** A pod that is in the cluster. */
export type Pod = Has<V1Pod, "metadata" | "spec"> & { readonly metadata: Meta };

/** A kubeconfig that is given as text. */
export function configOf(kubeconfig: string): KubeConfig {
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    return config;
}

/** The core API of the cluster of a kubeconfig, which is given as text. */
export function coreOf(kubeconfig: string): CoreV1Api {
    return configOf(kubeconfig).makeApiClient(CoreV1Api);
}

/** The code of HTTP that the API server answered with; undefined where something else failed. */
export const codeOf = (error: unknown) => (error instanceof ApiException ? error.code : undefined);

/** The Status that the API server answered with; an empty one where something else failed. */
export function statusOf(error: unknown): V1Status {
    if (!(error instanceof ApiException)) {
        return {};
    }
    try {
        return (typeof error.body === "string" ? JSON.parse(error.body) : error.body) ?? {};
    } catch {
        return {};
    }
}

/** What went wrong, in the words of the API server if it is the one that says so. */
export function sentence(error: unknown): string {
    const { message, cause } = error as { readonly message?: string; readonly cause?: { readonly message?: string } };
    return statusOf(error).message ?? cause?.message ?? message ?? String(error);
}

/** @returns the node, or undefined where there is none of that name */
export async function readNode(core: CoreV1Api, name: string): Promise<V1Node | undefined> {
    try {
        return await core.readNode({ name });
    } catch (error) {
        if (codeOf(error) === 404) return undefined;
        throw new Error(`the node ${name} cannot be read: ${sentence(error)}`);
    }
}

/** Fields that are to be otherwise: null takes a value away. */
interface NodeChanges {
    readonly annotations: Readonly<Record<string, string | null>>;
    readonly spec: { readonly [Key in keyof V1NodeSpec]: V1NodeSpec[Key] | null };
}

/**
 * Changes a node as it was read.
 *
 * @returns false where somebody else has changed the node meanwhile: read it again then
 */
export async function patchNode(core: CoreV1Api, { metadata }: V1Node, changes: NodeChanges): Promise<boolean> {
    const { name = "", resourceVersion } = metadata ?? {};
    const body = { metadata: { resourceVersion, annotations: changes.annotations }, spec: changes.spec };
    try {
        await core.patchNode({ name, body }, setHeaderOptions("Content-Type", PatchStrategy.MergePatch));
        return true;
    } catch (error) {
        if (codeOf(error) === 409) return false;
        throw new Error(`the node ${name} cannot be changed: ${sentence(error)}`);
    }
}

/** A taint as kubectl writes it; two that are shown alike are the same. */
export const showTaint = ({ key, value, effect }: Pick<V1Taint, "key" | "value" | "effect">) =>
    `${key}=${value ?? ""}:${effect}`;
