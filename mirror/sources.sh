# Where machines install from.
# shellcheck shell=bash

# Whether upstream's servers answer. Tried once: the answer is kept, because sources that change from one run to the next
# would reinstall machines.
reachable() {
    local url pids=() pid answer=upstream kubernetes
    if [ -e "$cache_dir/sources-kind" ]; then
        cat "$cache_dir/sources-kind"
        return
    fi
    command -v curl >/dev/null || fail "curl is missing, so upstream's servers cannot be asked: apt-get install curl, or choose a kind"
    kubernetes=$(pin_of kubernetes.version)
    for url in "https://pkgs.k8s.io/core:/stable:/v${kubernetes%.*}/deb/InRelease" https://download.docker.com/linux/debian/gpg \
        https://storage.googleapis.com/gvisor/releases/dists/release/InRelease; do
        curl --silent --fail --location --max-time 4 --output /dev/null "$url" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || answer=mirror; done
    if [ "$answer" = upstream ]; then
        say "pkgs.k8s.io, download.docker.com and gVisor's releases answer: machines install from there"
    else
        say "pkgs.k8s.io, download.docker.com or gVisor's releases do not answer within 4 s: a mirror is built instead"
    fi
    mkdir -p "$cache_dir"
    echo "$answer" >"$cache_dir/sources-kind"
    echo "$answer"
}

sources() {
    local kind=auto local_mirror=yes arguments=() recipe
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || fail "sources: $1 needs a value"
        case $1 in
        --kind) kind=$2 ;;
        --base-url) arguments+=("$1" "$2") ;;
        --kubernetes | --containerd | --gvisor)
            arguments+=("$1" "$2")
            # Another version than the pinned one, of which there is a recipe; gVisor's are named after the day alone.
            recipe=${1#--}-$2
            if [ "$1" = --gvisor ]; then recipe=${recipe%.0}; fi
            if [ -d "$mirror_home/build/$recipe" ]; then add_extra "$recipe"; fi
            ;;
        # A fingerprint is given for a mirror that somebody else serves.
        --fingerprint)
            arguments+=("$1" "$2")
            local_mirror=no
            ;;
        *) fail "sources: unknown option $1; it may be --kind, --base-url, --fingerprint, --kubernetes, --containerd, --gvisor" ;;
        esac
        shift 2
    done
    case $kind in
    auto)
        kind=mirror
        if [ "$local_mirror" = yes ] && [ ! -e "$mirror_dir/index.json" ]; then kind=$(reachable); fi
        ;;
    mirror | upstream) ;;
    *) fail "sources: --kind is \"$kind\"; it may be auto, mirror or upstream" ;;
    esac
    if [ "$kind" = mirror ] && [ "$local_mirror" = yes ]; then
        build
        arguments+=(--index "$mirror_dir/index.json")
    fi
    node "$mirror_home/sources.ts" --kind "$kind" "${arguments[@]}"
}
