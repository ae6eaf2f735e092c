import { createHash } from "node:crypto";
import { parseConfig, writtenSchema } from "./containerdConfig";
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
    type Plugin = { containerd?: { runtimes?: { runc?: { options?: { SystemdCgroup?: boolean } } } } };
    const { plugins = {} } = (parseConfig({ path: "", text: effective }).table ?? {}) as {
        plugins?: Record<string, Plugin>;
    };
    for (const name of ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]) {
        const found = plugins[name]?.containerd?.runtimes?.runc?.options?.SystemdCgroup;
        if (found !== undefined) {
            return found;
        }
    }
    return null;
}
