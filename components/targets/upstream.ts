import type { Sources } from "../contracts";
import { builtRelease, mirrorSources, upstreamSources, type VersionSettings } from "../sources.cjs";

export { builtRelease, upstreamSources };

/** Settings that decide what machines install. */
export interface SourceSettings extends VersionSettings {
    /** URL of a ready mirror, and the fingerprint of its key; both empty where there is none. */
    readonly mirror?: string;
    readonly mirrorFingerprint?: string;
}

/** Where machines install from that are not on this host: upstream, or a ready mirror if one is set. */
export function remoteSources(settings: SourceSettings): Sources {
    const { mirror, mirrorFingerprint = "" } = settings;
    return mirror ? mirrorSources(mirror, mirrorFingerprint, settings) : upstreamSources(settings);
}
