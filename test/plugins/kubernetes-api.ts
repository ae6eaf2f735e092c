import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Api } from "../../plugins/kubernetes/api";
import { loadKubeconfig } from "../../plugins/kubernetes/kubeconfig";
import { type KubeObject, maps, text } from "../../plugins/kubernetes/objects";
import { kubernetes } from "../../versions.json";
import { eventually } from "../helpers/eventually";
import { freePort } from "./kubernetes/ways";

const CACHE = process.env.CACHE_DIR ?? path.resolve(__dirname, "../../.cache");
const PARTS = path.join(process.env.MIRROR_BUILD_DIR ?? path.join(CACHE, "mirror-build"), "parts");
const READY_MS = 60_000;
const STOP_MS = 10_000;
const POLL_MS = 100;

/** The controllers that a test needs: foreground deletion, namespaces, accounts of pods, endpoints. */
const CONTROLLERS = [
    ...["garbage-collector-controller", "namespace-controller", "serviceaccount-controller"],
    ...["endpointslice-controller", "deployment-controller", "replicaset-controller"],
];

function program(name: string): string {
    return path.join(PARTS, name === "etcd" ? "etcd" : "kubernetes", name);
}

/** What of Kubernetes is not built on this machine (the mirror builds it); empty if all is there. */
function missingPrograms(): string[] {
    return ["etcd", "kube-apiserver", "kube-controller-manager", "kubeadm"]
        .map(program)
        .filter((file) => !existsSync(file));
}

/** A real Kubernetes API server on loopback with its etcd and some controllers, but no kubelet: pods do what the test says. */
export class TestCluster {
    private readonly children: ChildProcess[] = [];
    private readonly watching = new AbortController();
    readonly signal = this.watching.signal;
    private readonly directory = mkdtempSync(path.join(os.tmpdir(), "kubernetes-"));
    private readonly adminFile = path.join(this.directory, "super-admin.conf");
    private connection: Api | undefined;
    /** Contents of a kubeconfig with a client certificate of an administrator. */
    kubeconfig = "";
    server = "";

    get api(): Api {
        if (this.connection === undefined) {
            throw new Error("the test cluster is not started");
        }
        return this.connection;
    }

    async start(): Promise<void> {
        const [etcd, peer, port] = [await freePort(), await freePort(), await freePort()];
        this.server = `https://127.0.0.1:${port}`;
        this.makeCredentials(port);
        this.launch("etcd", [
            ...["--data-dir", path.join(this.directory, "etcd"), "--unsafe-no-fsync"],
            ...[
                "--listen-client-urls",
                `http://127.0.0.1:${etcd}`,
                "--advertise-client-urls",
                `http://127.0.0.1:${etcd}`,
            ],
            ...["--listen-peer-urls", `http://127.0.0.1:${peer}`],
        ]);
        this.launch("kube-apiserver", this.apiServerArguments(etcd, port));
        this.kubeconfig = readFileSync(this.adminFile, "utf8");
        this.connection = new Api(await loadKubeconfig(this.kubeconfig), this.server);
        await eventually("the API server to answer", async () => text(await this.get("/version"), "gitVersion") !== "");
        this.launch("kube-controller-manager", [
            ...["--kubeconfig", this.adminFile, "--leader-elect=false"],
            ...[`--controllers=${CONTROLLERS.join(",")}`, "--secure-port=0", "--concurrent-gc-syncs=2"],
            ...["--kube-api-qps=200", "--kube-api-burst=400"],
        ]);
        await this.account("default");
        await this.post("/api/v1/nodes", { apiVersion: "v1", kind: "Node", metadata: { name: "worker-1" } });
        void this.removeDeletedPods();
    }

    async stop(): Promise<void> {
        this.watching.abort();
        for (const child of this.children.reverse()) {
            const ended = new Promise((resolve) => child.once("exit", resolve));
            if (child.exitCode === null && child.kill("SIGTERM")) {
                await Promise.race([
                    ended,
                    sleep(STOP_MS, undefined, { ref: false }).then(() => child.kill("SIGKILL")),
                ]);
            }
        }
        rmSync(this.directory, { recursive: true, force: true });
    }

    get(target: string): Promise<KubeObject> {
        return this.api.request("GET", target, { signal: this.signal });
    }

    post(target: string, body: object): Promise<KubeObject> {
        return this.api.request("POST", target, { body, signal: this.signal, query: { fieldManager: "test" } });
    }

    merge(target: string, body: object, fieldManager = "test"): Promise<KubeObject> {
        const contentType = "application/merge-patch+json";
        return this.api.request("PATCH", target, { body, contentType, signal: this.signal, query: { fieldManager } });
    }

    async remove(target: string): Promise<void> {
        await this.api.request("DELETE", target, { signal: this.signal, body: { gracePeriodSeconds: 0 } });
    }

    /** Does for a pod what its kubelet would: sets its status. Waits for the pod to be there. */
    async setPodStatus(name: string, status: object, namespace = "default"): Promise<void> {
        const target = `/api/v1/namespaces/${namespace}/pods/${name}`;
        await eventually(`pod ${name}`, async () => text(await this.get(target), "kind") === "Pod");
        await this.merge(`${target}/status`, { status }, "kubelet");
    }

