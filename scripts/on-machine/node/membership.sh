#!/usr/bin/env bash
# On the control plane, for one worker. install: nothing, the worker joins by itself; remove: its node and its pods leave
# the cluster.
#
# Constants: WORKER, CA_CERT_HASH.

export KUBECONFIG=/etc/kubernetes/admin.conf

main() {
    begin
    case $1 in
    install) ;;
    remove) leave ;;
    esac
}

leave() {
    kubectl delete pods --all-namespaces --field-selector "spec.nodeName=$WORKER" --force --grace-period 0 >/dev/null 2>&1 || true
    kubectl delete node "$WORKER" --ignore-not-found >&2
}

main "$@"
