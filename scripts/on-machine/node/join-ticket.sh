#!/usr/bin/env bash
# On the control plane, for one worker: a token that lets a machine join, valid for two hours at most.
#
# Constants: WORKER, CA_CERT_HASH.
# Result (secret): {"token"}

export KUBECONFIG=/etc/kubernetes/admin.conf
readonly ticket_file=/etc/kubernetes/join-ticket

# The token of kubeadm init serves while it has half an hour left; after that a new one is made.
main() {
    begin
    local token expires
    read -r token expires <$ticket_file
    if ((expires < $(date +%s) + 1800)); then
        token=$(kubeadm token create --ttl 2h)
        (umask 077 && printf '%s %s\n' "$token" "$(($(date +%s) + 7200))" >$ticket_file)
    fi
    # kubeadm join looks for the token's signature only every few seconds: it should find it at once.
    wait_until 60 "the signature of the token in cluster-info" signed "${token%%.*}"
    json_object token="$token"
}

signed() {
    kubectl --namespace kube-public get configmap cluster-info --output yaml | grep "jws-kubeconfig-$1:" >/dev/null
}

main "$@"
