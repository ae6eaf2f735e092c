/**
 * What stands in /etc/containerd before anybody asks for sandboxes, by path: as people leave it, with comments, a second
 * runtime, their registries and their own indentation. "package": as the package leaves it; "default": what `containerd
 * config default` prints.
 */
export type Configuration = "package" | "default" | Readonly<Record<string, string>>;

const root = "/etc/containerd/config.toml";

const cri = `plugins."io.containerd.grpc.v1.cri"`;
const handMade = `
      [${cri}.containerd.runtimes.runsc]
        runtime_type = "io.containerd.runsc.v1" # by hand, in spring
`;

/** Schema 2, which 1.x writes and 2.x still reads. */
const v2 = `# Managed by the platform team. Ask us before you change it!
version = 2
oom_score = 0

[grpc]
  max_recv_message_size = 33554432   # larger lists of images

[${cri}]
  # the pause image that our air-gapped sites have
  sandbox_image = "registry.k8s.io/pause:3.10.2"
  max_concurrent_downloads = 5

  [${cri}.containerd]
    default_runtime_name = "runc"
    discard_unpacked_layers = true

    [${cri}.containerd.runtimes]

      [${cri}.containerd.runtimes.runc]
        runtime_type = "io.containerd.runc.v2"
        [${cri}.containerd.runtimes.runc.options]
          SystemdCgroup = false

      # batch jobs
      [${cri}.containerd.runtimes.runc-slow]
        runtime_type = "io.containerd.runc.v2"
        pod_annotations = ["example.com/*"]
        [${cri}.containerd.runtimes.runc-slow.options]
          BinaryName = "/usr/local/bin/runc-slow"
`;

const mirrors = `
  [${cri}.registry]
    [${cri}.registry.mirrors]
      [${cri}.registry.mirrors."docker.io"]
        endpoint = ["https://registry.example.com", 'https://registry-1.docker.io']
      [${cri}.registry.configs."registry.example.com".auth]
        username = "puller"
        password = "p\\"ss # no comment"
`;

const hosts = {
    "/etc/containerd/certs.d/docker.io/hosts.toml": `server = "https://registry-1.docker.io"

[host."https://registry.example.com"]
  capabilities = ["pull", "resolve"]
`,
};
const hostsInUse = `
[${cri}.registry]
  config_path = "/etc/containerd/certs.d"
`;

/** Schemas 3 and 4, whose tables of the CRI are the same. */
const modern = (version: 3 | 4, imports = "") => `# Managed by the platform team. Ask us before you change it!
version = ${version}
${imports}${
    version === 3
        ? `
[grpc]
  max_recv_message_size = 33554432   # larger lists of images
`
        : `
[plugins.'io.containerd.server.v1.grpc']
  max_recv_message_size = 33554432   # larger lists of images
`
}
[plugins]
  [plugins.'io.containerd.cri.v1.images']
    max_concurrent_downloads = 5
    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = "registry.k8s.io/pause:3.10.2"
    [plugins.'io.containerd.cri.v1.images'.registry]
      config_path = "/etc/containerd/certs.d"

  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
        runtime_type = 'io.containerd.runc.v2'
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
          SystemdCgroup = false
      # batch jobs
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc-slow]
        runtime_type = 'io.containerd.runc.v2'
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc-slow.options]
          BinaryName = "/usr/local/bin/runc-slow"
`;

const elsewhere = (version: 3 | 4) => ({
    "/etc/containerd/site.d/20-limits.toml": `version = ${version}

[plugins."io.containerd.cri.v1.runtime"]
  max_container_log_line_size = 32768
`,
});

export const configurations = {
    "as packaged": "package",
    "config default": "default",
    "no file": {},
    "empty file": { [root]: "" },
    "comments only": { [root]: "# nothing to say\n" },
    "v2 root with mirrors": { [root]: `${v2}${mirrors}` },
    "v2 root": { [root]: `${v2}${hostsInUse}`, ...hosts },
    "v2 root, no newline at its end": { [root]: `${v2}${hostsInUse}`.trimEnd(), ...hosts },
    "v2 root, runsc by hand": { [root]: `${v2}${handMade}` },
    "v2 root, imports with CRI": {
        [root]: `imports = ["/etc/containerd/site.d/*.toml"]\n${v2}`,
        "/etc/containerd/site.d/registry.toml": `version = 2\n[${cri}]\n  sandbox_image = "registry.k8s.io/pause:3.10.2"\n`,
    },
    "v3 root": { [root]: modern(3), ...hosts },
    "v3 root, imports elsewhere": {
        [root]: modern(3, `imports = [ "site.d/*.toml" ] # relative to this file\n`),
        ...elsewhere(3),
        ...hosts,
    },
    "v3 root, imports one file": {
        [root]: modern(3, `imports = ["/etc/containerd/site.d/20-limits.toml"]\n`),
        ...elsewhere(3),
        ...hosts,
    },
    "v3 root, runsc by hand": {
        [root]: `${modern(3)}
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runsc]
        runtime_type = 'io.containerd.runsc.v1' # by hand, in spring
        pod_annotations = ["dev.gvisor.*"]
`,
        ...hosts,
    },
    "v4 root": { [root]: modern(4), ...hosts },
    "v4 root, imports elsewhere": {
        [root]: modern(4, `imports = ["/etc/containerd/site.d/*.toml"]\n`),
        ...elsewhere(4),
        ...hosts,
    },
    "broken file": { [root]: `${modern(3)}\n[plugins.'io.containerd.cri.v1.runtime'\n`, ...hosts },
} as const satisfies Record<string, Configuration>;
