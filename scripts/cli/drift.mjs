// Looks at the machines and the cluster again and says what is not as the stack has left it. Changes nothing.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { stackDirectory } from "./environment.mjs";
import { Failure } from "./failure.mjs";
import { runOn } from "./machines.mjs";
import { readJson, readOr } from "./project.mjs";
import { capture } from "./run.mjs";
import { setup } from "./setup.mjs";
import { pulumiOf, stackExists, stackName } from "./stack.mjs";
import { exportState, resourcesOf } from "./state.mjs";

/** Exit code of `drift` where something differs; 1 is an error. */
const drifted = 3;

/** Says in the recorded text of a step that it does not hold any more: the next update runs the step again. */
const mark = "# drifted\n";

/**
 * Runs the verb "inspect" of what installed gVisor on each worker: the script and constants of then.
 *
 * @returns [{ worker, step, differences, unreachable }], differences as sentences
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
                return { worker, step: name, differences: JSON.parse(stdout).differences };
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
 * @returns [{ object, differences, unreachable }]
 */
async function lookAtCluster(resources, down) {
    const provider = resources.find(({ type }) => type === "pulumi:providers:kubernetes");
    const objects = resources.filter(
        ({ type, leaving, inputs }) => type.startsWith("kubernetes:") && !leaving && inputs.metadata?.name,
    );
    if (!provider || objects.length === 0) {
        return [];
    }
    const { KubeConfig, KubernetesObjectApi, quantityToScalar } = await import("@kubernetes/client-node");
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

/** Local machines that do not run: nobody else must be asked at their addresses. */
function downMachines(stack) {
    const machines = join(stackDirectory(stack), "machines");
    const bootId = readOr("/proc/sys/kernel/random/boot_id", "").trim();
    return (existsSync(machines) ? readdirSync(machines) : []).filter((name) => {
        const was = readJson(join(machines, name, "process.json"));
        const stat = was && readOr(`/proc/${was.pid}/stat`, "");
        const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
        return was?.bootId !== bootId || fields[0] === "Z" || fields[19] !== String(was.startTime);
    });
}

/** All that differs. @returns { machines, objects }, only what differs */
export async function look(stack, pulumi) {
    const resources = await resourcesOf(stack, pulumi);
    const down = downMachines(stack);
    const [machines, objects] = await Promise.all([lookAtMachines(resources, down), lookAtCluster(resources, down)]);
    const differing = (all) => all.filter(({ differences }) => differences.length > 0);
    return { looked: machines.length + objects.length, machines: differing(machines), objects: differing(objects) };
}

/** What was found, one line a difference. */
export function lines({ machines, objects }) {
    return [
        ...machines.flatMap(({ worker, differences }) => differences.map((text) => `${worker}: ${text}`)),
        ...objects.flatMap(({ object, differences }) => differences.map((text) => `${object}: ${text}`)),
    ];
}

/**
 * Notes in the state which steps do not hold any more, so that the next update runs them again. What cannot be reached is
 * left alone: nobody knows how it is.
 */
export async function markDrifted(stack, { machines }, pulumi) {
    const workers = new Set(machines.filter(({ unreachable }) => !unreachable).map(({ worker }) => worker));
    if (workers.size === 0) {
        return;
    }
    const state = await exportState(stack, pulumi);
    for (const resource of state.deployment.resources) {
        const [, worker] = /::([^:]+)-runtime-(?:facts|install)$/.exec(resource.urn) ?? [];
        if (
            workers.has(worker) &&
            typeof resource.inputs.stdin === "string" &&
            !resource.inputs.stdin.startsWith(mark)
        ) {
            resource.inputs.stdin = mark + resource.inputs.stdin;
        }
    }
    const args = ["stack", "import", "--stack", stack];
    const { code, stderr } = await capture(pulumi.path, args, { env: pulumi.env, input: JSON.stringify(state) });
    if (code !== 0) {
        throw new Failure(`the state of stack ${stack} could not be marked: ${stderr.trim().split("\n").pop()}`);
    }
}

/** `drift [--json]`. */
export async function drift(args) {
    const unknown = args.find((arg) => arg !== "--json");
    if (unknown !== undefined) {
        throw new Failure(`drift does not know "${unknown}"; allowed: --json.`, { exitCode: 2 });
    }
    const stack = stackName();
    const pulumi = pulumiOf(await setup("preview"));
    if (!(await stackExists(stack, pulumi))) {
        throw new Failure(`there is no stack ${stack}, so nothing can have drifted.`, { next: "npm run up" });
    }
    const found = await look(stack, pulumi);
    const told = lines(found);
    if (args.includes("--json")) {
        process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    } else if (told.length === 0) {
        process.stdout.write(`stack ${stack}: nothing has drifted; ${found.looked} machines and objects looked at\n`);
    } else {
        process.stdout.write(`stack ${stack} has drifted:\n${told.map((line) => `  ${line}\n`).join("")}`);
        process.stdout.write(`\`npm run up\` puts it right\n`);
    }
    return told.length === 0 ? 0 : drifted;
}
