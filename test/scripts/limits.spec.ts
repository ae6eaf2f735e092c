import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Sources } from "../../components/contracts";
import { type Limits, type LimitsFacts, limitsVerdict } from "../../components/proof/limitsProbe";
import { resultIn } from "../../components/step.cjs";
import { PlayedWorker } from "../helpers/namespaces";
import { Machines, type Machine as NspawnMachine, output, start } from "../matrix/machine";
import { preparation } from "../matrix/worker";

const scripts = ["gvisor/node.sh", "probe/groups.sh", "probe/limits-host.sh"];
const socket = "unix:///run/containerd/containerd.sock";
const idle = ["sleep", "600"];
const nginx = ["nginx", "-g", "daemon off;"];

/** Limits of a pod's control group: millicores and MiB. */
interface GroupLimits {
    readonly cpu?: number;
    readonly memory?: number;
}

describe("scripts/on-machine/probe/limits-host.sh on a machine with gVisor", function () {
    this.timeout(180_000);
    const machines = new Machines("limits", "sbxlim0", "10.83.0.0/24");
    let machine: NspawnMachine;
    let plain: string;
    let sandboxed: string;

    before(async () => {
        const mirror = await output("mirror.sh", start("bash", ["mirror/mirror.sh", "sources", "--kind", "mirror"]));
        await machines.up();
        machine = await machines.machine("worker", 11);
        await install(JSON.parse(mirror) as Sources);
        plain = await pod(undefined, nginx);
        sandboxed = await pod("runsc", nginx);
    });
    after(async () => {
        await machines.down();
    });

    /** containerd, and gVisor as a handler of it. */
    async function install({ apt, packages, images }: Sources): Promise<void> {
        const repositories = apt
            .filter(({ name }) => name !== "gvisor")
            .map(({ name, ...one }) => [
                [`${name.toUpperCase()}_URL`, one.url],
                [`${name.toUpperCase()}_SUITE`, one.suite],
                [`${name.toUpperCase()}_COMPONENTS`, one.components],
                [`${name.toUpperCase()}_KEY`, one.keyUrl],
                [`${name.toUpperCase()}_FINGERPRINT`, one.fingerprint],
            ]);
        const prepared = await machine.step({
            scripts: preparation,
            verb: "install",
            values: {
                CONTAINERD: packages["containerd.io"] ?? "",
                FILES: "default",
                IMAGES: images.worker.join("\n"),
                ...Object.fromEntries(repositories.flat()),
            },
        });
        assert.equal(prepared.code, 0, prepared.stderr);
        const gvisor = apt.find(({ name }) => name === "gvisor");
        await bash(`
            echo "deb [trusted=yes] ${gvisor?.url} ${gvisor?.suite} ${gvisor?.components}" >/etc/apt/sources.list.d/gvisor.list
            apt-get update -qq
            apt-get install -qq -y runsc=${packages.runsc}
            mkdir -p /etc/containerd/conf.d
            cat >/etc/containerd/conf.d/runsc.toml <<'TOML'
version = 3
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runsc]
runtime_type = "io.containerd.runsc.v1"
TOML
            systemctl restart containerd`);
    }

    async function bash(script: string): Promise<string> {
        return await machine.on("bash -s", `set -euo pipefail\n${script}\n`);
    }

    const crictl = (line: string) => `crictl --runtime-endpoint ${socket} --timeout 60s ${line}`;

    /** Lines that make a control group and set its limits, as kubelet does for a pod. */
    function groupLines(group: string, { cpu, memory }: GroupLimits): string {
        const quota = (cpu ?? 0) * 100;
        const lines = (controllers: readonly string[], set: string, version: readonly [string, string]) => [
            ...controllers.map((controller) => `mkdir -p /sys/fs/cgroup/${controller}${group}`),
            set,
            cpu === undefined ? "" : `echo ${version[0]}`,
            memory === undefined ? "" : `echo ${memory}M >${version[1]}`,
        ];
        const first = lines(["cpu/", "memory/"], "", [
            `${quota} >/sys/fs/cgroup/cpu/${group}/cpu.cfs_quota_us`,
            `/sys/fs/cgroup/memory/${group}/memory.limit_in_bytes`,
        ]);
        const second = lines(
            [""],
            "for group in . kubepods kubepods/burstable; do echo +cpu +memory >/sys/fs/cgroup/$group/cgroup.subtree_control; done",
            [`${quota} 100000 >/sys/fs/cgroup/${group}/cpu.max`, `/sys/fs/cgroup/${group}/memory.max`],
        );
        return `if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then\n${second.join("\n")}\nelse\n${first.join("\n")}\nfi`;
    }

    /** Starts a pod as kubelet does through the CRI, in a control group of its own, and returns its uid. */
    async function pod(handler: string | undefined, command: readonly string[], limits: GroupLimits = {}) {
        const uid = randomUUID();
        const group = `kubepods/burstable/pod${uid}`;
        const place = `/run/pods/${uid}`;
        const sandbox = {
            metadata: { name: `pod-${uid}`, namespace: "default", uid },
            log_directory: place,
            linux: { cgroup_parent: `/${group}` },
        };
        const container = {
            metadata: { name: "main" },
            image: { image: "docker.io/library/nginx:1.28" },
            command,
            log_path: "main.log",
            labels: { "io.kubernetes.pod.uid": uid },
            linux: {},
        };
        await bash(`
            ${groupLines(group, limits)}
            mkdir -p ${place}
            echo '${JSON.stringify(sandbox)}' >${place}/pod.json
            echo '${JSON.stringify(container)}' >${place}/container.json
            timeout 120 bash -c 'until ${crictl("info")} >/dev/null 2>&1; do sleep 0.2; done'
            pod=$(${crictl(`runp ${handler === undefined ? "" : `--runtime ${handler}`} ${place}/pod.json`)})
            ${crictl("start")} "$(${crictl(`create "$pod" ${place}/container.json ${place}/pod.json`)})"`);
        return uid;
    }

    async function probe(uid: string): Promise<Limits> {
        const values = { POD: uid, PLAIN: plain, SANDBOXED: sandboxed };
        const { code, stdout, stderr } = await machine.step({ scripts, verb: "install", values });
        assert.equal(code, 0, stderr);
        return limitsVerdict(JSON.parse(stdout) as LimitsFacts);
    }

    it("sees limits that bind, and what a sandbox takes", async () => {
        const { memory, cpu, overhead } = await probe(await pod("runsc", idle, { cpu: 250, memory: 128 }));
        assert.deepEqual(memory, { limitMiB: 128, outcome: "OOMKilled", passed: true });
        assert.equal(cpu.limitMillicores, 250);
        assert.ok(cpu.passed, `${cpu.usedMillicores} millicores used`);
        // nginx on its own takes a few MiB.
        assert.ok(overhead.memoryMiB > 5 && overhead.memoryMiB < 200, `${overhead.memoryMiB} MiB`);
        assert.ok(overhead.cpuMillicores < 100, `${overhead.cpuMillicores} millicores`);
    });

    it("sees that none is in force, and leaves the worker's memory alone", async () => {
        const uid = await pod("runsc", idle);
        const { memory, cpu } = await probe(uid);
        assert.deepEqual(memory, {
            outcome: "not tried: no memory limit is in force on the pod's control group",
            passed: false,
        });
        assert.equal(cpu.limitMillicores, undefined);
        assert.equal(cpu.passed, false);
        assert.ok(cpu.usedMillicores > 250, `${cpu.usedMillicores} millicores used`);
        const running = await bash(crictl(`ps --quiet --state running --label io.kubernetes.pod.uid=${uid}`));
        assert.match(running, /^[0-9a-f]{64}$/);
    });

    it("takes no memory where the limit is too far away", async () => {
        const { memory } = await probe(await pod("runsc", idle, { memory: 600 }));
        assert.deepEqual(memory, {
            limitMiB: 600,
            outcome: "not tried: the limit in force is not below 512 MiB",
            passed: false,
        });
    });
});

