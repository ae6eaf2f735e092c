#!/usr/bin/env bash
# A local machine: a Debian system under systemd-nspawn with its own systemd, sshd, disk, address and control groups.
#   machine.sh up NAME ADDRESS [--incarnation TOKEN]   boots it unless it runs; returns when SSH answers
#   machine.sh halt NAME                               ends it in order; its disk stays
#   machine.sh down NAME                               removes it and its disk
#   machine.sh list                                    names of the machines that have a trace on this host
# It has its own kernel view but all capabilities: it is a stand-in for a VM, not a wall against what runs in it.
# Environment: STACK_DIR, CACHE_DIR, BRIDGE, RANGE; MIRROR_DIR (optional) is seen as /srv/mirror inside.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=processes.sh
source "$here/processes.sh"

# Seconds until SSH must answer, and until a machine that was asked to power off is killed.
boot_limit=60
halt_limit=3

machine_dir() { echo "$STACK_DIR/machines/$1"; }
# The name that systemd-nspawn knows the machine by. It is short and unique on the host because the host's end of
# the network pair is called after it, in at most 15 characters.
nspawn_name() { echo "sbx-$(digest "$STACK_DIR/$1")"; }
veth_name() { echo "vb-$(nspawn_name "$1")"; }

# --- what a machine is made of ------------------------------------------------

prepare() {
    local name=$1 address=$2 dir base layer
    dir=$(machine_dir "$name")
    [[ -s $STACK_DIR/id_ed25519.pub ]] || die "$STACK_DIR/id_ed25519.pub is missing: run key.sh create first"
    if [[ -e $dir/address && $(<"$dir/address") != "$address" ]]; then
        die "Machine $name has address $(<"$dir/address"), which cannot become $address under a cluster: put the old range and order of machines back, or destroy the stack first"
    fi
    base=$("$here/base.sh" build | sed 's/.*"path":"\(.*\)","hash".*/\1/')
    [[ -L $dir/base ]] || make_disk "$dir" "$base"
    [[ ! -L $dir/image || -d $dir/image ]] || "$here/image.sh" find >/dev/null
    for layer in "$dir"/{base,image}; do
        [[ ! -L $layer || -d $layer ]] ||
            die "Machine $name was made on $(readlink "$layer"), which is gone and not what is built today: destroy the stack and create it again"
    done
    if [[ ! -s $dir/ssh_host_ed25519_key.pub ]]; then
        rm -f "$dir"/ssh_host_ed25519_key* "$dir"/host_key* # ssh-keygen would ask about one of a run that was killed
        ssh-keygen -q -t ed25519 -N "" -C "$name" -f "$dir/host_key"
        mv "$dir/host_key" "$dir/ssh_host_ed25519_key"
        mv "$dir/host_key.pub" "$dir/ssh_host_ed25519_key.pub"
    fi
    echo "$address $(host_key "$name")" >"$dir/known_hosts"
    echo "$address" >"$dir/address"
}

# make_disk DIR BASE: what the machine starts from, with the link to the base last: it says that all is there.
make_disk() {
    local dir=$1 base=$2 image
    image=$("$here/image.sh" find)
    rm -rf "$dir"/{image,upper,work,root,binds}
    mkdir -p "$dir"/{upper,work,root} "$dir"/binds/{kubelet,etcd}
    if [[ -n $image ]]; then
        ln -s "$image/root" "$dir/image"
        ln -sfn "$dir" "$image/machines/$(digest "$dir")"
        cp -a "$image/containerd" "$dir/binds/containerd"
        # Links, unless the cache is on another disk.
        cp -al "$image/shared/." "$dir/binds/containerd" 2>/dev/null ||
            cp -a --remove-destination "$image/shared/." "$dir/binds/containerd"
    else
        mkdir "$dir/binds/containerd"
    fi
    ln -s "$base" "$dir/base"
}

host_key() { cut -d' ' -f1,2 "$(machine_dir "$1")/ssh_host_ed25519_key.pub"; }

# The host's name servers, without those that only the host itself reaches.
name_servers() {
    local file=/etc/resolv.conf
    [[ ! -e /run/systemd/resolve/resolv.conf ]] || file=/run/systemd/resolve/resolv.conf
    grep -vE '^nameserver[[:space:]]+(127\.|::1)' $file || true
}

