// @ts-nocheck
// Looks at machines and cluster with what a stack's state holds, and says what differs. Run by Node 22 or newer, which the
// command line need not be: see drift.ts.
//
// stdin:  {"resources": what resourcesOf gives, "down": names of local machines that do not run, "canaries": whether new pods are
//         started}; holds secrets
// stdout: {"looked", "machines": [{"worker", "differences", "restart", "moved", "down"}], "objects": [{"object", "differences", "down"}],
//          "unseen": [{"what", "why"}] that could not be looked at, "again": [name of a step that has to be run again], "versions": by worker and component, as they are now}
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { resultIn, scriptsLost } from "../components/step.cjs";
import { showTaint } from "../scripts/on-host/api.ts";
import { startCanaries } from "../scripts/on-host/canary.ts";
import { areThere } from "../scripts/on-host/scripts.ts";
import { runOn } from "./machines.ts";
import { recordedCanaries, recordedMachines } from "./state.ts";

/** On a node: this program has cordoned it, see scripts/on-host/maintenance.ts. */
const cordonMark = "runtime-sandboxes/cordoned";

/** Workers with gVisor, by name. */
const workersOf = (resources) =>
    resources.flatMap(({ name, leaving }) => (leaving ? [] : (/^(.+)-runtime-install$/.exec(name)?.[1] ?? [])));

/**
 * Looks at each worker again as its last update has, by the step that did: with the script and the constants of then.
 *
 * @returns [{ worker, differences, restart, moved, down, unseen, lost, versions }]: sentences, of which restart has those for
 *     which containerd would be restarted; moved tells whether that is another containerd than the one that was planned for;
 *     down, whether its machine does not run; unseen, why it cannot be looked at; lost, whether it has not the scripts that
 *     were brought to it
 */
export async function lookAtMachines(resources, down) {
    const steps = new Map(resources.filter(({ leaving }) => !leaving).map((one) => [one.name, one]));
    return await Promise.all(
        workersOf(resources).map(async (worker) => {
            const unlike = (differences, more = {}) => ({ worker, differences, restart: [], ...more });
            const step = steps.get(`${worker}-runtime-look`);
            if (down.includes(worker)) {
                return unlike(["the machine is down"], { down: true });
            }
            if (step === undefined) {
                return unlike(["an earlier version of this program has set it up"]);
            }
            try {
                const { connection, create, stdin } = step.inputs;
                const { code, stdout, stderr } = await runOn(connection, create, stdin);
                if (code === scriptsLost) {
                    return withoutScripts(worker);
                }
                if (code !== 0) {
                    return unlike([`it cannot be looked at: ${stderr.trim()}`]);
                }
                const found = JSON.parse(resultIn(stdout));
                return { worker, ...found, moved: found.basis !== JSON.parse(resultIn(step.outputs.stdout)).basis };
            } catch (error) {
                return unlike([], { unseen: `it cannot be reached: ${error.message}` });
            }
        }),
    );
}

/** Machines that no such step looks at, such as the control plane's: those that have lost the scripts that were brought to them. */
export async function lookAtScripts(resources, down, looked, ask = areThere) {
    const others = recordedMachines(resources).filter(({ name }) => !down.includes(name) && !looked.includes(name));
    const found = others.map(async ({ name, ...input }) =>
        // Of one that cannot be reached the cluster's objects tell.
        (await ask(input).catch(() => true)) ? [] : withoutScripts(name),
    );
    return (await Promise.all(found)).flat();
}

const withoutScripts = (worker) => ({
    ...{ worker, restart: [], lost: true },
    differences: ["its scripts are gone or were changed"],
});

/** Where `live` has not what `wanted` asks for, as "PATH is LIVE, wanted WANTED". More than what is wanted is no matter. */
export function lacking(wanted, live, sameQuantity, path = "") {
    if (Array.isArray(wanted) && Array.isArray(live)) {
        return wanted.flatMap((one, index) => lacking(one, live[index], sameQuantity, `${path}[${index}]`));
    }
    if (typeof wanted === "object" && wanted !== null && !Array.isArray(wanted)) {
        return Object.entries(wanted).flatMap(([key, value]) =>
            lacking(value, live?.[key], sameQuantity, path === "" ? key : `${path}.${key}`),
        );
    }
    const isQuantity = /(^|\.)(podFixed|limits|requests)\./.test(path);
    if (wanted === live || wanted === undefined || wanted === null || (isQuantity && sameQuantity(wanted, live))) {
        return [];
    }
    return [`${path} is ${live === undefined ? "missing" : JSON.stringify(live)}, wanted ${JSON.stringify(wanted)}`];
}

/**
 * Reads each Kubernetes object of the stack again.
 *
 * @param client promise of @kubernetes/client-node
 * @returns [{ object, differences, down, unseen }]: unseen tells why it cannot be read
 */
