// @ts-nocheck
// What is known today against the workers of a stack: today's table, the versions and flags of the last update.
import { vulnerabilitiesIn } from "../components/vulnerabilities.cjs";

/** Versions of a worker by component, as its outputs have them. */
const recorded = ({ runsc, containerd, facts }) => ({
    ...{ gvisor: runsc, containerd, runc: facts?.runc, kubernetes: facts?.kubelet },
});

/**
 * @param worker an entry of the output `workers`
 * @param versions if they are not those of the outputs
 */
export function knownOf(worker, versions = recorded(worker)) {
    const options = Object.values(worker?.evidence?.declared?.options ?? {});
    const accepted = (worker?.vulnerabilities ?? []).filter((one) => one.accepted).map(({ id }) => id);
    return vulnerabilitiesIn(versions, { options, accepted });
}

/** Whether a worker has another runc or kubelet by now than its facts say: no drift, but what is known is judged by them. */
export function isOutdated(worker, { runc, kubernetes }) {
    const facts = worker?.facts;
    return facts !== undefined && (facts.runc !== runc || facts.kubelet !== kubernetes);
}

/** Whether an update would be refused for it. */
export function isRefused({ component, accepted }) {
    return component === "gvisor" && !accepted;
}
