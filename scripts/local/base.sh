#!/usr/bin/env bash
# The root file system that all machines share (read-only, below an overlay), made once.
#   base.sh build             (environment: CACHE_DIR); prints {"path", "hash"}
# Its name is the digest of what it is made from, so a changed recipe makes a new one beside the old.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

suite=bookworm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Beside a bootable system: all that the packages of Kubernetes, containerd and gVisor depend on, because a mirror
# holds only those packages themselves, and what the scripts on the machines call.
packages=(
    systemd systemd-sysv dbus openssh-server
    ca-certificates curl gpg jq
    iproute2 iputils-ping netbase iptables nftables ebtables ethtool conntrack socat
    kmod procps mount util-linux libseccomp2 sudo zstd
)

# customise ROOT: runs on the host when the packages are in place.
customise() {
    local root=$1 unit
    # Each machine gets its own; DNS comes from the host at every start.
    rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/hostname "$root"/etc/resolv.conf
    : >"$root/etc/machine-id"
    cat >"$root/etc/ssh/sshd_config.d/machine.conf" <<'CONF'
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
# PAM would open a login session for each of the many short connections.
UsePAM no
MaxStartups 100
MaxSessions 100
CONF
    # A machine is disposable: an fsync for each unpacked file buys nothing.
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/machine"
    printf '%s\n' 'APT::Install-Recommends "false";' 'Acquire::Languages "none";' >"$root/etc/apt/apt.conf.d/90machine"
    install -d "$root"/etc/systemd/{system.conf.d,journald.conf.d,networkd.conf.d,system/sysinit.target.wants}
    printf '%s\n' '[Manager]' 'DefaultTimeoutStopSec=10s' >"$root/etc/systemd/system.conf.d/machine.conf"
    # /dev/kmsg is the host's: its messages are not this machine's.
    printf '%s\n' '[Journal]' 'ReadKMsg=no' 'Storage=volatile' 'RuntimeMaxUse=32M' >"$root/etc/systemd/journald.conf.d/machine.conf"
    # Routes and rules of the pod network are not networkd's to remove.
    printf '%s\n' '[Network]' 'ManageForeignRoutes=no' 'ManageForeignRoutingPolicyRules=no' \
        >"$root/etc/systemd/networkd.conf.d/machine.conf"
    cat >"$root/etc/systemd/system/machine-kernel.service" <<'UNIT'
[Unit]
Description=Make the kernel's interfaces usable for container engines
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/machine-kernel
UNIT
    install -d "$root/usr/local/lib"
    install -m 755 /dev/stdin "$root/usr/local/lib/machine-kernel" <<'SCRIPT'
#!/bin/bash
# systemd-nspawn leaves the cgroup v1 controllers read-only. The machine has a cgroup namespace of its own, so they
# can be given back; a plain `remount` does nothing here, the flag is that of the bind.
while read -r _ point type options _; do
    [[ $type == cgroup || $type == cgroup2 ]] || continue
    [[ ,$options, == *,ro,* ]] && mount -o remount,bind,rw "$point"
done </proc/self/mounts
# kubelet does not start without a kernel log. In a user namespace there is none to be had.
[[ -e /dev/kmsg ]] || ln -s null /dev/kmsg
# kubelet insists on these and would write them. They are the host's, so it finds them as it wants them instead.
mkdir -p /run/machine-sysctl
while read -r name value; do
    file=/run/machine-sysctl/${name//\//.}
    [[ -e /proc/sys/$name && ! -e $file ]] || continue
    echo "$value" >"$file"
    mount --bind "$file" "/proc/sys/$name"
done <<'VALUES'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
VALUES
SCRIPT
    ln -sf ../machine-kernel.service "$root/etc/systemd/system/sysinit.target.wants/machine-kernel.service"
    systemctl --root="$root" --quiet enable systemd-networkd.service ssh.service
    # Nothing here serves a machine without hardware, console or users; each costs boot time.
    for unit in systemd-networkd-wait-online.service console-getty.service getty@.service getty.target \
        systemd-logind.service systemd-udevd.service systemd-udev-trigger.service systemd-timesyncd.service \
        systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-resolved.service \
        systemd-journal-flush.service systemd-firstboot.service systemd-hwdb-update.service \
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
        sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount modprobe@.service \
        fstrim.timer systemd-pstore.service nftables.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log
}

# Certificate authorities that were added to this host: whatever it trusts on its way to a registry, machines trust.
extra_authorities() { find -L /usr/local/share/ca-certificates -name '*.crt' -type f 2>/dev/null | sort; }

recipe_hash() {
    {
        echo "$suite $(dpkg --print-architecture) ${packages[*]}"
        declare -f customise
        extra_authorities | xargs -r -d '\n' cat
    } | sha256sum | cut -c1-16
}

# host_archive LABEL PATH: the archive with that label ("Debian", "Debian-Security") that this host's own APT uses;
# without downloaded lists the end of its address tells.
host_archive() {
    apt-get indextargets --format "\$(LABEL)|\$(REPO_URI)" "Created-By: Packages" 2>/dev/null |
        awk -F'|' -v label="$1" -v path="$2" '$1 == label || ($1 == "" && $2 ~ (path "/?$")) { print $2; exit }'
}

# The archives that this host's APT names; nothing on a host of another distribution, where mmdebstrap knows Debian's own.
sources() {
    local main security
    main=$(host_archive Debian /debian)
    security=$(host_archive Debian-Security /debian-security)
    [[ -n $main ]] || return 0
    printf 'deb [signed-by=%s] %s\n' "$keyring" "$main $suite main" "$keyring" "$main $suite-updates main"
    [[ -z $security ]] || printf 'deb [signed-by=%s] %s\n' "$keyring" "$security $suite-security main"
}

# How this host's APT reaches its archives (a proxy, an authority). mmdebstrap itself does not look.
transport_options() {
    apt-config dump --format '%F "%v";%n' Acquire::http Acquire::https 2>/dev/null |
        grep -E '::(Proxy|CaInfo|Verify-Peer)' || true
}

build_into() {
    local draft=$1 list=$2 authority
    sources >"$list"
    transport_options >"$list.conf"
    local options=(--variant=minbase --mode=root --include="${packages[*]}" --keyring="$keyring"
        # Documentation only costs space and unpacking time here.
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*'
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*')
    [[ ! -s $list.conf ]] || options+=(--aptopt="$list.conf")
    local archives=()
    [[ ! -s $list ]] || archives=("$list")
    mmdebstrap "${options[@]}" "$suite" "$draft" "${archives[@]}" 2>&1 | { grep --line-buffered '^[IEW]: ' || true; } >&2 ||
        die "The base image was not built, mmdebstrap failed on $(awk '{ print $3 }' "$list" | sort -u | xargs): see above, make sure that apt-get update works on this host, and run again"
    while read -r authority; do
        install -m 644 "$authority" "$draft/usr/local/share/ca-certificates/"
    done < <(extra_authorities)
    local reply
    reply=$(chroot "$draft" update-ca-certificates 2>&1) ||
        die "The base image was not built, update-ca-certificates failed in it: $(tail -n 3 <<<"$reply")"
    # What holds on this host only: its own loopback, its own files.
    [[ ! -s $list.conf ]] || sed -Ei '/CaInfo|127\.[0-9.]+|localhost|::1/d' "$draft/etc/apt/apt.conf.d/99mmdebstrap"
    customise "$draft"
}

build() {
    local hash path
    hash=$(recipe_hash)
    path=$CACHE_DIR/base/$hash
    if [[ ! -d $path ]]; then
        lock_dir "$CACHE_DIR/base" 900
    fi
    if [[ ! -d $path ]]; then
        local draft=$CACHE_DIR/base/.draft leftover
        for leftover in "$draft"*; do
            [[ ! -e $leftover ]] || remove_tree "$leftover"
        done
        log "Building the base image of the local machines (Debian $suite, ${#packages[@]} packages)"
        # shellcheck disable=SC2064 # the draft of now
        trap "remove_tree '$draft'; rm -f '$draft'.list*" EXIT
        build_into "$draft" "$draft.list"
        mv "$draft" "$path"
        log "Built the base image: $(du -sm "$path" | cut -f1) MB in $SECONDS s"
    fi
    printf '{"path":%s,"hash":"%s"}\n' "$(json_string "$path")" "$hash"
}

main() {
    load_env CACHE_DIR
    case "${1-}" in
    build)
        need_root
        report
        build
        ;;
    *) die "Usage: base.sh build" ;;
    esac
}

main "$@"
