// @ts-nocheck
// Asks the API server and each machine of a stack for all pods, side by side. Run by Node 22 or newer, which the command line
// need not be: see ../pods.ts. Changes nothing.
//
// stdin:  {"kubeconfig", "selector": of pods' labels, or empty, "machines": [{"name", "connection", "shell"}], "down": names of those that do not
//         run, "wanted": see judge.ts, "patience": seconds for which containerd may be late to see that a container has ended}; holds secrets
// stdout: {"asked", "machines": [{"worker", "seconds", "pods", "error"}], "pods": rows of judge.ts} or {"refused": why the API server
//         cannot be asked, "selector": whether it is the selector that it does not take}
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { KubeConfig } from "@kubernetes/client-node";
import { resultIn, resultMark, stepCall } from "../../components/step.cjs";
import { get } from "../check/live.ts";
import { runOn } from "../machines.ts";
import { confirmed, isEnding, isWrong, rowsOf, undoubted } from "./judge.ts";
import { podsIn } from "./worker.ts";

/** Seconds that a machine may take, and after which what seemed wrong is looked at again. */
const [limit, pause] = [60, 1];
/** Pods that the API server is asked for at once: of a large cluster all are too many for one answer. */
const page = 500;

/** What runs on a machine. It goes with the call, so that it needs nothing of what an update has brought there. */
export const script = [
    `printf '\\n%s\\n' '${resultMark}'`,
    ...["lib.sh", "gvisor/node.sh", "probe/pods-host.sh"].map((file) =>
        readFileSync(new URL(`../../scripts/on-machine/${file}`, import.meta.url), "utf8"),
    ),
].join("\n");

/** All pods of one machine. @returns { worker, seconds, installed, pods } (see worker.ts) or { worker, error } */
export async function askMachine({ name: worker, connection, shell }, down = []) {
    if (down.includes(worker)) {
        return { worker, error: "the machine is down" };
    }
    const start = performance.now();
    try {
        const call = stepCall(shell, limit, "look");
        const { code, stdout, stderr } = await runOn(connection, call, script, (limit + 15) * 1000);
        if (code !== 0) {
            throw new Error(stderr.trim().split("\n").pop() || `bash ended with ${code}`);
        }
        return { worker, ...podsIn(resultIn(stdout)), seconds: (performance.now() - start) / 1000 };
    } catch (error) {
        return { worker, error: error.message };
    }
}

/** All of a list, page by page. */
async function listed(config, path, query = {}) {
    const items = [];
    let next = "";
    do {
        const parameters = new URLSearchParams({ limit: page, ...query, ...(next && { continue: next }) });
        const answer = await get(config, `${path}?${parameters}`);
        items.push(...answer.items);
        next = answer.metadata?.continue ?? "";
    } while (next !== "");
    return items;
}

/** What the API server says of pods, namespaces and classes, as judge.ts takes it. */
async function askCluster(config, selector) {
    const [pods, namespaces, classes] = await Promise.all([
        listed(config, "/api/v1/pods", selector === "" ? {} : { labelSelector: selector }),
        listed(config, "/api/v1/namespaces"),
        listed(config, "/apis/node.k8s.io/v1/runtimeclasses"),
    ]);
    return {
        pods: pods.map(({ metadata, spec, status }) => ({
            ...{ uid: metadata.uid, namespace: metadata.namespace, name: metadata.name, node: spec.nodeName },
            ...{ runtimeClass: spec.runtimeClassName, phase: status?.phase },
            leaving: metadata.deletionTimestamp !== undefined,
            // kubelet knows a static pod by the hash of its file, the API server by an object that stands for it:
            // https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/types/pod_update.go
            hash:
                metadata.annotations?.["kubernetes.io/config.mirror"] &&
                metadata.annotations["kubernetes.io/config.hash"],
        })),
        namespaces: namespaces.map(({ metadata }) => ({ name: metadata.name, labels: metadata.labels ?? {} })),
        classes: classes.map(({ metadata, handler }) => ({ name: metadata.name, handler })),
    };
}

async function main() {
    const { kubeconfig, selector, machines, down, wanted, patience } = JSON.parse(await text(process.stdin));
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    const look = async (which) => {
        const [cluster, ...said] = await Promise.all([
            askCluster(config, selector),
            ...which.map((machine) => askMachine(machine, down)),
        ]);
        return { said, rows: rowsOf({ cluster, said, all: machines.map(({ name }) => name), selector, wanted }) };
    };
    let { said, rows } = await look(machines);
    // Between two answers a pod may have started or ended: what is wrong must be so again, and what may be an end must last.
    const end = Date.now() + patience * 1000;
    for (let left = rows.filter(isWrong); left.length > 0; left = Date.now() < end ? rows.filter(isEnding) : []) {
        await sleep(pause * 1000);
        const doubtful = new Set(left.map(({ worker }) => worker));
        const again = await look(machines.filter(({ name }) => doubtful.has(name)));
        const silent = again.said.filter(({ error }) => error !== undefined);
        said = said.map((one) => silent.find(({ worker }) => worker === one.worker) ?? one);
        const quiet = new Set(silent.map(({ worker }) => worker));
        for (const worker of quiet) {
            doubtful.delete(worker); // what it has said before stands, as far as one look can tell it
        }
        rows = [
            ...rows
                .filter(({ worker }) => !doubtful.has(worker))
                .map((row) => (quiet.has(row.worker) ? undoubted(row) : row)),
            ...confirmed(
                rows,
                again.rows.filter(({ worker }) => doubtful.has(worker)),
            ),
        ];
    }
    const asked = new Date().toISOString();
    const answers = said.map(({ worker, seconds, pods, error }) => ({ worker, seconds, pods: pods?.length, error }));
    process.stdout.write(JSON.stringify({ asked, machines: answers, pods: rows }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
    await main().catch((error) => {
        const refused = `the API server: ${error.cause?.message ?? error.message}`;
        process.stdout.write(JSON.stringify({ refused, selector: error.status === 400 }));
    });
}
