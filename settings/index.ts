import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { project } from "../components/names";
import type { Complaint } from "./complaint";
import { complaintsOf } from "./rules";
import { type Settings, schema } from "./schema";
import { stackSettings } from "./stack";

export type { Settings } from "./schema";

const prefix = `${project}:`;

const complaintOf = (setting: string, issue: z.core.$ZodIssue): Complaint => ({
    setting: [setting, ...issue.path].join("."),
    reason: issue.code === "invalid_key" ? issue.issues.map(({ message }) => message).join("; ") : issue.message,
});

/** On existing machines the workers are those that `existing` names; Pulumi fills in the default of `workers`. */
function workersTwice({ existing }: Settings, workers = "1"): Complaint[] {
    const reason = `is "${workers}" although ${project}:existing names the workers; remove it`;
    return existing !== undefined && workers !== "1" ? [{ setting: "workers", reason }] : [];
}

function unknownSetting(setting: string): Complaint[] {
    const reason = `is not a setting; the settings are ${Object.keys(schema.shape).join(", ")}`;
    return Object.hasOwn(schema.shape, setting) ? [] : [{ setting, reason }];
}

/**
 * Checks raw settings.
 *
 * @param raw keys without the project's prefix, values as Pulumi keeps them (strings)
 * @throws {pulumi.RunError} one error that lists every complaint, before anything is made
 */
export function parseSettings(raw: Record<string, string>): Settings {
    const parsed = Object.entries(schema.shape).map(([key, setting]) => {
        const { success, data, error } = setting.safeParse(raw[key]);
        return {
            key,
            // Where one is wrong its default stands in, so that the others are still judged together.
            value: success ? data : setting.parse(undefined),
            complaints: (error?.issues ?? []).map((issue) => complaintOf(key, issue)),
        };
    });
    const values = Object.fromEntries(parsed.map(({ key, value }) => [key, value])) as Settings;
    const settings = values.existing ? { ...values, workers: Object.keys(values.existing.workers) } : values;
    const complaints = [
        ...parsed.flatMap((one) => one.complaints),
        ...workersTwice(settings, raw.workers),
        ...complaintsOf(settings),
        ...Object.keys(raw).flatMap(unknownSetting),
    ];
    if (complaints.length > 0) {
        throw new pulumi.RunError(
            `The settings of this stack cannot be used; nothing was changed:\n` +
                complaints.map(({ setting, reason }) => `  - ${prefix}${setting} ${reason}\n`).join("") +
                `Correct them with: npm run pulumi -- config set NAME VALUE`,
        );
    }
    return settings;
}

/** Reads and checks the settings of this stack. The only reader of Pulumi's configuration. */
export function loadSettings() {
    const entries = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
    return stackSettings(
        parseSettings(Object.fromEntries(entries.map(([key, value]) => [key.slice(prefix.length), value]))),
    );
}
