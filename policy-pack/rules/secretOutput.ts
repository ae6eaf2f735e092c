import type { StackRule } from "../rule";
import { unknown, type Value } from "../values";

/** What secrets look like, by what they are. */
const looks: Readonly<Record<string, RegExp>> = {
    "a private key": /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
    "a kubeconfig": /\bclient-key-data\b|\bkind"?:\s*"?Config\b/,
    "a token of kubeadm": /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/,
    "a JSON web token": /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+/,
    "an access token": /\b(gh[opsu]_\w{36,}|github_pat_\w{20,}|ya29\.[\w-]{20,}|AIza[\w-]{35}|pul-[0-9a-f]{40})/,
};
const names = /^(.*[^a-z])?(password|passphrase|secret|token|private[-_]?key|kubeconfig)s?$/i;

/** Why an output may be a secret, if it may. */
function suspicion(path: readonly string[], value: string): string | undefined {
    const found = Object.entries(looks).find(([, pattern]) => pattern.test(value))?.[0];
    const name = path.findLast((key) => !/^\d+$/.test(key)) ?? "";
    const named = value !== "" && names.test(name.replace(/([a-z])([A-Z])/g, "$1-$2"));
    return found !== undefined ? `looks like ${found}` : named ? "is named like a secret" : undefined;
}

export const secretOutput: StackRule = {
    name: "no-secret-output",
    description: "What looks like a secret among the stack's outputs is marked as one.",
    check(resources, judge) {
        for (const { props, secrets, urn } of resources.filter(({ type }) => type === "pulumi:pulumi:Stack")) {
            const hidden = new Set(secrets.map((path) => JSON.stringify(path)));
            const look = (value: Value, path: readonly string[]): void => {
                if (hidden.has(JSON.stringify(path))) {
                    return;
                }
                if (value === unknown) {
                    judge.undecided(path.join("."));
                } else if (typeof value === "string") {
                    const why = suspicion(path, value);
                    if (why !== undefined) {
                        judge.violation(
                            `the output ${path.join(".")} ${why} and is shown in clear; ` +
                                "allowed: pulumi.secret(...), or no such output",
                            urn,
                        );
                    }
                } else if (value !== null && typeof value === "object") {
                    for (const [key, inner] of Object.entries(value)) {
                        look(inner, [...path, key]);
                    }
                }
            };
            look(props, []);
        }
    },
};
