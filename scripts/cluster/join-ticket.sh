#!/usr/bin/env bash
# On the control plane, for one worker. install: a token that lets a machine join, valid for two hours at most;
# remove: the worker's node and its pods leave the cluster.
#
# Constants: WORKER, CA_CERT_HASH.
# Result (secret): {"token"}

export KUBECONFIG=/etc/kubernetes/admin.conf
readonly ticket_file=/etc/kubernetes/join-ticket

main() {
    begin
    case $1 in
    install) create ;;
    remove) remove ;;
    esac
}

# The token of kubeadm init serves while it has half an hour left; after that a new one is made.
create() {
    local token expires
    exec 9>"$ticket_file.lock"
    flock 9
    read -r token expires <$ticket_file
    if ((expires < $(date +%s) + 1800)); then
        token=$(kubeadm token create --ttl 2h)
        (umask 077 && printf '%s %s\n' "$token" "$(($(date +%s) + 7200))" >$ticket_file)
    fi
    printf '{"token":"%s"}\n' "$token"
}

remove() {
    kubectl delete pods --all-namespaces --field-selector "spec.nodeName=$WORKER" --force --grace-period 0 >/dev/null 2>&1 || true
    kubectl delete node "$WORKER" --ignore-not-found >&2
}

main "$@"
