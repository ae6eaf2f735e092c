import type { Settings } from "../../config";

const machines = "makes no machines on this host";

/** Settings that change nothing on a target, each with the reason. */
const idle: Readonly<Record<Settings["target"], Partial<Record<keyof Settings, string>>>> = {
    local: {},
    existing: {
        containerdVersion: "leaves the nodes their containerd",
        kubernetesVersion: "leaves the cluster its Kubernetes",
        bridge: machines,
        addressRange: machines,
    },
    gcp: { bridge: machines, addressRange: "has gcp.networkRange instead" },
};

/**
 * Complaints about settings that somebody has chosen although they change nothing on the target: setting and what is
 * wrong with it.
 *
 * @param defaults the settings of a stack that sets none: Pulumi fills them in, so they are nobody's choice
 */
export function withoutEffect(settings: Settings, defaults: Settings): [setting: string, message: string][] {
    const { target, sources, mirror } = settings;
    const complaints = Object.entries(idle[target])
        .filter(([key]) => settings[key as keyof Settings] !== defaults[key as keyof Settings])
        .map(([key, reason]): [string, string] => [
            key,
            `is "${settings[key as keyof Settings]}", which has no effect: target ${target} ${reason}. Remove it: ` +
                `npm run pulumi -- config rm ${key}`,
        ]);
    if (target !== "local" && sources === "mirror" && mirror === "") {
        // The mirror that is built on this host is reached by the machines on it alone.
        complaints.push([
            "sources",
            `is "mirror"; allowed with target ${target}: upstream, or the URL of a mirror that the machines reach (mirror)`,
        ]);
    }
    return complaints;
}
