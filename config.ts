import * as net from "node:net";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { mandatorySettings } from "./components/admission/settings";
import type { NodeSettings, Taint } from "./components/cluster/nodeSettings";
import { flagFlaw, releaseFlaw } from "./components/gvisor/compatibility";
import type { Handler } from "./components/gvisor/handlers";
import { drainOptions } from "./components/gvisor/maintenance";
import type { Archive } from "./components/gvisor/sandboxRuntime";
import { defaultHandler, podRange, project, serviceRange } from "./components/names";
import { existingSettings } from "./components/targets/existing";
import { gcpComplaints, gcpSettings } from "./components/targets/gcp/settings";
import { builtRelease } from "./components/targets/upstream";
import { withoutEffect } from "./components/targets/withoutEffect";
import { versionComplaints, versions } from "./components/versions";
import { known } from "./components/vulnerabilities.cjs";

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const maxWorkers = 20;
const reserved = ["control-plane", "node-image", "localhost"];

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
    const names = value.split(",").map((name) => name.trim());
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

const text = (pattern: RegExp, allowed: string) =>
    z.string().refine((value) => pattern.test(value), {
        abort: true,
        error: (issue) => `is "${issue.input}"; allowed: ${allowed}`,
    });
const oneOf = <T extends string>(...values: T[]) =>
    z.enum(values, { error: (issue) => `is "${issue.input}"; allowed: ${values.join(", ")}` });
const version = (example: string) =>
    text(/^(|\d+(\.\d+)+)$/, `a version such as ${example}, or empty for the pinned one`);

/** Ids of known vulnerabilities. */
function vulnerabilityIds(value: string, ctx: z.RefinementCtx): string[] {
    const ids = value.split(",").map((id) => id.trim());
    const all = known.map(({ id }) => id);
    for (const id of ids.filter((one) => one !== "" && !all.includes(one))) {
        ctx.addIssue({ code: "custom", message: `names "${id}"; allowed, separated by commas: ${all.join(", ")}` });
    }
    return ids.filter((id) => id !== "");
}

/** A structured setting: Pulumi keeps it as JSON. Of one that may hold keys a complaint repeats nothing. */
const structure = <S extends z.ZodType>(inner: S, mayHoldKeys = false) =>
    z
        .string()
        .transform((value, ctx): unknown => {
            try {
                // Pulumi wants a default for each setting: an empty object stands for none.
                return value === "{}" ? undefined : JSON.parse(value);
            } catch {
                const said = mayHoldKeys ? `no JSON (${value.length} characters)` : `"${value}"`;
                ctx.addIssue({ code: "custom", message: `is ${said}; allowed: an object, see Pulumi.yaml` });
                return z.NEVER;
            }
        })
        .pipe(inner);
const drainDefaults = drainOptions.parse({});
const defaultHandlers = { [defaultHandler]: { options: {} } };
const yesOrNo = oneOf("true", "false").transform((value) => value === "true");

const handlerName = text(dnsLabel, "a DNS label (lower-case letters, digits, hyphens)");
/** Flags of runsc by name. Pulumi reads `true` and numbers from YAML as such; runsc takes text. */
const options = z.record(
    z.string().regex(/^[a-z][a-z0-9-]*$/, "is no flag of runsc; write it without dashes before it"),
    z.union([z.string(), z.boolean(), z.number()]).transform(String),
);
const handlers = z
    .record(handlerName, z.strictObject({ runtimeClass: handlerName.optional(), options: options.default({}) }))
    .refine((all) => Object.keys(all).length > 0, {
        error: "is empty; allowed: at least one handler, such as runsc: {}",
    });

const overrides = z.record(
    z.string(),
    z.strictObject({
        sandbox: z.boolean().default(true),
        handlers: z.array(z.string()).min(1).optional(),
        options: options.default({}),
        labels: z.record(z.string(), z.string()).default({}),
        taints: z
            .array(
                z.strictObject({
                    key: z.string(),
                    // The API server leaves an empty one away: it would be missed ever after.
                    value: z
                        .string()
                        .transform((value) => value || undefined)
                        .optional(),
                    effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
                }),
            )
            .default([]),
    }),
);

const quantity = text(/^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi)?$/, "a quantity such as 64Mi or 50m");

const clusterRanges = new net.BlockList();
for (const range of [podRange, serviceRange]) {
    const [base = "", bits] = range.split("/");
    clusterRanges.addSubnet(base, Number(bits));
}

