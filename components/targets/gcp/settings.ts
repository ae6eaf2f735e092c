import * as net from "node:net";
import { z } from "zod";
import { podRange, serviceRange } from "../../names";

/** Addresses that Identity-Aware Proxy's TCP forwarding comes from: https://cloud.google.com/iap/docs/using-tcp-forwarding */
export const iapRange = "35.235.240.0/20";

const complaint = (input: unknown, allowed: string): string =>
    `is ${input === undefined ? "missing" : JSON.stringify(input)}; allowed: ${allowed}`;
const saying = (allowed: string) => ({ error: (issue: { input?: unknown }) => complaint(issue.input, allowed) });

const fitting = (fits: (value: string) => boolean, allowed: string) =>
    z.string(saying(allowed)).refine(fits, saying(allowed));
const text = (pattern: RegExp, allowed: string) => fitting((value) => pattern.test(value), allowed);
const flag = z.boolean(saying("true, false")).default(false);
const whole = (least: number, most: number, allowed: string) =>
    z.int(saying(allowed)).min(least, saying(allowed)).max(most, saying(allowed));
const tunnelPort = whole(1024, 65535, "a port from 1024 to 65535");

/** An IPv4 range as numbers; undefined where the text is none. */
function range(value: string): { base: number; bits: number; network: string } | undefined {
    const [, address = "", bits = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(value) ?? [];
    if (!net.isIPv4(address) || Number(bits) > 32) {
        return undefined;
    }
    const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    const size = 2 ** (32 - Number(bits));
    const base = Math.floor(number / size) * size;
    const network = [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join(".");
    return { base, bits: Number(bits), network: `${network}/${bits}` };
}

function overlap(one: string, other: string): boolean {
    const [a, b] = [range(one), range(other)];
    return (
        a !== undefined &&
        b !== undefined &&
        a.base < b.base + 2 ** (32 - b.bits) &&
        b.base < a.base + 2 ** (32 - a.bits)
    );
}

const rangesAllowed = 'IPv4 ranges from /8 to /32 such as 203.0.113.7/32, or "iap"';

const adminRange = z.string(saying(rangesAllowed)).superRefine((value, ctx) => {
    const refuse = (allowed: string) => ctx.addIssue({ code: "custom", message: complaint(value, allowed) });
    const found = range(value);
    if (value === "iap") {
        return;
    }
    if (value === "0.0.0.0/0" || value === "::/0") {
        refuse(`${rangesAllowed}, never the whole world: SSH and the API server would be open to everybody`);
    } else if (net.isIPv4(value)) {
        refuse(`${rangesAllowed}; for this one address write ${value}/32`);
    } else if (!found || found.bits < 8) {
        refuse(rangesAllowed);
    } else if (found.network !== value) {
        refuse(`${rangesAllowed}; the range that holds this address is ${found.network}`);
    }
});

const networkAllowed = `a private range from /16 to /27 outside ${podRange} (pods) and ${serviceRange} (services)`;
const isPrivate = (value: string) =>
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].some((all) => overlap(value, all));

const machineTypeAllowed = "a machine type with at least 2 vCPUs and 4 GB, such as e2-standard-2";
const machineType = fitting(
    (value) => /^[a-z]\w*(-[a-z0-9]+)+$/.test(value) && !/-(micro|small)$/.test(value),
    machineTypeAllowed,
).default("e2-standard-2");

const name = (allowed: string) => text(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/, allowed);
const labelText = /^[a-z0-9_-]{0,63}$/;
const labelAllowed = "lower-case letters, digits, hyphens and underscores, at most 63";

const shape = {
    project: text(
        /^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/,
        "the id of a Google Cloud project, such as my-project-123",
    ),
    region: text(/^[a-z]+-[a-z]+\d+$/, "a region, such as us-central1"),
    zones: z
        .array(z.string(saying("zones of the region")), saying("a list of zones of the region"))
        .min(1, saying("at least one zone, or no such setting for three zones of the region"))
        .optional(),
    controlPlaneMachineType: machineType,
    workerMachineType: machineType,
    spot: flag,
    diskSizeGb: whole(20, 2000, "a whole number of GB from 20 to 2000").default(30),
    diskType: z
        .enum(
            ["pd-balanced", "pd-standard", "pd-ssd", "hyperdisk-balanced"],
            saying("pd-balanced, pd-standard, pd-ssd, hyperdisk-balanced"),
        )
        .default("pd-balanced"),
    adminRanges: z.array(adminRange, saying(`a list of ${rangesAllowed}`)).min(1, saying(`a list of ${rangesAllowed}`)),
    tunnelPorts: z
        .strictObject(
            { ssh: tunnelPort.default(10022), api: tunnelPort.default(16443) },
            saying("ssh and api, each a port of this host"),
        )
        .default({ ssh: 10022, api: 16443 }),
    imageFamily: name("an image family of Debian 12, such as debian-12").default("debian-12"),
    imageProject: name("the project of the image family, such as debian-cloud").default("debian-cloud"),
    networkRange: fitting((value) => {
        const found = range(value);
        return (
            found?.network === value &&
            found.bits >= 16 &&
            found.bits <= 27 &&
            isPrivate(value) &&
            !overlap(value, podRange) &&
            !overlap(value, serviceRange)
        );
    }, networkAllowed).default("10.20.0.0/24"),
    labels: z
        .record(
            z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/, saying(`labels of ${labelAllowed}, a letter first`)),
            text(labelText, labelAllowed),
            saying("labels by name"),
        )
        .default({}),
    deletionProtection: flag,
};

