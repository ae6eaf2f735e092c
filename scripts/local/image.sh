#!/usr/bin/env bash
# The node image: what preparing a node installs and imports, made once by that very step in a machine of its own and shared
# by the machines of all stacks: a layer over the base (root), and containerd's directory, of which each machine has a copy
# (containerd), but for what is never written again: blobs and unpacked layers, which machines share by links (shared).
#   image.sh build    keeps the step that stdin holds for the stack's machines to come; makes the image for the first ones
#   image.sh find     prints the image that a new machine starts from, and makes it if need be; nothing without a step
#   image.sh forget   removes the step
# Environment: STACK_DIR, CACHE_DIR, BRIDGE, RANGE; MIRROR_DIR (optional) as for machine.sh; LOCAL_NODE_IMAGE=no: machines
# start from the base alone.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

builder=node-image
# Images that stay although no machine is made of them: those of stacks that come and go.
spare=3

step_file() { echo "$STACK_DIR/prepare-node"; }

# strip IMAGE: takes away what made the builder this machine (machine.sh, seed), its logs, and containerd's name for itself.
strip() {
    local layer=$1/root
    rm -rf "$layer"/etc/{machine-id,hostname,hosts,resolv.conf} "$layer"/etc/ssh/ssh_host_* "$layer/root" \
        "$layer/etc/systemd/network/10-host0.network" "$layer"/var/lib/systemd/{random-seed,credential.secret} \
        "$layer"/{tmp,var/tmp,var/log,var/cache/apt} "$1/containerd/io.containerd.grpc.v1.introspection"
}

# image_key BASE: the image's name is the digest of what it is made from. The step names versions; a mirror that was built
# again may have other contents under them.
image_key() {
    {
        echo "$1"
        declare -f strip
        cat "$(step_file)"
        if [[ -e ${MIRROR_DIR-}/index.json ]] && grep -q file:///srv/mirror "$(step_file)"; then
            cat "$MIRROR_DIR/index.json"
        fi
    } | sha256sum | cut -c1-16
}

on_builder() { ssh_to "$STACK_DIR/machines/$builder" "${RANGE%.0/24}.2" "$@"; }

make_into() {
    local draft=$1 machine=$STACK_DIR/machines/$builder part
    "$here/machine.sh" down $builder >/dev/null # of a run that was cut off
    LOCAL_NODE_IMAGE=no "$here/machine.sh" up $builder "${RANGE%.0/24}.2" >/dev/null
    on_builder timeout --kill-after=10 600 bash -s -- install <"$(step_file)" >/dev/null || {
        "$here/machine.sh" down $builder >/dev/null
        die "The node image was not made, preparing its machine failed: see above, correct the cause, and run again"
    }
    on_builder systemctl stop kubelet containerd
    "$here/machine.sh" halt $builder >/dev/null
    mkdir -p "$draft"/{machines,shared}
    mv "$machine/upper" "$draft/root"
    mv "$machine/binds/containerd" "$draft/containerd"
    for part in io.containerd.content.v1.content/blobs io.containerd.snapshotter.v1.overlayfs/snapshots; do
        # Upstream has no archives to import: kubelet gets its images when it wants them.
        [[ -d $draft/containerd/$part ]] || continue
        mkdir -p "$draft/shared/${part%/*}"
        mv "$draft/containerd/$part" "$draft/shared/$part"
    done
    strip "$draft"
    "$here/machine.sh" down $builder >/dev/null
}

# Removes images of which no machine is made, but for those that were used last.
prune() {
    local key machine
    while read -r _ key; do
        for machine in "$CACHE_DIR/images/$key"/machines/*; do
            [[ ! $machine/image -ef $CACHE_DIR/images/$key/root ]] || continue 2
        done
        remove_tree "$CACHE_DIR/images/$key"
    done < <(find "$CACHE_DIR/images" -mindepth 1 -maxdepth 1 ! -name '.*' -printf '%T@ %f\n' | sort -rn | tail -n +$((spare + 1)))
}

find_image() {
    local base path
    [[ ${LOCAL_NODE_IMAGE-} != no && -e $(step_file) ]] || return 0
    base=$("$here/base.sh" build | sed 's/.*"hash":"\(.*\)".*/\1/')
    path=$CACHE_DIR/images/$(image_key "$base")
    if [[ ! -d $path ]]; then
        lock_dir "$CACHE_DIR/images" 900
    fi
    if [[ ! -d $path ]]; then
        log "Making the node image of the local machines"
        remove_tree "$CACHE_DIR/images/.draft"
        make_into "$CACHE_DIR/images/.draft"
        mv "$CACHE_DIR/images/.draft" "$path"
        prune
        log "Made the node image: $(du -sm "$path" | cut -f1) MB in $SECONDS s"
    fi
    touch "$path"
    echo "$path"
}

build() {
    mkdir -p "$STACK_DIR"
    cat >"$(step_file).new"
    mv "$(step_file).new" "$(step_file)"
    # Machines that exist stay what they are; another image is made when a new one needs it.
    if "$here/machine.sh" list | grep -qvx $builder; then
        return
    fi
    find_image
}

forget() {
    rm -f "$(step_file)" "$(step_file).new"
    tidy_stack_dir
}

main() {
    load_env STACK_DIR CACHE_DIR BRIDGE RANGE
    [[ ${1-} == forget || ${LOCAL_NODE_IMAGE:-yes} =~ ^(yes|no)$ ]] ||
        complain "LOCAL_NODE_IMAGE is \"$LOCAL_NODE_IMAGE\": it may be yes or no"
    report
    case "${1-}" in
    build | forget) "$1" ;;
    find) find_image ;;
    *) die "Usage: image.sh build|find|forget" ;;
    esac
}

main "$@"
