import { createPrivateKey, type KeyObject } from "node:crypto";
import { type ParsedKey, utils } from "ssh2";

function decrypted(pem: string, passphrase: string | undefined): KeyObject {
    try {
        return createPrivateKey({ key: pem, passphrase });
    } catch {
        if (!pem.includes("ENCRYPTED")) {
            throw new Error("ssh: no key found");
        }
        throw new Error(
            passphrase === undefined
                ? "ssh: this private key is passphrase protected"
                : "x509: decryption password incorrect",
        );
    }
}

/** ssh2 reads OpenSSH's and the older PEM forms; PKCS#8 is turned into the latter. */
function fromPkcs8(pem: string, passphrase: string | undefined): string {
    const key = decrypted(pem, passphrase);
    switch (key.asymmetricKeyType) {
        case "rsa":
            return key.export({ type: "pkcs1", format: "pem" }).toString();
        case "ec":
            return key.export({ type: "sec1", format: "pem" }).toString();
        default:
            throw new Error(
                `ssh: unsupported key type "PRIVATE KEY" (${key.asymmetricKeyType}): give it in OpenSSH's form`,
            );
    }
}

/** A private key that can sign; errors are in the words of Go's ssh package, as the official plug-in's users see them. */
export function privateKey(text: string, passphrase?: string): ParsedKey {
    if (!/-----BEGIN [A-Z0-9 ]+-----/.test(text)) {
        throw new Error("ssh: no key found");
    }
    const pem = /-----BEGIN (ENCRYPTED )?PRIVATE KEY-----/.test(text) ? fromPkcs8(text, passphrase) : text;
    const parsed: ParsedKey | ParsedKey[] | Error = utils.parseKey(pem, passphrase);
    const key = Array.isArray(parsed) ? parsed[0] : parsed;
    if (key instanceof Error || key === undefined) {
        const reason = key?.message ?? "";
        if (/no passphrase/i.test(reason)) {
            throw new Error("ssh: this private key is passphrase protected");
        }
        throw new Error(/bad passphrase/i.test(reason) ? "x509: decryption password incorrect" : "ssh: no key found");
    }
    if (!key.isPrivateKey()) {
        throw new Error("ssh: no key found");
    }
    return key;
}

/** A host key that is pinned: the wire form, and the algorithms by which a server may prove it. */
export interface HostKey {
    type: string;
    data: Buffer;
    algorithms: string[];
}

/** Reads a host key from a line in the form of authorized_keys: `ssh-ed25519 AAAA… comment`. */
export function hostKey(line: string): HostKey {
    const [, type, base64] = /(?:^|\s)(ssh-ed25519|ecdsa-sha2-\S+|ssh-rsa)\s+([A-Za-z0-9+/=]+)/.exec(line) ?? [];
    const data = Buffer.from(base64 ?? "", "base64");
    const length = data.length > 4 ? data.readUInt32BE(0) : 0;
    if (type === undefined || data.toString("latin1", 4, 4 + length) !== type) {
        throw new Error('ssh: no key found (hostKey must be one line such as "ssh-ed25519 AAAA…")');
    }
    return { type, data, algorithms: type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256"] : [type] };
}