async function lookAtCluster(resources, down, client) {
    const provider = resources.find(({ type }) => type === "pulumi:providers:kubernetes");
    const objects = resources.filter(
        ({ type, leaving, inputs }) => type.startsWith("kubernetes:") && !leaving && inputs.metadata?.name,
    );
    const taints = new Map(
        resources
            .filter(({ name, leaving }) => name.endsWith("-taints") && !leaving)
            .map(({ name, inputs }) => [name.replace(/-taints$/, ""), JSON.parse(inputs.stdin).taints]),
    );
    if (!provider || objects.length === 0) {
        return [];
    }
    const { KubeConfig, KubernetesObjectApi, sameQuantity } = await client;
    if (down.includes("control-plane")) {
        return [{ object: "control-plane", down: true, differences: ["the machine is down"] }];
    }
    const config = new KubeConfig();
    config.loadFromString(provider.inputs.kubeconfig);
    const api = KubernetesObjectApi.makeApiClient(config);
    return await Promise.all(
        objects.map(async ({ inputs }) => {
            const { apiVersion, kind, metadata } = inputs;
            const object = `${kind.replace(/Patch$/, "")} ${metadata.name}`;
            try {
                const live = await api.read({ apiVersion, kind: kind.replace(/Patch$/, ""), metadata });
                const differences = lacking(withoutNotes(inputs), live, sameQuantity);
                if (live.metadata?.deletionTimestamp) {
                    differences.push("it is being deleted");
                }
                const node = kind.replace(/Patch$/, "") === "Node" ? metadata.name : undefined;
                const lost = missingTaints(taints.get(node), live.spec?.taints);
                differences.push(...lost);
                const cordoned = live.metadata?.annotations?.[cordonMark] !== undefined;
                if (cordoned) {
                    differences.push("it is cordoned, by an `up` that did not come through");
                }
                if (kind === "Pod" && !["Running", "Pending"].includes(live.status?.phase)) {
                    differences.push(`it is ${live.status?.phase}`);
                }
                return {
                    ...{ object, differences },
                    again: [
                        ...(cordoned ? [`${node}-runtime-look`] : []),
                        ...(lost.length > 0 ? [`${node}-taints`] : []),
                    ],
                };
            } catch (error) {
                return error.code === 404
                    ? { object, differences: ["it is gone"] }
                    : { object, differences: [], unseen: `it cannot be read: ${firstLine(error)}` };
            }
        }),
    );
}

/** Taints of ours that a node has lost, as sentences. */
function missingTaints(wanted = [], live = []) {
    const has = live.map(showTaint);
    return wanted
        .map(showTaint)
        .filter((taint) => !has.includes(taint))
        .map((taint) => `the taint ${taint} is missing`);
}

/** Starts a new pod of each class on each worker, as its last update has. @returns by worker, what is wrong */
async function lookAtCanaries(resources, down) {
    const asked = recordedCanaries(resources).filter(
        ({ worker }) => !down.includes(worker) && !down.includes("control-plane"),
    );
    const found = asked.map(async ({ worker, stdin }) => {
        const flaws = await startCanaries(JSON.parse(stdin)).then(
            (seen) => seen.flaws,
            (error) => [`no new pods can be tried: ${firstLine(error)}`],
        );
        return [worker, flaws];
    });
    return Object.fromEntries(await Promise.all(found));
}

/** Inputs without what Pulumi notes in them for itself. */
function withoutNotes(inputs) {
    const { metadata, ...rest } = inputs;
    const { annotations = {}, ...others } = metadata;
    const kept = Object.entries(annotations).filter(([key]) => !key.startsWith("pulumi.com/"));
    return { ...rest, kind: undefined, metadata: { ...others, annotations: Object.fromEntries(kept) } };
}

function firstLine(error) {
    return String(error.cause?.message ?? error.message).split("\n")[0];
}

/** @kubernetes/client-node, with a comparison of quantities: the API server writes "0.5" as "500m". */
export async function loadClient() {
    const [client, { quantityToScalar }] = await Promise.all([
        import("@kubernetes/client-node"),
        import("@kubernetes/client-node/dist/util.js"),
    ]);
    const sameQuantity = (...both) => {
        try {
            const [a, b] = both.map((one) => Number(quantityToScalar(String(one))));
            return a === b;
        } catch {
            return false; // one is no quantity
        }
    };
    return { ...client, sameQuantity };
}

async function main() {
    const client = loadClient(); // takes longest, and comes while the state is still being read
    const { resources, down, canaries } = JSON.parse(await text(process.stdin));
    const [machines, objects, flaws, others] = await Promise.all([
        lookAtMachines(resources, down),
        lookAtCluster(resources, down, client),
        canaries ? lookAtCanaries(resources, down) : {},
        lookAtScripts(resources, down, workersOf(resources)),
    ]);
    for (const machine of machines) {
        machine.differences.push(...(flaws[machine.worker] ?? []));
    }
    const differing = (all, told) => all.filter(({ differences }) => differences.length > 0).map(told);
    const found = {
        looked: machines.length + objects.length,
        machines: differing([...machines, ...others], ({ worker, differences, restart, moved, down: isDown }) => ({
            ...{ worker, differences, restart, moved, down: isDown },
        })),
        objects: differing(objects, ({ object, differences, down: isDown }) => ({ object, differences, down: isDown })),
        unseen: [...machines, ...objects].flatMap(({ worker, object, unseen: why }) =>
            why === undefined ? [] : { what: worker ?? object, why },
        ),
        again: [
            ...objects.flatMap(({ again = [] }) => again),
            ...[...machines, ...others].flatMap(({ worker, lost: gone }) => (gone ? [`${worker}-scripts`] : [])),
        ],
        versions: Object.fromEntries(
            machines.flatMap(({ worker, versions }) => (versions ? [[worker, versions]] : [])),
        ),
    };
    process.stdout.write(JSON.stringify(found));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
    await main();
}
