import * as pulumi from "@pulumi/pulumi";
import type { Target } from "../contracts";
import { ExistingTarget } from "./existing/existingTarget";
import type { ExistingSettings } from "./existing/settings";
import type { GcpSettings } from "./gcp/settings";
import { type LocalSettings, LocalTarget } from "./local/localTarget";

/** What the targets look at. With neither `existing` nor `gcp` the machines are on this host. */
export interface TargetSettings extends LocalSettings {
    readonly existing?: ExistingSettings | undefined;
    readonly gcp?: GcpSettings | undefined;
}

/** Makes the machines. Only here do the targets differ. */
export function createTarget(settings: TargetSettings): Target {
    const { existing, gcp } = settings;
    const stack = pulumi.getStack();
    if (existing !== undefined) {
        return new ExistingTarget(existing, settings);
    }
    if (gcp !== undefined) {
        // Google's types and classes are loaded for this target only: they take seconds.
        const { GcpTarget } = require("./gcp/gcpTarget") as typeof import("./gcp/gcpTarget");
        return new GcpTarget("gcp", { settings, gcp, stack });
    }
    return new LocalTarget("local", { settings, stack });
}