/** The setting `gcp`. Its defaults and meanings are in docs/google-cloud.md. */
export const gcpSettings = z
    .strictObject(shape, {
        error: (issue) =>
            issue.code === "unrecognized_keys"
                ? `holds ${issue.keys.join(", ")}; allowed: ${Object.keys(shape).join(", ")}`
                : complaint(issue.input, "an object, see docs/google-cloud.md"),
    })
    .refine(({ region, zones }) => strayZones(region, zones).length === 0, {
        path: ["zones"],
        // Also where another setting is wrong, so that all complaints come together.
        when: ({ value }) => typeof (value as { region?: unknown } | undefined)?.region === "string",
        error: ({ input }) => {
            const { region, zones } = input as { region: string; zones?: unknown };
            return complaint(strayZones(region, zones)[0], `zones of ${region}, each once, such as ${region}-b`);
        },
    });

/** Zones that are not in the region, or named twice. */
function strayZones(region: string, zones: unknown): unknown[] {
    const given: unknown[] = Array.isArray(zones) ? zones : [];
    const fits = (zone: unknown) =>
        typeof zone === "string" && zone.startsWith(`${region}-`) && /^[a-z]$/.test(zone.slice(region.length + 1));
    return given.filter((zone, index) => !fits(zone) || given.indexOf(zone) !== index);
}

export type GcpSettings = Readonly<z.output<typeof gcpSettings>>;

/** Settings beside `gcp` that its target looks at. */
export interface RelatedSettings {
    readonly gcp?: GcpSettings;
    readonly workers: readonly string[];
    readonly mirror: string;
    readonly gvisorPlatform: string;
    readonly handlers: Readonly<Record<string, { readonly options: Readonly<Record<string, string>> }>>;
    readonly overrides: Readonly<Record<string, { readonly options: Readonly<Record<string, string>> }>>;
}

/** Complaints about settings that are right one by one, but not on this target: setting and what is wrong with it. */
export function gcpComplaints(settings: RelatedSettings): [setting: string, message: string][] {
    const { gcp, workers, mirror } = settings;
    const complaints: [string, string][] = [];
    if (!gcp) {
        complaints.push([
            "gcp",
            "is missing; allowed with target gcp: at least project, region and adminRanges, see docs/google-cloud.md",
        ]);
    } else if (2 ** (32 - Number(gcp.networkRange.split("/")[1])) - 4 < workers.length + 1) {
        // Google keeps four addresses of each subnet.
        complaints.push([
            "gcp.networkRange",
            `is "${gcp.networkRange}"; allowed with ${workers.length} workers: a larger range`,
        ]);
    }
    if (mirror.startsWith("file:")) {
        complaints.push(["mirror", `is "${mirror}"; allowed with target gcp: an http or https URL`]);
    }
    const platforms: [string, string | undefined][] = [
        ["gvisorPlatform", settings.gvisorPlatform],
        ...(["handlers", "overrides"] as const).flatMap((setting) =>
            Object.entries(settings[setting]).map(([key, { options }]): [string, string | undefined] => [
                `${setting}.${key}.options.platform`,
                options.platform,
            ]),
        ),
    ];
    for (const [setting] of platforms.filter(([, platform]) => platform === "kvm")) {
        complaints.push([setting, 'is "kvm"; allowed with target gcp: systrap (its machines have no /dev/kvm)']);
    }
    return complaints;
}

/** The ranges that SSH and the API server are open to. */
export function adminCidrs(gcp: GcpSettings): string[] {
    return [...new Set(gcp.adminRanges.map((one) => (one === "iap" ? iapRange : one)))];
}

/** Whether the only way in is Identity-Aware Proxy: no machine has an external address then. */
export function throughIap(gcp: GcpSettings): boolean {
    return gcp.adminRanges.every((one) => one === "iap");
}

/** Two regions have no zone a: https://cloud.google.com/compute/docs/regions-zones */
const zoneLetters: Readonly<Record<string, string>> = { "us-east1": "bcd", "europe-west1": "bcd" };

/** Zones that the machines are spread over. */
export function zonesOf(gcp: GcpSettings): readonly string[] {
    return gcp.zones ?? [...(zoneLetters[gcp.region] ?? "abc")].map((letter) => `${gcp.region}-${letter}`);
}

/**
 * The zone of a worker: in turn by the number at the end of its name. It hangs on nothing but the name, so a worker that
 * comes or goes moves no other one.
 */
export function zoneOf(worker: string, zones: readonly string[]): string {
    const number = /\d+$/.exec(worker)?.[0];
    const turn = number ? Number(number) - 1 : [...worker].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
    return zones[Math.max(turn, 0) % zones.length] ?? "";
}
