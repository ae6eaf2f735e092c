import { createHash } from "node:crypto";
import { criTable, parseConfig, valueAt, writtenSchema } from "./configFile";
import type { NodeFacts } from "./facts";

/** What may be shown of a machine: all but the texts of the files, which may hold a registry's password. */
export function publicFacts({ containerd, basis: _, ...rest }: NodeFacts) {
    const { version, service, killMode, configPath, dropIns, files, effective, handlers } = containerd;
    const root = files.find((file) => file.path === configPath);
    return {
        ...rest,
        containerd: {
            version,
            service,
            killMode,
            configPath,
            dropIns,
            /** Version that is written in the root file; null without one. */
            schema: (root && writtenSchema(parseConfig(root).table ?? {})) ?? null,
            /** SHA-256 of the root file without our lines; empty without one. */
            configSha256: root ? createHash("sha256").update(root.text).digest("hex") : "",
            imports: files.filter((file) => file !== root).map((file) => file.path),
            /** Whether runc uses systemd's control groups; null where it does not say. */
            systemdCgroup: systemdCgroup(effective),
            handlers,
        },
    };
}

function systemdCgroup(effective: string): boolean | null {
    const { table } = parseConfig({ path: "", text: effective });
    const path = ["containerd", "runtimes", "runc", "options", "SystemdCgroup"];
    const found = [criTable[3], criTable[2]].map((plugin) => valueAt(table, "plugins", plugin, ...path));
    return found.find((value) => typeof value === "boolean") ?? null;
}
