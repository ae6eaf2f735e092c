import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { Machine, Sources, Target } from "../../contracts";
import { remoteSources, type SourceSettings } from "../upstream";
import { KubeconfigError, ownKubeconfig } from "./kubeconfig";
import type { ExistingSettings } from "./settings";

const expanded = (file: string) => file.replace(/^~(?=\/)/, os.homedir());

function readSecret(setting: string, file: string): string {
    try {
        return fs.readFileSync(expanded(file), "utf8");
    } catch (error) {
        throw new pulumi.RunError(
            `existing.${setting} is "${file}", which cannot be read (${(error as NodeJS.ErrnoException).code}); ` +
                `nothing was changed`,
        );
    }
}

function readKubeconfig({ kubeconfig = "", kubeconfigFile, context }: ExistingSettings): string {
    const directory = kubeconfigFile === undefined ? undefined : path.dirname(expanded(kubeconfigFile));
    const text = kubeconfigFile === undefined ? kubeconfig : readSecret("kubeconfigFile", kubeconfigFile);
    try {
        return ownKubeconfig(text, { context, directory });
    } catch (error) {
        if (!(error instanceof KubeconfigError)) {
            throw error;
        }
        const setting =
            kubeconfigFile === undefined ? "existing.kubeconfig" : `existing.kubeconfigFile ("${kubeconfigFile}")`;
        throw new pulumi.RunError(`${setting} ${error.message}; nothing was changed`);
    }
}

/** Machines that somebody else made, nodes of a cluster already. */
export class ExistingTarget implements Target {
    public readonly workers: readonly Machine[];
    public readonly sources: pulumi.Output<Sources>;
    public readonly gvisorSources: pulumi.Output<Sources>;
    public readonly kubeconfig: pulumi.Output<string>;
    public readonly namespace: string;

    constructor(existing: ExistingSettings, sources: SourceSettings) {
        const { jumpHost, privateKeyFile, privateKeyPassword } = existing;
        const privateKey =
            privateKeyFile === undefined ? existing.privateKey : readSecret("privateKeyFile", privateKeyFile);
        this.namespace = existing.namespace;
        this.sources = pulumi.output(remoteSources(sources));
        this.gvisorSources = this.sources;
        this.kubeconfig = pulumi.secret(readKubeconfig(existing));
        // They are up already: what fails at the first try, such as another host key, fails for good.
        const login = { privateKey, privateKeyPassword, dialErrorLimit: 1, perDialTimeout: 10 };
        this.workers = Object.entries(existing.workers).map(([name, worker]) => ({
            name,
            address: pulumi.output(worker.host),
            connection: pulumi.secret({ ...worker, ...login, proxy: jumpHost && { ...jumpHost, ...login } }),
            // The same machine as long as its host key is the same.
            identity: pulumi.output(worker.hostKey),
            shell: worker.user === "root" ? "bash" : "sudo -n bash",
        }));
    }
}
