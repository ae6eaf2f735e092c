#!/usr/bin/env bash
# The bridge between the machines of a stack, and their way out.
#   network.sh up|down        (environment: STACK_DIR, BRIDGE, RANGE)
# What was changed on the host is kept in the bridge's alias, so `down` can put it back even without STACK_DIR.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What machines need of the host's kernel, at least: a way out, and more inotify instances than the 128 that Debian
# gives root, because each machine's systemd, containerd, kubelet and pods take about 20 of them.
declare -A needs=([net/ipv4/ip_forward]=1 [fs/inotify/max_user_instances]=1024)

answer() {
    printf '{"bridge":%s,"gateway":%s,"range":%s}\n' \
        "$(json_string "$BRIDGE")" "$(json_string "$(gateway)")" "$(json_string "$RANGE")"
}

# Bridges of other stacks of this project.
other_bridges() { marked_bridges "$mark:" | { grep -vxF -- "$(own_bridge)" || true; }; }

# The kernel's settings before the first stack changed them, as "name=value ..."; a stack that is up remembers them.
settings_before() {
    local other name
    for other in $(other_bridges); do
        link_alias "$other" | cut -s -d' ' -f2-
        return
    done
    for name in "${!needs[@]}"; do
        echo "$name=$(<"/proc/sys/$name")"
    done | xargs
}

raise_settings() {
    local name
    for name in "${!needs[@]}"; do
        (($(<"/proc/sys/$name") >= needs[$name])) || echo "${needs[$name]}" 2>/dev/null >"/proc/sys/$name" ||
            log "The kernel's setting $name stays $(<"/proc/sys/$name"), machines may need ${needs[$name]}: it cannot be written here"
    done
}

# restore_settings BEFORE: puts back what is still as we left it, and nobody else may count on.
restore_settings() {
    local name value
    for name in "${!needs[@]}"; do
        [[ " $1 " =~ \ $name=([0-9]+)\  ]] || continue
        value=${BASH_REMATCH[1]}
        [[ $(<"/proc/sys/$name") == "${needs[$name]}" && $value != "${needs[$name]}" ]] || continue
        # Containers and virtual machines behind another bridge came to need forwarding meanwhile.
        [[ $name == */ip_forward ]] && compgen -G "/sys/class/net/*/bridge" >/dev/null && continue
        echo "$value" >"/proc/sys/$name"
    done
}

# rule TABLE ACTION CHAIN ...: the comment marks a rule as ours.
rule() {
    local table=$1 action=$2 chain=$3
    shift 3
    iptables -w 10 -t "$table" "$action" "$chain" "$@" -m comment --comment "$mark:$stack_id"
}

ensure_rule() { rule "$1" -C "${@:3}" 2>/dev/null || rule "$@"; }

# Outbound is a convenience: a mirror needs none. So a host without NAT is told, not refused.
allow_outbound() {
    local error
    error=$(
        {
            ensure_rule nat -A POSTROUTING -s "$RANGE" ! -o "$BRIDGE" -j MASQUERADE &&
                ensure_rule filter -I FORWARD -i "$BRIDGE" -j ACCEPT &&
                ensure_rule filter -I FORWARD -o "$BRIDGE" -j ACCEPT
        } 2>&1
    ) || log "No way out for the machines, iptables refused: ${error##*$'\n'} (only upstream sources need it)"
}

remove_rules() {
    local table line
    for table in nat filter; do
        # The saved form is a command line; xargs undoes its quoting.
        { iptables -w 10 -t "$table" -S 2>/dev/null || true; } | { grep -F -- "$mark:$stack_id" || true; } |
            sed 's/^-A/-D/' | while read -r line; do
            xargs iptables -w 10 -t "$table" <<<"$line"
        done
    done
}

up() {
    need_root
    report
    lock_dir "$STACK_DIR" 60
    network_complaints
    report
    link_exists "$BRIDGE" || make_bridge
    if [[ $(ip -4 -o address show dev "$BRIDGE") != *" $(gateway)/24 "* ]]; then
        remove_rules
        ip -4 address flush dev "$BRIDGE"
        ip address add "$(gateway)/24" brd + dev "$BRIDGE"
    fi
    ip link set "$BRIDGE" up
    # A machine that boots is asked for before it has its address: ask again soon, not after the usual second.
    echo 50 >"/proc/sys/net/ipv4/neigh/$BRIDGE/retrans_time_ms"
    raise_settings
    allow_outbound
    answer
}

# Makes the bridge, or gives the stack's bridge its new name. The mark comes before the name: a run that is killed in
# between leaves no bridge that nobody owns.
make_bridge() {
    local own draft=sbx-$stack_id
    own=$(own_bridge)
    if [[ -z $own ]]; then
        own=$draft
        ip link del "$draft" 2>/dev/null || true
        ip link add name "$draft" type bridge
        ip link set "$draft" alias "$mark:$stack_id $(settings_before)"
    fi
    remove_rules
    ip link set "$own" down
    ip link set "$own" name "$BRIDGE"
}

# Machines that an interrupted run made and nobody remembers.
remove_machines() {
    local name
    for name in $("$here/machine.sh" list); do
        log "Removing machine $name, which was left behind"
        "$here/machine.sh" down "$name" >/dev/null
    done
}

down() {
    need_root
    report
    [[ ! -d $STACK_DIR ]] || lock_dir "$STACK_DIR" 60
    remove_machines
    remove_rules
    local own before
    own=$(own_bridge)
    if [[ -n $own ]]; then
        before=$(link_alias "$own" | cut -s -d' ' -f2-)
        ip link del "$own"
        [[ -n $(marked_bridges "$mark:") ]] || restore_settings "$before"
    fi
    # A draft that was not marked yet.
    ip link del "sbx-$stack_id" 2>/dev/null || true
    tidy_stack_dir
    answer
}

main() {
    load_env STACK_DIR BRIDGE RANGE
    case "${1-}" in
    up | down) "$1" ;;
    *) die "Usage: network.sh up|down" ;;
    esac
}

main "$@"
