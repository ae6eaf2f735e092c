// The stack of a walk: settings and disturbances go in, `up` is run and cut off, and what is there is read back.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "smol-toml";
import { builtRelease } from "../../components/targets/upstream";
import { type Finished, root, TestStack } from "../e2e/stack";
import { eventually } from "../helpers/eventually";
import { Repositories } from "../matrix/repositories";
import type { Way } from "./changes";
import { byName, configOf, podLabel, type Seen, type Settings, type WorkerSeen } from "./model";

export const releases = { now: builtRelease, older: "20260824.0" };

/** Where a run is cut off, and when. */
export interface Cut {
    /** operator: all of the command is killed; steps: what it has started on the machine; power: the machine. */
    readonly side: "operator" | "steps" | "power";
    /** Part of the time that such an `up` takes. */
    readonly at: number;
    /** Picks the machine. */
    readonly machine: number;
}

/** No `up` of a walk may take longer. */
const longest = 900_000;

/** Kills what was started over SSH, but not itself: each command has a session of its own. Says how many processes. */
const killSteps = `own=$(ps -o sid= $$ | tr -d " ")
    found=$(grep -lzs ^SSH_CONNECTION= /proc/[0-9]*/environ | cut -d/ -f3 | paste -sd,)
    others=$(ps -o pid=,sid= -p "$found" | awk -v own=$own '$2 != own { print $1 }')
    [ -z "$others" ] || kill -KILL $others 2>/dev/null
    echo $others | wc -w`;

/** All files of containerd's configuration with their texts, and gVisor's programs. */
const lookAtWorker = `cd /
    find etc/containerd -type f | sort | while read -r file; do echo "==> /$file"; cat "/$file"; echo; done
    echo "==> runsc"
    path=$(command -v runsc) && echo "$(readlink -f $path) $(runsc --version | awk 'NR == 1 { print $3 }')"
    echo "==> pending"
    ls /var/lib/runtime-sandboxes 2>/dev/null | grep -E '^backup|\\.new$' || true`;

const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";

interface KubernetesObject {
    readonly kind: string;
    readonly handler?: string;
    readonly scheduling?: {
        nodeSelector?: Record<string, string>;
        tolerations?: readonly { key: string; value?: string; effect: string }[];
    };
    readonly metadata: {
        name: string;
        labels?: Record<string, string>;
        annotations?: Record<string, string>;
        deletionTimestamp?: string;
    };
    readonly spec?: {
        nodeName?: string;
        runtimeClassName?: string;
        unschedulable?: boolean;
        taints?: readonly { key: string; value?: string; effect: string }[];
    };
    readonly status?: {
        phase?: string;
        conditions?: readonly { type: string; status: string }[];
        runtimeHandlers?: readonly { name?: string }[];
    };
}

/** The API server drops an empty value. */
const withValue = <T extends { value?: string }>(one: T) => ({ ...one, value: one.value ?? "" });

interface Timed extends Finished {
    readonly seconds: number;
}

/** A stack that does not exist yet. */
export class World {
    private readonly stack: TestStack;
    private readonly repositories: Repositories;
    private readonly log: string;
    private archive: Record<string, string> | undefined;
    private exists = false;
    /** What was to be cut off, and ended before. */
    private uncut: Timed | undefined;
    /** Kills that have hit something. */
    public readonly kills = { operator: 0, steps: 0, power: 0 };

    constructor(
        name: string,
        private readonly network: { readonly bridge: string; readonly addressRange: string },
    ) {
        this.stack = new TestStack(name, { ...network, sources: "mirror" });
        this.repositories = new Repositories(network.addressRange.replace("0/24", "1"));
        this.log = path.join(root, ".cache", "walk", `${name}.log`);
        fs.mkdirSync(path.dirname(this.log), { recursive: true });
        fs.writeFileSync(this.log, "");
    }

    /** Notes a line in the walk's log, where all that commands print is. */
    public note(text: string): void {
        fs.appendFileSync(this.log, `${new Date().toISOString()} ${text.trimEnd()}\n`);
    }

    public configure(settings: Settings, more: Readonly<Record<string, string>> = {}): void {
        this.stack.configure({ ...configOf(settings, releases, this.archive), ...more });
    }

    /** What somebody does beside the program. */
    public async disturb({ on, powerOff }: Way): Promise<void> {
        if (on) {
            this.note(`on ${on.machine}: ${on.command}\n${this.stack.on(on.machine, on.command)}`);
        }
        if (powerOff) {
            process.kill(this.stack.pid(powerOff), "SIGKILL");
        }
    }

