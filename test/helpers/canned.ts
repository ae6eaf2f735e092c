import { type AttackFacts, type AttackResult, corpus } from "../../components/attacks.cjs";
import type { Sources } from "../../components/contracts";
import type { HostPodFacts } from "../../components/evidence.cjs";
import type { NodeFacts } from "../../components/gvisor/facts";
import type { Facts } from "../../components/proof/verdict";
import type { Probe, ReachableFacts } from "../../components/reachable.cjs";
import { resultMark } from "../../components/step.cjs";
import type { MeasuredPod, SurfaceFacts } from "../../components/surface.cjs";
import { safeFrom } from "../../components/vulnerabilities.cjs";
import type { Provide, Recorded } from "./mocks";

/** What no command line, and no output but kubeconfig, may hold. */
export const secrets = {
    privateKey: "-----BEGIN OPENSSH PRIVATE KEY-----\nthe operator's own\n-----END OPENSSH PRIVATE KEY-----\n",
    token: "abcdef.0123456789abcdef",
    kubeconfig: "apiVersion: v1\nkind: Config\nusers: [{ user: { client-key-data: administrators } }]\n",
};

export const caCertHash = `sha256:${"c".repeat(64)}`;
export const configSha256 = "d".repeat(64);
/** Kernel of the workers, and the one that gVisor shows. */
export const kernels = { worker: "6.1.0-37-amd64", sandbox: "4.19.0-gvisor" };
export const refusedDmesg = "dmesg: read kernel buffer failed: Operation not permitted";
export const gvisorDmesg = [
    "[    0.000000] Starting gVisor...",
    "[    0.354495] Reticulating splines...",
    "[    2.771003] Ready!",
].join("\n");

/** The handler that test-2 runs behind, and what its file brings into the sandbox. */
export const handler = { name: "runsc", runtimeClass: "myclass", options: { platform: "systrap" } };
export const sandboxOptions = { "debug-command": "!runtime-sandboxes/runsc", platform: "systrap" };

/** Facts of a worker on which all is as it should be. A new object each time, to be changed freely. */
export function provenFacts() {
    return {
        host: {
            kernel: kernels.worker,
            version: `Linux version ${kernels.worker} (debian-kernel@lists.debian.org)`,
            pods: {
                "test-1": {
                    runtimes: ["io.containerd.runc.v2", "io.containerd.runc.v2"],
                    runscRunning: 0,
                    sandboxExecutable: "",
                    sandboxOptions: {},
                },
                "test-2": {
                    runtimes: ["io.containerd.runsc.v1", "io.containerd.runsc.v1"],
                    runscRunning: 2,
                    sandboxExecutable: "/usr/bin/runsc",
                    sandboxOptions: { ...sandboxOptions } as Record<string, string>,
                },
            },
        },
        pods: {
            "test-1": { kernel: kernels.worker, dmesg: refusedDmesg },
            "test-2": { kernel: kernels.sandbox, dmesg: gvisorDmesg },
        },
    } satisfies Facts;
}

/** Attempts to leave a sandbox that were all refused, though not on the control. A new object each time. */
export function attackFacts() {
    const { pods } = provenFacts().host;
    return {
        host: {
            control: pods["test-1"] as HostPodFacts,
            inside: { myclass: pods["test-2"] } as Record<string, HostPodFacts>,
        },
        attempts: corpus.map(({ name }) => ({
            name,
            control: { reached: true, saw: "a file descriptor" } as AttackResult,
            inside: { myclass: { reached: false, saw: "function not implemented" } } as Record<string, AttackResult>,
        })),
    } satisfies AttackFacts;
}

/** What was measured in a sandbox and outside. A new object each time, to be changed freely. */
export function surfaceFacts() {
    const pod = (runtime: string, reachable: number, factor: number): MeasuredPod => ({
        runtime,
        filters: { count: reachable === 385 ? 0 : 2, instructions: reachable === 385 ? 0 : 517, reachable, of: 385 },
        started: 800 * factor,
        memory: (2 << 20) * factor,
        at: 1000 * factor,
        measured: {
            peer: true,
            costs: {
                systemCall: { value: 100 * factor },
                openRead: { value: 4 * factor },
                write: { value: 900 / factor },
                tcpThroughput: { value: 2000 / factor },
                tcpLatency: { value: 12.5 * factor },
            },
        },
    });
    const { runtime, filters } = pod("io.containerd.runc.v2", 330, 1);
    return {
        place: "the worker",
        control: pod("io.containerd.runc.v2", 385, 1),
        runtimeDefault: { runtime, filters },
        inside: { myclass: pod("io.containerd.runsc.v1", 68, 2) } as Record<string, MeasuredPod>,
    } satisfies SurfaceFacts;
}

