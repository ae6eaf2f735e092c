#!/usr/bin/env bash
# A network without a way out, with name server and trusted authority of its own, in which a command runs. What enters its
# namespaces sees them, and no one else.
# usage: unshare --net --mount --propagation slave network.sh DIRECTORY ADDRESS COMMAND...
# DIRECTORY holds resolv.conf, authorities/ (as /usr/local/share/ca-certificates) and bundle.crt (all that is trusted).
set -euo pipefail
directory=$1
address=$2
shift 2

ip link set lo up
ip address add "$address/32" dev lo

# sysfs shows the network of whoever mounts it; the control groups below it stay where they are.
mkdir -p "$directory/groups"
mount --rbind /sys/fs/cgroup "$directory/groups"
mount -t sysfs sysfs /sys
mount --rbind "$directory/groups" /sys/fs/cgroup
umount -l "$directory/groups"
# systemd, asked to start a machine, would do so in the host's network.
[[ ! -d /run/systemd ]] || mount -t tmpfs tmpfs /run/systemd

resolver=$(readlink -m /etc/resolv.conf)
[[ -e $resolver ]] || install -D /dev/null "$resolver"
mount --bind "$directory/resolv.conf" "$resolver"
mount --bind "$directory/authorities" /usr/local/share/ca-certificates
mount --bind "$directory/bundle.crt" "$(readlink -m /etc/ssl/certs/ca-certificates.crt)"
exec "$@"
