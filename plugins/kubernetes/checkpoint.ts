import { hasSecret, isMap, type PropertyMap, Secret, type Value } from "../shared/properties";
import { type KubeObject, text, toKube, toPulumi } from "./objects";

/** State fields beside the live object's own. */
const INPUTS = "__inputs";
const INITIAL_API_VERSION = "__initialApiVersion";
const FIELD_MANAGER = "__fieldManager";

/**
 * The outputs with the secrets of the inputs: what was secret there is secret here. Data of a Secret always is. A list
 * with a secret inside becomes a secret as a whole, because its order may change.
 */
export function withSecretsOf(outs: PropertyMap, ins: PropertyMap): PropertyMap {
    const result = { ...outs };
    const hide = (key: string): void => {
        const value = result[key];
        if (value !== undefined && !(value instanceof Secret)) {
            result[key] = new Secret(value);
        }
    };
    if (result.kind === "Secret") {
        hide("data");
        hide("stringData");
        return result;
    }
    for (const [key, input] of Object.entries(ins)) {
        const value = result[key];
        if (isMap(value) && isMap(input)) {
            result[key] = withSecretsOf(value, input);
        } else if (value !== undefined && hasSecret(input)) {
            hide(key);
        }
    }
    return result;
}

/** The state of a resource: the live object, and what is needed to compare and to change it. */
export function checkpoint(
    inputs: KubeObject,
    live: KubeObject,
    given: PropertyMap,
    initialApiVersion: string,
    fieldManager: string,
): PropertyMap {
    return {
        ...withSecretsOf(toPulumi(live), given),
        [INPUTS]: withSecretsOf(toPulumi(inputs), given),
        [INITIAL_API_VERSION]: initialApiVersion,
        [FIELD_MANAGER]: fieldManager,
    };
}

/** Reads a state back. */
export function parseCheckpoint(state: PropertyMap): {
    inputs: KubeObject;
    live: KubeObject;
    initialApiVersion: string | undefined;
    fieldManager: string | undefined;
} {
    const { [INPUTS]: inputs, [INITIAL_API_VERSION]: version, [FIELD_MANAGER]: manager, ...live } = toKube(state);
    const known = (value: Value | undefined): string | undefined => (typeof value === "string" ? value : undefined);
    return {
        inputs: isMap(inputs) ? inputs : {},
        live,
        initialApiVersion: known(version),
        fieldManager: known(manager),
    };
}

/** The apiVersion that the resource was first made with. */
export function initialApiVersionOf(state: { initialApiVersion: string | undefined }, inputs: KubeObject): string {
    return state.initialApiVersion ?? text(inputs, "apiVersion");
}
