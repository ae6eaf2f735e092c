import { flagFlaw, releaseFlaw } from "../components/gvisor/flaws";
import { builtRelease } from "../components/targets/upstream";
import { kubernetesReleases, series, versions } from "../components/versions";
import { compareVersions } from "../components/vulnerabilities.cjs";
import type { Complaint, Of } from "./complaint";
import { flagsIn } from "./handlers";

/** A release of Kubernetes takes containerd from a certain patch of each series on. */
export function kubernetesAndContainerd({
    kubernetesVersion,
    containerdVersion,
}: Of<"kubernetesVersion" | "containerdVersion">): Complaint[] {
    const kubernetes = kubernetesVersion || versions.kubernetes.version;
    const release = kubernetesReleases[series(kubernetes)];
    if (release === undefined) {
        const allowed = Object.keys(kubernetesReleases).join(", ");
        return [{ setting: "kubernetesVersion", reason: `is "${kubernetes}"; allowed: a version of ${allowed}` }];
    }
    const containerd = containerdVersion || versions.containerd.version;
    const [oldest = "", ...others] = release.containerd;
    const floor = others.find((one) => series(one) === series(containerd)) ?? oldest;
    const reason =
        `is "${containerd}"; Kubernetes ${series(kubernetes)} asks for ${floor} or newer, ` +
        `such as ${versions.containerd.version}`;
    return compareVersions(containerd, floor) < 0 ? [{ setting: "containerdVersion", reason }] : [];
}

type ReleaseSettings = Of<"gvisorVersion" | "target" | "sources" | "mirror">;

/** Releases of gVisor that may be installed: on the local target the network may decide which. */
function possibleReleases({ gvisorVersion, target, sources, mirror }: ReleaseSettings): string[] {
    const { release } = versions.gvisor;
    if (gvisorVersion !== "") {
        return [gvisorVersion];
    }
    if (mirror !== "" || (target === "local" && sources === "mirror")) {
        return [builtRelease];
    }
    return target === "local" && sources === "auto" ? [release, builtRelease] : [release];
}

/** A release that is known to be vulnerable, as far as no machine has to be asked: the gate judges the rest. */
export function flawsOfRelease(settings: ReleaseSettings & Of<"acceptVulnerabilities">): Complaint[] {
    const { gvisorVersion, acceptVulnerabilities: accepted } = settings;
    const releases = possibleReleases(settings);
    const flaws = releases.map((release) => releaseFlaw(release, accepted));
    const shown = gvisorVersion === "" ? `empty, which takes ${releases[0]}` : `"${gvisorVersion}"`;
    return flaws.every((flaw) => flaw !== undefined)
        ? [{ setting: "gvisorVersion", reason: `is ${shown}, which ${flaws[0]}` }]
        : [];
}

/** Flags of runsc that open a vulnerability again. */
export function flawsOfFlags(settings: Of<"handlers" | "overrides" | "acceptVulnerabilities">): Complaint[] {
    return flagsIn(settings).flatMap(({ setting, flag, value }) => {
        const flaw = flagFlaw(flag, value, settings.acceptVulnerabilities);
        return flaw ? [{ setting, reason: `is "${value}", which ${flaw}` }] : [];
    });
}