/**
 * What pods reach where policies hold: the sandboxed pod nothing but DNS and the allowed target, the control all that is there.
 * A new object each time; probes are changed by `change`.
 */
export function reachableFacts(change: (probe: Probe, runtimeClass?: string) => Partial<Probe> = () => ({})) {
    const refused = { reached: false, saw: "connection refused" };
    const probe = (target: Probe["target"], address: string, more: Partial<Probe>): Probe => ({
        ...{ target, address, addresses: [address], protocol: "TCP", said: refused },
        ...more,
    });
    const probes = (reached: boolean, runtimeClass?: string) =>
        [
            probe("allowed", "10.244.1.5:40001, 40002, 40003", {
                addresses: ["10.244.1.5:40001", "10.244.1.5:40002", "10.244.1.5:40003"],
                said: { reached: true, saw: "heard" },
                heard: true,
            }),
            probe("node", "10.77.0.11:40000", { heard: reached }),
            probe("pod", "10.244.1.5:40004", { heard: reached }),
            probe("metadata", "169.254.169.254:80", { carried: false, said: { reached: false, saw: "no answer" } }),
            probe("api", "10.96.0.1:443", { addresses: ["10.96.0.1:443", "10.77.0.10:6443"], carried: reached }),
            probe("kubelet", "10.77.0.11:10250", { carried: reached }),
            probe("kubelet-read-only", "10.77.0.11:10255", { carried: false }),
            probe("dns", "10.96.0.10:53", {
                protocol: "UDP",
                carried: true,
                said: { reached: true, saw: "10.96.0.1" },
            }),
        ]
            .map((one) =>
                reached ? { ...one, said: { reached: one.heard ?? one.carried ?? false, saw: "seen" } } : one,
            )
            .map((one) => ({ ...one, ...change(one, runtimeClass) }));
    return {
        control: { namespace: "default", probes: probes(true) },
        inside: [{ namespace: "untrusted", runtimeClass: "myclass", probes: probes(false, "myclass") }],
    } satisfies ReachableFacts;
}

/** Sources as a mirror on the machines gives them. */
export const sources: Sources = {
    kind: "mirror",
    apt: (["kubernetes", "containerd", "gvisor"] as const).map((name, index) => ({
        name,
        url: `file:///srv/mirror/apt/${name}`,
        suite: name === "kubernetes" ? "/" : "stable",
        components: name === "kubernetes" ? "" : "main",
        keyUrl: `file:///srv/mirror/${name}.key`,
        fingerprint: String(index).repeat(40),
    })),
    packages: {
        kubelet: "1.36.5-1",
        kubeadm: "1.36.5-1",
        kubectl: "1.36.5-1",
        "containerd.io": "2.3.7-1",
        runsc: "20261116.0",
    },
    images: {
        controlPlane: ["file:///srv/mirror/images/control-plane-1.36.5.tar"],
        worker: ["file:///srv/mirror/images/pause.tar", "file:///srv/mirror/images/nginx.tar"],
    },
};

/** What scripts/on-machine/gvisor/facts.sh prints on a machine that NodePreparation has made. */
export function nodeFacts(): NodeFacts {
    return {
        os: { id: "debian", version: "12", name: "Debian GNU/Linux 12 (bookworm)" },
        architecture: "x86_64",
        kernel: kernels.worker,
        cgroupVersion: 2,
        kubeletCgroupDriver: "",
        ptraceScope: 1,
        kvm: false,
        freeMiB: 20_000,
        apt: true,
        runc: safeFrom("runc", "1.3.7") ?? "",
        kubelet: "1.36.5",
        managers: [],
        containerd: {
            version: "2.3.7",
            service: "active",
            killMode: "process",
            configPath: "/etc/containerd/config.toml",
            dropIns: "",
            files: [
                {
                    path: "/etc/containerd/config.toml",
                    text: 'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n',
                },
            ],
            effective: "version = 3\n",
            error: "",
            handlers: ["runc"],
        },
        runsc: { version: "", path: "", package: "", shim: "" },
        basis: "e".repeat(64),
    };
}

