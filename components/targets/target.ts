import type { types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../../config";
import { ExistingTarget } from "./existing";
import { LocalTarget } from "./local";

/** A machine that the program reaches over SSH. */
export interface Machine {
    /** Hostname, and name of its node in the cluster. */
    readonly name: string;
    /** IP address at which the other machines reach it. */
    readonly address: pulumi.Output<string>;
    /** How to log in. Holds the private key, so it is a secret, and the pinned host key. */
    readonly connection: pulumi.Output<types.input.remote.ConnectionArgs>;
    /** Changes when the machine is another one under the same name: every step on it then runs again. */
    readonly identity: pulumi.Output<string>;
    /** What makes the machine, if the stack does: what lives on it goes away with it. */
    readonly resource?: pulumi.Resource;
    /** How a script becomes root's: "bash" (the default), or "sudo -n bash" where the user is not root. */
    readonly shell?: "bash" | "sudo -n bash";
}

/** An APT repository and the key that signs it. */
export interface AptSource {
    readonly name: "kubernetes" | "containerd" | "gvisor";
    readonly url: string;
    readonly suite: string;
    readonly components: string;
    readonly keyUrl: string;
    /** 40 hexadecimal digits. */
    readonly fingerprint: string;
}

/** Where machines get packages and images; printed by mirror/mirror.sh sources. */
export interface Sources {
    readonly kind: "upstream" | "mirror";
    readonly apt: readonly AptSource[];
    /** Debian version (or a pattern with *) by package name. */
    readonly packages: Readonly<Record<string, string>>;
    /** URLs of image archives to import; empty where images are pulled from their registries. */
    readonly images: { readonly controlPlane: readonly string[]; readonly worker: readonly string[] };
}

/** Machines, and what they install from. */
export interface Target {
    /** Where the control plane of a new cluster goes; none where the workers are nodes of a cluster already. */
    readonly controlPlane?: Machine;
    /** HOST:PORT where the operator reaches the API server of a new cluster, if not at the control plane's address. */
    readonly apiEndpoint?: pulumi.Output<string>;
    /** How flannel routes between the nodes of a new cluster: through a shared network, or in a tunnel. Default: host-gw. */
    readonly podNetwork?: "host-gw" | "vxlan";
    /** Kubeconfig (secret) of that cluster. */
    readonly kubeconfig?: pulumi.Output<string>;
    /** Where test pods are in that cluster. */
    readonly namespace?: string;
    readonly workers: readonly Machine[];
    readonly sources: pulumi.Output<Sources>;
    /** The kind of these sources, if it is known when planning although they are not. */
    readonly sourcesKind?: Sources["kind"];
    /** The version of Kubernetes that the settings ask for; nodes in use keep theirs where it is empty. */
    readonly kubernetesVersion?: string;
    /** Those of gVisor, which may be of another version than the other sources pin. */
    readonly gvisorSources: pulumi.Output<Sources>;
}

/** Makes the machines. Only here do the targets differ. */
export function createTarget(settings: Settings): Target {
    switch (settings.target) {
        case "local":
            return new LocalTarget("local", { settings, stack: pulumi.getStack() });
        case "existing":
            return new ExistingTarget(settings);
        case "gcp": {
            // Google's types and classes are loaded for this target only: they take seconds.
            const { GcpTarget } = require("./gcp/gcpTarget") as {
                GcpTarget: new (name: string, args: object) => Target;
            };
            return new GcpTarget("gcp", { settings, gcp: settings.gcp, stack: pulumi.getStack() });
        }
    }
}