# seed NAME ADDRESS ROOT: files that make this machine this one. Those that the machine may change are written once.
seed() {
    local name=$1 address=$2 root=$3 dir
    dir=$(machine_dir "$name")
    name_servers >"$root/etc/resolv.conf"
    install -d -m 700 "$root/root/.ssh"
    install -m 600 "$STACK_DIR/id_ed25519.pub" "$root/root/.ssh/authorized_keys"
    [[ ! -e $dir/seeded ]] || return 0
    install -m 600 "$dir/ssh_host_ed25519_key" "$root/etc/ssh/"
    install -m 644 "$dir/ssh_host_ed25519_key.pub" "$root/etc/ssh/"
    echo "$name" >"$root/etc/hostname"
    tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
    # Without its own name here, kubeadm waits for DNS again and again.
    printf '%s\n' "127.0.0.1 localhost" "::1 localhost" "$address $name" "$(gateway) gateway" >"$root/etc/hosts"
    printf '%s\n' "[Match]" "Name=host0" "[Network]" "Address=$address/24" "Gateway=$(gateway)" \
        "IPForward=ipv4" "LinkLocalAddressing=no" "IPv6AcceptRA=no" "LLMNR=no" \
        >"$root/etc/systemd/network/10-host0.network"
    : >"$dir/seeded"
}

# --- running it ---------------------------------------------------------------

start() {
    local name=$1 address=$2 dir
    dir=$(machine_dir "$name")
    local run=("$here/machine.sh" run "$name" "$address")
    if systemd_manages; then
        systemd-run --quiet --collect --unit="$(systemd_unit "$name")" --slice=machine.slice --service-type=exec \
            --property=Delegate=yes --property=KillMode=mixed --property=TasksMax=infinity \
            --property=TimeoutStopSec=$halt_limit \
            --property=StandardOutput="append:$dir/console.log" --property=StandardError="append:$dir/console.log" \
            --setenv=STACK_DIR="$STACK_DIR" --setenv=CACHE_DIR="$CACHE_DIR" --setenv=BRIDGE="$BRIDGE" \
            --setenv=RANGE="$RANGE" --setenv=MIRROR_DIR="${MIRROR_DIR-}" --setenv=PATH="$PATH" "${run[@]}"
    else
        setsid "${run[@]}" </dev/null >"$dir/console.log" 2>&1 &
        disown
    fi
    poll 5 is_running "$name" || true
}

# The machine's own process. It keeps the lock until it has noted itself: no second run can start the machine twice.
# Its mounts are in a mount namespace of their own: they end with it, whatever ends it.
run() {
    local fd
    systemd_manages || join_groups "$1"
    note_process "$1"
    for fd in "/proc/$$/fd"/*; do
        fd=${fd##*/}
        # 255 is where bash reads this script from; it does not pass it on.
        ((fd <= 2 || fd == 255)) || exec {fd}>&-
    done
    exec unshare --mount --propagation private "$here/machine.sh" boot "$1" "$2"
}

