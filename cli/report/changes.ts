// What is different in two sets of outputs.
import type { Outputs } from "../../schema/outputs.ts";

/** Without `before` or `now` it was not there, or is gone. */
export interface Change {
    readonly what: string;
    readonly before?: string;
    readonly now?: string;
}

/** What differs each time it is measured, or is drawn at random; secrets; and what is said twice. */
const unsteady = [
    /^dmesg\b/,
    /^kubeconfig$/,
    /^isolation\..*\.detail$/,
    /^workers\..*\.facts\.freeMiB$/,
    // The same as configSha256.
    /^workers\..*\.evidence\.declared\.sha256$/,
    // What the table says of it.
    /^workers\..*\.vulnerabilities › .*\.(id|component|version|fixed|summary|source)$/,
    // In the words of a kernel or a program.
    /^attacks\..*\.saw$/,
    // Pods get another address each time.
    /^reachable\..*\.(address|detail)$/,
    /^limits\..*\.(usedMillicores|overhead\..*)$/,
    /^surface\..*\.costs\..*\.(inside|control|ratio|how|failed)$/,
];

/** Values by path; a list of texts is one value, and checks go by their names. */
function flat(value: unknown, path: string, into: Map<string, string>): Map<string, string> {
    if (Array.isArray(value) && value.every((item) => typeof item !== "object")) {
        into.set(path, value.join(", ") || "none");
    } else if (Array.isArray(value)) {
        for (const [index, item] of value.entries()) {
            const { name, id, target, namespace } = (item ?? {}) as Readonly<Record<string, string | undefined>>;
            flat(item, `${path} › ${name ?? id ?? (target && `${target} from ${namespace}`) ?? index}`, into);
        }
    } else if (typeof value === "object" && value !== null) {
        for (const [key, inner] of Object.entries(value)) {
            flat(inner, path === "" ? key : `${path}.${key}`, into);
        }
    } else if (!unsteady.some((pattern) => pattern.test(path))) {
        into.set(path, String(value));
    }
    return into;
}

const byWorker = ["uname", "isolation", "workers", "limits", "attacks", "surface", "reachable"] as const;

/** Outputs with only some of their workers. */
function only(outputs: Outputs, names: readonly string[]): object {
    const kept = (part: object) => Object.fromEntries(Object.entries(part).filter(([name]) => names.includes(name)));
    const parts = byWorker.flatMap((key) => (outputs[key] === undefined ? [] : [[key, kept(outputs[key])] as const]));
    return { ...outputs, ...Object.fromEntries(parts) };
}

/** What has changed from one set of valid outputs to a later one, without what changes all the time. */
export function changesBetween(earlier: Outputs, later: Outputs): Change[] {
    const [were, are] = [Object.keys(earlier.workers), Object.keys(later.workers)];
    const both = are.filter((name) => were.includes(name));
    const flatOf = (outputs: Outputs) => flat(only(outputs, both), "", new Map());
    const [before, now] = [flatOf(earlier), flatOf(later)];
    return [
        ...are.filter((name) => !both.includes(name)).map((name) => ({ what: name, now: "a new worker" })),
        ...were.filter((name) => !both.includes(name)).map((name) => ({ what: name, before: "a worker" })),
        ...[...new Set([...before.keys(), ...now.keys()])]
            .filter((path) => before.get(path) !== now.get(path))
            .map((path) => ({ what: path, before: before.get(path), now: now.get(path) })),
    ];
}
