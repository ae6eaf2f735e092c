import { defaultHandler, project } from "../components/names";
import type { Complaint, Of, Rule } from "./complaint";
import { allHandlers, defaultHandlerOf, type HandlerSettings } from "./handlers";
import type { Settings } from "./schema";
import { targetRules } from "./targetRules";
import { flawsOfFlags, flawsOfRelease, kubernetesAndContainerd } from "./versionRules";

function mirrorAndFingerprint({ mirror, mirrorFingerprint }: Of<"mirror" | "mirrorFingerprint">): Complaint[] {
    const reason = `and ${project}:mirror belong together: set both (a ready mirror) or none (built on this host)`;
    return !mirror === !mirrorFingerprint ? [] : [{ setting: "mirrorFingerprint", reason }];
}

function mirrorAndSources({ mirror, sources }: Of<"mirror" | "sources">): Complaint[] {
    const reason = `is "upstream" although ${project}:mirror is set; remove one of them`;
    return mirror && sources === "upstream" ? [{ setting: "sources", reason }] : [];
}

function archiveAndDigest({
    gvisorArchive,
    gvisorArchiveSha512,
}: Of<"gvisorArchive" | "gvisorArchiveSha512">): Complaint[] {
    const reason = `and ${project}:gvisorArchive belong together: set both or none`;
    return !gvisorArchive === !gvisorArchiveSha512 ? [] : [{ setting: "gvisorArchiveSha512", reason }];
}

function archiveAndVersion({ gvisorArchive, gvisorVersion }: Of<"gvisorArchive" | "gvisorVersion">): Complaint[] {
    const reason = `is empty; allowed with ${project}:gvisorArchive: the release that the archive holds`;
    return gvisorArchive && !gvisorVersion ? [{ setting: "gvisorVersion", reason }] : [];
}

function testPodsAndMandatory({ existing, mandatory }: Of<"existing" | "mandatory">): Complaint[] {
    const forced = [...(mandatory?.namespaces ?? []), ...(mandatory?.existingNamespaces ?? [])];
    return existing && forced.includes(existing.namespace)
        ? [{ setting: "existing", reason: `has test-1 in "${existing.namespace}", where mandatory refuses it` }]
        : [];
}

function existingClasses(settings: HandlerSettings & Of<"existing">): Complaint[] {
    const classes = allHandlers(settings).map(({ runtimeClass }) => runtimeClass);
    return (settings.existing?.runtimeClasses ?? [])
        .filter((name) => !classes.includes(name))
        .map((name) => ({
            setting: "existing.runtimeClasses",
            reason: `names "${name}"; allowed: ${classes.join(", ")} (the classes of ${project}:handlers)`,
        }));
}

function egressAndMandatory({ egress, mandatory }: Of<"egress" | "mandatory">): Complaint[] {
    const namespaces = [...(mandatory?.namespaces ?? []), ...(mandatory?.existingNamespaces ?? [])];
    const reason = `has no namespaces to hold in; name some in ${project}:mandatory`;
    return egress && namespaces.length === 0 ? [{ setting: "egress", reason }] : [];
}

function egressAndReachable({ egress, reachable }: Of<"egress" | "reachable">): Complaint[] {
    const reason = `is false although ${project}:egress is set, which it proves; remove one of them`;
    return egress && reachable === "false" ? [{ setting: "reachable", reason }] : [];
}

function overridesOfWorkers({ overrides, workers, handlers }: Of<"overrides" | "workers" | "handlers">): Complaint[] {
    return Object.entries(overrides).flatMap(([worker, { sandbox, handlers: names = [], ...rest }]) => {
        const idle = Object.entries({ handlers: names, ...rest })
            .filter(([, value]) => Object.keys(value).length > 0)
            .map(([key]) => key);
        const unknown = names.filter((name) => !Object.hasOwn(handlers, name));
        return [
            ...(workers.includes(worker)
                ? []
                : [{ setting: "overrides", reason: `names the worker "${worker}"; allowed: ${workers.join(", ")}` }]),
            ...(sandbox || idle.length === 0
                ? []
                : [
                      {
                          setting: `overrides.${worker}.sandbox`,
                          reason: `is false, and ${idle.join(", ")} would have no effect there: remove them`,
                      },
                  ]),
            ...unknown.map((name) => ({
                setting: `overrides.${worker}.handlers`,
                reason: `names "${name}"; allowed: ${Object.keys(handlers).join(", ")} (${project}:handlers)`,
            })),
        ];
    });
}

function oneDefaultHandler(settings: Of<"defaultHandler" | "handlers">): Complaint[] {
    const names = Object.keys(settings.handlers);
    if (names.includes(defaultHandlerOf(settings))) {
        return [];
    }
    const reason =
        settings.defaultHandler === ""
            ? `is empty although there are several handlers and none is called ${defaultHandler}; allowed: ${names.join(", ")}`
            : `is "${settings.defaultHandler}"; allowed: ${names.join(", ")} (${project}:handlers)`;
    return [{ setting: "defaultHandler", reason }];
}

function oneHandlerOfEachClass(settings: HandlerSettings): Complaint[] {
    const classes = allHandlers(settings).map(({ runtimeClass }) => runtimeClass);
    const [twice] = classes.filter((name, index) => classes.indexOf(name) !== index);
    const reason = `gives the RuntimeClass "${twice}" to several handlers; each needs one of its own`;
    return twice === undefined ? [] : [{ setting: "handlers", reason }];
}

function canariesOfWorkers({ canary, workers }: Of<"canary" | "workers">): Complaint[] {
    const unknown = typeof canary === "object" ? canary.filter((name) => !workers.includes(name)) : [];
    const allowed = `allowed: a number of workers, or names from ${workers.join(", ")}`;
    return unknown.map((name) => ({ setting: "canary", reason: `names the worker "${name}"; ${allowed}` }));
}

/** In the order in which people read the complaints. */
const rules: readonly Rule[] = [
    mirrorAndFingerprint,
    mirrorAndSources,
    kubernetesAndContainerd,
    archiveAndDigest,
    archiveAndVersion,
    testPodsAndMandatory,
    existingClasses,
    egressAndMandatory,
    egressAndReachable,
    overridesOfWorkers,
    canariesOfWorkers,
    ...targetRules,
    oneDefaultHandler,
    flawsOfRelease,
    flawsOfFlags,
    oneHandlerOfEachClass,
];

/** All complaints about settings that are right one by one. */
export function complaintsOf(settings: Settings): Complaint[] {
    return rules.flatMap((rule) => rule(settings));
}
