// @ts-nocheck
// Which pods are where they should be: what the cluster says that they asked for, against what the workers say that they have.
// Pure. Pods are the same by their uid: names come back.
import evidence from "../../components/evidence.cjs";
import { sentenceOf, vulnerabilitiesIn } from "../../components/vulnerabilities.cjs";

/** Runtimes of containerd's: one that is no sandbox, whatever class leads to it, and that of gVisor's shim. */
const [plainRuntime, gvisorRuntime] = ["io.containerd.runc.v2", "io.containerd.runsc.v1"];

/** A pod's containers as the worker's evidence has them: components/evidence.d.cts. */
const factsOf = ({ containers, sandbox }) => ({
    runtimes: containers.map(({ runtime }) => runtime),
    runscRunning: containers.filter(({ runsc }) => runsc).length,
    sandboxExecutable: sandbox?.executable ?? "",
    sandboxOptions: sandbox?.flags ?? {},
});

/** RuntimeClasses that lead into sandboxes of this stack: those that it has made, and those of others for its handlers. */
function sandboxClasses({ handlers }, { classes }) {
    const others = classes.filter(({ handler }) => Object.hasOwn(handlers, handler)).map(({ name }) => name);
    return new Set([...Object.values(handlers), ...others]);
}

/** Namespaces whose pods must be in a sandbox: those with the label, and those that an update gave it and somebody took it from. */
function mandatoryNamespaces({ mandatory }, { namespaces }) {
    if (mandatory === undefined) {
        return new Set();
    }
    const { key, value } = mandatory.label;
    const labelled = namespaces.filter(({ labels }) => labels[key] === value).map(({ name }) => name);
    return new Set([...labelled, ...mandatory.namespaces]);
}

/**
 * Why a pod must be in a sandbox of this stack, as the end of a sentence; undefined where it need not be.
 *
 * @param pod { namespace, runtimeClass, handler, runtimes }
 */
function reason(pod, { classes, handlers, mandatory, others }) {
    const { namespace, runtimeClass, handler, runtimes } = pod;
    if (runtimeClass !== undefined && classes.has(runtimeClass)) {
        return `it asks for the class ${runtimeClass}`;
    }
    // Of a class that is gone by now, or of a pod that the API server has forgotten, containerd still knows the handler.
    if (Object.hasOwn(handlers, handler)) {
        return `it was started for the handler ${handler}`;
    }
    // What else a namespace takes as a sandbox, its owner answers for. runc is none.
    const elsewhere = others.includes(runtimeClass) && runtimes.every((runtime) => runtime !== plainRuntime);
    return mandatory.has(namespace) && !elsewhere ? `the namespace ${namespace} takes sandboxed pods only` : undefined;
}

/** What is wrong with the sandbox that a pod is in. */
function flawsOfSandbox({ release, replaced, flags }, installed, accepted, allowReplaced) {
    const known = vulnerabilitiesIn({ gvisor: release }, { options: [flags], accepted });
    const recreate = "delete the pod, so that it is recreated";
    return [
        ...known
            .filter((one) => !one.accepted)
            .map((one) => ({
                kind: "vulnerable",
                seen: sentenceOf(one),
                wanted: "a gVisor without a known vulnerability, or its id in the setting acceptVulnerabilities",
                next: replaced
                    ? recreate
                    : "take a gVisor where it is fixed, `npm run up`, then delete the pod, so that it is recreated",
            })),
        ...(replaced && !allowReplaced
            ? [
                  {
                      kind: "replaced",
                      seen: `its sandbox runs gVisor ${short(release) || "of an unknown release"}, which has been replaced`,
                      wanted: installed ? `gVisor ${short(installed)}` : "the gVisor that is installed there",
                      next: `${recreate}; or accept it: --allow-replaced`,
                  },
              ]
            : []),
    ];
}

/** "20260905.0" of "release-20260905.0". */
export const short = (release = "") => release.replace(/^release-/, "");

/** What is wrong with a pod that must be in a sandbox and is in none. */
function unsandboxed(pod, why, { classes, handlers }) {
    const { worker, runtimeClass, handler } = pod;
    const hasAsked = classes.has(runtimeClass) || Object.hasOwn(handlers, handler);
    return {
        kind: "unsandboxed",
        containers: pod.containers.filter(({ runsc }) => !runsc).map(({ id }) => id),
        seen: evidence.describeRuntime(factsOf(pod)),
        wanted: `a sandbox: ${why}`,
        next: hasAsked
            ? `\`npm run drift\` names what was changed on ${worker}, \`npm run up\` repairs it; then delete the pod, so that it is recreated`
            : `write runtimeClassName: ${[...classes].join(" or ")} where it is made, then delete the pod, so that it is recreated`,
    };
}

/** A pod as the worker has it, with what the API server knows of it. */
function rowOf(pod, known, context) {
    const { worker, accepted } = pod;
    const facts = factsOf(pod);
    const inSandbox = evidence.isSandboxed(facts, 1);
    const row = { ...pod, runtimeClass: known?.runtimeClass, known: known !== undefined };
    const why = reason({ ...row, runtimes: facts.runtimes }, context);
    // A gVisor of somebody else's handlers is theirs to replace; the same release from another place is none that was replaced.
    const isOther = short(pod.sandbox?.release) === "" || short(pod.sandbox?.release) !== short(pod.installed);
    const replaced = pod.sandbox?.replaced && isOther && Object.hasOwn(context.handlers, pod.handler);
    const sandbox = { ...pod.sandbox, replaced };
    return {
        ...{ worker, namespace: pod.namespace, name: pod.name, uid: pod.uid },
        ...{ runtimeClass: row.runtimeClass, handler: pod.handler, known: row.known, since: pod.since },
        required: why,
        inSandbox,
        runtimes: [...new Set(facts.runtimes)],
        containers: pod.containers,
        ...(inSandbox && { release: sandbox.release, replaced: sandbox.replaced, flags: sandbox.flags }),
        flaws: [
            ...(why !== undefined && !inSandbox ? [unsandboxed(row, why, context)] : []),
            ...(inSandbox ? flawsOfSandbox(sandbox, pod.installed, accepted, context.allowReplaced) : []),
        ],
    };
}

