import { z } from "zod";
import { dnsLabel, text } from "../fields";
import { defaultHandler } from "../names";

const handlerName = text(dnsLabel, "a DNS label (lower-case letters, digits, hyphens)");

/** Flags of runsc by name. Pulumi reads `true` and numbers from YAML as such; runsc takes text. */
const options = z
    .record(
        z.string().regex(/^[a-z][a-z0-9-]*$/, "is not a flag of runsc; write it without dashes before it"),
        z.union([z.string(), z.boolean(), z.number()]).transform(String),
    )
    .default({});

/** The setting `handlers`: ways to run sandboxes. */
export const handlers = z
    .record(handlerName, z.strictObject({ runtimeClass: handlerName.optional(), options }))
    .refine((all) => Object.keys(all).length > 0, {
        error: "is empty; allowed: at least one handler, such as runsc: {}",
    })
    .default({ [defaultHandler]: { options: {} } });

const taint = z.strictObject({
    key: z.string(),
    // The API server drops an empty one, which would be drift forever.
    value: z
        .string()
        .transform((value) => value || undefined)
        .optional(),
    effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
});
export type Taint = Readonly<z.output<typeof taint>>;

/** The setting `overrides`: what is different on single workers. */
export const overrides = z
    .record(
        z.string(),
        z.strictObject({
            sandbox: z.boolean().default(true),
            handlers: z.array(z.string()).min(1).optional(),
            options,
            labels: z.record(z.string(), z.string()).default({}),
            taints: z.array(taint).default([]),
        }),
    )
    .default({});

const quantity = text(/^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi)?$/, "a quantity such as 64Mi or 50m");

/** The setting `overhead`: what a sandbox takes beside its containers. */
export const overhead = z.strictObject({ memory: quantity.optional(), cpu: quantity.optional() }).optional();

/** The setting `drainOptions`: the same as the options of kubectl drain. */
export const drainOptions = z
    .strictObject({
        /** Whether pods without a controller may go: nobody recreates them. */
        force: z.boolean().default(false),
        /** Whether what is in emptyDir volumes may be lost. */
        deleteEmptyDirData: z.boolean().default(false),
        /** How long to wait for pods to end and for disruption budgets. */
        timeoutSeconds: z.number().int().min(1).max(3600).default(300),
    })
    .prefault({});
export type DrainOptions = Readonly<z.output<typeof drainOptions>>;
