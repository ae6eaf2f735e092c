// The state of a stack, in clear and in memory only.
import type { Connection } from "./machines.ts";
import { answerOf, type Pulumi } from "./pulumi.ts";

/** A resource of a state with secrets in clear: never to be printed or written. */
export interface Resource {
    readonly urn: string;
    /** The last part of the URN. */
    readonly name: string;
    readonly type: string;
    /** The last update has replaced it, but could not delete it. */
    readonly leaving: boolean;
    readonly inputs: Properties;
    readonly outputs: Properties;
}

/** Properties of a resource. Those that are named here are texts where the resource has them. */
export interface Properties {
    readonly [name: string]: unknown;
    /** Of a command. */
    readonly create?: string;
    readonly stdin?: string;
    readonly stdout?: string;
    readonly connection?: Connection;
    /** Of a provider. */
    readonly kubeconfig?: string;
    /** Of an object of Kubernetes. */
    readonly apiVersion?: string;
    readonly kind?: string;
    readonly metadata?: {
        readonly name?: string;
        readonly namespace?: string;
        readonly annotations?: Readonly<Record<string, string>>;
    };
}

/** A machine, by the step of the last update that brought its scripts. */
export interface RecordedMachine {
    readonly name: string;
    readonly connection: Connection;
    /** How root's bash is started there. Default: "bash" */
    readonly shell?: string;
}

/** What `pulumi stack export` prints, as far as it is read here. */
interface Exported {
    readonly deployment: {
        readonly resources?: readonly {
            readonly urn: string;
            readonly type: string;
            readonly delete?: boolean;
            readonly inputs?: object;
            readonly outputs?: object;
        }[];
    };
}

/** The key that a secret has (https://www.pulumi.com/docs/iac/concepts/state-and-backends/). */
const signature = "4dabf18193072939515e22adb298388d";

/** A value of a state with its secrets in clear. */
function plain(value: unknown): unknown {
    if (Array.isArray(value)) {
        return value.map(plain);
    }
    if (typeof value !== "object" || value === null) {
        return value;
    }
    const fields = new Map(Object.entries(value));
    const text: unknown = fields.get("plaintext");
    if (typeof text === "string" && fields.has(signature)) {
        return plain(JSON.parse(text));
    }
    return Object.fromEntries([...fields].map(([key, inner]) => [key, plain(inner)]));
}

/** The last part of a URN. */
export const nameIn = (urn: string): string => urn.slice(urn.lastIndexOf("::") + 2);

/** The resources of a stack by name: the state has them in the order in which they ended, which is another one each time. */
export async function resourcesOf(stack: string, pulumi: Pulumi): Promise<Resource[]> {
    const { deployment } = await exportState(stack, pulumi, ["--show-secrets"]);
    return (deployment.resources ?? [])
        .map((one) => ({
            urn: one.urn,
            name: nameIn(one.urn),
            type: one.type,
            leaving: one.delete === true,
            inputs: plain(one.inputs ?? {}) as Properties,
            outputs: plain(one.outputs ?? {}) as Properties,
        }))
        .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** `pulumi stack export`, parsed. */
export async function exportState(stack: string, pulumi: Pulumi, flags: readonly string[] = []): Promise<Exported> {
    const args = ["stack", "export", "--stack", stack, ...flags];
    return JSON.parse(await answerOf(pulumi, args, `the state of stack ${stack} cannot be read`)) as Exported;
}

/** How each machine is reached. */
export function recordedMachines(resources: readonly Resource[]): RecordedMachine[] {
    return resources
        .filter(
            ({ name, leaving, inputs }) => !leaving && name.endsWith("-scripts") && / bring /.test(inputs.create ?? ""),
        )
        .map(({ name, inputs: { stdin = "{}" } }) => {
            const { connection, shell } = JSON.parse(stdin) as RecordedMachine;
            return { name: name.replace(/-scripts$/, ""), connection, shell };
        });
}

/** How the last update has started canary pods. @returns by worker, the standard input of scripts/on-host/canary.ts */
export function recordedCanaries(
    resources: readonly Resource[],
): { readonly worker: string; readonly stdin: string }[] {
    return resources.flatMap(({ name, leaving, inputs: { stdin } }) => {
        const [, worker] = /^(.+)-canary-pods$/.exec(name) ?? [];
        return worker === undefined || leaving || stdin === undefined ? [] : { worker, stdin };
    });
}
