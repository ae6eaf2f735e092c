import { version } from "@pulumi/gcp/package.json";
import { same } from "../command/diff";
import { isMap, type PropertyMap, revealMap, UNKNOWN, type Value } from "../shared/properties";
import type {
    Abilities,
    CheckRequest,
    CheckResult,
    Context,
    CreateRequest,
    CreateResult,
    DiffRequest,
    DiffResult,
    Provider,
    UpdateRequest,
} from "../shared/provider";

const refusal = `the stand-in of gcp only previews; Pulumi's own plug-in is needed (gcp ${version})`;

/**
 * What Google adds inside of a value that the program gives, by type and property. Outside of such values the SDK takes
 * what is missing in a preview for not known yet.
 */
const computed: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
    "gcp:compute/instance:Instance": {
        networkInterfaces: ["networkIp"],
    },
};

/** The stand-in for the official gcp plug-in: foretells new resources in previews, and makes none. */
export class GcpProvider implements Provider {
    readonly version = version;

    handshake(): Abilities {
        return { acceptSecrets: true, acceptResources: true };
    }

    checkConfig({ news }: CheckRequest): CheckResult {
        return { inputs: news };
    }

    diffConfig(): DiffResult {
        return { changes: "DIFF_NONE" };
    }

    configure(): Abilities {
        return { acceptSecrets: true, acceptResources: true, supportsPreview: true };
    }

    check({ news }: CheckRequest): CheckResult {
        return { inputs: news };
    }

    /** Inputs against those of the last update: the engine has put back what is to be ignored. */
    async diff({ oldInputs, news }: DiffRequest, context: Context): Promise<DiffResult> {
        const diffs = changes(revealMap(oldInputs), revealMap(news));
        if (diffs.length === 0) {
            return { changes: "DIFF_NONE" };
        }
        await context.log(
            "warning",
            `${diffs.join(", ")}: the stand-in of gcp cannot tell whether this is changed in place or replaced`,
        );
        return { changes: "DIFF_SOME", diffs };
    }

    create({ type, properties, preview }: CreateRequest): CreateResult {
        refuseUnless(preview);
        const inner = computed[type] ?? {};
        const entries = Object.entries(properties).map(([name, value]) => [
            name,
            withUnknown(value, inner[name] ?? []),
        ]);
        return { id: "", properties: Object.fromEntries(entries) as PropertyMap };
    }

    update({ olds, news, preview }: UpdateRequest): PropertyMap {
        refuseUnless(preview);
        return { ...olds, ...news };
    }

    delete(): never {
        throw new Error(refusal);
    }

    read(): never {
        throw new Error(refusal);
    }

    invoke(): never {
        throw new Error(refusal);
    }
}

function refuseUnless(preview: boolean): void {
    if (!preview) {
        throw new Error(refusal);
    }
}

/** Names of what differs; a default that the official plug-in has put in is no difference. */
function changes(then: PropertyMap, now: PropertyMap): string[] {
    const defaults = ["__defaults", ...(Array.isArray(then.__defaults) ? then.__defaults : [])];
    return [...new Set([...Object.keys(then), ...Object.keys(now)])].filter(
        (name) =>
            !(defaults.includes(name) && now[name] === undefined) && !alike(then[name] ?? null, now[name] ?? null),
    );
}

function alike(then: Value, now: Value): boolean {
    if (Array.isArray(then) && Array.isArray(now)) {
        return then.length === now.length && then.every((value, index) => alike(value, now[index] ?? null));
    }
    return isMap(then) && isMap(now) ? changes(then, now).length === 0 : same(then, now);
}

function withUnknown(value: Value, names: readonly string[]): Value {
    if (Array.isArray(value)) {
        return value.map((one) => withUnknown(one, names));
    }
    const unknown = Object.fromEntries(names.map((name) => [name, UNKNOWN]));
    return isMap(value) ? { ...unknown, ...value } : value;
}
