#!/usr/bin/env bash
# Waits until the API server lists this worker as ready, the handler among its runtime handlers (KEP-3857), and the
# pod network is up.
#
# Constants: NODE, HANDLER.
# Result: {"handlers"}

main() {
    begin
    wait_until 120 "node $NODE to be Ready with the runtime handler $HANDLER" serving
    printf '{"handlers":[%s]}\n' "$(handlers | sed 's/.*/"&"/' | paste -sd, -)"
}

# With the node's own rights: it may read itself.
node() { kubectl --kubeconfig /etc/kubernetes/kubelet.conf get node "$NODE" --output "jsonpath=$1"; }

handlers() { node '{range .status.runtimeHandlers[*]}{.name}{"\n"}{end}' | grep . | sort -u; }

serving() {
    local ready listed
    ready=$(node '{.status.conditions[?(@.type=="Ready")].status}: {.status.conditions[?(@.type=="Ready")].message}')
    listed=$(handlers | paste -sd, - || true)
    echo "Ready is $ready; handlers are $listed; the pod network is $(pod_network && echo up || echo down)"
    [[ $ready == True* && ,$listed, == *,$HANDLER,* ]] && pod_network
}

# A node with flannel is Ready a little before flannel knows the node's range; a pod that comes in between fails, and is
# tried again only after a quarter of a minute.
pod_network() { [[ ! -e /etc/cni/net.d/10-flannel.conflist || -e /run/flannel/subnet.env ]]; }

main "$@"
