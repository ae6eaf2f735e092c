#!/usr/bin/env bash
# Prints the machine id, which kubelet tells the API server too: https://www.freedesktop.org/software/systemd/man/machine-id.html
# Changes nothing.

main() {
    begin_reading
    # kubelet looks here first: https://github.com/google/cadvisor (machine_id_file)
    cat /etc/machine-id 2>/dev/null || cat /var/lib/dbus/machine-id 2>/dev/null || die "it has no /etc/machine-id"
}

main "$@"
