import type { Sources } from "./contracts";

/** Versions that machines install. Empty or none: the ones that the source pins. */
export interface VersionSettings {
    readonly kubernetesVersion?: string;
    readonly containerdVersion?: string;
    readonly gvisorVersion?: string;
}

/** The release of gVisor that the mirror builds. Its Go branch has no releases: the day of the pinned commit names the package. */
export const builtRelease: string;
/** The official repositories of Kubernetes, containerd and gVisor, with their keys pinned. */
export function upstreamSources(settings: VersionSettings): Sources;
/**
 * A mirror as mirror/ builds it.
 *
 * @param url where machines see it
 * @param fingerprint of its key, 40 hexadecimal digits
 */
export function mirrorSources(url: string, fingerprint: string, settings: VersionSettings): Sources;
