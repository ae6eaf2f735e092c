import { createHash, randomBytes } from "node:crypto";
import { isMap, type PropertyMap, Unknown } from "../shared/properties";
import { ANNOTATION, isAnnotated, type KubeObject, nameOf, put, text } from "./objects";

const ROUNDS = 8;
const HEX = "0123456789abcdef";

function quarterRound(s: Uint32Array, a: number, b: number, c: number, d: number): void {
    const add = (x: number, y: number): void => {
        s[x] = (s[x] ?? 0) + (s[y] ?? 0);
    };
    const turn = (x: number, y: number, bits: number): void => {
        const value = (s[x] ?? 0) ^ (s[y] ?? 0);
        s[x] = (value << bits) | (value >>> (32 - bits));
    };
    add(a, b);
    turn(d, a, 16);
    add(c, d);
    turn(b, c, 12);
    add(a, b);
    turn(d, a, 8);
    add(c, d);
    turn(b, c, 7);
}

/** The words of a ChaCha8 block under the key with a zero nonce (node:crypto has the 20-round form only). */
function chacha8(key: Buffer, counter: number): Uint32Array {
    const constants = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];
    const words = Array.from({ length: 8 }, (_, i) => key.readUInt32LE(4 * i));
    const state = new Uint32Array([...constants, ...words, counter, 0, 0, 0]);
    for (let round = 0; round < ROUNDS; round += 2) {
        for (let i = 0; i < 4; i++) {
            quarterRound(state, i, 4 + i, 8 + i, 12 + i);
        }
        for (let i = 0; i < 4; i++) {
            quarterRound(state, i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4));
        }
    }
    return state;
}

/**
 * The prefix and eight hex digits. The digits follow from the engine's seed exactly as in the official provider, so that a
 * preview and the update after it choose the same name; without a seed they are random.
 *
 * Algorithm: NewUniqueName of github.com/pulumi/pulumi/sdk/v3/go/common/resource over Go's math/rand/v2 ChaCha8, whose
 * 64-bit outputs take word i of blocks 0 and 1, then of blocks 2 and 3. A digit is the low end of one output.
 */
export function uniqueName(seed: Uint8Array, prefix: string): string {
    if (seed.length === 0) {
        return prefix + randomBytes(4).toString("hex");
    }
    const key = createHash("sha256").update(seed).digest();
    const blocks = [chacha8(key, 0), chacha8(key, 2)];
    return prefix + [0, 1, 2, 3].flatMap((i) => blocks.map((block) => HEX[(block[i] ?? 0) % HEX.length])).join("");
}

/** What the user configured under pulumi:autonaming. */
interface Autonaming {
    proposedName: string;
    mode: "PROPOSE" | "ENFORCE" | "DISABLE";
}

/** Whether the program gives the name, known or not. */
export function isNamed(object: KubeObject): boolean {
    const metadata = object.metadata;
    return (
        nameOf(object) !== "" || metadata instanceof Unknown || (isMap(metadata) && metadata.name instanceof Unknown)
    );
}

/** Whether the API server is to choose the name. */
export function usesGenerateName(object: KubeObject): boolean {
    const metadata = object.metadata;
    return !isNamed(object) && isMap(metadata) && (metadata.generateName ?? "") !== "";
}

function autoname(object: KubeObject, name: string): void {
    put(object, name, "metadata", "name");
    put(object, "true", "metadata", "annotations", ANNOTATION.autonamed);
}

/** Keeps the name that an earlier run chose, when the program still gives none. */
export function adoptName(object: KubeObject, old: PropertyMap): void {
    if (!isNamed(object) && isAnnotated(old, ANNOTATION.autonamed)) {
        autoname(object, text(old, "metadata", "name"));
    }
}

/** Chooses a name for a new object that has none. */
export function assignName(object: KubeObject, resource: string, seed: Uint8Array, configured?: Autonaming): void {
    if (isNamed(object) || usesGenerateName(object)) {
        return;
    }
    if (configured?.mode === "DISABLE") {
        throw new Error("autonaming is disabled, resource requires the .metadata.name field to be set");
    }
    autoname(object, configured?.proposedName || uniqueName(seed, `${resource}-`));
}
