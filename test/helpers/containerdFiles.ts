import type { NodeFacts } from "../../components/gvisor/facts";
import { nodeFacts } from "./canned";

export const root = "/etc/containerd/config.toml";
export const confD = "/etc/containerd/conf.d";
export const cri = 'plugins."io.containerd.grpc.v1.cri"';
export const criV3 = "plugins.'io.containerd.cri.v1.runtime'";

/** What no plan, no complaint and no output may hold of a file. */
export const password = "hunter2";

/** As `containerd config default` of 1.7 begins and ends; the middle is like this. */
export const default17 = `disabled_plugins = []
imports = []
oom_score = 0
plugin_dir = ""
required_plugins = []
root = "/var/lib/containerd"
state = "/run/containerd"
temp = ""
version = 2

[cgroup]
  path = ""

[plugins]

  [plugins."io.containerd.gc.v1.scheduler"]
    pause_threshold = 0.02
    schedule_delay = "0s"

  [${cri}]
    sandbox_image = "registry.k8s.io/pause:3.8"

    [${cri}.containerd]
      default_runtime_name = "runc"

      [${cri}.containerd.runtimes]

        [${cri}.containerd.runtimes.runc]
          runtime_type = "io.containerd.runc.v2"

          [${cri}.containerd.runtimes.runc.options]
            BinaryName = ""
            SystemdCgroup = false

    [${cri}.registry]
      config_path = ""

[timeouts]
  "io.containerd.timeout.shim.cleanup" = "5s"

[ttrpc]
  address = ""
`;

/** As people leave it on a worker made with kubeadm: comments, their own indentation, registries. */
export const kubeadm17 = `# Ask the platform team before you change this!
version = 2

[${cri}]
  sandbox_image = "registry.k8s.io/pause:3.9"   # as kubeadm wants it
  [${cri}.containerd.runtimes.runc]
\truntime_type = "io.containerd.runc.v2"
  [${cri}.containerd.runtimes.runc.options]
    SystemdCgroup = true
  [${cri}.registry.mirrors."docker.io"]
    endpoint = ["https://registry.example.com", 'https://registry-1.docker.io']
  [${cri}.registry.configs."registry.example.com".auth]
    password = "p\\"ss # no comment ${password}"

# the end`;

/** Root files with nothing in them. */
export const nothing: readonly Record<string, string>[] = [{}, { [root]: "" }, { [root]: "# nothing to say\n" }];

export const modern = (version: 3 | 4, imports = `imports = ['${confD}/*.toml']`) => `version = ${version}
${imports}

[plugins]
  [plugins.'io.containerd.cri.v1.images']
    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = 'registry.k8s.io/pause:3.10' # ours
  [${criV3}.containerd]
    default_runtime_name = 'runc'
    [${criV3}.containerd.runtimes.runc]
      runtime_type = 'io.containerd.runc.v2'
      [${criV3}.containerd.runtimes.runc.options]
        SystemdCgroup = true
`;

/** /etc/containerd/config.toml of Docker's package. */
export const docker = `#   Copyright 2018-2022 Docker Inc.

disabled_plugins = ["cri"]

#root = "/var/lib/containerd"
`;

/** Facts of a worker with a version of containerd and files, in the order of reading. */
export function factsOf(version: string, files: Readonly<Record<string, string>>, effective = ""): NodeFacts {
    const facts = nodeFacts();
    const list = Object.entries(files).map(([path, text]) => ({ path, text }));
    return { ...facts, containerd: { ...facts.containerd, version, files: list, effective } };
}