const schema = z.object({
    target: oneOf("local", "existing", "gcp").default("local"),
    workers: z.string().default("1").transform(workerNames),
    existing: structure(existingSettings.optional(), true).optional(),
    gcp: structure(gcpSettings.optional()).optional(),
    runtimeClass: text(dnsLabel, "a DNS label (lower-case letters, digits, hyphens)").default("myclass"),
    gvisorPlatform: oneOf("systrap", "kvm").default("systrap"),
    gvisorVersion: version(versions.gvisor.release).default(""),
    gvisorArchive: text(/^(|(https?|file):\/\/\S+)$/, "an http, https or file URL, or empty").default(""),
    gvisorArchiveSha512: text(/^(|[0-9A-Fa-f]{128})$/, "128 hexadecimal digits, or empty").default(""),
    acceptVulnerabilities: z.string().default("").transform(vulnerabilityIds),
    handlers: structure(handlers.default(defaultHandlers)).default(defaultHandlers),
    defaultHandler: text(/^(|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$/, "the name of a handler, or empty").default(""),
    overrides: structure(overrides.default({})).default({}),
    overhead: structure(
        z.strictObject({ memory: quantity.optional(), cpu: quantity.optional() }).optional(),
    ).optional(),
    maxUnavailable: text(
        /^(\d{0,3}|[1-9]\d?%|100%)$/,
        "a number of workers or a percentage such as 25%, 0 for all at once, or empty",
    ).default(""),
    mandatory: structure(mandatorySettings.optional()).optional(),
    drain: yesOrNo.default(false),
    drainOptions: structure(drainOptions.default(drainDefaults)).default(drainDefaults),
    limits: yesOrNo.default(false),
    attacks: text(/^(|true|false)$/, "true, false, or empty").default(""),
    containerdVersion: version(versions.containerd.version).default(""),
    kubernetesVersion: version(versions.kubernetes.version).default(""),
    sources: oneOf("auto", "upstream", "mirror").default("auto"),
    mirror: text(/^(|(https?|file):\/\/\S+)$/, "an http, https or file URL, or empty").default(""),
    mirrorFingerprint: text(/^(|[0-9A-Fa-f]{40})$/, "40 hexadecimal digits, or empty").default(""),
    bridge: text(/^[a-z][a-z0-9-]{0,14}$/, "a letter, then letters, digits, hyphens; at most 15").default("sandbox0"),
    addressRange: text(
        /^(10\.\d{1,3}|172\.(1[6-9]|2\d|3[01])|192\.168)\.\d{1,3}\.0\/24$/,
        "a private range such as 10.77.0.0/24",
    )
        .refine((range) => net.isIPv4(range.replace("/24", "")), {
            abort: true,
            error: (issue) => `is "${issue.input}"; allowed: numbers up to 255`,
        })
        .refine((range) => !clusterRanges.check(range.replace("/24", "")), {
            error: (issue) =>
                `is "${issue.input}"; allowed: a range outside ${podRange} (pods) and ${serviceRange} (services)`,
        })
        .default("10.77.0.0/24"),
});

/** Complaints about settings that do not go together, of settings that are right one by one. */
function pairComplaints(settings: Settings): string[] {
    const complaints: string[] = [];
    const complain = (setting: string, message: string) => complaints.push(`${project}:${setting} ${message}`);
    if (!settings.mirror !== !settings.mirrorFingerprint) {
        complain(
            "mirrorFingerprint",
            `and ${project}:mirror belong together: set both (a ready mirror) or none (built on this host)`,
        );
    }
    if (settings.mirror && settings.sources === "upstream") {
        complain("sources", `is "upstream" although ${project}:mirror is set; remove one of them`);
    }
    for (const [setting, message] of versionComplaints(settings)) {
        complain(setting, message);
    }
    if (!settings.gvisorArchive !== !settings.gvisorArchiveSha512) {
        complain("gvisorArchiveSha512", `and ${project}:gvisorArchive belong together: set both or none`);
    }
    if (settings.gvisorArchive && !settings.gvisorVersion) {
        complain(
            "gvisorVersion",
            `is empty; allowed with ${project}:gvisorArchive: the release that the archive holds`,
        );
    }
    const forced = [settings.mandatory?.namespaces, settings.mandatory?.existingNamespaces].flat();
    if (settings.existing && forced.includes(settings.existing.namespace)) {
        complain("existing", `has test-1 in "${settings.existing.namespace}", where mandatory refuses it`);
    }
    for (const [worker, { sandbox, handlers: names = [], ...own }] of Object.entries(settings.overrides)) {
        if (!settings.workers.includes(worker)) {
            complain("overrides", `names the worker "${worker}"; allowed: ${settings.workers.join(", ")}`);
        }
        const idle = Object.entries({ handlers: names, ...own }).filter(([, value]) => Object.keys(value).length > 0);
        if (!sandbox && idle.length > 0) {
            const keys = idle.map(([key]) => key).join(", ");
            complain(
                `overrides.${worker}.sandbox`,
                `is false, and ${keys} would have no effect there: leave them away`,
            );
        }
        for (const name of names.filter((one) => !Object.hasOwn(settings.handlers, one))) {
            complain(
                `overrides.${worker}.handlers`,
                `names "${name}"; allowed: ${Object.keys(settings.handlers).join(", ")} (${project}:handlers)`,
            );
        }
    }
    if ((settings.target === "existing") !== (settings.existing !== undefined)) {
        complain("existing", `and target "existing" belong together; target is "${settings.target}"`);
    }
    if ((settings.target === "gcp") !== (settings.gcp !== undefined)) {
        complain("gcp", `and target "gcp" belong together; target is "${settings.target}"`);
    }
    for (const [setting, message] of [
        ...withoutEffect(settings, schema.parse({})),
        ...(settings.target === "gcp" ? gcpComplaints(settings) : []),
    ]) {
        complain(setting, message);
    }
    const names = Object.keys(settings.handlers);
    if (!names.includes(defaultHandlerOf(settings))) {
        complain(
            "defaultHandler",
            settings.defaultHandler === ""
                ? `is empty although there are several handlers and none is called ${defaultHandler}; allowed: ${names.join(", ")}`
                : `is "${settings.defaultHandler}"; allowed: ${names.join(", ")} (${project}:handlers)`,
        );
    }
    complaints.push(...flawComplaints(settings));
    const classes = allHandlers(settings).map((handler) => handler.runtimeClass);
    const twice = classes.filter((name, index) => classes.indexOf(name) !== index);
    if (twice.length > 0) {
        complain("handlers", `gives the RuntimeClass "${twice[0]}" to several handlers; each needs one of its own`);
    }
    return complaints;
}

/** Name of the handler whose class is `runtimeClass`; empty where the settings leave that open. */
export function defaultHandlerOf({ defaultHandler: wanted, handlers: all }: Settings): string {
    const [only = "", ...others] = Object.keys(all);
    return wanted || (Object.hasOwn(all, defaultHandler) ? defaultHandler : others.length === 0 ? only : "");
}

/** Releases of gVisor that may be installed: on the local target the network may decide which. */
function possibleReleases({ gvisorVersion, target, sources, mirror }: Settings): string[] {
    const { release } = versions.gvisor;
    if (gvisorVersion !== "") {
        return [gvisorVersion];
    }
    if (mirror !== "" || (target === "local" && sources === "mirror")) {
        return [builtRelease];
    }
    return target === "local" && sources === "auto" ? [release, builtRelease] : [release];
}

/** Complaints about what is known to be vulnerable, as far as no machine has to be asked. The gate judges the rest. */
function flawComplaints(settings: Settings): string[] {
    const { gvisorVersion, handlers, overrides, acceptVulnerabilities: accepted } = settings;
    const releases = possibleReleases(settings).map((release) => [release, releaseFlaw(release, accepted)] as const);
    const [[release, flaw] = []] = releases;
    const given = gvisorVersion === "" ? `empty, which takes ${release}` : `"${release}"`;
    const withFlags: Record<string, Record<string, { options: Handler["options"] }>> = { handlers, overrides };
    const flags = Object.entries(withFlags).flatMap(([setting, all]) =>
        Object.entries(all).flatMap(([name, { options }]) =>
            Object.entries(options).map(
                ([flag, value]) => [`${setting}.${name}.options.${flag}`, flag, value] as const,
            ),
        ),
    );
    return [
        ...(releases.every(([, found]) => found) ? [`${project}:gvisorVersion is ${given}, which ${flaw}`] : []),
        ...flags.flatMap(([path, flag, value]) => {
            const found = flagFlaw(flag, value, accepted);
            return found ? [`${project}:${path} is "${value}", which ${found}`] : [];
        }),
    ];
}

/** The handlers of the settings, by name: Pulumi does not keep the order in which they are written. */
export function allHandlers(settings: Settings): Handler[] {
    return Object.entries(settings.handlers)
        .map(([name, handler]) => ({
            name,
            runtimeClass: handler.runtimeClass ?? (name === defaultHandlerOf(settings) ? settings.runtimeClass : name),
            options: { platform: settings.gvisorPlatform, ...handler.options },
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The handlers of one worker; none where it takes no sandboxes. */
export function handlersOf(settings: Settings, worker: string): Handler[] {
    const own = settings.overrides[worker];
    if (own && !own.sandbox) {
        return [];
    }
    return allHandlers(settings)
        .filter(({ name }) => own?.handlers?.includes(name) ?? true)
        .map((handler) => ({ ...handler, options: { ...handler.options, ...own?.options } }));
}

/** The handler that runs test-2 among those of a worker: the default one, or else the first by name. */
export function provenHandler(settings: Settings, handlers: readonly Handler[]): Handler | undefined {
    return handlers.find(({ name }) => name === defaultHandlerOf(settings)) ?? handlers[0];
}

/** Labels and taints of a worker's node. */
export function nodeSettingsOf(settings: Settings, worker: string): NodeSettings {
    const { labels = {}, taints = [] } = settings.overrides[worker] ?? {};
    return { labels, taints };
}

/** Taints of the workers that have a handler. */
export function taintsOf(settings: Settings, handler: string): readonly Taint[] {
    return settings.workers
        .filter((worker) => handlersOf(settings, worker).some(({ name }) => name === handler))
        .flatMap((worker) => nodeSettingsOf(settings, worker).taints);
}

/** The archive that gVisor is installed from instead of an APT repository, if one is set. */
export function gvisorArchive(settings: Settings): Archive | undefined {
    return settings.gvisorArchive === ""
        ? undefined
        : { url: settings.gvisorArchive, sha512: settings.gvisorArchiveSha512 };
}

/** The settings of a stack, checked and with defaults filled in. Each is described in Pulumi.yaml. */
export type Settings = Readonly<z.infer<typeof schema>>;

/**
 * Checks raw settings.
 *
 * @param raw keys without the project's prefix, values as Pulumi keeps them (strings)
 * @throws {pulumi.RunError} one error that lists every complaint, before anything is made
 */
export function parseSettings(raw: Record<string, string>): Settings {
    const complaints: string[] = [];
    // One by one: where one is wrong, its default stands in, so that the others are still judged together.
    const values = Object.entries(schema.shape).map(([key, setting]) => {
        const result = setting.safeParse(raw[key]);
        for (const issue of result.error?.issues ?? []) {
            const said =
                issue.code === "invalid_key" ? issue.issues.map(({ message }) => message).join("; ") : issue.message;
            complaints.push(`${project}:${[key, ...issue.path].join(".")} ${said}`);
        }
        return [key, result.success ? result.data : setting.parse(undefined)];
    });
    const settings = withWorkers(Object.fromEntries(values) as Settings, raw.workers ?? "1", complaints);
    complaints.push(...pairComplaints(settings));
    for (const key of Object.keys(raw).filter((one) => !Object.hasOwn(schema.shape, one))) {
        complaints.push(`${project}:${key} is no setting; the settings are ${Object.keys(schema.shape).join(", ")}`);
    }
    if (complaints.length === 0) {
        return settings;
    }
    throw new pulumi.RunError(
        `The settings of this stack cannot be used; nothing was changed:\n` +
            complaints.map((complaint) => `  - ${complaint}\n`).join("") +
            `Correct them with: npm run pulumi -- config set NAME VALUE`,
    );
}

/** On existing machines the workers are those that `existing` names. */
function withWorkers(settings: Settings, workers: string, complaints: string[]): Settings {
    if (settings.existing === undefined) {
        return settings;
    }
    // Pulumi fills in the default.
    if (workers !== "1") {
        complaints.push(`${project}:workers is "${workers}" although ${project}:existing names the workers; remove it`);
    }
    return { ...settings, workers: Object.keys(settings.existing.workers) };
}

/** Reads and checks the settings of this stack. The only reader of Pulumi's configuration. */
export function loadSettings(): Settings {
    const prefix = `${project}:`;
    const entries = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
    return parseSettings(Object.fromEntries(entries.map(([key, value]) => [key.slice(prefix.length), value])));
}
