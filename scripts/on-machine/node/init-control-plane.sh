#!/usr/bin/env bash
# Makes the machine the control plane of a new cluster, with flannel as its pod network.
#
# Constants: NODE, ADDRESS, PORT, KUBERNETES_VERSION, POD_RANGE, SERVICE_RANGE, CGROUP_DRIVER, NETWORK (manifest).
# Result (secret): {"kubeconfig", "caCertHash"}

readonly done_file=/etc/kubernetes/initialised
readonly ticket_file=/etc/kubernetes/join-ticket

main() {
    begin
    if [[ ! -e $done_file ]]; then
        # A run that was cut off leaves a cluster that nobody knows: begin again.
        reset_kubeadm
        initialise
        touch $done_file
    fi
    wait_until 60 "the API server" kubectl get --raw /readyz
    kubectl apply --server-side --field-manager runtime-sandboxes -f - <<<"$NETWORK" >&2
    json_object kubeconfig="$(<$KUBECONFIG)" caCertHash="$(ca_cert_hash)"
}

export KUBECONFIG=/etc/kubernetes/admin.conf

# The hash that kubeadm join pins: https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-join/
ca_cert_hash() {
    openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform DER | sha256sum | sed 's/ .*//;s/^/sha256:/'
}

initialise() {
    local token
    token=$(head -c 11 /dev/urandom | od -An -tx1 | tr -d ' \n' | sed 's/./&./6')
    # The first workers join with this token: one that is made later waits for its signature in cluster-info. No file holds
    # it: a step that is killed would leave it.
    kubeadm init --config /dev/stdin >&2 <<YAML || die "kubeadm init failed; see above, and on the machine: journalctl -u kubelet"
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
  - token: $token
    ttl: 2h
    usages: [signing, authentication]
    groups: [system:bootstrappers:kubeadm:default-node-token]
localAPIEndpoint: { advertiseAddress: $ADDRESS, bindPort: $PORT }
nodeRegistration:
  name: $NODE
  criSocket: unix:///run/containerd/containerd.sock
  imagePullPolicy: IfNotPresent
  ignorePreflightErrors: [Swap, SystemVerification, FileContent--proc-sys-net-bridge-bridge-nf-call-iptables]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v$KUBERNETES_VERSION
controlPlaneEndpoint: $ADDRESS:$PORT
networking: { podSubnet: $POD_RANGE, serviceSubnet: $SERVICE_RANGE }
# Made in no time, and a kubeconfig of half the size, which stands in the state of each step that talks to the cluster.
encryptionAlgorithm: ECDSA-P256
# There is one of each: an election only delays their start by some seconds.
controllerManager: { extraArgs: [{ name: leader-elect, value: "false" }] }
scheduler: { extraArgs: [{ name: leader-elect, value: "false" }] }
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: $CGROUP_DRIVER
failCgroupV1: false
failSwapOn: false
# The defaults are shares of the disk: on a large one that is fairly full they evict pods for no reason.
evictionHard: { memory.available: 100Mi, nodefs.available: 1Gi, imagefs.available: 1Gi, nodefs.inodesFree: 5% }
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
# Limits of the connection table belong to the host; 0 leaves them as they are.
conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s }
YAML
    (umask 077 && printf '%s %s\n' "$token" "$(($(date +%s) + 7200))" >$ticket_file)
}

main "$@"
