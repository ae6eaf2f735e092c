#!/usr/bin/env bash
# Which connections of pods this worker's kernel has carried, and whether they were answered; a pod cannot fake it. Changes nothing.
#
# Constants: ADDRESSES (of the pods, one a line).
# Result: {"connections": [lines of the kernel's table that name one of them]}; none where a pod's packets go past that table, as
# with networks that eBPF programs make

main() {
    begin_reading
    json_object connections:="$(table | { grep -F -f <(while read -r one; do echo "src=$one "; done <<<"$ADDRESSES") || true; } | json_array)"
}

# Not every kernel has the file, and not every machine the program.
table() {
    if [[ -r /proc/net/nf_conntrack ]]; then
        cat /proc/net/nf_conntrack
    elif command -v conntrack >/dev/null; then
        conntrack -L 2>/dev/null
    fi
}

main "$@"
