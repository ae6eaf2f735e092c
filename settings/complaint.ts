import type { Settings } from "./schema";

/** What is wrong with a setting. */
export interface Complaint {
    /** The setting, or a field of it: `overrides.worker-1.sandbox`. */
    readonly setting: string;
    /** The rest of a sentence that begins with that. */
    readonly reason: string;
}

/** The settings that a rule looks at. */
export type Of<Name extends keyof Settings> = Pick<Settings, Name>;

/** Finds settings that do not go together although each is right by itself. */
export type Rule = (settings: Settings) => readonly Complaint[];
