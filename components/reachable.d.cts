/** What is tried from inside a pod. */
export type ReachableTarget =
    | "metadata"
    | "api"
    | "api-token"
    | "kubelet"
    | "kubelet-read-only"
    | "node"
    | "pod"
    | "dns"
    | "allowed";

/** What came of one target, from one pod. */
export interface Probe {
    readonly target: ReachableTarget;
    /** HOST:PORT, with further ports of the same host behind it. */
    readonly address: string;
    /** HOST:PORT that the address may stand for, itself among them. */
    readonly addresses: readonly string[];
    readonly protocol: "TCP" | "UDP";
    /** The pod's own word. */
    readonly said: { readonly reached: boolean; readonly saw: string };
    /** Where a listener of ours stands: whether it has heard the pod. At several ports of the allowed target, at all of them. */
    readonly heard?: boolean;
    /** Whether the worker's kernel has carried an answer; undefined where its table does not show this pod's connections. */
    readonly carried?: boolean;
}

export interface ProbedPod {
    readonly namespace: string;
    readonly probes: readonly Probe[];
}

/** What scripts/on-host/reachable.ts prints. */
export interface ReachableFacts {
    /** Of the default runtime, where no policy of ours holds. */
    readonly control: ProbedPod;
    /** In sandboxes. */
    readonly inside: readonly (ProbedPod & { readonly runtimeClass: string })[];
}

/** Where a pod may go. */
export interface EgressRules {
    readonly allow: readonly {
        readonly cidr: string;
        /** Undefined: all ports. */
        readonly ports?: readonly { readonly port: number; readonly protocol: "TCP" | "UDP" | "SCTP" }[];
    }[];
    /** Whether names may be asked of the cluster's DNS. */
    readonly dns: boolean;
}

/** What a pod reaches, of one target. */
export interface Reached {
    readonly target: ReachableTarget;
    readonly address: string;
    /** Of the pod. */
    readonly namespace: string;
    readonly reached: boolean;
    /** Who says so: the target itself, the worker's kernel, or nobody but the pod. */
    readonly by: "target" | "worker" | "pod";
    readonly detail: string;
    /** Whether the control, a pod of the default runtime where no policy of ours holds, reaches it. */
    readonly control: boolean;
    /** Whether the policies let it through; undefined where there are none. */
    readonly allowed?: boolean;
}

export interface JudgedReachable {
    /** By RuntimeClass. */
    readonly reachable: Readonly<Record<string, readonly Reached[]>>;
    /** Whether policies are enforced; undefined where there are none. */
    readonly egress?: { readonly passed: boolean; readonly detail: string };
}

type ReachableSettings = { readonly reachable: string; readonly egress?: unknown };

/** Whether it is tried: where the setting says so, and where policies are to be proven. */
export function reachableIn(settings: ReachableSettings): boolean;
/** Whether rules let a probe through. */
export function isAllowed(probe: Pick<Probe, "target" | "addresses" | "protocol">, rules: EgressRules): boolean;
/** @param rules those of the policies, where there are some */
export function judge(facts: ReachableFacts, rules?: EgressRules): JudgedReachable;
/** Whether the check `egress` can have passed, by what the output says: the sentence of what speaks against it, or undefined. */
export function contradiction(reachable: JudgedReachable["reachable"]): string | undefined;
