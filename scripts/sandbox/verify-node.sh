#!/usr/bin/env bash
# Waits until the API server lists this worker as ready and the handler among its runtime handlers (KEP-3857).
#
# Constants: NODE, HANDLER.
# Result: {"handlers"}

main() {
    need_root
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
    echo "Ready is $ready; handlers are $listed"
    [[ $ready == True* && ,$listed, == *,$HANDLER,* ]]
}

main "$@"
