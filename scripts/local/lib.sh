# shellcheck shell=bash
# What the scripts of the local target share. Sourced, never run.

# shellcheck disable=SC2034 # for those who source this
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mark=runtime-sandboxes
umask 022

log() { printf '%s\n' "$*" >&2; }
die() { log "$*"; exit 1; }

complaints=()
complain() { complaints+=("$*"); }

# Prints every complaint that was collected and ends the script when there is one.
report() {
    ((${#complaints[@]} == 0)) && return
    printf '%s\n' "${complaints[@]}" >&2
    exit 1
}

# Names on the host that belong to a stack carry the digest of its directory, so that two checkouts never meet and
# so that everything can be found again when the directory is gone.
stack_id=""

# load_env NAME...: collects a complaint for each variable that is missing or malformed.
load_env() {
    local name value
    for name in "$@"; do
        value=${!name-}
        if [[ -z $value ]]; then
            complain "$name is not set: $(env_meaning "$name")"
            continue
        fi
        case $name in
        STACK_DIR | CACHE_DIR)
            [[ $value == /* ]] || complain "$name is \"$value\": it must be an absolute path"
            printf -v "$name" %s "$(realpath -m -- "$value")"
            [[ $name == CACHE_DIR ]] || stack_id=$(digest "$STACK_DIR")
            ;;
        BRIDGE)
            [[ $value =~ ^[a-zA-Z][a-zA-Z0-9_.-]{0,14}$ ]] ||
                complain "BRIDGE is \"$value\": an interface name is 1 to 15 letters, digits, '.', '_' or '-' and starts with a letter"
            ;;
        RANGE) range_complaints "$value" ;;
        esac
    done
}

env_meaning() {
    case $1 in
    STACK_DIR) echo "the absolute directory of the stack's machines, such as <project>/.local/dev" ;;
    CACHE_DIR) echo "the absolute directory of rebuildable files, such as <project>/.cache" ;;
    BRIDGE) echo "the name of the bridge between the machines, such as sandbox0" ;;
    RANGE) echo "the private /24 range of the machines, such as 10.77.0.0/24" ;;
    esac
}

range_complaints() {
    if [[ ! $1 =~ ^([0-9]+)\.([0-9]+)\.([0-9]+)\.0/24$ ]] ||
        ((BASH_REMATCH[1] > 255 || BASH_REMATCH[2] > 255 || BASH_REMATCH[3] > 255)); then
        complain "RANGE is \"$1\": it must be a /24 such as 10.77.0.0/24"
    elif ! [[ $1 =~ ^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.) ]]; then
        complain "RANGE is \"$1\": it must be private, in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
    fi
}

need_root() { ((EUID == 0)) || complain "The local target needs root to boot machines, and this is $(id -un): run as root, or choose another target"; }

name_complaints() {
    [[ $1 =~ ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$ ]] ||
        complain "Machine name \"$1\": only small letters, digits and '-' are allowed, and it starts and ends with a letter or digit"
    ((${#1} <= 63)) || complain "Machine name \"$1\" has ${#1} characters: at most 63 are allowed"
}

digest() { sha256sum <<<"$1" | cut -c1-8; }

gateway() { echo "${RANGE%.0/24}.1"; }

json_string() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

# lock_dir DIR SECONDS: makes DIR and locks it until this shell ends. The directory itself is the lock file, so
# nothing is left behind; if it was removed while we waited, the new one is locked instead. Sets $lock_fd.
lock_dir() {
    while :; do
        mkdir -p "$1"
        exec {lock_fd}<"$1" || continue
        flock -w "$2" "$lock_fd" || die "$1 is still in use by another run after $2 s: wait for it, or end it"
        [[ $(stat -Lc %i "/proc/self/fd/$lock_fd") == "$(stat -c %i "$1" 2>/dev/null)" ]] && return
        exec {lock_fd}<&-
    done
}

# Removes the stack's directories as soon as nothing is in them.
tidy_stack_dir() {
    rmdir "$STACK_DIR/machines" 2>/dev/null || true
    rmdir "$STACK_DIR" 2>/dev/null || true
}

# mounts_below DIR: mount points below DIR as the kernel writes them (\040 is a space), deepest first.
mounts_below() {
    TOP="${1// /\\040}/" awk 'index($5, ENVIRON["TOP"]) == 1 { print $5 }' /proc/self/mountinfo | sort -r
}

# remove_tree DIR: deletes DIR without ever following a mount. None of ours is in this mount namespace; one that is
# found all the same is detached first.
remove_tree() {
    local point
    while read -r point; do
        umount -l -- "$(printf %b "$point")"
    done < <(mounts_below "$1")
    [[ -z $(mounts_below "$1") ]] || die "$1 was not removed, something is still mounted below it: $(mounts_below "$1" | xargs)"
    rm -rf --one-file-system -- "$1"
}

# poll SECONDS COMMAND...: runs COMMAND until it succeeds; fails after SECONDS.
poll() {
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/./} < end)) || return 1
        nap 0.03
    done
}

# Waits without starting a process: reads from a pipe that never says anything.
nap() {
    [[ -n ${nap_fd-} ]] || exec {nap_fd}<> <(:)
    read -rt "$1" -u "$nap_fd" || true
}

# ssh_to DIR ADDRESS COMMAND...: on the machine of that directory, whose key is pinned there.
ssh_to() {
    local dir=$1 address=$2
    shift 2
    ssh -F /dev/null -i "$STACK_DIR/id_ed25519" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
        -o ConnectTimeout=5 -o StrictHostKeyChecking=yes -o UserKnownHostsFile="\"$dir/known_hosts\"" \
        -o GlobalKnownHostsFile=/dev/null -o HostKeyAlgorithms=ssh-ed25519 -o KexAlgorithms=curve25519-sha256 -o LogLevel=ERROR "root@$address" "$@"
}

# --- the network ------------------------------------------------------------

link_exists() { [[ -e /sys/class/net/$1 ]]; }
link_alias() { [[ ! -e /sys/class/net/$1/ifalias ]] || cat "/sys/class/net/$1/ifalias"; }
bridge_is_ours() { [[ $(link_alias "$BRIDGE") == "$mark:$stack_id "* ]]; }

# marked_bridges PREFIX: names of the bridges whose alias starts with it.
marked_bridges() {
    local link
    for link in /sys/class/net/*/bridge; do
        link=${link%/bridge}
        [[ $(link_alias "${link##*/}") != "$1"* ]] || echo "${link##*/}"
    done
}

# The stack's bridge, which may still have the name of an earlier setting.
own_bridge() { marked_bridges "$mark:$stack_id " | head -n 1; }

ip_number() {
    local a b c d
    IFS=. read -r a b c d <<<"$1"
    echo $(((a << 24) + (b << 16) + (c << 8) + d))
}

# overlaps CIDR: whether CIDR and the /24 RANGE share an address.
overlaps() {
    local address=${1%/*} length=32 shorter
    [[ $1 == */* ]] && length=${1#*/}
    shorter=$((length < 24 ? length : 24))
    (($(ip_number "$address") >> (32 - shorter) == $(ip_number "${RANGE%/*}") >> (32 - shorter)))
}

# Complains when the bridge or the range belongs to something else on this host.
network_complaints() {
    local line prefix device own seen=" " file
    # Before the bridge gets another address: the cluster knows its nodes by theirs.
    for file in "$STACK_DIR"/machines/*/address; do
        [[ -e $file && $(<"$file") != "${RANGE%.0/24}".* ]] || continue
        line=${file%/address}
        complain "RANGE is $RANGE, and machine ${line##*/} of this stack has the address $(<"$file"): put the range back to $(sed 's/[0-9]*$/0\/24/' "$file"), or destroy the stack first"
    done
    own=$(own_bridge)
    if link_exists "$BRIDGE" && ! bridge_is_ours; then
        local owner
        owner=$(link_alias "$BRIDGE")
        complain "BRIDGE $BRIDGE exists already and does not belong to this stack${owner:+ (it is marked \"$owner\")}: choose another name"
    fi
    while read -r line; do
        [[ $line =~ ^([0-9.]+(/[0-9]+)?)( |$) ]] || continue
        prefix=${BASH_REMATCH[1]}
        # Half-Internet routes stand for a default route; a /24 of its own takes precedence over them.
        [[ $prefix == */[01] ]] && continue
        device=$([[ $line =~ dev\ ([^ ]+) ]] && echo "${BASH_REMATCH[1]}" || echo "no device")
        # An address comes with a route: one complaint a device is enough.
        [[ $device == "$own" || $seen == *" $device "* ]] && continue
        overlaps "$prefix" || continue
        seen+="$device "
        complain "RANGE $RANGE overlaps $prefix, which is in use on this host ($device): choose another private /24"
    done < <(
        {
            ip -4 -o address show | sed -E 's/^[0-9]+: +([^ ]+) +inet ([0-9.]+).*/\2 dev \1/'
            ip -4 -o route show | sed -E 's/^(unreachable|blackhole|prohibit) //'
        } | sort -u
    )
}
