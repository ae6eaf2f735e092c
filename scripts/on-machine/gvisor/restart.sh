# shellcheck shell=bash
# A restart of containerd: what must be as before, how long is waited for it, and the way back.

# take_into_use BACKUP: restarts containerd, and goes back to BACKUP where it does not serve with the new configuration.
take_into_use() {
    local now
    drop_archives # containerd looks for the shim when it has started
    # shellcheck disable=SC2154 # gvisor/install.sh has looked
    keeping reload "$before" || {
        if restore "$1"; then
            now="the old one is back and serves $(loaded_handlers | paste -sd,)"
        else
            now="containerd does not serve with the old one either, so no pod starts here: $(journal)"
        fi
        die "containerd does not serve ${HANDLERS//$'\n'/, } with the new configuration; $now. The reason: $reload_error"
    }
    configuration_hash >"$state/loaded"
    # What is wanted is there, so the next run goes on from here.
    none_stopped
}

stopped=''      # pods that the restart has ended
reload_error='' # why containerd does not serve after it
because() { # TEXT
    reload_error=$1
    return 1
}

# keeping COMMAND...: a restart of containerd by COMMAND, after which it must serve each handler of somebody else's that it
# served before.
keeping() {
    local running others lost
    running=$(pods_by_state Ready | grep -F -f <(pods_at_work)) || true
    others=$(loaded_handlers | grep -vxF -f <(own_handlers)) || true
    "$@" || return 1
    lost=$(comm -23 <(echo "$others") <(loaded_handlers) | paste -sd,)
    [[ -z $lost ]] || because "it does not serve $lost any more" || return
    stopped=$(pods_by_state NotReady | grep -xF -f <(echo "$running") | cut -d' ' -f2 |
        while read -r pod; do is_leaving "$pod" || echo "$pod"; done | paste -sd,) || true
    log "restarted containerd, which serves $(loaded_handlers | paste -sd,); $(grep -c . <<<"$running") pods ran before, $(pods_by_state Ready | grep -c .) run now"
}

none_stopped() {
    [[ -z $stopped ]] || die "the restart of containerd has ended pods that ran before: $stopped. See why before you go on:" \
        "journalctl -u $unit, and KillMode of its unit"
}

# reload BEFORE: one restart, and then everything must be as in the dump BEFORE, with our handlers.
reload() {
    restart_containerd || because "$(journal)" || return
    poll 30 all_loaded || because "after 30 s it serves $(loaded_handlers | paste -sd,). $(journal)" || return
    reload_error=$(other_changes "$1" "$(effective_configuration)") || return
    node_serves
}

# reload_without: one restart, after which our handlers are gone.
reload_without() { { restart_containerd && poll 30 handlers_are_there; } || because "$(journal)"; }

# restore BACKUP: the files as they were when this run began. Fails where containerd does not serve with them.
restore() {
    local file back=yes # callers ask whether it succeeded, which switches errexit off
    while read -r file; do
        if [[ -e $1$file ]]; then cp -p "$1$file" "$file" || back=no; else rm -f "$file"; fi
    done < <(configuration_files | sort -u)
    [[ $back == yes ]] || { log "not all of the old files could be put back; they are in $1" && return 1; }
    (cd "$1" && find . -type f | sed 's/^\.//') | grep -vFx "$ROOT_FILE" >"$state/files" || true
    rm -rf "$state"/backup.* "$state/loaded"
    restart_containerd && poll 30 systemctl is-active --quiet "$unit" && poll 10 handlers_are_there
}

restart_containerd() {
    local was
    if [[ $keeper == k0s ]]; then
        # It does so by itself, 3 s after the last change among its drop-ins; a file that comes and goes is one.
        was=$(cat /run/k0s/containerd.pid)
        : >"$drop_ins/.runtime-sandboxes"
        rm "$drop_ins/.runtime-sandboxes"
        poll 60 another_containerd "$was"
    else
        # systemd refuses more than a few starts in ten seconds, whoever asked for the others.
        systemctl reset-failed containerd 2>/dev/null || true
        systemctl restart containerd
    fi
}

another_containerd() { [[ $(cat /run/k0s/containerd.pid) != "$1" ]] && handlers_are_there; }
handlers_are_there() { [[ -n $(loaded_handlers) ]]; }
all_loaded() { systemctl is-active --quiet "$unit" && [[ -z $(loaded_handlers | missing_handlers) ]]; }

journal() { journalctl -u "$unit" -n 5 --no-pager -o cat | cut -c1-300; }

# A machine that is a node must be Ready again, with the handlers in its status (KEP-3857).
node_serves() {
    [[ -e $kubelet_kubeconfig ]] && systemctl is-enabled --quiet "$kubelet_unit" 2>/dev/null || return 0
    poll 120 kubelet_healthy ||
        because "kubelet is not healthy after 120 s: $(journalctl -u "$kubelet_unit" -n 3 --no-pager -o cat | cut -c1-300)" || return
    command -v kubectl >/dev/null || return 0
    poll 120 node_lists_handlers || because "after 120 s its node says: $node_says"
}

# Kubernetes before 1.31 lists no handlers.
node_lists_handlers() {
    node_says=$(node '{.status.conditions[?(@.type=="Ready")].status} {.status.runtimeHandlers[*].name}' 2>&1) || return 1
    local listed=" ${node_says#* } "
    [[ $node_says == True* ]] || return 1
    [[ $listed == "  " ]] || ! grep -vqxF -f <(tr ' ' '\n' <<<"$listed" | grep .) <<<"$HANDLERS"
}

# ID NAMESPACE/NAME of each pod in the state Ready or NotReady.
pods_by_state() {
    cri pods --state "$1" --no-trunc | awk -v state="$1" '$(NF - 4) == state { print $1, $(NF - 2) "/" $(NF - 3) }' || true
}

# IDs of the pods of which a container runs: of a pod that is on its way out the sandbox stays a little longer.
pods_at_work() { cri ps --state running --output json | sed -n 's/^ *"podSandboxId": "\([^"]*\)".*/\1/p' || true; }

# is_leaving NAMESPACE/NAME: whether a pod ends by itself, as its node may ask. Of a pod that is gone the API server says to
# a node that there is no relationship (https://kubernetes.io/docs/reference/access-authn-authz/node/).
is_leaving() {
    local answer
    command -v kubectl >/dev/null || return 1
    answer=$(kubectl --kubeconfig "$kubelet_kubeconfig" get pod --namespace "${1%/*}" "${1#*/}" \
        --output 'jsonpath={.metadata.deletionTimestamp} {.status.phase}' 2>&1) || {
        [[ $answer == *"(NotFound)"* || $answer == *"no relationship found between node"* ]] && return
    }
    [[ $answer == *Z\ * || $answer == *Succeeded ]]
}

# HANDLER NAMESPACE/NAME ID of each pod that runs in a sandbox of ours.
sandboxed_pods() {
    cri pods --state ready --no-trunc | awk -v handlers="${HANDLERS//$'\n'/|}" \
        '$NF ~ "^(" handlers ")$" { print $NF, $(NF - 2) "/" $(NF - 3), $1 }' || true
}