/** A pod that runs, as the API server has it, on a node that does not say so or is none of this stack's. */
function unseenRow({ uid, namespace, name, node, runtimeClass }, context, isOurs) {
    const why = reason({ namespace, runtimeClass, handler: "", runtimes: [plainRuntime] }, context);
    const flaw = {
        kind: "unseen",
        seen: isOurs
            ? `${node} has no such pod, although it runs there by the API server`
            : `it runs on ${node}, which is no machine of this stack`,
        wanted: `the worker's own word that it is in a sandbox: ${why}`,
        next: isOurs
            ? `look at kubelet and containerd on ${node}`
            : `take ${node} into this stack, or the pod away from there`,
    };
    return {
        ...{ worker: node, namespace, name, uid, runtimeClass, known: true, required: why, inSandbox: false },
        ...{ runtimes: [], containers: [], flaws: why === undefined ? [] : [flaw] },
    };
}

/**
 * All pods that were asked for, each with what is wrong with it.
 *
 * @param cluster { pods: [{ uid, hash, namespace, name, node, runtimeClass, phase, leaving }], namespaces, classes }
 * @param said what machines say: [{ worker, pods, installed, error }], pods as worker.ts gives them
 * @param all names of all machines of the stack, whether they were asked or not
 * @param selector of labels; where there is one, only pods that the cluster lists
 * @param wanted { handlers: class by handler of this stack, mandatory: { label, namespaces, classes } if there is a policy,
 * accepted: ids of vulnerabilities by worker, allowReplaced }
 * @returns [{ worker, namespace, name, uid, runtimeClass, handler, known, since, required, inSandbox, runtimes, containers, release,
 * replaced, flags, flaws: [{ kind, seen, wanted, next }] }]: kinds are those of exitCodes in ../check.ts
 */
export function rowsOf({ cluster, said, all, selector = "", wanted }) {
    const context = {
        classes: sandboxClasses(wanted, cluster),
        handlers: wanted.handlers,
        mandatory: mandatoryNamespaces(wanted, cluster),
        others: wanted.mandatory?.classes ?? [],
        allowReplaced: wanted.allowReplaced === true,
    };
    // Whoever can make pods can write an annotation: what the API server itself gave a pod goes before.
    const byUid = new Map([
        ...cluster.pods.filter(({ hash }) => hash).map((pod) => [pod.hash, pod]),
        ...cluster.pods.map((pod) => [pod.uid, pod]),
    ]);
    const answered = said.filter(({ error }) => error === undefined);
    const seen = answered.flatMap(({ worker, pods, installed }) =>
        pods
            .map((pod) => ({ ...pod, worker, installed, accepted: wanted.accepted[worker] ?? [] }))
            .filter(({ uid }) => selector === "" || byUid.has(uid)),
    );
    const uids = new Set(seen.map(({ uid }) => uid));
    const unseen = cluster.pods.filter(
        ({ uid, hash, phase, leaving, node }) =>
            phase === "Running" &&
            !leaving &&
            ![uid, hash].some((one) => uids.has(one)) &&
            (answered.some(({ worker }) => worker === node) || !all.includes(node)),
    );
    return [
        ...seen.map((pod) => rowOf(pod, byUid.get(pod.uid), context)),
        ...unseen.map((pod) => unseenRow(pod, context, all.includes(pod.node))),
    ].sort((a, b) => compare(a.worker, b.worker) || compare(a.namespace, b.namespace) || compare(a.name, b.name));
}

const compare = (a, b) => a.localeCompare(b, "en", { numeric: true });

const isDoubtful = ({ kind }) => kind === "unsandboxed" || kind === "unseen";

/** A pod without what one look alone cannot tell. */
export const undoubted = (row) => ({ ...row, flaws: row.flaws.filter((flaw) => !isDoubtful(flaw)) });

/** Whether a pod seems to be elsewhere than it should, which it may only seem to be while it starts or ends. */
export const isWrong = ({ flaws }) => flaws.some(isDoubtful);

/** Whether all that is wrong is that runsc does not know what containerd has it run: containerd may be late to see its end. */
export const isEnding = (row) => isWrong(row) && row.runtimes.every((runtime) => runtime === gvisorRuntime);

/** The later of two looks, where a pod is elsewhere than it should only if it was so in both, by the same container. */
export function confirmed(first, again) {
    const before = new Map(first.map((row) => [row.uid, row.flaws]));
    const same = (flaw, { kind, containers = [] }) =>
        kind === flaw.kind &&
        (containers.length === 0 || containers.some((id) => (flaw.containers ?? []).includes(id)));
    return again.map((row) => ({
        ...row,
        flaws: row.flaws.filter((flaw) => !isDoubtful(flaw) || before.get(row.uid)?.some((one) => same(flaw, one))),
    }));
}
