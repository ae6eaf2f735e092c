import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import type { AptSource, Handler, Sources } from "../../components/contracts";
import type { NodeFacts } from "../../components/gvisor/facts";
import { installPlan } from "../../components/gvisor/installPlan";
import type { RuntimeEvidence } from "../../components/gvisor/sandboxRuntime";
import { callOf } from "../../components/machineScripts";
import { runtimeLibraries } from "../../components/runtimeScripts";
import { aptConstants } from "../../components/sourceValues";
import type { Configuration } from "./configurations";
import { type Machine, output, type Result, type Running, root, start } from "./machine";
import { saw } from "./record";

/** What the machines are to get. Two handlers: the options of each must arrive where they belong. */
export const handlers: readonly Handler[] = [
    { name: "runsc", runtimeClass: "myclass", options: { platform: "systrap" } },
    {
        name: "runsc-debug",
        runtimeClass: "debug",
        options: { platform: "systrap", debug: "true", "debug-log": "/var/log/runsc/%ID%/" },
    },
];

/** Installs containerd on a machine without a cluster. */
export const preparation = ["../../test/matrix/network.sh", "../../test/matrix/prepare.sh"];

/** Where machines install from, with this containerd.io if one is named; builds what the mirror does not hold yet. */
export async function mirrorSources(containerd?: string): Promise<Sources> {
    const script = path.join("mirror", "mirror.sh");
    const args = [script, "sources", "--kind", "mirror", ...(containerd ? ["--containerd", containerd] : [])];
    const text = await output("mirror.sh sources", start("bash", args));
    return JSON.parse(text) as Sources;
}

/** Constants of a script for an APT repository. */
export function aptValues(sources: Sources, name: AptSource["name"]): Record<string, string> {
    const source = sources.apt.find((one) => one.name === name);
    assert.ok(source, `no repository ${name}`);
    return aptConstants(name, (field) => source[field]);
}

export const crictl = "crictl --runtime-endpoint unix:///run/containerd/containerd.sock --timeout 60s";

/** Versions of the programs in a directory, by their own word. */
export async function versionsOf(machine: Machine, directory = "/usr/bin"): Promise<Record<string, string>> {
    const said = await machine.on(`PATH=${directory}:$PATH; containerd --version | cut -d ' ' -f 3; runc --version`);
    const [containerd = "", runc = ""] = said.split("\n");
    return { containerd, runc: runc.replace("runc version ", "") };
}

/** Lines that are gone ("- ") and that came ("+ "). */
export function changes(before: readonly string[], after: readonly string[]): readonly string[] {
    const [then, now] = [new Set(before), new Set(after)];
    return [
        ...before.filter((line) => !now.has(line)).map((line) => `- ${line}`),
        ...after.filter((line) => !then.has(line)).map((line) => `+ ${line}`),
    ];
}

/** A pod that was made through the CRI. */
export interface Pod {
    readonly pod: string;
    readonly container: string;
    readonly pid: number;
}

/** A machine with a containerd that somebody uses, and the sandbox runtime to put beside it. */
export class Worker {
    /** Constants of install.sh, inspect.sh and remove.sh, from `plan`. */
    public values: Readonly<Record<string, string>> = {};

    constructor(
        public readonly machine: Machine,
        private readonly sources: Sources,
    ) {}

    /** Installs containerd with this configuration; images only where pods are to run. */
    public async prepare(containerd: "debian" | "mirror", files: Configuration, pods: boolean): Promise<void> {
        const { sources } = this;
        const values = {
            CONTAINERD: containerd === "debian" ? containerd : (sources.packages["containerd.io"] ?? ""),
            ...aptValues(sources, "kubernetes"),
            ...aptValues(sources, "containerd"),
            FILES: typeof files === "string" ? files : JSON.stringify(files),
            IMAGES: pods ? sources.images.worker.join("\n") : "",
        };
        await this.succeed("prepare.sh", { scripts: preparation, verb: "install", values });
        await this.machine.bring();
        saw(await versionsOf(this.machine));
    }

    public async inspect(): Promise<NodeFacts> {
        const scripts = ["gvisor/node.sh", "gvisor/containerd.sh", "gvisor/facts.sh"];
        return JSON.parse(await this.succeed("facts.sh", { scripts, verb: "install" })) as NodeFacts;
    }

    /**
     * Constants that say what is to be installed here, from the facts of now.
     *
     * @throws where it cannot be
     */
    public async plan(wanted: readonly Handler[] = handlers): Promise<Readonly<Record<string, string>>> {
        const release = this.sources.packages.runsc ?? "";
        const facts = await this.inspect();
        const planned = installPlan(this.machine.name, facts, { handlers: wanted, release, install: "apt" });
        return {
            NODE: this.machine.name,
            HANDLERS: wanted.map(({ name }) => name).join("\n"),
            FILES: planned.files,
            ROOT_HEAD: planned.head,
            ROOT_TAIL: planned.tail,
            BASIS: planned.basis,
            RUNSC_VERSION: release,
            METHOD: "apt",
            ...aptValues(this.sources, "gvisor"),
        };
    }

    /**
     * Calls what installs, inspects or removes, by the scripts that were brought; with constants in place of the planned ones and
     * bash before the script.
     */
    public startRuntime(verb: string, values: Readonly<Record<string, string>> = {}, before = ""): Running {
        const scripts = [...runtimeLibraries, `gvisor/${verb === "inspect" ? "inspect" : "install"}.sh`];
        return this.machine.startStep({
            scripts,
            body: callOf(scripts, "scripts", "/var/lib/runtime-sandboxes"),
            verb,
            values: { ...this.values, ...values },
            before,
        });
    }

