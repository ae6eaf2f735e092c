import { isIPv4 } from "node:net";
import { z } from "zod";
import { complaint, fitting, oneOf, saying, text } from "../../fields";
import { podRange, serviceRange } from "../../names";
import { isOutsideCluster, isPrivate, rangeOf } from "../../ranges";

const flag = z.boolean(saying("true, false")).default(false);
const whole = (least: number, most: number, allowed: string) =>
    z.int(saying(allowed)).min(least, saying(allowed)).max(most, saying(allowed));
const tunnelPort = whole(1024, 65535, "a port from 1024 to 65535");

const rangesAllowed = 'IPv4 ranges from /8 to /32 such as 203.0.113.7/32, or "iap"';

const adminRange = z.string(saying(rangesAllowed)).superRefine((value, ctx) => {
    const refuse = (allowed: string) => ctx.addIssue({ code: "custom", message: complaint(value, allowed) });
    const found = rangeOf(value);
    if (value === "iap") {
        return;
    }
    if (value === "0.0.0.0/0" || value === "::/0") {
        refuse(`${rangesAllowed}, never the whole world: SSH and the API server would be open to everybody`);
    } else if (isIPv4(value)) {
        refuse(`${rangesAllowed}; for this one address write ${value}/32`);
    } else if (!found || found.bits < 8) {
        refuse(rangesAllowed);
    } else if (found.network !== value) {
        refuse(`${rangesAllowed}; the range that holds this address is ${found.network}`);
    }
});

const networkAllowed = `a private range from /16 to /27 outside ${podRange} (pods) and ${serviceRange} (services)`;

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
    diskType: oneOf("pd-balanced", "pd-standard", "pd-ssd", "hyperdisk-balanced").default("pd-balanced"),
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
        const range = rangeOf(value);
        return (
            range?.network === value &&
            range.bits >= 16 &&
            range.bits <= 27 &&
            isPrivate(value) &&
            isOutsideCluster(value)
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