    /** The names of the pods that a label selector picks in the default namespace, once there are any. */
    async podsOf(labelSelector: string): Promise<string[]> {
        let names: string[] = [];
        await eventually(`pods with ${labelSelector}`, async () => {
            const list = await this.get(
                `/api/v1/namespaces/default/pods?labelSelector=${encodeURIComponent(labelSelector)}`,
            );
            names = maps(list, "items").map((pod) => text(pod, "metadata", "name"));
            return names.length > 0;
        });
        return names;
    }

    /** Waits until pods can be made in a namespace: they need its account. */
    async account(namespace: string): Promise<void> {
        await eventually(`the account of ${namespace}`, async () => {
            return text(await this.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`), "kind") !== "";
        });
    }

    /** Plays the kubelet's part in deletions: a pod that is to go, goes. */
    private async removeDeletedPods(): Promise<void> {
        while (!this.signal.aborted) {
            try {
                const pods = maps(await this.get("/api/v1/pods"), "items").filter(
                    (pod) => text(pod, "metadata", "deletionTimestamp") !== "",
                );
                for (const { metadata } of pods) {
                    await this.remove(
                        `/api/v1/namespaces/${text(metadata, "namespace")}/pods/${text(metadata, "name")}`,
                    );
                }
                await sleep(POLL_MS, undefined, { signal: this.signal });
            } catch {
                // The end of the test, or a pod that went by itself.
            }
        }
    }

    private launch(name: string, args: string[]): void {
        const log = openSync(path.join(this.directory, `${name}.log`), "w");
        this.children.push(spawn(program(name), args, { cwd: this.directory, stdio: ["ignore", log, log] }));
    }

    private makeCredentials(port: number): void {
        const config = path.join(this.directory, "kubeadm.json");
        const shared = { apiVersion: "kubeadm.k8s.io/v1beta4" };
        const cluster = {
            ...shared,
            kind: "ClusterConfiguration",
            kubernetesVersion: `v${kubernetes.version}`,
            certificatesDir: this.directory,
            controlPlaneEndpoint: `127.0.0.1:${port}`,
        };
        const init = {
            ...shared,
            kind: "InitConfiguration",
            localAPIEndpoint: { advertiseAddress: "192.0.2.1", bindPort: port },
        };
        writeFileSync(config, `${JSON.stringify(cluster)}\n---\n${JSON.stringify(init)}\n`);
        const phases = ["certs ca", "certs apiserver", "certs sa", "kubeconfig super-admin"];
        for (const phase of phases) {
            const where = phase.startsWith("kubeconfig") ? ["--kubeconfig-dir", this.directory] : [];
            execFileSync(program("kubeadm"), ["init", "phase", ...phase.split(" "), "--config", config, ...where], {
                stdio: "pipe",
            });
        }
        // kubeadm takes no loopback address for the machine itself, which is where this file may point.
        const admin = readFileSync(this.adminFile, "utf8");
        writeFileSync(this.adminFile, admin.replace(/server: .*/, `server: ${this.server}`));
    }

    private apiServerArguments(etcd: number, port: number): string[] {
        const file = (name: string): string => path.join(this.directory, name);
        return [
            ...[`--etcd-servers=http://127.0.0.1:${etcd}`, "--bind-address=127.0.0.1", `--secure-port=${port}`],
            ...[`--client-ca-file=${file("ca.crt")}`, `--tls-cert-file=${file("apiserver.crt")}`],
            ...[`--tls-private-key-file=${file("apiserver.key")}`, `--service-account-key-file=${file("sa.pub")}`],
            ...[
                `--service-account-signing-key-file=${file("sa.key")}`,
                "--service-account-issuer=https://kubernetes.default.svc",
            ],
            ...[
                "--service-cluster-ip-range=10.96.0.0/16",
                "--authorization-mode=RBAC",
                "--endpoint-reconciler-type=none",
                // As kubeadm has it.
                "--allow-privileged=true",
            ],
        ];
    }
}

let shared: Promise<TestCluster> | undefined;
let users = 0;

/**
 * The cluster of a suite: all suites of a run share one, started with the first and stopped after the last. Call it inside
 * `describe`; the cluster is there once the suite's hooks have run. Without the programs the suite fails.
 */
export function useCluster(): { readonly current: TestCluster } {
    let cluster: TestCluster | undefined;
    users++;
    before(async function () {
        this.timeout(2 * READY_MS);
        const missing = missingPrograms();
        if (missing.length > 0) {
            throw new Error(`${missing.join(", ")} not built; build the mirror: npm run mirror -- build`);
        }
        shared ??= (async () => {
            const started = new TestCluster();
            await started.start().catch(async (error: unknown) => {
                await started.stop();
                throw error;
            });
            return started;
        })();
        cluster = await shared;
    });
    after(async function () {
        this.timeout(2 * READY_MS);
        users--;
        if (users === 0) {
            await (await shared)?.stop();
        }
    });
    return {
        get current() {
            if (cluster === undefined) {
                throw new Error("the test cluster is not started");
            }
            return cluster;
        },
    };
}
