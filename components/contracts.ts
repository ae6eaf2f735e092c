/** What the parts of the program hand to each other: types alone, and nothing of the project is imported here. */

import type { local, remote, types } from "@pulumi/command";
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

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
    /**
     * Where this host notes the process that runs the machine, a file below the checkout; only of a machine on this host, whose
     * kernel tells root of the machine less than root of the host.
     */
    readonly process?: string;
    /** How a script becomes root's: "bash" (the default), or "sudo -n bash" where the user is not root. */
    readonly shell?: "bash" | "sudo -n bash";
}

/** What a machine is to the cluster. */
export type Role = "control-plane" | "worker";

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

/** A command on a machine, or beside Pulumi. */
export type Step = remote.Command | local.Command;

/** What a look at a worker before a change has found, as the verb "inspect" of a script prints it. */
export interface RestartLook {
    /** Why the change will restart containerd, as sentences; empty where it will not. */
    readonly restart: readonly string[];
    /** When it was looked at, in ISO 8601. */
    readonly at: string;
}

/** When a machine may be prepared: another containerd.io, or another configuration, restarts containerd. */
export interface PreparationOrder {
    /** After this the machine may be changed: not too many at once. */
    readonly after?: readonly pulumi.Resource[];
    /** What to do before, given what a look has found. */
    readonly beforeRestart?: (look: pulumi.Output<RestartLook>) => readonly pulumi.Resource[];
}

/** A machine that is ready to become a node, or is one. */
export interface Prepared {
    /** After this containerd may be changed. */
    readonly done: readonly Step[];
    /** What containerd was made to be, in any words; undefined where it is the machine's own. */
    readonly containerd?: pulumi.Output<string>;
}

/** The cluster that the workers are nodes of. */
export interface Cluster {
    /** Administrator's kubeconfig (secret). */
    readonly kubeconfig: pulumi.Output<string>;
    /** Where the stack's own pods are. */
    readonly namespace: string;
    /** Whether these go without any rights: the namespace may be one that takes no others. Default: false. */
    readonly unprivileged?: boolean;
    /** The provider of every Kubernetes object of this cluster. */
    readonly provider: k8s.Provider;
    /** After this the cluster is known to be the right one, and may be changed. */
    readonly verified: readonly Step[];
    /** What enforces network policies, if the stack has some and makes the cluster; in another one that is its own business. */
    readonly policyEngine: readonly pulumi.Resource[];
    /** What the cluster goes away with, if the stack makes it. */
    readonly resource?: pulumi.Resource;
    /** Prepares a machine to become a node. */
    prepare(machine: Machine, order?: PreparationOrder): Prepared;
    /** Makes a machine a node, once its containerd stays as it is; after what it returns the machine is one. */
    join(machine: Machine, after: readonly Step[]): readonly Step[];
}

/** An object that a stack is going to have in its cluster. */
export interface PlannedObject {
    /** As the API server gets it. */
    readonly manifest: {
        readonly apiVersion: string;
        readonly kind: string;
        readonly metadata: {
            readonly name: string;
            readonly namespace?: string;
            readonly labels?: Readonly<Record<string, string>>;
            readonly annotations?: Readonly<Record<string, string>>;
        };
    };
    /** The rest of a sentence: which setting to change where the cluster does not take it. */
    readonly remedy: string;
    /** Whether it is there already, and gets these fields only. Default: false. */
    readonly patched?: boolean;
    /** Whether it is there already, as it would be made, and stays as it is. Default: false. */
    readonly adopted?: boolean;
}

/** What a stack is going to have in its cluster. */
export interface Plans {
    /** Image of the pods. */
    readonly image: pulumi.Input<string>;
    readonly objects: readonly PlannedObject[];
    /** Whether nodes are drained. */
    readonly drain: boolean;
    /** Whether there are admission policies. */
    readonly policies: boolean;
    /** Whether there are privileged pods, for some seconds. Default: false. */
    readonly attacks?: boolean;
    /** Whether there are pods, for some seconds, that are measured. Default: false. */
    readonly surface?: boolean;
    /** Whether there is a pod on a worker's own network, for some seconds. Default: false. */
    readonly reachable?: boolean;
    /** Where there are network policies: those of their namespaces that are there already. Default: there are none. */
    readonly egress?: readonly string[];
}

/** One way to run sandboxes on a worker: a runtime handler of containerd and the class by which pods ask for it. */
export interface Handler {
    /** Name of the handler in containerd and in RuntimeClass.handler: a DNS label. */
    readonly name: string;
    /** Name of its RuntimeClass. */
    readonly runtimeClass: string;
    /**
     * Flags of runsc by name without dashes, for example { platform: "systrap", "debug-log": "/var/log/runsc/%ID%/" }:
     * https://github.com/google/gvisor/blob/master/runsc/config/flags.go
     */
    readonly options: Readonly<Record<string, string>>;
}
