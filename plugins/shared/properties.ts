import { Struct } from "google-protobuf/google/protobuf/struct_pb";

/**
 * Property values as the engine sends them, in plain JavaScript.
 *
 * Numbers, strings, booleans, null, arrays and plain objects stand for themselves; whatever the wire format marks with a
 * signature key becomes an instance of one of the classes below. `toStruct(fromStruct(s))` equals `s`.
 *
 * The wire format: https://github.com/pulumi/pulumi/blob/v3.276.0/sdk/go/common/resource/plugin/rpc.go
 */
export type Value =
    | null
    | boolean
    | number
    | string
    | Value[]
    | PropertyMap
    | Secret
    | Unknown
    | Output
    | Asset
    | Archive
    | ResourceReference
    | Opaque;

/** A plain object of property values. */
export interface PropertyMap {
    [key: string]: Value;
}

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
const RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e";
const ASSET = "c44067f5952c0a294b673a41bacd8c17";
const ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7";

/** The sentinels that stand for a value not yet known, by the kind of value expected. */
const UNKNOWN_SENTINELS = new Set([
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9", // string, and whatever is of no particular kind
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7", // bool
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421", // number
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2", // array
    "030794c1-ac77-496b-92df-f27374a8bd58", // asset
    "e48ece36-62e2-4504-bad9-02848725956a", // archive
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff", // object
]);

/** A value that must never be shown. */
export class Secret {
    constructor(readonly value: Value) {}
}

/** A value that is not known before the operation has run; `sentinel` is how the wire spells it. */
export class Unknown {
    constructor(readonly sentinel: string) {}
}

/** The unknown value to answer with. */
export const UNKNOWN = new Unknown("04da6b54-80e4-46f7-96ec-b56ff0331ba9");

/** An output value (sent only to a plug-in that accepts them); `value` is absent while it is unknown. */
export class Output {
    constructor(
        readonly value: Value | undefined,
        readonly secret: boolean | undefined,
        readonly dependencies: Value | undefined,
    ) {}
}

/** The wire's fields of an asset: `hash` and one of `path`, `text`, `uri`. After a refresh only the hash is left. */
export class Asset {
    constructor(readonly fields: PropertyMap) {}
}

/** The wire's fields of an archive: `hash` and one of `path`, `uri`, `assets` (Assets and Archives by name). */
export class Archive {
    constructor(readonly fields: PropertyMap) {}
}

/** A reference to another resource: `urn`, `id`, `packageVersion`. */
export class ResourceReference {
    constructor(readonly fields: PropertyMap) {}
}

/** A signed object of a kind that this file does not know: kept as it came. */
export class Opaque {
    constructor(
        readonly signature: string,
        readonly fields: PropertyMap,
    ) {}
}

type Wire = null | boolean | number | string | Wire[] | { [key: string]: Wire };

function decodeObject(wire: { [key: string]: Wire }): Value {
    const { [SIGNATURE]: signature, ...rest } = wire;
    const fields: PropertyMap = {};
    for (const [key, value] of Object.entries(rest)) {
        fields[key] = decode(value);
    }
    if (typeof signature !== "string") {
        return signature === undefined ? fields : { [SIGNATURE]: decode(signature), ...fields };
    }
    switch (signature) {
        case SECRET:
            return "value" in fields ? new Secret(fields.value ?? null) : new Opaque(signature, fields);
        case OUTPUT:
            return new Output(
                fields.value,
                typeof fields.secret === "boolean" ? fields.secret : undefined,
                fields.dependencies,
            );
        case ASSET:
            return new Asset(fields);
        case ARCHIVE:
            return new Archive(fields);
        case RESOURCE:
            return new ResourceReference(fields);
        default:
            return new Opaque(signature, fields);
    }
}

/** Turns what is on the wire (as JSON) into property values. */
export function decode(wire: Wire): Value {
    if (typeof wire === "string") {
        return UNKNOWN_SENTINELS.has(wire) ? new Unknown(wire) : wire;
    }
    if (Array.isArray(wire)) {
        return wire.map(decode);
    }
    return wire !== null && typeof wire === "object" ? decodeObject(wire) : wire;
}

function encodeFields(fields: PropertyMap, signature?: string): { [key: string]: Wire } {
    const wire: { [key: string]: Wire } = signature === undefined ? {} : { [SIGNATURE]: signature };
    for (const [key, value] of Object.entries(fields)) {
        if (value !== undefined) {
            wire[key] = encode(value);
        }
    }
    return wire;
}

