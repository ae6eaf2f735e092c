import { z } from "zod";
import { dnsLabel, oneOf } from "../fields";
import { untrusted } from "./namespaceLabel";

const namespace = z
    .string()
    .regex(dnsLabel, "is no namespace; allowed: a DNS label")
    .refine((name) => name !== "default" && !name.startsWith("kube-"), {
        error: 'is "default" or one of the cluster\'s own; allowed: a namespace for the pods that you do not trust',
    });
const namespaces = z.array(namespace, "is no list; allowed: names of namespaces").default([]);
const labelAllowed = `KEY=VALUE, such as ${untrusted.key}=${untrusted.value}`;

/** The setting `mandatory`: where only sandboxed pods may run, see docs/mandatory-sandboxes.md. */
export const mandatorySettings = z
    .strictObject({
        mode: oneOf("enforce", "audit").default("enforce"),
        /** Namespaces that the stack makes, and removes with all that is in them. */
        namespaces,
        /** Namespaces that are there already. */
        existingNamespaces: namespaces,
        label: z
            .string()
            .regex(/^[a-z0-9.-]+(\/[\w.-]+)?=[\w.-]+$/, `is no label; allowed: ${labelAllowed}`)
            .default(`${untrusted.key}=${untrusted.value}`)
            .transform((text) => {
                const [key = "", value = ""] = text.split("=");
                return { key, value };
            }),
        /** RuntimeClasses that are sandboxes too, beside those of the handlers. */
        classes: z.array(z.string().min(1)).default([]),
    })
    .refine((all) => !all.namespaces.some((name) => all.existingNamespaces.includes(name)), {
        error: "names a namespace as new and as existing; allowed: one of them",
    });
