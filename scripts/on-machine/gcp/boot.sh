#!/usr/bin/env bash
# Startup script of a machine on Google Cloud; runs as root at each boot, and changes nothing the second time.
#
# Closes the metadata server to pods, since it hands out what belongs to the machine, such as tokens of its service
# account: https://kubernetes.io/docs/tasks/administer-cluster/securing-a-cluster/#restricting-cloud-metadata-api-access
# Then says that it is done, as the guest attribute runtime-sandboxes/boot, which scripts/on-host/gcp-host-key.ts waits for.
set -Eeuo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

readonly metadata=169.254.169.254
readonly rules=/etc/metadata-guard.nft
readonly updated=/var/lib/apt/lists/updated-at-boot

main() {
    trap 'report "failed: $BASH_COMMAND (line $LINENO)"' ERR
    install_tools
    write_rules
    write_unit
    systemctl daemon-reload
    systemctl enable --quiet metadata-guard
    systemctl start metadata-guard
    # The unit may have loaded older rules.
    nft --file $rules
    report ready
}

# On a local machine there is nobody to report to; its /sys is that of the host, which may be Google's.
on_google() {
    grep -qs Google /sys/class/dmi/id/product_name && ! systemd-detect-virt --quiet --container
}

report() {
    echo "boot: $1"
    on_google || return 0
    curl --fail --silent --show-error --retry 5 --request PUT --header 'Metadata-Flavor: Google' --data "$1" \
        "http://$metadata/computeMetadata/v1/instance/guest-attributes/runtime-sandboxes/boot"
}

# What the scripts of the steps call. The package index of the image is as old as the image: it is renewed once, because
# what kubelet depends on is looked up in it.
install_tools() {
    local tool missing=no
    for tool in curl gpg openssl nft; do
        command -v "$tool" >/dev/null || missing=yes
    done
    if [[ $missing == yes ]] || { on_google && [[ ! -e $updated ]]; }; then
        persist apt-get update -qq
        persist apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 curl gnupg openssl nftables
        touch $updated
    fi
}

# persist COMMAND...: tries for two minutes: the network is not up yet, or another apt is at work.
persist() {
    local deadline=$((SECONDS + 120))
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 5
    done
}

# Packets that come in on an interface are those of pods: the machine's own ones are made here. Names are resolved by the
# same address (port 53), which stays open. Of the machine's own processes only root needs more, and the clock (UDP).
write_rules() {
    write $rules <<NFT
table inet metadata_guard
delete table inet metadata_guard
table inet metadata_guard {
    chain pods {
        type filter hook prerouting priority raw; policy accept;
        ip daddr $metadata meta l4proto { tcp, udp } th dport 53 accept
        ip daddr $metadata drop
        ip6 daddr fd20:ce::254 drop
    }
    chain users {
        type filter hook output priority filter; policy accept;
        meta skuid 0 accept
        ip daddr $metadata tcp dport != 53 drop
        ip6 daddr fd20:ce::254 tcp dport != 53 drop
    }
}
NFT
}

# Before containerd brings pods back, and kubelet does not start without it.
write_unit() {
    write /etc/systemd/system/metadata-guard.service <<UNIT
[Unit]
Description=Close the metadata server to pods
Before=containerd.service kubelet.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file $rules
[Install]
WantedBy=multi-user.target
RequiredBy=kubelet.service
UNIT
}

# write FILE: replaces FILE by stdin, in one rename.
write() {
    cat >"$1.new"
    mv "$1.new" "$1"
}

main