/** Turns property values into what goes on the wire (as JSON). */
export function encode(value: Value): Wire {
    if (value === null || typeof value !== "object") {
        return value;
    }
    if (Array.isArray(value)) {
        return value.map(encode);
    }
    if (value instanceof Unknown) {
        return value.sentinel;
    }
    if (value instanceof Secret) {
        return { [SIGNATURE]: SECRET, value: encode(value.value) };
    }
    if (value instanceof Output) {
        const fields: PropertyMap = {};
        for (const key of ["value", "secret", "dependencies"] as const) {
            const field = value[key];
            if (field !== undefined) {
                fields[key] = field;
            }
        }
        return encodeFields(fields, OUTPUT);
    }
    if (value instanceof Asset) {
        return encodeFields(value.fields, ASSET);
    }
    if (value instanceof Archive) {
        return encodeFields(value.fields, ARCHIVE);
    }
    if (value instanceof ResourceReference) {
        return encodeFields(value.fields, RESOURCE);
    }
    return value instanceof Opaque ? encodeFields(value.fields, value.signature) : encodeFields(value);
}

/** The property map in a protobuf Struct; an absent one is empty. */
export function fromStruct(struct: Struct | undefined): PropertyMap {
    const fields: PropertyMap = {};
    for (const [key, value] of Object.entries(struct?.toJavaScript() ?? {})) {
        fields[key] = decode(value as Wire);
    }
    return fields;
}

/** The protobuf Struct of a property map. Keys whose value is undefined are left out. */
export function toStruct(properties: PropertyMap): Struct {
    return Struct.fromJavaScript(encodeFields(properties));
}

/** Whether the value is a plain object (no wrapper, no array). */
export function isMap(value: Value | undefined): value is PropertyMap {
    return value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype;
}

/**
 * The value without secret and output wrappers, at every depth. Unknowns stay (an output without a value becomes one).
 */
export function reveal(value: Value): Value {
    if (value instanceof Secret) {
        return reveal(value.value);
    }
    if (value instanceof Output) {
        return value.value === undefined ? UNKNOWN : reveal(value.value);
    }
    if (Array.isArray(value)) {
        return value.map(reveal);
    }
    return isMap(value) ? revealMap(value) : value;
}

/** {@link reveal} for a map. */
export function revealMap(properties: PropertyMap): PropertyMap {
    return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, reveal(value)]));
}

function contains(value: Value | undefined, matches: (value: Value) => boolean): boolean {
    if (value === undefined || value === null || typeof value !== "object") {
        return false;
    }
    if (matches(value)) {
        return true;
    }
    if (value instanceof Unknown) {
        return false;
    }
    if (value instanceof Secret) {
        return contains(value.value, matches);
    }
    if (value instanceof Output) {
        return contains(value.value, matches);
    }
    const children = Array.isArray(value) ? value : Object.values(isMap(value) ? value : value.fields);
    return children.some((child) => contains(child, matches));
}

/** Whether an unknown is somewhere inside. */
export function hasUnknown(value: Value | undefined): boolean {
    return contains(value, (v) => v instanceof Unknown || (v instanceof Output && v.value === undefined));
}

/** Whether a secret is somewhere inside. */
export function hasSecret(value: Value | undefined): boolean {
    return contains(value, (v) => v instanceof Secret || (v instanceof Output && v.secret === true));
}

/**
 * The value with every unknown removed: map keys are dropped, array elements become null, a lone one becomes undefined.
 */
export function withoutUnknowns(value: Value): Value | undefined {
    if (value instanceof Unknown || (value instanceof Output && value.value === undefined)) {
        return undefined;
    }
    if (value instanceof Secret) {
        const inner = withoutUnknowns(value.value);
        return inner === undefined ? undefined : new Secret(inner);
    }
    if (Array.isArray(value)) {
        return value.map((element) => withoutUnknowns(element) ?? null);
    }
    if (!isMap(value)) {
        return value;
    }
    const known: PropertyMap = {};
    for (const [key, child] of Object.entries(value)) {
        const inner = withoutUnknowns(child);
        if (inner !== undefined) {
            known[key] = inner;
        }
    }
    return known;
}