/** The document of scripts/local/machine.sh. */
export function machineDocument(name: string, address: string) {
    return {
        name,
        address,
        port: 22,
        user: "root",
        hostKey: `ssh-ed25519 AAAA${name}`,
        identity: `identity-of-${name}`,
    };
}

/**
 * What each command prints, by the name of its resource. Documents are written as JSON.
 *
 * @param overrides replaces single entries
 */
export function cannedStdout(
    workers: readonly string[],
    overrides: Record<string, unknown> = {},
): Record<string, unknown> {
    const facts = provenFacts();
    const perWorker = workers.map((worker, index) => ({
        [`local-machine-${worker}`]: machineDocument(worker, `10.77.0.${11 + index}`),
        [`${worker}-node-step`]: { cgroupDriver: "cgroupfs" },
        [`${worker}-runtime-facts`]: nodeFacts(),
        [`${worker}-runtime-install`]: {
            os: "Debian GNU/Linux 12 (bookworm)",
            kernel: kernels.worker,
            containerd: "v2.3.7",
            runsc: "release-20261116.0",
            handlers: ["runc", "runsc"],
            configSha256,
            survivors: [],
        },
        [`${worker}-ticket`]: { token: secrets.token },
        [`${worker}-membership`]: "",
        [`${worker}-runtime-look`]: { differences: ["runsc is missing"], restart: [], at: "2026-11-30T12:00:00.000Z" },
        [`${worker}-canary-pods`]: { myclass: facts.host.pods["test-2"] },
        [`${worker}-attacks-pods`]: attackFacts(),
        [`${worker}-proven`]: "",
        [`${worker}-surface-pods`]: surfaceFacts(),
        [`${worker}-reachable-pods`]: reachableFacts(),
        [`${worker}-join`]: "",
        [`${worker}-ready`]: { handlers: ["runc", "runsc"] },
        [`${worker}-probe-pods`]: facts.pods,
        [`${worker}-probe-host`]: facts.host,
    }));
    return Object.assign(
        {
            "local-sources": sources,
            "local-gvisor": sources,
            "local-image": { image: "/cache/images/0123" },
            "local-network": { bridge: "sandbox0", gateway: "10.77.0.1", range: "10.77.0.0/24" },
            "local-key": secrets.privateKey,
            "local-machine-control-plane": machineDocument("control-plane", "10.77.0.10"),
            "cluster-node-step": { cgroupDriver: "cgroupfs" },
            "cluster-init": { kubeconfig: secrets.kubeconfig, caCertHash },
            "workers-examined": "",
        },
        ...perWorker,
        overrides,
    );
}

/**
 * Answers for the providers: commands print what is canned for them, those on machines after a greeting of the login's shell;
 * objects of the cluster get a uid.
 *
 * @param uids uids by the name of the resource, where they are to differ from the canned ones
 */
export function provider(
    stdout: Readonly<Record<string, unknown>>,
    uids: Readonly<Record<string, string>> = {},
): Provide {
    return ({ type, name, custom, inputs }: Recorded) => {
        if (type === "command:local:Command" || type === "command:remote:Command") {
            if (/-(scripts|drain-for-removal)$/.test(name)) {
                return { stdout: "", stderr: "" };
            }
            if (!(name in stdout)) {
                throw new Error(`nothing is canned for the command ${name}`);
            }
            const printed = stdout[name];
            const text = typeof printed === "string" ? printed : JSON.stringify(printed);
            const greeting = type === "command:remote:Command" ? `Welcome to "${name}"!\n${resultMark}\n` : "";
            return { stdout: greeting + text, stderr: "" };
        }
        if (type.startsWith("kubernetes:")) {
            return { metadata: { ...(inputs.metadata as object), uid: uids[name] ?? `uid-of-${name}` } };
        }
        if (custom && type !== "pulumi:providers:kubernetes") {
            throw new Error(`no test expects a resource of type ${type}`);
        }
        return {};
    };
}
