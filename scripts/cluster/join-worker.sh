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
    # Cut off half-way, or a worker of a cluster that is gone: begin again.
    reset_kubeadm
    join
    printf '%s' "$CA_CERT_HASH" >$done_file
}

join() {
    local config reply
    config=$(mktemp)
    cat >"$config" <<YAML
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
    reply=$(kubeadm join --config "$config" 2>&1) || {
        rm "$config"
        die "kubeadm join failed: $(tail -n 5 <<<"${reply//$TOKEN/TOKEN}"). If its token has expired, make a new one:" \
            "npm run up -- --replace '**$NODE-ticket'"
    }
    rm "$config"
}

main "$@"
