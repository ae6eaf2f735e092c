import * as assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import ssh2 from "ssh2";

/** A host key for a server of ssh2: the private key, and the public one as a connection pins it. */
export function sshHostKey(): { readonly key: string; readonly hostKey: string } {
    const key = generateKeyPairSync("ec", {
        namedCurve: "P-256",
        publicKeyEncoding: { type: "spki", format: "pem" },
        privateKeyEncoding: { type: "sec1", format: "pem" },
    }).privateKey;
    const parsed = ssh2.utils.parseKey(key);
    assert.ok(!(parsed instanceof Error));
    return { key, hostKey: `ecdsa-sha2-nistp256 ${parsed.getPublicSSH().toString("base64")}` };
}
