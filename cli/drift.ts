// Looks at the machines and the cluster again and says what is not as the stack has left it. Changes nothing.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { linesOf, type Vulnerability } from "../components/vulnerabilities.cjs";
import { readHistory } from "./check/history.ts";
import { stackDirectory } from "./environment.ts";
import { Failure } from "./failure.ts";
import { isOutdated, knownOf } from "./known.ts";
import type { Asked, Found } from "./look.ts";
import { cacheDir, moduleBin, readJson, readOr, root } from "./project.ts";
import type { Pulumi } from "./pulumi.ts";
import { capture, lastLine } from "./run.ts";
import { pulumiOfExisting, stackName } from "./stack.ts";
import { type Resource, resourcesOf } from "./state.ts";

/** Exit code of `drift` where something differs; 1, of an error, is that where something could not be looked at. */
export const drifted = 3;

/** Steps of a worker whose answers its checks judge. */
const evidence = ["probe-pods", "probe-host", "canary-pods", "attacks-pods", "reachable-pods"];

/** What differs, and what is known against the machines as they are now, which is not a difference. */
interface Drift extends Omit<Found, "versions"> {
    readonly vulnerabilities: readonly (Vulnerability & { readonly worker: string })[];
    /** URNs of the steps that have to be run again, for example those that find out what a worker is like. */
    readonly again: readonly string[];
}

/** The process of a local machine, as it was started: scripts/local/machine.sh writes it. */
interface MachineProcess {
    readonly pid: number;
    readonly bootId: string;
    readonly startTime: number | string;
}

/** Local machines that do not run: nobody else must be asked at their addresses. */
export function downMachines(stack: string): string[] {
    const machines = join(stackDirectory(stack), "machines");
    const bootId = readOr("/proc/sys/kernel/random/boot_id", "").trim();
    return (existsSync(machines) ? readdirSync(machines) : []).filter((name) => {
        const was: MachineProcess | undefined = readJson(join(machines, name, "process.json"));
        const stat = was ? readOr(`/proc/${was.pid}/stat`, "") : "";
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return was?.bootId !== bootId || fields[0] === "Z" || fields[19] !== String(was.startTime);
    });
}

/** Looks at the stack's machines and cluster. @param canaries whether a new pod of each class is started on each worker */
export async function look(stack: string, pulumi: Pulumi, { canaries = false } = {}): Promise<Drift> {
    const state = resourcesOf(stack, pulumi);
    const [{ versions, again, ...found }, { last }] = await Promise.all([
        askLook(stack, state, canaries),
        readHistory(stack, pulumi),
    ]);
    const resources = await state;
    const { workers, isolation } = outputsIn(resources);
    const vulnerabilities = Object.entries(versions).flatMap(([worker, own]) =>
        knownOf(workers[worker], own).map((one) => ({ worker, ...one })),
    );
    const changed = found.machines.filter(({ down }) => !down);
    const moved = changed.filter((one) => one.moved !== false).map(({ worker }) => worker);
    const outdated = Object.entries(versions).flatMap(([worker, own]) =>
        isOutdated(workers[worker], own) ? worker : [],
    );
    // Somebody corrects what was refused: the next update must not go by what it was like.
    const refused = last !== undefined && last.result !== "succeeded";
    const names = new Set(resources.map(({ name }) => name));
    // A check can be corrected where nothing of this stack shows it: in the cluster's network, for example.
    const unproven = [...names].flatMap((name) => {
        const [, worker = ""] = /^(.+)-probe-host$/.exec(name) ?? [];
        const again = isolation[worker]?.proven === false || (refused && !names.has(`${worker}-proven`));
        return worker !== "" && again ? worker : [];
    });
    const steps = [
        ...unproven.flatMap((worker) => evidence.map((step) => `${worker}-${step}`)),
        ...[...moved, ...outdated].map((worker) => `${worker}-runtime-facts`),
        ...changed.map(({ worker }) => `${worker}-runtime-look`),
        ...again,
    ];
    const repeated = resources.filter(
        ({ name, leaving }) => !leaving && (steps.includes(name) || (refused && name.endsWith("-runtime-facts"))),
    );
    return { ...found, vulnerabilities, again: repeated.map(({ urn }) => urn) };
}

