/**
 * Which values are secret. The SDK unwraps secrets before a policy sees them, so a policy cannot tell an output that is
 * secret from one that is not. They are wrapped still where the SDK reads the engine's message; that is looked at too.
 */
type Struct = { toJavaScript(): Record<string, unknown> };

const paths = Symbol("paths of secrets");
/** Marks a wrapped value, see https://github.com/pulumi/pulumi/blob/master/sdk/nodejs/runtime/rpc.ts */
const signature = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

function find(value: unknown, path: readonly string[]): string[][] {
    if (value === null || typeof value !== "object") {
        return [];
    }
    if ((value as Record<string, unknown>)[signature] === secretSignature) {
        return [[...path]];
    }
    return Object.entries(value).flatMap(([key, inner]) => find(inner, [...path, key]));
}

/** Has the SDK remember which properties are secret. Before the pack is made. */
export function rememberSecrets(): void {
    const sdk = require("@pulumi/policy/deserialize") as {
        deserializeProperties?: (struct: Struct, wrapped: boolean) => object;
    };
    const original = sdk.deserializeProperties;
    if (original === undefined) {
        throw new Error(
            "this version of @pulumi/policy reads properties elsewhere; policy-pack/secrets.ts has to follow",
        );
    }
    sdk.deserializeProperties = (struct, wrapped) =>
        Object.defineProperty(original(struct, wrapped), paths, { value: find(struct.toJavaScript(), []) });
}

/**
 * Paths of the secrets among the properties of a resource.
 *
 * @param props as the SDK hands them to a policy
 */
export function secretPaths(props: Record<PropertyKey, unknown>): readonly (readonly string[])[] {
    const found = props[paths];
    if (!Array.isArray(found)) {
        throw new Error("the SDK has not remembered which values are secret");
    }
    return found;
}
