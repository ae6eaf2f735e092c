import * as fs from "node:fs";
import * as os from "node:os";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { Settings } from "../../config";
import type { Machine, Sources, Target } from "./target";
import { remoteSources } from "./upstream";

const hostKey = z
    .string()
    .regex(
        /^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa) [A-Za-z0-9+/]+={0,3}( .*)?$/,
        "is no host key; allowed: a line such as ssh-ed25519 AAAA... (npm run scan-host-keys collects them)",
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
        /** Where the test pods are; it has to be there. */
        namespace: z
            .string()
            .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "is no name of a namespace; allowed: such as default")
            .default("default"),
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

function readSecret(setting: string, file: string): string {
    const path = file.replace(/^~(?=\/)/, os.homedir());
    try {
        return fs.readFileSync(path, "utf8");
    } catch (error) {
        throw new pulumi.RunError(
            `existing.${setting} is "${file}", which cannot be read (${(error as NodeJS.ErrnoException).code}); ` +
                `nothing was changed`,
        );
    }
}

/** Machines that somebody else made, nodes of a cluster already. */
export class ExistingTarget implements Target {
    public readonly workers: readonly Machine[];
    public readonly sources: pulumi.Output<Sources>;
    public readonly gvisorSources: pulumi.Output<Sources>;
    public readonly kubeconfig: pulumi.Output<string>;
    public readonly namespace: string;

    constructor(settings: Settings) {
        if (settings.existing === undefined) {
            throw new Error("the existing target needs the setting existing");
        }
        const { jumpHost, privateKeyFile, privateKeyPassword, kubeconfigFile } = settings.existing;
        const privateKey =
            privateKeyFile === undefined ? settings.existing.privateKey : readSecret("privateKeyFile", privateKeyFile);
        this.namespace = settings.existing.namespace;
        this.sources = pulumi.output(remoteSources(settings));
        this.gvisorSources = this.sources;
        this.kubeconfig = pulumi.secret(
            kubeconfigFile === undefined
                ? (settings.existing.kubeconfig ?? "")
                : readSecret("kubeconfigFile", kubeconfigFile),
        );
        // They are up already: what fails at the first try, such as another host key, fails for good.
        const login = { privateKey, privateKeyPassword, dialErrorLimit: 1, perDialTimeout: 10 };
        this.workers = Object.entries(settings.existing.workers).map(([name, worker]) => ({
            name,
            address: pulumi.output(worker.host),
            connection: pulumi.secret({ ...worker, ...login, proxy: jumpHost && { ...jumpHost, ...login } }),
            // The same machine as long as its host key is the same.
            identity: pulumi.output(worker.hostKey),
            shell: worker.user === "root" ? "bash" : "sudo -n bash",
        }));
    }
}