/** What look.ts finds. It loads its libraries while Pulumi reads the state. */
async function askLook(stack: string, state: Promise<readonly Resource[]>, canaries: boolean): Promise<Found> {
    const asked = state.then((resources) => {
        const relevant = resources.filter(({ type }) => /^(command|kubernetes|pulumi:providers)/.test(type));
        return JSON.stringify({ resources: relevant, down: downMachines(stack), canaries } satisfies Asked);
    });
    const { code, stdout, stderr } = await capture(join(moduleBin, "node"), [join("cli", "look.ts")], {
        input: asked,
        // Longer than the canaries may take; a cluster may also never answer.
        limit: 420_000,
        cwd: root,
        env: { ...process.env, NODE_COMPILE_CACHE: join(cacheDir, "node-compile") },
    });
    if (code !== 0) {
        throw new Failure(`the machines of stack ${stack} could not be looked at: ${lastLine(stderr)}`);
    }
    return JSON.parse(stdout) as Found;
}

interface Outputs {
    readonly workers: Readonly<Record<string, Parameters<typeof knownOf>[0]>>;
    readonly isolation: Readonly<Record<string, { readonly proven?: boolean } | undefined>>;
}

/** Outputs of the last update. */
function outputsIn(resources: readonly Resource[]): Outputs {
    const { outputs } = resources.find(({ type }) => type === "pulumi:pulumi:Stack") ?? {};
    return { workers: {}, isolation: {}, ...(outputs as Partial<Outputs> | undefined) };
}

/** What is known against the machines, one line for each machine and version. */
function warnings({ vulnerabilities }: Drift): string[] {
    return [...new Set(vulnerabilities.map(({ worker }) => worker))].flatMap((worker) =>
        linesOf(vulnerabilities.filter((one) => one.worker === worker)).map((line) => `${worker}: ${line}`),
    );
}

/** What was found, as lines: what differs, and what could not be looked at, which may be right or wrong. */
export function lines({ machines, objects, unseen }: Pick<Drift, "machines" | "objects" | "unseen">) {
    return {
        differing: [
            ...machines.flatMap(({ worker, differences }) => differences.map((text) => `${worker}: ${text}`)),
            ...objects.flatMap(({ object, differences }) => differences.map((text) => `${object}: ${text}`)),
        ],
        unseen: unseen.map(({ what, why }) => `${what}: ${why}`),
    };
}

/** `drift`. @param json whether all that was found is printed, as JSON */
export async function drift({ json = false }: { readonly json?: boolean }): Promise<number> {
    const stack = stackName();
    const found = await look(stack, await pulumiOfExisting(stack), { canaries: true });
    const { differing, unseen } = lines(found);
    if (json) {
        const { again: _, ...shown } = found;
        process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
    } else {
        const list = (title: string, all: readonly string[]) =>
            all.length === 0 ? [] : [`stack ${stack} ${title}:`, ...all.map((line) => `  ${line}`)];
        const report = [
            ...list("has drifted", differing),
            ...list("could not be looked at in full", unseen),
            ...(differing.length > 0 ? ["`npm run up` repairs what differs from the stack"] : []),
        ];
        const nothing = `stack ${stack}: nothing has drifted; ${found.looked} machines and objects looked at`;
        const known = warnings(found).map((line) => `known to be vulnerable, no drift: ${line}`);
        process.stdout.write([...(report.length > 0 ? report : [nothing]), ...known, ""].join("\n"));
    }
    return differing.length > 0 ? drifted : Math.min(unseen.length, 1);
}
