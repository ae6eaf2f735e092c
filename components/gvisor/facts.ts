/** A configuration file of containerd as it is on disk. */
export interface ConfigFile {
    readonly path: string;
    readonly text: string;
}

/**
 * What a machine is like before anything is changed, as scripts/on-machine/gvisor/facts.sh prints it. The texts of the files may
 * hold a registry's password, so the whole is a secret; `publicFacts` is what may be shown.
 */
export interface NodeFacts {
    readonly os: {
        /** ID of os-release(5), for example "debian". */
        readonly id: string;
        /** VERSION_ID of os-release(5), for example "12"; empty on rolling releases. */
        readonly version: string;
        /** PRETTY_NAME of os-release(5). */
        readonly name: string;
    };
    /** `uname -m`. */
    readonly architecture: string;
    /** `uname -r`. */
    readonly kernel: string;
    /** 2 where /sys/fs/cgroup is cgroup2, else 1. */
    readonly cgroupVersion: 1 | 2;
    /** cgroupDriver of kubelet's configuration: "systemd" or "cgroupfs"; empty where kubelet has none yet. */
    readonly kubeletCgroupDriver: "systemd" | "cgroupfs" | "";
    /** kernel.yama.ptrace_scope; null without Yama. */
    readonly ptraceScope: number | null;
    /** Whether /dev/kvm is there. */
    readonly kvm: boolean;
    /** Free disk below /usr and /var/lib, the smaller one, in MiB. */
    readonly freeMiB: number;
    /** Whether the machine has apt-get. */
    readonly apt: boolean;
    /** Version of runc, for example "1.3.7"; empty where there is none. */
    readonly runc: string;
    /** Version of kubelet, for example "1.36.5"; empty where there is none. */
    readonly kubelet: string;
    /** Others that write containerd's configuration: k3s, rke2, k0s, microk8s, kops, kubespray. Only k0s's own is looked at. */
    readonly managers: readonly string[];
    readonly containerd: {
        /** For example "2.3.7"; empty where there is none. */
        readonly version: string;
        /** `systemctl is-active` of the unit that runs it: containerd, or k0s's. */
        readonly service: string;
        /** KillMode of that unit: what a restart does to processes beside the main one, which pods are (systemd.kill(5)). */
        readonly killMode: string;
        /** The file that the service reads: its --config, else /etc/containerd/config.toml; with k0s /etc/k0s/containerd.toml. */
        readonly configPath: string;
        /** The directory of drop-ins that are read whatever the root file imports: k0s's; empty without one. */
        readonly dropIns: string;
        /** The root file and its drop-ins, in the order of reading; empty without a root file. */
        readonly files: readonly ConfigFile[];
        /** `containerd config dump`: all that is in force, migrated to the newest schema; empty where it fails. */
        readonly effective: string;
        /** Why `containerd config dump` failed; empty where it did not. */
        readonly error: string;
        /** Runtime handlers that the running containerd has loaded (CRI Status, or `crictl info` on 1.x). */
        readonly handlers: readonly string[];
    };
    readonly runsc: {
        /** For example "release-20261116.0"; empty where there is none. */
        readonly version: string;
        readonly path: string;
        /** Version of the package; empty where runsc came another way. */
        readonly package: string;
        /** Path of containerd-shim-runsc-v1; empty where there is none. */
        readonly shim: string;
    };
    /** SHA-256 over containerd's version and all of its files without what this program put there. */
    readonly basis: string;
}
