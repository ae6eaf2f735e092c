// What the outputs are made of.
import { z } from "zod";

/** A text of a form, which the description names; complaints name it, too. */
const form = (id: string, pattern: RegExp, description: string) =>
    z.string().regex(pattern, description).meta({ id, description });

export const objectName = form(
    "objectName",
    /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
    'a name of a Kubernetes object: lower-case letters, digits, "-" and "."',
);
export const kernel = form(
    "kernel",
    /^[!-~]{1,64}$/,
    "a kernel release as `uname -r` prints it: 1 to 64 printable characters without a space",
);
export const sha256 = form("sha256", /^[0-9a-f]{64}$/, "a SHA-256: 64 hexadecimal digits in lower case");
export const text = z.string().min(1).meta({ id: "text" });
export const names = z.array(text).meta({ id: "names" });
export const count = z.number().min(0).meta({ id: "count" });

/** What has an entry for each object of some kind. */
export const byName = <T extends z.ZodType>(entry: T) => z.record(objectName, entry);
