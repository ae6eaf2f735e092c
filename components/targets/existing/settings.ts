import { z } from "zod";
import { dnsLabel } from "../../fields";

const hostKey = z
    .string()
    .regex(
        /^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa) [A-Za-z0-9+/]+={0,3}( .*)?$/,
        "is not a host key; allowed: a line such as ssh-ed25519 AAAA... (npm run scan-host-keys collects them)",
    );
const endpoint = {
    host: z.string().min(1, "is empty; allowed: a name or an address"),
    port: z.number().int().min(1).max(65535).default(22),
    user: z.string().min(1).default("root"),
    hostKey,
};

/** The setting `existing`: how the workers of somebody's cluster are reached. */
export const existingSettings = z
    .strictObject({
        /** By name of the node. */
        workers: z
            .record(z.string(), z.strictObject(endpoint))
            .refine((workers) => Object.keys(workers).length > 0, { error: "is empty; allowed: at least one worker" }),
        /** A host that all connections go through. */
        jumpHost: z.strictObject(endpoint).optional(),
        /** The private key (a secret), or the file that it is in; neither: the SSH agent. */
        privateKey: z.string().optional(),
        privateKeyFile: z.string().optional(),
        /** The key's passphrase (a secret), if it has one. */
        privateKeyPassword: z.string().optional(),
        /** The kubeconfig (a secret), or the file that it is in. */
        kubeconfig: z.string().optional(),
        kubeconfigFile: z.string().optional(),
        /** One of its contexts; default: its current one. */
        context: z.string().min(1).optional(),
        /** Where the test pods are; it must exist. */
        namespace: z
            .string()
            .regex(dnsLabel, "is not the name of a namespace; allowed: such as default")
            .default("default"),
        /** RuntimeClasses that are there already, as the stack would make them: they are used, and stay when it goes. */
        runtimeClasses: z.array(z.string(), "is not a list; allowed: names of RuntimeClasses").default([]),
    })
    .refine((all) => (all.kubeconfig === undefined) !== (all.kubeconfigFile === undefined), {
        error: "needs one of kubeconfig (text, a secret) and kubeconfigFile (a path)",
    })
    .refine((all) => all.privateKey === undefined || all.privateKeyFile === undefined, {
        error: "has privateKey and privateKeyFile; allowed: one of them, or none for the SSH agent",
    })
    .refine((all) => all.privateKeyPassword === undefined || (all.privateKey ?? all.privateKeyFile) !== undefined, {
        error: "has privateKeyPassword and no private key; allowed: with privateKey or privateKeyFile",
    });

export type ExistingSettings = Readonly<z.output<typeof existingSettings>>;