    public async runtime(verb: string, values: Readonly<Record<string, string>> = {}, before = ""): Promise<Result> {
        return await this.startRuntime(verb, values, before).finished;
    }

    /** Installs, and returns the evidence and what was said. */
    public async install(): Promise<RuntimeEvidence & { said: string }> {
        const result = await this.runtime("install");
        assert.equal(result.code, 0, result.stderr);
        const evidence = JSON.parse(result.stdout) as RuntimeEvidence;
        saw({ containerd: evidence.containerd, runsc: evidence.runsc });
        return { ...evidence, said: result.stderr };
    }

    /** What is not as wanted. */
    public async differences(): Promise<readonly string[]> {
        const result = await this.runtime("inspect");
        assert.equal(result.code, 0, result.stderr);
        return (JSON.parse(result.stdout) as { differences: string[] }).differences;
    }

    /** Runtime handlers that containerd has loaded. */
    public async handlers(): Promise<readonly string[]> {
        const library = fs.readFileSync(path.join(root, "scripts", "on-machine", "gvisor", "node.sh"), "utf8");
        return (await this.machine.on("bash -s", `${library}\nloaded_handlers`)).split("\n");
    }

    /** All that is in force. containerd 1.x can dump no default. */
    public async effective(): Promise<string> {
        const other = "test ! -e /etc/containerd/config.toml && containerd config default";
        return await this.machine.on(`containerd config dump || { ${other}; }`);
    }

    /**
     * Files that a sandbox runtime could have to do with, one a line: mode, path, and digest or size; and the digest of
     * containerd's root file without the lines of the sandbox runtime.
     */
    public async files(): Promise<readonly string[]> {
        const list = await this.machine.on(`
            find /usr/bin /usr/sbin -xdev ! -type d -printf '%m %p %s %l\\n'
            cd / && find etc usr/local usr/share/keyrings opt var/lib/runtime-sandboxes -xdev \\
                \\( -type d -printf '%m /%p\\n' \\) -o \\( -type l -printf '/%p %l\\n' \\) -o \\( -type f -printf '%m /%p\\n' \\) 2>/dev/null
            find etc usr/local usr/share/keyrings opt -xdev -type f -print0 | xargs -0 sha256sum | sed 's#  #  /#'
            sed '/^# >>> runtime-sandboxes$/,/^# <<< runtime-sandboxes$/d' etc/containerd/config.toml 2>/dev/null | sha256sum`);
        return list
            .split("\n")
            .filter((line) => !line.includes("/etc/ld.so.cache"))
            .sort();
    }

    /** Identifies this run of containerd. */
    public async containerdRun(): Promise<string> {
        return await this.machine.on("systemctl show containerd --property MainPID,ActiveEnterTimestampMonotonic");
    }

    public async startPod(name: string, handler: string, command: string): Promise<Pod> {
        return JSON.parse(await this.pods("start", { NAME: name, HANDLER: handler, COMMAND: command })) as Pod;
    }

    public async stopPod(name: string): Promise<void> {
        await this.pods("stop", { NAME: name });
    }

    /** What a command prints in a pod. */
    public async inPod({ container }: Pod, command: string): Promise<string> {
        return await this.machine.on(`${crictl} exec ${container} ${command} 2>/dev/null`);
    }

    /** The kernel that a pod of this handler sees; the pod is made for it. */
    public async kernel(handler: string): Promise<string> {
        return await this.pods("kernel", { NAME: `kernel-${handler}`, HANDLER: handler, COMMAND: "exec sleep 600" });
    }

    private async pods(verb: string, values: Readonly<Record<string, string>>): Promise<string> {
        return await this.succeed("pods.sh", { scripts: ["../../test/matrix/pods.sh"], verb, values });
    }

    private async succeed(what: string, step: Parameters<Machine["step"]>[0]): Promise<string> {
        return await output(`${what} on ${this.machine.name}`, this.machine.startStep(step));
    }
}

/** A pod on runc that counts, so that it can be seen to run all the time. */
export class CountingPod {
    private count = 0;

    private constructor(
        private readonly worker: Worker,
        private readonly pod: Pod,
    ) {}

    public static async start(worker: Worker): Promise<CountingPod> {
        const command = "i=0; while :; do i=$((i + 1)); echo $i >/count.new; mv /count.new /count; sleep 0.1; done";
        const counting = new CountingPod(worker, await worker.startPod("counting", "", command));
        await counting.counts();
        return counting;
    }

    /** Fails unless the same process has counted on since it was last asked, without starting again. */
    public async counts(): Promise<void> {
        const { pid, container } = this.pod;
        const seen = await this.worker.machine.on(`
            first=$(cat /proc/${pid}/root/count)
            for ((round = 0; round < 100; round++)); do
                last=$(cat /proc/${pid}/root/count)
                ((last == first)) || break
                sleep 0.1
            done
            echo $first $last
            ${crictl} inspect --output go-template --template '{{.info.pid}} {{.status.state}}' ${container} 2>/dev/null`);
        const [first = 0, last = 0] = seen.split(/\s/).map(Number);
        assert.ok(this.count <= first && first < last, `it counted to ${this.count}, ${first}, ${last}`);
        assert.match(seen, new RegExp(`\\n${pid} CONTAINER_RUNNING$`));
        this.count = last;
    }
}
