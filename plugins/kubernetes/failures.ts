import type { PropertyMap } from "../shared/properties";
import { InitError } from "../shared/provider";
import { isNamespaceMissing, isStatus, NoMatchError, PartialError, StatusError } from "./errors";
import { apiVersionOf, gvkOfType, idOf, type KubeObject } from "./objects";

/** Makes the state of a live object. */
type StateOf = (live: KubeObject) => PropertyMap;

/** What to do about a cluster that is gone. */
export const UNREACHABLE_WAY_OUT =
    "If the cluster was deleted, you can remove this resource from Pulumi state by rerunning the operation with the " +
    'PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"';

export const DELETED_UNREACHABLE =
    "configured Kubernetes cluster is unreachable and the `deleteUnreachable` option is enabled. " +
    "Deleting the unreachable resource from Pulumi state";

const NO_API_VERSION =
    "failed because the Kubernetes API server reported that the apiVersion for this resource does not exist. " +
    "Verify that any required CRDs have been created:";

function existsHelp(kind: string): string {
    return `

The resource already exists in the cluster. This can happen when:

  - Renaming a Pulumi resource: use an alias to preserve the identity,
    or use deleteBeforeReplace if the resource needs replacement.
  - Managing an existing resource: use a Patch resource (e.g. ${kind}Patch)
    to manage specific fields without owning the resource lifecycle.
  - Adopting a resource into Pulumi: use \`pulumi import\`. Note that
    protected resources (e.g. kube-system) cannot be deleted on destroy.
  - Intentional upsert: set upsertExistingObjects on the provider to allow
    server-side apply to update existing objects on create.`;
}

/** The sentence of an error. */
function messageOf(error: unknown): string {
    return error instanceof Error ? error.message : String(error);
}

/** An error that leaves the resource in the state, with every reason that is known. */
export function initError(id: string, sentence: string, cause: unknown, properties: PropertyMap, inputs?: PropertyMap) {
    const details = cause instanceof PartialError ? cause.details : [];
    return new InitError(sentence, { id, properties, inputs, reasons: [sentence, ...details] });
}

/** Whether a dry run fails for a reason that the update may not meet; the preview then shows the inputs. */
export function isUnforeseeable(error: unknown): boolean {
    const isDryRunRefused = isStatus(error, 400) && error.message.includes("does not support dry run");
    const isTaken = error instanceof StatusError && error.reason === "AlreadyExists";
    return isStatus(error, 403) || isNamespaceMissing(error) || isDryRunRefused || isTaken;
}

/** What Create says. */
export function createError(urn: string, type: string, error: unknown, stateOf: StateOf): Error {
    const gvk = gvkOfType(type);
    if (error instanceof NoMatchError) {
        const kind = `${apiVersionOf(gvk)}/${gvk.kind}`;
        return new Error(`creation of resource "${urn}" with kind ${kind} ${NO_API_VERSION} ${error.message}`);
    }
    if (error instanceof PartialError) {
        const sentence = `resource "${urn}" was successfully created, but the Kubernetes API server reported that it failed to fully initialize or become live: ${error.message}`;
        return initError(idOf(error.object), sentence, error, stateOf(error.object));
    }
    const help = error instanceof StatusError && error.reason === "AlreadyExists" ? existsHelp(gvk.kind) : "";
    return new Error(
        `resource "${urn}" was not successfully created by the Kubernetes API server: ${messageOf(error)}${help}`,
    );
}

/**
 * What Update says. The object is there, so it enters the state as it is (`read` gets it), with the new inputs and the
 * reasons why they did not come true; the next update tries again.
 */
export async function updateError(
    urn: string,
    error: unknown,
    read: () => Promise<KubeObject>,
    stateOf: StateOf,
): Promise<Error> {
    if (error instanceof NoMatchError) {
        return new Error(`update of resource "${urn}" ${NO_API_VERSION} ${error.message}`);
    }
    try {
        const live = error instanceof PartialError ? error.object : await read();
        const id = idOf(live);
        const sentence = `the Kubernetes API server reported that "${id}" failed to fully initialize or become live: ${messageOf(error)}`;
        return initError(id, sentence, error, stateOf(live));
    } catch (second) {
        const first = `update of resource "${urn}" failed: ${messageOf(error)}`;
        return new Error(`${first}\nunable to get cluster state: ${messageOf(second)}`);
    }
}

/** What Delete says. */
export function deleteError(error: unknown, isPatch: boolean, stateOf: StateOf): Error {
    const [required] = error instanceof StatusError ? error.requiredFields : [];
    if (isPatch && required !== undefined) {
        return new Error(
            `this Patch resource is currently managing a required field, so it can't be deleted directly. Either set the \`retainOnDelete\` resource option, or transfer ownership of the field before deleting: ${required}`,
        );
    }
    if (error instanceof PartialError) {
        return initError(idOf(error.object), error.message, error, stateOf(error.object));
    }
    return error instanceof Error ? error : new Error(String(error));
}
