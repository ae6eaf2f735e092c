// Does the API server take what a stack is going to have in its cluster? It is asked for each object in a dry run: with all of
// its admission, and without a trace. What is there already under a name is somebody's, or as it should be.
import { isDeepStrictEqual } from "node:util";
import {
    type KubeConfig,
    type KubernetesObject,
    KubernetesObjectApi,
    PatchStrategy,
    type V1Pod,
    type V1RuntimeClass,
} from "@kubernetes/client-node";
import { codeOf, type Has, sentence } from "./api.ts";

/** PlannedObject of components/contracts.ts. */
export interface Planned {
    readonly manifest: Has<KubernetesObject, "apiVersion" | "kind" | "metadata">;
    readonly remedy: string;
    readonly patched?: boolean;
    readonly adopted?: boolean;
}

/** An object that is planned, and what has its name in the cluster now. */
interface Looked extends Planned {
    readonly live: KubernetesObject | undefined;
}

/** A reason why the API server does not take an object. */
export interface Refusal {
    readonly of: Planned;
    readonly why: string;
}

const isA = (kind: string, { manifest }: Planned) => manifest.kind === kind;
const namespaceOf = ({ manifest }: Planned) => manifest.metadata.namespace;
/** As kubectl names it: NAMESPACE/NAME where it is in one. */
const nameOf = ({ manifest: { metadata } }: Planned) =>
    [metadata.namespace, metadata.name].filter((part) => part !== undefined).join("/");
const titleOf = (one: Planned) =>
    `the ${["Pod", "Namespace"].includes(one.manifest.kind) ? one.manifest.kind.toLowerCase() : one.manifest.kind} ${nameOf(one)}`;

/** Pulumi's plug-in applies as a field manager of that name. */
const isOfPulumi = ({ metadata }: KubernetesObject) =>
    metadata?.managedFields?.some(({ manager }) => manager?.startsWith("pulumi-kubernetes")) ?? false;

/** What the API server says, without the object's own name and that of its container: it says the same of many. */
const reasonOf = (error: unknown) =>
    sentence(error)
        .replace(/^\S+ "[^"]*" is (forbidden|invalid): /, "")
        .replace(/\b(container) "[\w-]+"/g, "$1")
        .replace(/ for: [\w-]+$/, "");

/** What makes a class what it is. */
const aspects = {
    handler: ({ handler }: V1RuntimeClass) => handler,
    "overhead.podFixed": ({ overhead }: V1RuntimeClass) => overhead?.podFixed,
    "scheduling.nodeSelector": ({ scheduling }: V1RuntimeClass) => scheduling?.nodeSelector,
    "scheduling.tolerations": ({ scheduling }: V1RuntimeClass) =>
        scheduling?.tolerations?.map((one) => JSON.stringify(one, Object.keys(one).sort())).sort(),
};

/** What differs between two classes, as sentences. */
function differences(live: V1RuntimeClass, wanted: V1RuntimeClass): string[] {
    const shown = (value: unknown) =>
        typeof value === "string" ? value : Array.isArray(value) ? `[${value.join(", ")}]` : JSON.stringify(value);
    return Object.entries(aspects).flatMap(([aspect, of]) => {
        // An empty list or map is none.
        const [is, should] = [of(live), of(wanted)].map((value) =>
            Object.keys(value ?? {}).length > 0 ? value : undefined,
        );
        return isDeepStrictEqual(is, should)
            ? []
            : [`${aspect} is ${shown(is) ?? "not set"}, not ${shown(should) ?? "unset"}`];
    });
}

/** Somebody's cluster, asked about what is planned for it. */
export class Rehearsal {
    private readonly api: KubernetesObjectApi;
    private readonly planned: readonly Planned[];
    private readonly namespace: string;
    private looked: readonly Looked[] = [];
    /** Namespaces that are named and not in the cluster. */
    readonly absent = new Set<string>();

    /** @param namespace of the stack's own pods: what comes to a namespace that is to be made is asked for there */
    constructor(config: KubeConfig, planned: readonly Planned[], namespace: string) {
        this.planned = planned;
        this.namespace = namespace;
        this.api = KubernetesObjectApi.makeApiClient(config);
    }

