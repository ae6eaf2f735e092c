import { safeFrom, type Vulnerability, vulnerabilitiesIn } from "../vulnerabilities.cjs";

function flawOf(verb: string, found: readonly Vulnerability[], allowed: string): string | undefined {
    const open = found.filter(({ accepted }) => !accepted);
    const said = open.map(({ id, summary }) => `${id} (${summary.replace(/\.$/, "")})`).join(" and ");
    const ids = open.map(({ id }) => id).join(",");
    return open.length > 0 ? `${verb} ${said}; allowed: ${allowed}, or ${ids} in acceptVulnerabilities` : undefined;
}

/** What is wrong with a release of gVisor, and what is allowed; undefined where nothing is, or where it is accepted. */
export function releaseFlaw(release: string, accepted: readonly string[] = []): string | undefined {
    const better = safeFrom("gvisor", release);
    return flawOf(
        "has",
        vulnerabilitiesIn({ gvisor: release }, { accepted }),
        better ? `${better} or newer` : "nothing",
    );
}

/** The same of a flag of runsc. */
export function flagFlaw(name: string, value: string, accepted: readonly string[] = []): string | undefined {
    return flawOf("opens", vulnerabilitiesIn({}, { options: [{ [name]: value }], accepted }), "to leave it out");
}