has_capability() { ((16#$(awk '/^CapEff/ { print $2 }' /proc/self/status) >> $1 & 1)); }

boot() {
    local name=$1 address=$2 dir
    dir=$(machine_dir "$name")
    cd "$dir"
    # Relative names keep commas and colons of the project's path out of the mount options.
    mount -t overlay -o "lowerdir=$([[ ! -L image ]] || echo image:)base,upperdir=upper,workdir=work" overlay root
    seed "$name" "$address" root
    # Otherwise systemd-nspawn leaves locks on the host when it is killed.
    mkdir -p /run/systemd/nspawn
    mount -t tmpfs tmpfs /run/systemd/nspawn
    local options=(--quiet --register=no --keep-unit --boot --directory="$dir/root" --machine="$(nspawn_name "$name")"
        --network-bridge="$BRIDGE" --link-journal=no --resolv-conf=off --timezone=off
        --capability=all --system-call-filter=@known)
    local part escaped=${dir//:/\\:}
    # An overlay cannot hold containerd's own overlays, nor does a database belong on one.
    for part in containerd kubelet etcd; do
        options+=(--bind="$escaped/binds/$part:/var/lib/$part")
    done
    [[ ! -d ${MIRROR_DIR-} ]] || options+=(--bind-ro="${MIRROR_DIR//:/\\:}:/srv/mirror")
    [[ ! -d /lib/modules ]] || options+=(--bind-ro=/lib/modules)
    for part in /dev/fuse /dev/net/tun; do
        [[ ! -c $part ]] || options+=(--bind="$part")
    done
    # CAP_SYS_RESOURCE (24) missing: nobody may lower an oom_score_adj, and containerd's shims only put up with that
    # in a user namespace. This one maps every user to itself.
    has_capability 24 || options+=(--private-users=identity --private-users-ownership=off)
    exec systemd-nspawn "${options[@]}"
}

# One round of waiting: 0 when SSH answers or the machine is gone, else the reason is in last_error.
answers() {
    local name=$1 address=$2
    is_running "$name" || { gone=1 && return; }
    # A look at the port is cheap, a whole login is not. TCP itself would try again only after a second.
    last_error=$(timeout 0.2 bash -c ": </dev/tcp/$address/22" 2>&1) || return 1
    last_error=$(ssh_to "$(machine_dir "$name")" "$address" true 2>&1)
}

# wait_for_ssh NAME ADDRESS: 0 when SSH answers, 1 when the machine stopped meanwhile.
wait_for_ssh() {
    local name=$1 address=$2 dir gone=0 last_error="" pid
    dir=$(machine_dir "$name")
    poll $boot_limit answers "$name" "$address" && return $gone
    log "Machine $name runs but did not answer SSH at $address within $boot_limit s (last: ${last_error##*: }). The end of $dir/console.log:"
    tail -n 20 "$dir/console.log" >&2
    exit 1
}

up() {
    local name=$1 address=$2 incarnation=$3 dir pid key started=0
    dir=$(machine_dir "$name")
    lock_dir "$dir" 120
    # A machine that is found running may be on its way down: then it is started again.
    until is_running "$name" && wait_for_ssh "$name" "$address"; do
        if ((started++)); then
            log "Machine $name stopped while it booted. The end of $dir/console.log:"
            tail -n 20 "$dir/console.log" >&2
            exit 1
        fi
        stop "$name"
        prepare "$name" "$address"
        # A reboot of the host takes the bridge away.
        bridge_is_ours || "$here/network.sh" up >/dev/null
        start "$name" "$address"
    done
    if [[ -n $incarnation ]]; then
        echo "$incarnation" >"$dir/incarnation.new"
        mv "$dir/incarnation.new" "$dir/incarnation"
    fi
    key=$(host_key "$name")
    printf '{"name":"%s","address":"%s","port":22,"user":"root","hostKey":"%s","identity":"%s"}\n' \
        "$name" "$address" "$key" "$(sha256sum <<<"$key" | cut -d' ' -f1)"
}

# --- removing it --------------------------------------------------------------

# stop NAME: ends what runs of the machine and takes its groups and network pair away; the disk stays.
stop() {
    local name=$1 pid
    if is_running "$name"; then
        # systemd-nspawn answers SIGTERM by powering the machine off in order.
        kill -TERM "$pid" 2>/dev/null || true
        poll $halt_limit pid_is_gone "$pid" || true
    fi
    # Also waits until systemd forgot the unit, so that it can be made again.
    ! systemd_manages || systemctl --quiet stop "$(systemd_unit "$name")" 2>/dev/null || true
    poll 10 kill_all "$name" || die "Machine $name does not end, these processes cannot be killed: $(machine_pids "$name" | xargs)"
    poll 5 remove_groups "$name" || die "The control groups of machine $name cannot be removed: $(groups_of "$name" | xargs)"
    ip link del "$(veth_name "$name")" 2>/dev/null || true
    rm -f "$(machine_dir "$name")/process.json"
}

down() {
    local name=$1 dir
    dir=$(machine_dir "$name")
    lock_dir "$dir" 120
    stop "$name"
    remove_tree "$dir"
    tidy_stack_dir
    printf '{"name":"%s"}\n' "$name"
}

halt() {
    lock_dir "$(machine_dir "$1")" 120
    stop "$1"
}

list() {
    {
        find "$STACK_DIR/machines" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' 2>/dev/null || true
        local top group
        while read -r top; do
            for group in "$top/$(cgroup_name "")"* "$top/machine.slice/$(cgroup_name "")"*.service; do
                [[ ! -d $group ]] || basename "${group#*"$(cgroup_name "")"}" .service
            done
        done < <(hierarchies)
    } | sort -u
}

address_complaints() {
    local last=${2##*.}
    if [[ $2 != "${RANGE%.0/24}.$last" || ! $last =~ ^[1-9][0-9]{0,2}$ ]] || ((last < 2 || last > 254)); then
        complain "Address \"$2\" of machine $1 must be one of ${RANGE%.0/24}.2 to ${RANGE%.0/24}.254 (RANGE $RANGE)"
    fi
}

usage() { die "Usage: machine.sh up NAME ADDRESS [--incarnation TOKEN] | halt NAME | down NAME | list"; }

main() {
    local verb=${1-} incarnation=""
    shift || true
    [[ ${3-} != --incarnation ]] || incarnation=${4-}
    case $verb in
    up | run | boot)
        (($# >= 2)) || usage
        load_env STACK_DIR CACHE_DIR BRIDGE RANGE
        name_complaints "$1"
        ((${#complaints[@]})) || address_complaints "$1" "$2"
        ;;
    halt | down)
        (($# >= 1)) || usage
        load_env STACK_DIR
        name_complaints "$1"
        ;;
    list) load_env STACK_DIR ;;
    *) usage ;;
    esac
    [[ $verb == list ]] || need_root
    report
    case $verb in
    up) up "$1" "$2" "$incarnation" ;;
    *) "$verb" "$@" ;;
    esac
}

main "$@"
