import type { Complaint, Of, Rule } from "./complaint";
import { flagsIn } from "./handlers";
import { type Settings, schema } from "./schema";

/** A target with fields of its own has a setting of its name. */
const fieldsOfTarget =
    (name: "existing" | "gcp") =>
    (settings: Of<"target" | "existing" | "gcp">): Complaint[] => {
        const reason = `and target "${name}" belong together; target is "${settings.target}"`;
        return (settings.target === name) === (settings[name] !== undefined) ? [] : [{ setting: name, reason }];
    };

const machines = "makes no machines on this host";

/** Settings that change nothing on a target, each with the reason. */
const idle: Readonly<Record<Settings["target"], Partial<Record<keyof Settings, string>>>> = {
    local: {},
    existing: {
        containerdVersion: "leaves the nodes their containerd",
        kubernetesVersion: "leaves the cluster its Kubernetes",
        bridge: machines,
        addressRange: machines,
    },
    gcp: { bridge: machines, addressRange: "has gcp.networkRange instead" },
};

/** Settings that somebody has chosen. Those of a stack that sets none are nobody's choice: Pulumi fills them in. */
function withoutEffect(settings: Settings): Complaint[] {
    const { target } = settings;
    const defaults = schema.parse({});
    return Object.entries(idle[target])
        .map(([key, reason]) => ({ key: key as keyof Settings, reason }))
        .filter(({ key }) => settings[key] !== defaults[key])
        .map(({ key, reason }) => ({
            setting: key,
            reason:
                `is "${settings[key]}", which has no effect: target ${target} ${reason}. Remove it: ` +
                `npm run pulumi -- config rm ${key}`,
        }));
}

/** The mirror that is built on this host is reached by the machines on it alone. */
function builtMirrorElsewhere({ target, sources, mirror }: Of<"target" | "sources" | "mirror">): Complaint[] {
    const reason = `is "mirror"; allowed with target ${target}: upstream, or the URL of a mirror that the machines reach (mirror)`;
    return target !== "local" && sources === "mirror" && mirror === "" ? [{ setting: "sources", reason }] : [];
}

function gcpFields({ gcp }: Of<"gcp">): Complaint[] {
    const reason =
        "is missing; allowed with target gcp: at least project, region and adminRanges, see docs/google-cloud.md";
    return gcp === undefined ? [{ setting: "gcp", reason }] : [];
}

function gcpAddresses({ gcp, workers }: Of<"gcp" | "workers">): Complaint[] {
    if (gcp === undefined) {
        return [];
    }
    // Google keeps four addresses of each subnet.
    const addresses = 2 ** (32 - Number(gcp.networkRange.split("/")[1])) - 4;
    const reason = `is "${gcp.networkRange}"; allowed with ${workers.length} workers: a larger range`;
    return addresses < workers.length + 1 ? [{ setting: "gcp.networkRange", reason }] : [];
}

function gcpMirror({ mirror }: Of<"mirror">): Complaint[] {
    const reason = `is "${mirror}"; allowed with target gcp: an http or https URL`;
    return mirror.startsWith("file:") ? [{ setting: "mirror", reason }] : [];
}

function gcpPlatforms(settings: Of<"gvisorPlatform" | "handlers" | "overrides">): Complaint[] {
    const reason = 'is "kvm"; allowed with target gcp: systrap (its machines have no /dev/kvm)';
    return [{ setting: "gvisorPlatform", flag: "platform", value: settings.gvisorPlatform }, ...flagsIn(settings)]
        .filter(({ flag, value }) => flag === "platform" && value === "kvm")
        .map(({ setting }) => ({ setting, reason }));
}

const rulesOfTargets: Readonly<Record<Settings["target"], readonly Rule[]>> = {
    local: [],
    existing: [],
    gcp: [gcpFields, gcpAddresses, gcpMirror, gcpPlatforms],
};

/** What goes together depends on the target. */
export const targetRules: readonly Rule[] = [
    fieldsOfTarget("existing"),
    fieldsOfTarget("gcp"),
    withoutEffect,
    builtMirrorElsewhere,
    (settings) => rulesOfTargets[settings.target].flatMap((rule) => rule(settings)),
];
