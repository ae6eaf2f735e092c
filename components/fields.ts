import { z } from "zod";

/** A name in Kubernetes: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names */
export const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** The rest of a sentence that begins with the name of a field. */
export const complaint = (input: unknown, allowed: string): string =>
    `is ${input === undefined ? "missing" : JSON.stringify(input)}; allowed: ${allowed}`;

/** Options of a zod schema that complains like that. */
export const saying = (allowed: string) => ({
    error: (issue: { readonly input?: unknown }) => complaint(issue.input, allowed),
});

/** Text that fits a condition. */
export const fitting = (fits: (value: string) => boolean, allowed: string) =>
    z.string(saying(allowed)).refine(fits, saying(allowed));

/** Text that fits a pattern. */
export const text = (pattern: RegExp, allowed: string) => fitting((value) => pattern.test(value), allowed);

/** One of these texts. */
export const oneOf = <T extends string>(...values: T[]) => z.enum(values, saying(values.join(", ")));
