#!/usr/bin/env bash
# Makes the machine a worker of the cluster.
#
# Constants: NODE, ENDPOINT, TOKEN (secret), CA_CERT_HASH.

readonly done_file=/etc/kubernetes/joined

main() {
    begin
    if [[ $(cat $done_file 2>/dev/null) == "$CA_CERT_HASH" ]]; then
        log "is a worker of the cluster already"
        # A node that somebody removed is registered again when kubelet starts.
        kubectl --kubeconfig /etc/kubernetes/kubelet.conf get node "$NODE" >/dev/null 2>&1 || systemctl restart kubelet
        systemctl start kubelet
        return
    fi
    check_version
    # Cut off half-way, or a worker of a cluster that is gone: begin again.
    reset_kubeadm
    join
    printf '%s' "$CA_CERT_HASH" >$done_file
}

# A cluster keeps its version when the sources have another one. A worker of that one would have no kube-proxy where images
# come from a mirror, and might be newer than its API server, which Kubernetes does not support.
check_version() {
    local cluster own
    # Before the CA is pinned: a wrong answer only refuses, or lets kubeadm look.
    cluster=$(curl --silent --insecure --max-time 10 "https://$ENDPOINT/version" | sed -n 's/.*"gitVersion": *"v\([^"]*\)".*/\1/p') || true
    own=$(kubelet --version)
    own=${own##*v}
    [[ -z $cluster || $cluster == "$own" ]] ||
        die "the cluster has Kubernetes $cluster, and this machine got $own: a worker must have the version of its cluster." \
            "Set kubernetesVersion to $cluster if the sources have it; else make a new stack"
}

# The control plane takes a node for ready for a while after its kubelet has gone, and kubeadm does not join a node of that name:
# a join that was cut off late is followed by one that waits for that (--node-monitor-grace-period, 50 s).
join() {
    local reply deadline=$((SECONDS + ${PATIENCE:-120}))
    until reply=$(kubeadm_join 2>&1); do
        if [[ $reply != *"already exists in the cluster"* ]] || ((SECONDS >= deadline)); then
            die "kubeadm join failed: $(tail -n 5 <<<"${reply//$TOKEN/TOKEN}"). If its token has expired, make a new one:" \
                "npm run up -- --replace '**$NODE-ticket'"
        fi
        log "the cluster takes $NODE, whose join was cut off, for ready still; waiting until it sees that it is not"
        reset_kubeadm
        sleep 5
    done
}

# No file holds the token: a step that is killed would leave it.
kubeadm_join() {
    kubeadm join --config /dev/stdin <<YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken: { apiServerEndpoint: "$ENDPOINT", token: $TOKEN, caCertHashes: ["$CA_CERT_HASH"] }
nodeRegistration:
  name: $NODE
  criSocket: unix:///run/containerd/containerd.sock
  imagePullPolicy: IfNotPresent
  ignorePreflightErrors: [Swap, SystemVerification, FileContent--proc-sys-net-bridge-bridge-nf-call-iptables]
YAML
}

main "$@"
