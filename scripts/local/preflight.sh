#!/usr/bin/env bash
# Whether this host can run local machines: every complaint at once, before anything is made.
#   preflight.sh check [NAME...]   (environment: STACK_DIR, CACHE_DIR, BRIDGE, RANGE; NAMEs are those of the machines)
# Changes nothing and needs none of the directories to exist.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# MiB that the disks of a small stack take, and what machines share: the base and the node image.
stack_need=3072
image_need=2048

tool_complaints() {
    local tool package missing=()
    while read -r tool package; do
        command -v "$tool" >/dev/null || missing+=("$tool (package $package)")
    done <<'TOOLS'
systemd-nspawn systemd-container
mmdebstrap mmdebstrap
apt-get apt
ip iproute2
iptables iptables
ssh openssh-client
ssh-keygen openssh-client
flock util-linux
unshare util-linux
setsid util-linux
mount mount
TOOLS
    ((${#missing[@]} == 0)) || complain "Not installed: $(list_of "${missing[@]}"): install the named Debian packages with apt-get"
    [[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]] ||
        complain "Debian's archive keys are missing (package debian-archive-keyring): install it with apt-get"
}

list_of() {
    local text
    printf -v text '%s, ' "$@"
    echo "${text%, }"
}

kernel_complaints() {
    local release major minor
    release=$(uname -r)
    IFS=.- read -r major minor _ <<<"$release"
    ((major > 5 || (major == 5 && minor >= 6))) || complain "The kernel is $release: gVisor needs 5.6 or newer"
    case $(uname -m) in
    x86_64 | aarch64) ;;
    *) complain "The processor is $(uname -m): gVisor runs on x86_64 and aarch64 only" ;;
    esac
    grep -qw overlay /proc/filesystems || modprobe --dry-run --quiet overlay 2>/dev/null ||
        complain "The kernel has no overlayfs, which the machines' disks are made of: load the module \"overlay\""
}

# The nearest directory of a path that exists already.
existing() {
    local path=$1
    until [[ -d $path ]]; do path=$(dirname "$path"); done
    echo "$path"
}

# space_complaint NAME DIRECTORY NEED
space_complaint() {
    local free
    free=$(df -Pm -- "$2" | awk 'NR == 2 { print $4 }')
    ((free >= $3)) || complain "$1 (${!1}) has $free MiB free and needs $3 MiB: make room, or move the project to a larger disk"
}

disk_complaints() {
    local stack cache type
    stack=$(existing "$STACK_DIR")
    cache=$(existing "$CACHE_DIR")
    if [[ $(stat -c %d "$stack") == "$(stat -c %d "$cache")" ]]; then
        space_complaint STACK_DIR "$stack" $((stack_need + image_need))
    else
        space_complaint STACK_DIR "$stack" $stack_need
        space_complaint CACHE_DIR "$cache" $image_need
    fi
    type=$(stat -fc %T "$stack")
    case $type in
    overlayfs | nfs* | fuse* | cifs | smb* | vfat | msdos)
        complain "STACK_DIR ($STACK_DIR) is on $type, which cannot hold the machines' disks: move the project to a disk with ext4, xfs or btrfs"
        ;;
    esac
}

check() {
    local name
    load_env STACK_DIR CACHE_DIR BRIDGE RANGE
    for name in "$@"; do
        name_complaints "$name"
    done
    report_is_usable=$((${#complaints[@]} == 0))
    need_root
    tool_complaints
    kernel_complaints
    if ((report_is_usable)); then
        disk_complaints
        ! command -v ip >/dev/null || network_complaints
    fi
    report
}

main() {
    local verb=${1-}
    [[ $verb == check ]] || die "Usage: preflight.sh check [NAME...]"
    shift
    check "$@"
}

main "$@"