    /** Looks at what is there. @returns complaints about what should be, or should not */
    async look(): Promise<string[]> {
        this.looked = await Promise.all(
            this.planned.map(async (one) => ({ ...one, live: await this.read(one.manifest) })),
        );
        const places = new Set([this.namespace, ...this.planned.flatMap((one) => namespaceOf(one) ?? [])]);
        await Promise.all(
            [...places].map(async (name) => {
                const found = await this.read({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
                if (found === undefined) this.absent.add(name);
            }),
        );
        const complaints = await Promise.all(this.looked.map((one) => this.nameComplaints(one)));
        return [
            ...(this.absent.has(this.namespace)
                ? [
                      `the namespace ${this.namespace} is not in the cluster. Make it (kubectl create namespace ${this.namespace}), or ` +
                          `set existing.namespace to another one`,
                  ]
                : []),
            ...complaints.flat(),
        ];
    }

    /** Names of classes that are there. */
    get classes(): string[] {
        return this.looked.flatMap((one) => (isA("RuntimeClass", one) && one.live ? nameOf(one) : []));
    }

    /** What is refused of that which is planned, and of more. */
    async refusals(more: readonly Planned[] = []): Promise<Refusal[]> {
        const all = [...this.looked, ...more.map((one) => ({ ...one, live: undefined }))];
        const asked = all.filter(({ adopted, patched, live }) => !adopted && (!patched || live));
        return (await Promise.all(asked.map((of) => this.refusalOf(of)))).flat();
    }

    private async read({ apiVersion, kind, metadata }: Planned["manifest"]): Promise<KubernetesObject | undefined> {
        const { name = "", namespace } = metadata;
        try {
            return await this.api.read({ apiVersion, kind, metadata: { name, namespace } });
        } catch (error) {
            // A kind that the cluster does not know is said so by the dry run.
            if (codeOf(error) === 404 || /Unrecognized API version/.test(sentence(error))) return undefined;
            throw error;
        }
    }

    private async nameComplaints(one: Looked): Promise<string[]> {
        const { live, patched, adopted } = one;
        const title = titleOf(one);
        if (live === undefined) {
            const setting = adopted ? "existing.runtimeClasses" : "mandatory.existingNamespaces";
            return adopted || patched
                ? [`${title} is not in the cluster, although ${setting} names it. Leave it out there`]
                : [];
        }
        if (isA("RuntimeClass", one) && (adopted || !isOfPulumi(live))) {
            return await this.classComplaints(one, live as V1RuntimeClass);
        }
        const way = isA("Namespace", one) ? "name it in mandatory.existingNamespaces" : "delete it";
        return patched || isOfPulumi(live)
            ? []
            : [`${title} is there already, and not of Pulumi. Rename or ${way}, or ${one.remedy}`];
    }

    /** A class that is not made by the stack has to be as the stack would make it. */
    private async classComplaints({ adopted, ...one }: Looked, live: V1RuntimeClass): Promise<string[]> {
        const title = titleOf(one);
        if (isOfPulumi(live)) {
            return [`${title} is made by Pulumi, which may delete it. Take it out of existing.runtimeClasses`];
        }
        let wanted: V1RuntimeClass;
        try {
            wanted = (await this.dryRun({ ...one, live })) as V1RuntimeClass;
        } catch {
            // refusals() asks again and reports why.
            return [];
        }
        const flaws = differences(live, wanted);
        if (flaws.length > 0) {
            return [
                `${title} is there already, and another one: ${flaws.join("; ")}. Delete it, or set another runtimeClass`,
            ];
        }
        return adopted
            ? []
            : [
                  `${title} is there already, as this stack would make it. To have it used and never deleted, add it to ` +
                      `existing.runtimeClasses: npm run pulumi -- config set --path 'existing.runtimeClasses[0]' ${live.metadata?.name}`,
              ];
    }

    /** Asks for an object without making it. @returns the object as it would be */
    private async dryRun({ manifest, live, patched }: Looked): Promise<KubernetesObject> {
        const { metadata } = manifest;
        if (patched) {
            const manager = metadata.annotations?.["pulumi.com/patchFieldManager"];
            return await this.api.patch(manifest, undefined, "All", manager, false, PatchStrategy.ServerSideApply);
        }
        // A name that is taken would be all that is complained about.
        const name = live && { name: undefined, generateName: "preflight-" };
        const namespace = this.absent.has(metadata.namespace ?? "") ? this.namespace : metadata.namespace;
        const body: Planned["manifest"] & V1Pod = { ...manifest, metadata: { ...metadata, namespace, ...name } };
        const { runtimeClassName } = body.spec ?? {};
        if (runtimeClassName !== undefined && !this.classes.includes(runtimeClassName)) {
            // No pod may name a class that is not there yet; all else about it can be asked.
            return await this.api.create(
                { ...body, spec: { ...body.spec, runtimeClassName: undefined } },
                undefined,
                "All",
            );
        }
        return await this.api.create(body, undefined, "All");
    }

    private async refusalOf(of: Looked): Promise<Refusal[]> {
        const place = namespaceOf(of);
        try {
            await this.dryRun(of);
            return [];
        } catch (error) {
            const why = reasonOf(error);
            // Of a namespace that is not there nobody knows what it refuses; what cannot be anywhere, cannot be there.
            const isUnknown = place !== undefined && this.absent.has(place) && codeOf(error) !== 422;
            // It has its share already.
            const isCounted = of.live !== undefined && why.startsWith("exceeded quota");
            return isUnknown || isCounted ? [] : [{ of, why }];
        }
    }
}

/** Refusals as complaints: one for all objects of a kind that are refused for the same reason. */
export function complaintsOf(refusals: readonly Refusal[]): string[] {
    const alike = new Map<string, Refusal[]>();
    for (const refusal of refusals) {
        const { of, why } = refusal;
        const key = JSON.stringify([of.manifest.kind, namespaceOf(of), of.remedy, why]);
        alike.set(key, [...(alike.get(key) ?? []), refusal]);
    }
    return [...alike.values()].map((group) => {
        const [{ of, why }] = group as [Refusal, ...Refusal[]];
        const names = group.map(
            ({ of: { manifest } }) => manifest.metadata.name ?? `${manifest.metadata.generateName}*`,
        );
        const place = namespaceOf(of);
        const what = `${of.manifest.kind}${names.length > 1 ? "s" : ""} ${names.sort().join(", ")}${place === undefined ? "" : ` in ${place}`}`;
        return `the cluster does not take the ${what}: ${why}. Fix that, or ${of.remedy}`;
    });
}

/** Gives pods their image, which is known to others than the other fields are. */
export function withImage(planned: readonly Planned[], image: string): Planned[] {
    return planned.map((one) => {
        const { spec, ...manifest } = one.manifest as Planned["manifest"] & V1Pod;
        const containers = spec?.containers?.map((container) => ({ ...container, image }));
        return containers ? { ...one, manifest: { ...manifest, ...{ spec: { ...spec, containers } } } } : one;
    });
}
