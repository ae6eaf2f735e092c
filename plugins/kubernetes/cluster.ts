import { withTimeout } from "../shared/provider";
import { Api, reach } from "./api";
import type { Settings } from "./config";
import { NoMatchError } from "./errors";
import { applyOverrides, loadKubeconfig } from "./kubeconfig";
import { builtInNamespaced, type Gvk, type KubeObject } from "./objects";

const CONNECT_SECONDS = 32;

/** A cluster that the provider was configured for; it may turn out to be out of reach, which previews survive. */
export class Cluster {
    private constructor(
        readonly settings: Settings,
        /** The namespace of objects that name none. */
        readonly namespace: string,
        private readonly connection: Api | undefined,
        /** Why there is no connection. */
        readonly unreachable: string,
    ) {}

    /** Connects. Never throws: what goes wrong is kept as the reason. */
    static async connect(settings: Settings, signal: AbortSignal): Promise<Cluster> {
        let namespace = settings.namespace || "default";
        const off = (reason: string): Cluster => new Cluster(settings, namespace, undefined, reason);
        let api: Api;
        try {
            const config = await loadKubeconfig(settings.kubeconfig);
            const cluster = applyOverrides(config, settings);
            if (cluster.server.startsWith("http:")) {
                // The library asks for this before it talks to a local proxy without TLS.
                config.clusters = config.clusters.map((c) =>
                    c.name === cluster.name ? { ...c, skipTLSVerify: true } : c,
                );
            }
            namespace = settings.namespace || config.getContextObject(config.currentContext)?.namespace || "default";
            api = new Api(config, cluster.server);
        } catch (error) {
            return off(
                `failed to parse kubeconfig data in \`kubernetes:config:kubeconfig\`- ${(error as Error).message}`,
            );
        }
        try {
            await reach(api, withTimeout(signal, CONNECT_SECONDS));
        } catch (error) {
            return off(`unable to load schema information from the API server: ${(error as Error).message}`);
        }
        return new Cluster(settings, namespace, api, "");
    }

    get isReachable(): boolean {
        return this.connection !== undefined;
    }

    /** The API server. Throws when it is out of reach. */
    get api(): Api {
        if (this.connection === undefined) {
            throw new Error(`configured Kubernetes cluster is unreachable: ${this.unreachable}`);
        }
        return this.connection;
    }

    /** Whether objects of the type live in a namespace. A type that is not defined yet is taken for one that does. */
    async isNamespaced(gvk: Gvk, signal: AbortSignal): Promise<boolean> {
        const known = builtInNamespaced(gvk);
        if (known !== undefined || this.connection === undefined) {
            return known ?? true;
        }
        try {
            return await this.connection.isNamespaced(gvk, signal);
        } catch (error) {
            if (error instanceof NoMatchError) {
                return true;
            }
            throw error;
        }
    }

    /** Whether a dry run can be asked for: the server is there and knows the type. */
    async canPreview(object: KubeObject, signal: AbortSignal): Promise<boolean> {
        if (this.connection === undefined) {
            return false;
        }
        try {
            await this.connection.collection(object, signal);
            return true;
        } catch {
            signal.throwIfAborted();
            return false;
        }
    }
}
