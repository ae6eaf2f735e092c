import { isIPv4, isIPv6 } from "node:net";
import { z } from "zod";
import { dnsLabel, fitting, oneOf, saying } from "../fields";
import { untrusted } from "./namespaceLabel";

const namespace = z
    .string()
    .regex(dnsLabel, "is not a namespace; allowed: a DNS label")
    .refine((name) => name !== "default" && !name.startsWith("kube-"), {
        error: 'is "default" or one of the cluster\'s own; allowed: a namespace for the pods that you do not trust',
    });
const namespaces = z.array(namespace, "is not a list; allowed: names of namespaces").default([]);
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
            .regex(/^[a-z0-9.-]+(\/[\w.-]+)?=[\w.-]+$/, `is not a label; allowed: ${labelAllowed}`)
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

const portAllowed =
    "a port from 1 to 65535, with /UDP or /SCTP behind it where it is not one of TCP, such as 443 or 53/UDP";
const port = z
    .union([z.number(), z.string()])
    .transform(String)
    .refine(
        (text) => /^\d{1,5}(\/(TCP|UDP|SCTP))?$/.test(text) && isPort(Number.parseInt(text, 10)),
        saying(portAllowed),
    )
    .transform((text) => {
        const [number = "", protocol = "TCP"] = text.split("/");
        return { port: Number(number), protocol: protocol as "TCP" | "UDP" | "SCTP" };
    });
const isPort = (number: number): boolean => number >= 1 && number <= 65535;

/** Whether a text is a range of addresses, as ADDRESS/BITS. */
function isRange(text: string): boolean {
    const [, address = "", bits = ""] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
    return Number(bits) <= (isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1);
}

/** The setting `egress`: where pods of the mandatory namespaces may go, and nowhere else. */
export const egressSettings = z.strictObject({
    allow: z
        .array(
            z.strictObject({
                cidr: fitting(isRange, "a range such as 203.0.113.0/24"),
                /** All ports, unless some are named. */
                ports: z.array(port).min(1).optional(),
            }),
            saying("a list of ranges of addresses, each with its ports"),
        )
        .default([]),
    /** Whether names may be asked of the cluster's DNS. */
    dns: z.boolean(saying("true, false")).default(true),
});