    /** `destroy`, which may be cut off: then another one comes through. @returns what was hit */
    public async destroy(cut: Cut | null, machines: readonly string[]): Promise<string> {
        const hit = cut === null ? "" : await this.cutOff("destroy", cut, machines, 5);
        this.expect(await this.next("destroy"), 0);
        this.exists = false;
        return hit;
    }

    private async command(...args: string[]): Promise<Timed> {
        const started = Date.now();
        const { child, finished } = this.stack.start(...args);
        const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), longest);
        const result = await finished;
        clearTimeout(timer);
        this.note(`${args.join(" ")} ended with ${result.code}:\n${result.text}`);
        return { ...result, seconds: (Date.now() - started) / 1000 };
    }

    private expect({ code, text }: Finished, wanted: number): string {
        assert.equal(code, wanted, `${text}\n(all that was said before is in ${this.log})`);
        return text;
    }

    /**
     * `up` or `destroy`, cut off at that moment, or as soon as there is something to hit then.
     *
     * @param seconds how long it would take
     * @returns what was hit, in words; empty where it had ended before: then it is the one that comes next
     */
    public async cutOff(
        command: "up" | "destroy",
        { side, at, machine }: Cut,
        machines: readonly string[],
        seconds: number,
    ): Promise<string> {
        const name = ["control-plane", ...machines][machine % (machines.length + 1)] ?? "";
        const { child, finished } = this.stack.start(command);
        const started = Date.now();
        const kill = () => process.kill(-(child.pid ?? 0), "SIGKILL");
        let hit = "";
        const strike = () => {
            hit = this.strike(side, name, () => {
                kill();
                return `${command} killed`;
            });
            if (hit === "") {
                timer = setTimeout(strike, 300);
            } else {
                hit += ` after ${((Date.now() - started) / 1000).toFixed(1)} s`;
                timer = setTimeout(kill, longest);
            }
        };
        let timer = setTimeout(strike, at * seconds * 1000);
        const result = await finished;
        clearTimeout(timer);
        this.note(`${command}, ${hit || "not cut off"}, ended with ${result.code}:\n${result.text}`);
        const taken = (Date.now() - started) / 1000;
        assert.ok(taken * 1000 < longest, `${command} hangs, after this: ${hit}; see ${this.log}`);
        if (hit === "") {
            this.uncut = { ...result, seconds: taken };
        } else {
            this.kills[side]++;
        }
        return hit;
    }

    /** Hits what there is on that side; says what that was, or nothing. */
    private strike(side: Cut["side"], machine: string, kill: () => string): string {
        try {
            switch (side) {
                case "operator":
                    return kill();
                case "power":
                    process.kill(this.stack.pid(machine), "SIGKILL");
                    return `power of ${machine} cut`;
                case "steps": {
                    const killed = this.stack.on(machine, killSteps);
                    return killed === "0" ? "" : `${killed} processes killed on ${machine}`;
                }
            }
        } catch (error) {
            // There is no such machine yet, or it is down.
            this.note(`nothing hit: ${(error as Error).message}`);
            return "";
        }
    }

    /** The command, unless that which was to be cut off came through. */
    private async next(command: "up" | "destroy"): Promise<Timed> {
        const result = this.uncut ?? (await this.command(command));
        this.uncut = undefined;
        return result;
    }

    /** `up` fails, and says why. */
    public async fails(because: RegExp): Promise<void> {
        const { code, text } = await this.next("up");
        assert.notEqual(code, 0, text);
        assert.match(text, because);
    }

    /** `up` comes through, with a proof on each of these workers. Gives the seconds that it took. */
    public async up(proven: readonly string[]): Promise<number> {
        const result = await this.next("up");
        const text = this.expect(result, 0);
        const verdict =
            proven.length > 0
                ? /^verdict: PROVEN on every worker($|; as of the last update on )/m
                : /no worker has a sandbox/;
        assert.match(text, verdict);
        const named = [...text.matchAll(/^(\S+)\n {2}kernel of worker/gm)].map(([, worker]) => worker);
        assert.deepEqual(named.sort(), [...proven].sort());
        if (!this.exists) {
            this.exists = true;
            await this.serveArchive();
        }
        return result.seconds;
    }

    /** Nothing has drifted, and another `up` has nothing to do. A machine that was rebooted may come back after `up`. */
    public async settled(): Promise<void> {
        const machines = fs.readdirSync(path.join(this.stack.files, "machines"));
        await eventually("all machines and the API server answer", () => {
            for (const machine of machines) {
                this.stack.on(machine, machine === "control-plane" ? `${kubectl} get --raw /readyz` : "true");
            }
            return true;
        });
        assert.match(this.expect(await this.command("drift"), 0), /nothing has drifted/);
        this.expect(await this.command("up", "--expect-no-changes"), 0);
    }

    /** On the host's address in the machines' network, which is there as soon as they are. */
    private async serveArchive(): Promise<void> {
        if (this.archive === undefined) {
            await this.repositories.open();
            const { name, sha512 } = await this.repositories.archive("gvisor.tgz");
            this.archive = {
                gvisorVersion: releases.now,
                gvisorArchive: this.repositories.url(name),
                gvisorArchiveSha512: sha512,
            };
        }
    }

    public see(settings: Settings): Seen {
        const listed = this.stack.on("control-plane", `${kubectl} get nodes,pods,runtimeclasses -o json`);
        const { items } = JSON.parse(listed) as { items: KubernetesObject[] };
        const named = (kind: string, what: (one: KubernetesObject) => unknown) =>
            Object.fromEntries(
                items
                    .filter((one) => one.kind === kind && one.metadata.name !== "control-plane")
                    .map((one) => [one.metadata.name, what(one)]),
            );
        return {
            machines: fs.readdirSync(path.join(this.stack.files, "machines")).sort(),
            workers: Object.fromEntries(settings.workers.map((worker) => [worker, this.seeWorker(worker)])),
            classes: named("RuntimeClass", ({ handler, scheduling }) => ({
                handler,
                nodeSelector: scheduling?.nodeSelector,
                tolerations: (scheduling?.tolerations ?? []).map(withValue).sort(byName),
            })),
            nodes: named("Node", ({ metadata, spec, status }) => ({
                labels: Object.fromEntries(
                    Object.entries(metadata.labels ?? {}).filter(([key]) => !/kubernetes\.io\//.test(key)),
                ),
                // kubelet and the control plane have their own.
                taints: (spec?.taints ?? [])
                    .filter(({ key }) => !/kubernetes\.io\//.test(key))
                    .map(withValue)
                    .sort(byName),
                handlers: (status?.runtimeHandlers ?? []).flatMap(({ name }) => name || []).sort(),
                takesPods:
                    !spec?.unschedulable &&
                    metadata.annotations?.["runtime-sandboxes/cordoned"] === undefined &&
                    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
            })),
            pods: named("Pod", ({ metadata, spec, status }) => ({
                node: spec?.nodeName,
                runtimeClass: spec?.runtimeClassName ?? "",
                testPod: metadata.labels?.[podLabel] ?? "",
                phase: metadata.deletionTimestamp ? "is being deleted" : status?.phase,
            })),
        };
    }

    private seeWorker(worker: string): WorkerSeen {
        const parts = this.stack
            .on(worker, lookAtWorker)
            .split(/^==> /m)
            .slice(1)
            .map((part): [string, string] => {
                const end = part.indexOf("\n");
                return end < 0 ? [part, ""] : [part.slice(0, end), part.slice(end + 1).trim()];
            });
        const texts = Object.fromEntries(parts);
        const paths = Object.keys(texts).filter((name) => name.startsWith("/"));
        const own = paths.filter((name) => /50-runtime-sandboxes|\/runsc\//.test(name));
        const [programs = "", release = ""] = (texts.runsc ?? "").split(" ");
        return {
            paths,
            files: Object.fromEntries(own.map((name) => [name, JSON.parse(JSON.stringify(parse(texts[name] ?? "")))])),
            runsc: { path: programs, release: release.replace("release-", "") },
            pending: (texts.pending ?? "").split("\n").filter((line) => line !== ""),
        };
    }

    /** Serves nothing any more; the stack stays. */
    public close(): void {
        this.repositories.close();
    }

    /** Removes all of it. */
    public async remove(): Promise<void> {
        this.close();
        await this.stack.remove();
        const left = spawnSync("ip", ["link", "show", this.network.bridge]).status === 0;
        assert.equal(left, false, `destroy has left the bridge ${this.network.bridge}`);
    }
}
