#!/usr/bin/env bash
# A cluster of one node, made with k0s: its own containerd, below /var/lib/k0s and /etc/k0s.
#
# Constants: ADDRESS (of this machine); CONTAINERD (version of the package containerd.io that k0s's containerd is taken
# from); for NAME in KUBERNETES, CONTAINERD: NAME_URL, NAME_SUITE, NAME_COMPONENTS, NAME_KEY, NAME_FINGERPRINT; IMAGES
# (URLs of image archives). /var/lib/k0s/bin holds k0s's other programs.
# Result: the administrator's kubeconfig.

readonly home=/var/lib/k0s

main() {
    begin
    install_packages
    configure
    configure_network
    # Its network and what it downloads are not wanted here.
    k0s install controller --force --enable-worker --no-taints --profile any-disk --config /etc/k0s/k0s.yaml --disable-components \
        "autopilot,coredns,helm,konnectivity-server,kube-proxy,metrics-server,network-provider,update-prober,windows-node" >&2
    k0s start >&2
    wait_until 120 "k0s's containerd" k0s ctr version
    import_images
    wait_until 180 "the node to be Ready" node_is_ready
    k0s kubeconfig admin
}

install_packages() {
    apt_source kubernetes "$KUBERNETES_URL" "$KUBERNETES_SUITE" "$KUBERNETES_COMPONENTS" "$KUBERNETES_KEY" "$KUBERNETES_FINGERPRINT"
    apt_source containerd "$CONTAINERD_URL" "$CONTAINERD_SUITE" "$CONTAINERD_COMPONENTS" "$CONTAINERD_KEY" "$CONTAINERD_FINGERPRINT"
    apt_update kubernetes containerd
    apt-get install -qq -y cri-tools kubernetes-cni >&2
    local scratch
    scratch=$(mktemp -d)
    (cd "$scratch" && apt-get download -qq "containerd.io=$CONTAINERD" >&2 && dpkg-deb -x containerd.io_*.deb .)
    install -t $home/bin "$scratch"/usr/bin/{containerd,containerd-shim-runc-v2,runc}
    rm -r "$scratch"
    ln -sfn $home/bin/k0s /usr/local/bin/k0s
}

configure() {
    # The machine's own disk is an overlay, which cannot hold those of containerd.
    mkdir -p /var/lib/containerd /var/lib/kubelet
    ln -sfn /var/lib/containerd $home/containerd
    ln -sfn /var/lib/kubelet $home/kubelet
    install -D -m 600 /dev/stdin /etc/k0s/k0s.yaml <<YAML
apiVersion: k0s.k0sproject.io/v1beta1
kind: ClusterConfig
metadata:
  name: k0s
spec:
  api:
    address: $ADDRESS
    sans: [$ADDRESS]
  storage:
    type: etcd
    etcd:
      peerAddress: $ADDRESS
  network:
    provider: custom
  images:
    default_pull_policy: IfNotPresent
    pause:
      image: registry.k8s.io/pause
      version: 3.10.2
  telemetry:
    enabled: false
  # The defaults are shares of the disk, which is the host's: see scripts/on-machine/node/init-control-plane.sh.
  workerProfiles:
    - name: any-disk
      values:
        evictionHard: { memory.available: 100Mi, nodefs.available: 1Gi, imagefs.available: 1Gi, nodefs.inodesFree: 5% }
        imageGCHighThresholdPercent: 100
YAML
    # Somebody's own: one that k0s merges, and one that it has containerd import.
    install -D -m 644 /dev/stdin /etc/k0s/containerd.d/10-site.toml <<TOML
version = 2
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = $(if bash -c 'echo -998 >/proc/$$/oom_score_adj' 2>/dev/null; then echo false; else echo true; fi)
max_concurrent_downloads = 5
TOML
    install -D -m 644 /dev/stdin /etc/k0s/containerd.d/20-messages.toml <<TOML
version = 2
[grpc]
max_recv_message_size = 33554432
TOML
}

import_images() {
    local url
    while read -r url; do
        k0s ctr --namespace k8s.io images import --local "${url#file://}" >&2
    done <<<"$IMAGES"
}

node_is_ready() {
    local ready
    ready=$(k0s kubectl get nodes --output 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}' 2>&1)
    echo "$ready"
    [[ $ready == True ]]
}

main "$@"
