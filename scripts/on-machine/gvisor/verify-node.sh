#!/usr/bin/env bash
# Waits until the API server lists this worker as ready, the handlers among its runtime handlers (KEP-3857), and the pod
# network is up. Where the worker has no kubectl, or Kubernetes lists no handlers (before 1.31), what containerd has
# loaded counts.
#
# Constants: NODE, HANDLERS (one a line).
# Result: {"handlers"}

main() {
    begin
    wait_until 120 "node $NODE to be Ready with the runtime handlers ${HANDLERS//$'\n'/, }" serving
    json_object handlers:="$(handlers | json_array)"
}

readiness() {
    if command -v kubectl >/dev/null; then
        node '{.status.conditions[?(@.type=="Ready")].status}: {.status.conditions[?(@.type=="Ready")].message}'
    else
        kubelet_healthy && echo True
    fi
}

handlers() {
    local listed=''
    ! command -v kubectl >/dev/null ||
        listed=$(node '{range .status.runtimeHandlers[*]}{.name}{"\n"}{end}' | grep . | sort -u) || true
    if [[ -n $listed ]]; then echo "$listed"; else loaded_handlers; fi
}

serving() {
    local ready listed
    ready=$(readiness)
    listed=$(handlers)
    echo "Ready is $ready; handlers are ${listed//$'\n'/,}; the pod network is $(pod_network && echo up || echo down)"
    [[ $ready == True* && -z $(comm -23 <(sort <<<"$HANDLERS") <(echo "$listed")) ]] && pod_network
}

# A node with flannel is Ready a little before flannel knows the node's range; a pod that comes in between fails, and is
# tried again only after a quarter of a minute.
pod_network() { [[ ! -e /etc/cni/net.d/10-flannel.conflist || -e /run/flannel/subnet.env ]]; }

main "$@"
