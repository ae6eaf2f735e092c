// @ts-nocheck
// What the scripts share that ask the API server, and change nodes.
import { CoreV1Api, KubeConfig, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";

/** The core API of the cluster of a kubeconfig, which is given as text. */
export function coreOf(kubeconfig) {
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    return config.makeApiClient(CoreV1Api);
}

/** The Status that the API server answered with; an empty one where something else failed. */
export function statusOf(error) {
    try {
        return (typeof error.body === "string" ? JSON.parse(error.body) : error.body) ?? {};
    } catch {
        return {};
    }
}

/** What went wrong, in the words of the API server if it is the one that says so. */
export function sentence(error) {
    return statusOf(error).message ?? error.cause?.message ?? error.message;
}

/** @returns the node, or undefined where there is none of that name */
export async function readNode(core, name) {
    try {
        return await core.readNode({ name });
    } catch (error) {
        if (error.code === 404) return undefined;
        throw new Error(`the node ${name} cannot be read: ${sentence(error)}`);
    }
}

/**
 * Changes a node as it was read.
 *
 * @param annotations, spec as a merge patch: null takes a value away
 * @returns false where somebody else has changed the node meanwhile: read it again then
 */
export async function patchNode(core, { metadata: { name, resourceVersion } }, { annotations, spec }) {
    const body = { metadata: { resourceVersion, annotations }, spec };
    try {
        await core.patchNode({ name, body }, setHeaderOptions("Content-Type", PatchStrategy.MergePatch));
        return true;
    } catch (error) {
        if (error.code === 409) return false;
        throw new Error(`the node ${name} cannot be changed: ${sentence(error)}`);
    }
}

/** A taint as kubectl writes it; two that are shown alike are the same. */
export const showTaint = ({ key, value, effect }) => `${key}=${value ?? ""}:${effect}`;