describe("scripts/on-machine/probe/limits-host.sh with version 2 of control groups", function () {
    this.timeout(180_000);
    const uids = ["a1", "b2", "c3"].map((start) => `${start}000000-0000-4000-8000-000000000000`);
    const [limited = "", plain = "", sandboxed = ""] = uids;
    let worker: PlayedWorker;
    before(function () {
        PlayedWorker.skipWithout(this);
    });
    beforeEach(() => {
        worker = new PlayedWorker(crictl);
        worker.write("state", "CONTAINER_RUNNING 0 ");
    });
    afterEach(() => worker.remove());

    /** Plays crictl: a load of 240 millicores, and a kill that Kubernetes is not told the reason of. */
    const crictl = `#!/usr/bin/env bash
        set -euo pipefail
        for last; do :; done
        case "$*" in
        *\\ ps\\ *) echo "\${last#*=}" ;;
        *info.pid*) cat "$SCRATCH/$last.pid" ;;
        *status.state*) cat "$SCRATCH/state" ;;
        *\\ timeout\\ *)
            start=\${EPOCHREALTIME/./}
            for _ in {1..200}; do
                echo "usage_usec $(((\${EPOCHREALTIME/./} - start) * 24 / 100))" >"$BUSY/cpu.stat.new"
                mv "$BUSY/cpu.stat.new" "$BUSY/cpu.stat"
                sleep 0.02
            done
            ;;
        *\\ dd\\ *)
            printf 'oom 1\\noom_kill 3\\n' >"$BUSY/memory.events"
            echo "CONTAINER_EXITED 137 Error" >"$SCRATCH/state"
            echo "the sandbox is gone" >&2
            exit 1
            ;;
        esac`;

    /** A control group with what the kernel shows in it. */
    function group(name: string, cpu: string, memory: string, usedMiB = 10): void {
        for (const [file, text] of Object.entries({
            "cpu.max": cpu,
            "memory.max": memory,
            "cpu.stat": "usage_usec 0\nuser_usec 0",
            "memory.current": String((usedMiB + 4) << 20),
            "memory.stat": `anon 1\ninactive_file ${4 << 20}`,
            "memory.events": "oom 0\noom_kill 2",
        })) {
            worker.write(`cgroup/${name}/${file}`, text);
        }
    }

    /** Runs the script where /sys/fs/cgroup is the tree, and processes are in these groups. */
    function probe(groups: Readonly<Record<string, string>>, busy: string): { said: string; facts?: LimitsFacts } {
        const given = Object.entries(groups).map(([uid, name]) => worker.process(uid, name));
        const values = { POD: limited, PLAIN: plain, SANDBOXED: sandboxed };
        const { status, stdout, stderr } = worker.run(scripts, values, given, { BUSY: `/sys/fs/cgroup/${busy}` });
        return { said: stderr, facts: status === 0 ? (JSON.parse(resultIn(stdout)) as LimitsFacts) : undefined };
    }

    const slice = (uid: string) =>
        `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid.replaceAll("-", "_")}.slice`;

    it("finds pods of the systemd driver, the least limit of pod and container, and the kernel's word on kills", () => {
        const container = `${slice(limited)}/cri-containerd-1.scope`;
        group("kubepods.slice", "max 100000", String(4096 << 20));
        group(slice(limited), "30000 100000", String(192 << 20));
        group(container, "25000 100000", String(128 << 20));
        group(slice(plain), "max 100000", "max", 3);
        group(slice(sandboxed), "max 100000", "max", 31);
        const { said, facts } = probe(
            {
                [limited]: container,
                [plain]: `${slice(plain)}/cri-containerd-2.scope`,
                [sandboxed]: slice(sandboxed),
            },
            slice(limited),
        );
        assert.ok(facts, said);
        const { cpu, ...others } = facts;
        assert.equal(cpu.limitMillicores, 250);
        // 240, if only this host were never busy: the load is what a process writes down as often as it can.
        assert.ok(cpu.usedMillicores > 120 && cpu.usedMillicores < 480, `${cpu.usedMillicores} millicores used`);
        assert.deepEqual(others, {
            idleMillicores: { plain: 0, sandboxed: 0 },
            memory: {
                limitMiB: 128,
                takenMiB: 512,
                kills: 1,
                state: "CONTAINER_EXITED",
                exitCode: 137,
                reason: "Error",
                said: "the sandbox is gone",
            },
            memoryMiB: { plain: 3, sandboxed: 31 },
        });
        assert.ok(limitsVerdict(facts).memory.passed);
    });

    it("sees that a sandbox is outside of its pod's group, where no limit of the pod holds", () => {
        // What gVisor makes of the systemd driver's path when it is told of no systemd.
        const elsewhere = `system.slice/kubepods-burstable-pod${limited.replaceAll("-", "_")}.slice:cri-containerd:1`;
        group(slice(limited), "25000 100000", String(128 << 20));
        group(elsewhere, "10000 100000", String(64 << 20));
        group(slice(plain), "max 100000", "max");
        group(slice(sandboxed), "max 100000", "max");
        const { said, facts } = probe(
            { [limited]: elsewhere, [plain]: slice(plain), [sandboxed]: slice(sandboxed) },
            elsewhere,
        );
        assert.ok(facts, said);
        assert.equal(facts.cpu.limitMillicores, null);
        assert.ok(facts.cpu.usedMillicores > 200, `${facts.cpu.usedMillicores} millicores used`);
        assert.deepEqual([facts.memory.limitMiB, facts.memory.state], [null, "untried"]);
    });
});
