// Looks at machines and cluster with what a stack's state holds, and says what differs. Run by Node 22 or newer, which the
// command line need not be: see drift.mjs.
//
// stdin:  {"resources": what resourcesOf gives, "down": names of local machines that do not run}; holds secrets
// stdout: {"looked", "machines": [{"worker", "step", "differences", "unreachable"}], "objects": [{"object", ...}],
//          "versions": by worker and component, as they are now}
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { Failure } from "./failure.mjs";
import { runOn } from "./machines.mjs";

/** Says in the recorded text of a step that it does not hold any more: the next update runs the step again. */
export const mark = "# drifted\n";

/**
 * Runs the verb "inspect" of what installed gVisor on each worker: the script and constants of then.
 *
 * @returns [{ worker, step, differences, unreachable, versions }], differences as sentences
 */
async function lookAtMachines(resources, down) {
    const steps = resources.filter(
        ({ type, name, leaving }) => type === "command:remote:Command" && name.endsWith("-runtime-install") && !leaving,
    );
    return await Promise.all(
        steps.map(async ({ name, inputs }) => {
            const worker = name.replace(/-runtime-install$/, "");
            if (!inputs.create.includes("-- install")) {
                throw new Failure(`the step ${name} of the state is not one that can be asked: ${inputs.create}`);
            }
            if (down.includes(worker)) {
                return { worker, step: name, unreachable: true, differences: ["the machine is down"] };
            }
            // One of version 0.1.0 knows no verb: it would do its work instead.
            if (!/^\s*inspect\)/m.test(inputs.stdin)) {
                return { worker, step: name, differences: ["an earlier version of this program has set it up"] };
            }
            // What was marked by an `up` that did not come through is still not as it should be.
            if (inputs.stdin.startsWith(mark)) {
                return {
                    worker,
                    step: name,
                    differences: ["an earlier `up` has found it changed and did not come through"],
                };
            }
            const call = inputs.create.replace("-- install", "-- inspect");
            try {
                const { code, stdout, stderr } = await runOn(inputs.connection, call, inputs.stdin);
                if (code !== 0) {
                    return { worker, step: name, differences: [`it cannot be looked at: ${stderr.trim()}`] };
                }
                const { differences, versions } = JSON.parse(stdout);
                return { worker, step: name, differences, versions };
            } catch (error) {
                return {
                    worker,
                    step: name,
                    unreachable: true,
                    differences: [`it cannot be reached: ${error.message}`],
                };
            }
        }),
    );
}

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
    if (wanted === live || wanted === undefined || wanted === null || sameQuantity(wanted, live)) {
        return [];
    }
    return [`${path} is ${live === undefined ? "missing" : JSON.stringify(live)}, wanted ${JSON.stringify(wanted)}`];
}

/**
 * Reads each Kubernetes object of the stack again.
 *
 * @param client promise of @kubernetes/client-node
 * @returns [{ object, differences, unreachable }]
 */
async function lookAtCluster(resources, down, client) {
    const provider = resources.find(({ type }) => type === "pulumi:providers:kubernetes");
    const objects = resources.filter(
        ({ type, leaving, inputs }) => type.startsWith("kubernetes:") && !leaving && inputs.metadata?.name,
    );
    if (!provider || objects.length === 0) {
        return [];
    }
    const { KubeConfig, KubernetesObjectApi, quantityToScalar } = await client;
    const sameQuantity = (a, b) => {
        try {
            return String(quantityToScalar(String(a))) === String(quantityToScalar(String(b)));
        } catch {
            return false;
        }
    };
    if (down.includes("control-plane")) {
        return [{ object: "control-plane", unreachable: true, differences: ["the machine is down"] }];
    }
    const config = new KubeConfig();
    config.loadFromString(provider.inputs.kubeconfig);
    const api = KubernetesObjectApi.makeApiClient(config);
    return await Promise.all(
        objects.map(async ({ name, inputs }) => {
            const { apiVersion, kind, metadata } = inputs;
            const object = `${kind.replace(/Patch$/, "")} ${metadata.name}`;
            try {
                const live = await api.read({ apiVersion, kind: kind.replace(/Patch$/, ""), metadata });
                const differences = lacking(withoutNotes(inputs), live, sameQuantity);
                if (live.metadata?.deletionTimestamp) {
                    differences.push("it is being deleted");
                }
                if (kind === "Pod" && !["Running", "Pending"].includes(live.status?.phase)) {
                    differences.push(`it is ${live.status?.phase}`);
                }
                return { object, step: name, differences };
            } catch (error) {
                const gone = error.code === 404;
                return {
                    object,
                    step: name,
                    unreachable: !gone,
                    differences: [gone ? "it is gone" : `it cannot be read: ${firstLine(error)}`],
                };
            }
        }),
    );
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

async function main() {
    const client = import("@kubernetes/client-node"); // takes longest, and comes while the state is still being read
    const { resources, down } = JSON.parse(await text(process.stdin));
    const [machines, objects] = await Promise.all([
        lookAtMachines(resources, down),
        lookAtCluster(resources, down, client),
    ]);
    const differing = (all) =>
        all.filter(({ differences }) => differences.length > 0).map(({ versions: _, ...one }) => one);
    const found = {
        looked: machines.length + objects.length,
        machines: differing(machines),
        objects: differing(objects),
        // What an older inspection did not ask is missing.
        versions: Object.fromEntries(
            machines.flatMap(({ worker, versions }) => (versions ? [[worker, versions]] : [])),
        ),
    };
    process.stdout.write(JSON.stringify(found));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
    await main();
}
