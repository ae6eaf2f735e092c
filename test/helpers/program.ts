import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { cannedStdout, provider } from "./canned";
import { promiseOf, type Recorded, record } from "./mocks";

export const root = path.resolve(__dirname, "../..");
const project = "runtime-sandboxes";

export interface ProgramOptions {
    /** Names of the workers; the first ones by default. Default: worker-1. */
    readonly workers?: readonly string[];
    /** Settings beside `workers`. */
    readonly settings?: Readonly<Record<string, string>>;
    /** What single commands print instead of what is canned, by the name of their resource. */
    readonly stdout?: Record<string, unknown>;
    /** Uids of objects of the cluster instead of the canned ones, by the name of their resource. */
    readonly uids?: Readonly<Record<string, string>>;
    readonly preview?: boolean;
}

/** Settings of a stack on a node `worker-1` of somebody's cluster. @param more fields of `existing` */
export function onExisting(more: object = {}): Record<string, string> {
    const kubeconfig = JSON.stringify({
        "current-context": "lab",
        contexts: [{ name: "lab", context: { cluster: "lab", user: "admin" } }],
        clusters: [{ name: "lab", cluster: {} }],
        users: [{ name: "admin", user: {} }],
    });
    const workers = { "worker-1": { host: "10.0.0.4", hostKey: "ssh-ed25519 AAAA" } };
    const existing = { kubeconfig, privateKey: "PEM", workers, ...more };
    return { target: "existing", existing: JSON.stringify(existing), workers: "1" };
}

export interface StackOutput {
    readonly secret: boolean;
    /** Undefined in a preview. */
    readonly value: unknown;
}

export interface ProgramRun {
    readonly resources: readonly Recorded[];
    readonly outputs: Readonly<Record<string, StackOutput>>;
    /** The only resource of that name that is no component. */
    get(name: string): Recorded;
}

/** Runs all of index.ts under mocks, each time from fresh modules. */
export async function runProgram(options: ProgramOptions = {}): Promise<ProgramRun> {
    const { workers = ["worker-1"], settings = {}, stdout, uids, preview = false } = options;
    const config = Object.entries({ workers: workers.join(","), ...settings });
    // The stack's name is one that has no machines: what .local holds would show in the plan.
    const mocks = { provide: provider(cannedStdout(workers, stdout), uids), project, stack: "mocked", preview };
    const [outputs, resources] = await record(mocks, async () => {
        pulumi.runtime.setAllConfig(Object.fromEntries(config.map(([key, value]) => [`${project}:${key}`, value])));
        forgetProgram();
        const exported = Object.entries<unknown>(require(path.join(root, "index.ts")));
        const entries = exported.map(async ([key, value]): Promise<[string, StackOutput]> => {
            const output = pulumi.output(value);
            return [
                key,
                { secret: await pulumi.isSecret(output), value: preview ? undefined : await promiseOf(output) },
            ];
        });
        return Object.fromEntries(await Promise.all(entries));
    });
    const get = (name: string): Recorded => {
        const found = resources.filter((one) => one.custom && one.name === name);
        const [only] = found;
        if (!only || found.length > 1) {
            throw new Error(`${found.length} resources are named ${name}`);
        }
        return only;
    };
    return { resources, outputs, get };
}

function forgetProgram(): void {
    for (const file of Object.keys(require.cache)) {
        const inside = path.relative(root, file);
        if (/^(index\.ts|settings\/|components\/)/.test(inside)) {
            delete require.cache[file];
        }
    }
}
