#!/usr/bin/env bash
# The bridge between the machines of a stack, and their way out.
#   network.sh up|down        (environment: STACK_DIR, BRIDGE, RANGE)
# What was changed on the host is kept in the bridge's alias, so `down` can put it back even without STACK_DIR.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

forward_file=/proc/sys/net/ipv4/ip_forward

answer() {
    printf '{"bridge":%s,"gateway":%s,"range":%s}\n' \
        "$(json_string "$BRIDGE")" "$(json_string "$(gateway)")" "$(json_string "$RANGE")"
}

# Every link that a stack of this project made, with its alias.
other_bridges() {
    local link
    for link in /sys/class/net/*; do
        [[ ${link##*/} != "$BRIDGE" && $(link_alias "${link##*/}") == "$mark:"*" ip_forward="* ]] && echo "${link##*/}"
    done
    return 0
}

# The value of ip_forward before the first stack changed it: a stack that is up already remembers it.
forward_before() {
    local other
    for other in $(other_bridges); do
        link_alias "$other" | sed 's/.* ip_forward=//'
        return
    done
    cat $forward_file
}

# rules ACTION: -C looks, -A adds. The comment marks them as ours.
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
    report
    lock_dir "$STACK_DIR" 60
    need_root
    network_complaints
    report
    local before
    before=$(forward_before)
    link_exists "$BRIDGE" || make_bridge "$before"
    if [[ $(ip -4 -o address show dev "$BRIDGE") != *" $(gateway)/24 "* ]]; then
        remove_rules
        ip -4 address flush dev "$BRIDGE"
        ip address add "$(gateway)/24" brd + dev "$BRIDGE"
    fi
    ip link set "$BRIDGE" up
    [[ $(<$forward_file) == 1 ]] || echo 1 >$forward_file
    allow_outbound
    answer
}

# The mark comes before the name: a run that is killed in between leaves no bridge that nobody owns.
make_bridge() {
    local draft
    draft=sbx-$stack_id
    ip link del "$draft" 2>/dev/null || true
    ip link add name "$draft" type bridge
    ip link set "$draft" alias "$mark:$stack_id ip_forward=$1"
    ip link set "$draft" name "$BRIDGE"
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
    if link_exists "$BRIDGE" && bridge_is_ours; then
        local before
        before=$(link_alias "$BRIDGE" | sed 's/.* ip_forward=//')
        ip link del "$BRIDGE"
        [[ -n $(other_bridges) || $before != [01] ]] || echo "$before" >$forward_file
    fi
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
