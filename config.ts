import * as net from "node:net";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { podRange, project, serviceRange } from "./components/names";

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const maxWorkers = 20;
const reserved = ["control-plane", "localhost"];

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
                    `at most 40, not ${reserved.join(" or ")}`,
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
const version = (example: string, floor?: string) =>
    text(/^(|\d+(\.\d+)+)$/, `a version such as ${example}, or empty for the pinned one`).refine(
        (value) => !floor || value === "" || !older(value, floor),
        { error: (issue) => `is "${issue.input}"; allowed: ${floor} or newer, which Kubernetes asks for` },
    );

/** True if dotted version `a` is older than `b`. */
function older(a: string, b: string): boolean {
    return a.localeCompare(b, "en", { numeric: true }) < 0;
}

const clusterRanges = new net.BlockList();
for (const range of [podRange, serviceRange]) {
    const [base = "", bits] = range.split("/");
    clusterRanges.addSubnet(base, Number(bits));
}

const schema = z.strictObject({
    target: oneOf("local").default("local"),
    workers: z.string().default("1").transform(workerNames),
    runtimeClass: text(dnsLabel, "a DNS label (lower-case letters, digits, hyphens)").default("myclass"),
    gvisorPlatform: oneOf("systrap", "kvm").default("systrap"),
    gvisorVersion: version("20260831.0").default(""),
    containerdVersion: version("2.2.5", "2.2.0").default(""),
    kubernetesVersion: version("1.36.3").default(""),
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

/** Complaints about settings that do not go together. */
function pairComplaints(raw: Record<string, string>): string[] {
    const complaints: string[] = [];
    if (!raw.mirror !== !raw.mirrorFingerprint) {
        complaints.push(
            `${project}:mirrorFingerprint and ${project}:mirror belong together: set both (a ready mirror) or none ` +
                `(built on this host)`,
        );
    }
    if (raw.mirror && raw.sources === "upstream") {
        complaints.push(`${project}:sources is "upstream" although ${project}:mirror is set; remove one of them`);
    }
    return complaints;
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
    const result = schema.safeParse(raw);
    const pairs = pairComplaints(raw);
    if (result.success && pairs.length === 0) {
        return result.data;
    }
    const single = (result.error?.issues ?? []).flatMap((issue) => {
        if (issue.code === "unrecognized_keys") {
            return issue.keys.map(
                (key) => `${project}:${key} is no setting; the settings are ${Object.keys(schema.shape).join(", ")}`,
            );
        }
        return [`${project}:${issue.path.join(".")} ${issue.message}`];
    });
    const complaints = [...single, ...pairs];
    throw new pulumi.RunError(
        `The settings of this stack cannot be used; nothing was changed:\n` +
            complaints.map((complaint) => `  - ${complaint}\n`).join("") +
            `Correct them with: npm run pulumi -- config set NAME VALUE`,
    );
}

/** Reads and checks the settings of this stack. The only reader of Pulumi's configuration. */
export function loadSettings(): Settings {
    const prefix = `${project}:`;
    const entries = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
    return parseSettings(Object.fromEntries(entries.map(([key, value]) => [key.slice(prefix.length), value])));
}
