// What is known today against the workers of a stack: today's table, the versions and flags of the last update.
import { type Component, type Vulnerability, vulnerabilitiesIn } from "../components/vulnerabilities.cjs";

type Versions = Readonly<Partial<Record<Component, string>>>;
type Flags = Readonly<Record<string, string>>;

/** What of an entry of the output `workers` counts here; earlier versions of the program left some of it out. */
interface KnownWorker {
    readonly runsc?: string;
    readonly containerd?: string;
    readonly facts?: { readonly runc?: string; readonly kubelet?: string };
    /** Flags of runsc, by handler. */
    readonly evidence?: { readonly declared: { readonly options?: Readonly<Record<string, Flags>> } };
    readonly vulnerabilities?: readonly Pick<Vulnerability, "id" | "accepted">[];
}

/** Versions of a worker as its outputs have them. */
const recorded = ({ runsc, containerd, facts }: KnownWorker): Versions => ({
    gvisor: runsc,
    containerd,
    runc: facts?.runc,
    kubernetes: facts?.kubelet,
});

/**
 * @param worker undefined where the outputs do not have it yet
 * @param versions by default those of the outputs
 */
export function knownOf(worker: KnownWorker = {}, versions = recorded(worker)): Vulnerability[] {
    const options = Object.values(worker.evidence?.declared.options ?? {});
    const accepted = (worker.vulnerabilities ?? []).filter((one) => one.accepted).map(({ id }) => id);
    return vulnerabilitiesIn(versions, { options, accepted });
}

/** Whether a worker has another runc or kubelet by now than its facts say: no drift, but what is known is judged by them. */
export function isOutdated(worker: KnownWorker | undefined, { runc, kubernetes }: Versions): boolean {
    const facts = worker?.facts;
    return facts !== undefined && (facts.runc !== runc || facts.kubelet !== kubernetes);
}

/** Whether an update would be refused for it. */
export function isRefused({ component, accepted }: Pick<Vulnerability, "component" | "accepted">): boolean {
    return component === "gvisor" && !accepted;
}
