import { z } from "zod";
import { egressSettings, mandatorySettings } from "../components/admission/settings";
import { dnsLabel, fitting, oneOf, saying, text } from "../components/fields";
import { drainOptions, handlers, overhead, overrides } from "../components/gvisor/settings";
import { podRange, serviceRange } from "../components/names";
import { isOutsideCluster, rangeOf } from "../components/ranges";
import { existingSettings } from "../components/targets/existing/settings";
import { gcpSettings } from "../components/targets/gcp/settings";
import { versions } from "../components/versions";
import { known } from "../components/vulnerabilities.cjs";

const maxWorkers = 20;
const reserved = ["control-plane", "node-image", "localhost"];

const listed = (value: string): string[] => value.split(",").map((one) => one.trim());

/** Names of the workers from a count ("2") or a list ("alpha,beta"). */
function workerNames(value: string, ctx: z.RefinementCtx): string[] {
    const refuse = (message: string): string[] => {
        ctx.addIssue({ code: "custom", message });
        return [];
    };
    if (/^-?\d+$/.test(value.trim())) {
        const count = Number(value);
        if (count < 1 || count > maxWorkers) {
            return refuse(`is ${count}; allowed: 1 to ${maxWorkers} workers, or their names separated by commas`);
        }
        return Array.from({ length: count }, (_, index) => `worker-${index + 1}`);
    }
    const names = listed(value);
    for (const name of names) {
        if (!/^[a-z]/.test(name) || !dnsLabel.test(name) || name.length > 40 || reserved.includes(name)) {
            refuse(
                `holds the name "${name}"; allowed: a lower-case letter, then lower-case letters, digits and hyphens, ` +
                    `at most 40, not ${reserved.slice(0, -1).join(", ")} or ${reserved.at(-1)}`,
            );
        }
    }
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    if (twice.length > 0) {
        refuse(`names ${[...new Set(twice)].join(", ")} twice; each worker needs a name of its own`);
    }
    return names.length <= maxWorkers ? names : refuse(`names ${names.length} workers; allowed: at most ${maxWorkers}`);
}

/** Ids of known vulnerabilities. */
function vulnerabilityIds(value: string, ctx: z.RefinementCtx): string[] {
    const ids = listed(value);
    const all = known.map(({ id }) => id);
    for (const id of ids.filter((one) => one !== "" && !all.includes(one))) {
        ctx.addIssue({ code: "custom", message: `names "${id}"; allowed, separated by commas: ${all.join(", ")}` });
    }
    return ids.filter((id) => id !== "");
}

/** So many workers ("2"; empty is undefined), or these ("alpha,beta"). */
function canaries(value: string): number | readonly string[] | undefined {
    const text = value.trim();
    return /^\d*$/.test(text) ? (text === "" ? undefined : Number(text)) : listed(text);
}

/** A structured setting: Pulumi keeps it as JSON. Of one that may hold keys a complaint repeats nothing. */
const structure = <S extends z.ZodType>(inner: S, mayHoldKeys = false) =>
    z
        .string()
        // Pulumi wants a default for each setting: an empty object stands for none.
        .default("{}")
        .transform((value, ctx): unknown => {
            try {
                return value === "{}" ? undefined : JSON.parse(value);
            } catch {
                const said = mayHoldKeys ? `not JSON (${value.length} characters)` : `"${value}"`;
                ctx.addIssue({ code: "custom", message: `is ${said}; allowed: an object, see Pulumi.yaml` });
                return z.NEVER;
            }
        })
        .pipe(inner);

const yesOrNo = oneOf("true", "false").transform((value) => value === "true");
const version = (example: string) =>
    text(/^(|\d+(\.\d+)+)$/, `a version such as ${example}, or empty for the pinned one`).default("");
const url = text(/^(|(https?|file):\/\/\S+)$/, "an http, https or file URL, or empty").default("");
const hexadecimal = (digits: number) =>
    text(new RegExp(`^(|[0-9A-Fa-f]{${digits}})$`), `${digits} hexadecimal digits, or empty`).default("");
const privateRange = /^(10\.\d{1,3}|172\.(1[6-9]|2\d|3[01])|192\.168)\.\d{1,3}\.0\/24$/;

/**
 * Every setting: what it may be, one by one, and its default, which Pulumi.yaml repeats for Pulumi (a test compares them).
 * Those with fields have their schema beside the components that take them.
 */
export const schema = z.object({
    target: oneOf("local", "existing", "gcp").default("local"),
    workers: z.string().default("1").transform(workerNames),
    existing: structure(existingSettings.optional(), true),
    gcp: structure(gcpSettings.optional()),
    runtimeClass: text(dnsLabel, "a DNS label (lower-case letters, digits, hyphens)").default("myclass"),
    gvisorPlatform: oneOf("systrap", "kvm").default("systrap"),
    gvisorVersion: version(versions.gvisor.release),
    gvisorArchive: url,
    gvisorArchiveSha512: hexadecimal(128),
    acceptVulnerabilities: z.string().default("").transform(vulnerabilityIds),
    handlers: structure(handlers),
    defaultHandler: fitting((name) => name === "" || dnsLabel.test(name), "the name of a handler, or empty").default(
        "",
    ),
    overrides: structure(overrides),
    overhead: structure(overhead),
    maxUnavailable: text(
        /^(\d{0,3}|[1-9]\d?%|100%)$/,
        "a number of workers or a percentage such as 25%, 0 for all at once, or empty",
    ).default(""),
    canary: z.string().default("").transform(canaries),
    mandatory: structure(mandatorySettings.optional()),
    egress: structure(egressSettings.optional()),
    drain: yesOrNo.default(false),
    drainOptions: structure(drainOptions),
    limits: yesOrNo.default(false),
    attacks: text(/^(|true|false)$/, "true, false, or empty").default(""),
    surface: text(/^(|true|false)$/, "true, false, or empty").default(""),
    reachable: text(/^(|true|false)$/, "true, false, or empty").default(""),
    containerdVersion: version(versions.containerd.version),
    kubernetesVersion: version(versions.kubernetes.version),
    sources: oneOf("auto", "upstream", "mirror").default("auto"),
    mirror: url,
    mirrorFingerprint: hexadecimal(40),
    bridge: text(/^[a-z][a-z0-9-]{0,14}$/, "a letter, then letters, digits, hyphens; at most 15").default("sandbox0"),
    addressRange: z
        .string()
        .refine((range) => privateRange.test(range), { abort: true, ...saying("a private range such as 10.77.0.0/24") })
        .refine((range) => rangeOf(range) !== undefined, { abort: true, ...saying("numbers up to 255") })
        .refine(isOutsideCluster, saying(`a range outside ${podRange} (pods) and ${serviceRange} (services)`))
        .default("10.77.0.0/24"),
});

/** The settings of a stack, right one by one and with defaults filled in. Each is described in Pulumi.yaml. */
export type Settings = Readonly<z.infer<typeof schema>>;
