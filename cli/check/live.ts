// @ts-nocheck
// Looks into the test pods again, and compares what they see now with the outputs.
import { request as plain } from "node:http";
import { request as secure } from "node:https";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import evidence from "../../components/evidence.cjs";
import { toolEnvironment } from "../environment.ts";
import { Failure } from "../failure.ts";
import { askPulumi, capture } from "../run.ts";
import { recordedCanaries, resourcesOf } from "../state.ts";
import { show } from "./schema.ts";

const { endsOf, isGvisorLog, mentionsGvisor } = evidence;
const patience = 15_000;
const keys = ["test-1", "test-2"];
/** Of the test pods (components/names.ts). */
const label = "runtime-sandboxes/test-pod";

/** The kubeconfig of a stack, in clear; that of a file only if the file holds it. */
export async function kubeconfigOf(outputs, stack, pulumi) {
    if (stack !== undefined) {
        const args = ["stack", "output", "kubeconfig", "--show-secrets", "--stack", stack];
        const { code, stdout, stderr } = await askPulumi(pulumi, args);
        if (code !== 0) {
            throw new Failure(`the kubeconfig of stack ${stack} cannot be read: ${stderr.trim().split("\n").pop()}`);
        }
        return stdout;
    }
    if (outputs.kubeconfig === "[secret]") {
        throw new Failure('--live needs a kubeconfig, and in the file it is "[secret]".', {
            exitCode: 2,
            next: "give one with --kubeconfig FILE",
        });
    }
    return outputs.kubeconfig;
}

/** GET of the API server, with a limit. An error has the `status` of the answer, if there was one. */
export async function get(config, path) {
    const { server } = config.getCurrentCluster();
    const options = { signal: AbortSignal.timeout(patience) };
    await config.applyToHTTPSOptions(options);
    const request = server.startsWith("https:") ? secure : plain;
    return await new Promise((resolve, reject) => {
        request(`${server}${path}`, options, async (response) => {
            try {
                const body = await json(response);
                if (response.statusCode === 200) {
                    resolve(body);
                } else {
                    const { statusCode: status } = response;
                    reject(Object.assign(new Error(body.message ?? `status ${status}`), { status }));
                }
            } catch (error) {
                reject(error);
            }
        })
            .on("error", (error) =>
                reject(error.name === "AbortError" ? new Error(`no answer in ${patience / 1000} s`) : error),
            )
            .end();
    });
}

/** The pods test-1 and test-2 of a worker, by their label. */
function podsOf(worker, pods) {
    return Object.fromEntries(
        keys.map((key) => [
            key,
            pods.find(({ metadata, spec }) => spec.nodeName === worker && metadata.labels[label] === key),
        ]),
    );
}

/** `uname -r` and `dmesg` in all pods, by "WORKER KEY", from the script of the program's own probe. */
async function look(pods, kubeconfig) {
    const targets = pods.map(([key, { metadata }]) => [
        key,
        { namespace: metadata.namespace, name: metadata.name, uid: metadata.uid },
    ]);
    const input = JSON.stringify({ kubeconfig, pods: Object.fromEntries(targets) });
    const script = join("scripts", "on-host.mjs");
    const { code, stdout, stderr } = await capture("node", [script, "pod-facts"], { input, env: toolEnvironment() });
    if (code !== 0) {
        throw new Error(
            stderr
                .trim()
                .split("\n")
                .pop()
                ?.replace(/^error: /, "") || `it ended with exit code ${code}`,
        );
    }
    return JSON.parse(stdout);
}

/** What is not in the cluster as the outputs have it. */
function clusterDifferences(name, outputs, node, pods) {
    const found = [];
    const kernel = node?.status?.nodeInfo?.kernelVersion;
    if (kernel !== outputs.uname[name].worker) {
        found.push(
            `uname.${name}.worker is ${show(outputs.uname[name].worker)}, ` +
                (kernel === undefined ? "but the cluster has no such node" : `but the node has ${show(kernel)} now`),
        );
    }
    for (const key of keys.filter((one) => pods[one] === undefined)) {
        found.push(`the pod ${key} of ${name} is not in the cluster (node ${name})`);
    }
    const classes = [outputs.runtimeClass, ...Object.values(outputs.handlers ?? {})];
    const own = pods["test-2"]?.spec.runtimeClassName;
    if (pods["test-2"] && !classes.includes(own)) {
        found.push(
            `the pod ${pods["test-2"].metadata.name} of ${name} has ${own === undefined ? "no runtime class" : `the runtime class ${show(own)}`} now, ` +
                `the outputs name ${classes.map(show).join(", ")}`,
        );
    }
    return found;
}

/** What a pod sees otherwise than the outputs have it. gVisor's log is compared by its first and last line only. */
function podDifferences(name, key, outputs, { kernel, dmesg }) {
    const found = [];
    const recorded = outputs.uname[name][key];
    if (kernel !== recorded) {
        found.push(`uname.${name}.${key} is ${show(recorded)}, but the pod sees ${show(kernel)} now`);
    }
    const gvisor = key === "test-2" ? isGvisorLog : mentionsGvisor;
    if (gvisor(dmesg) !== gvisor(outputs.dmesg[name][key])) {
        found.push(
            `dmesg.${name}.${key} is ${show(endsOf(outputs.dmesg[name][key]))}, but the pod prints ${show(endsOf(dmesg))} now`,
        );
    }
    return found;
}

/**
 * Starts a new pod of each class on each worker of a stack, as its last update has.
 *
 * @returns [{ kind: "not starting", worker, message }]
 */
export async function canaryProblems(stack, pulumi) {
    const started = recordedCanaries(await resourcesOf(stack, pulumi)).map(async ({ worker, stdin }) => {
        const args = [join("scripts", "on-host.mjs"), "canary", "look"];
        const { code, stderr } = await capture("node", args, { input: stdin, env: toolEnvironment() });
        const message =
            stderr
                .trim()
                .split("\n")
                .pop()
                ?.replace(/^canary: /, "") ?? "";
        return code === 0 ? [] : { kind: "not starting", worker, message };
    });
    return (await Promise.all(started)).flat();
}

/**
 * Compares valid outputs with the cluster as it is now.
 *
 * @param kubeconfig text
 * @returns [{ kind: "stale", worker, message }]
 */
export async function liveProblems(outputs, kubeconfig) {
    const { KubeConfig } = await import("@kubernetes/client-node");
    const stale = (worker, messages) => messages.map((message) => ({ kind: "stale", worker, message }));
    try {
        const config = new KubeConfig();
        config.loadFromString(kubeconfig);
        const [{ items: nodes }, { items: pods }] = await Promise.all([
            get(config, "/api/v1/nodes"),
            get(config, `/api/v1/pods?labelSelector=${label}`),
        ]);
        const workers = Object.keys(outputs.workers).map((name) => ({ name, pods: podsOf(name, pods) }));
        const seen = await look(
            workers.flatMap((worker) =>
                keys.filter((key) => worker.pods[key]).map((key) => [`${worker.name} ${key}`, worker.pods[key]]),
            ),
            kubeconfig,
        );
        return workers.flatMap(({ name, pods: own }) => {
            const node = nodes.find(({ metadata }) => metadata.name === name);
            const inside = keys.filter((key) => own[key]).map((key) => [key, seen[`${name} ${key}`]]);
            return stale(name, [
                ...clusterDifferences(name, outputs, node, own),
                ...inside.flatMap(([key, facts]) => podDifferences(name, key, outputs, facts)),
            ]);
        });
    } catch (error) {
        return stale(undefined, [`the pods cannot be looked into again: ${error.cause?.message ?? error.message}`]);
    }
}
