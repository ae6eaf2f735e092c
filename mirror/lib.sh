# Shared by the mirror's scripts: where things are, messages, and parts that are made once per recipe.
# shellcheck shell=bash disable=SC2034 # the files that source this one use what is set here

mirror_home=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly mirror_home
project=$(cd "$mirror_home/.." && pwd)
readonly project
readonly cache_dir=${CACHE_DIR:-$project/.cache}
readonly mirror_dir=${MIRROR_DIR:-$cache_dir/mirror}
readonly build_dir=${MIRROR_BUILD_DIR:-$cache_dir/mirror-build}
readonly key_dir=${MIRROR_KEY_DIR:-$cache_dir/mirror-key}

# One moment for every file in packages and images: what is built twice is the same bytes.
export SOURCE_DATE_EPOCH=1767225600

# The project's own, whichever one comes first in PATH: it runs TypeScript.
node() {
    local own=$project/node_modules/.bin/node
    [ -x "$own" ] || fail "the project's Node is missing: run \`npm ci\` in $project"
    "$own" "$@"
}

say() { printf 'mirror: %s\n' "$*" >&2; }

fail() {
    say "$@"
    exit 1
}

# Debian's name of this machine's architecture, which is also Go's for the ones that are built here.
architecture() { dpkg --print-architecture; }

# Version of Go, "go1.26.8". Without Go a finished mirror stays current: the version that built it counts.
go_version() {
    if command -v go >/dev/null; then GOTOOLCHAIN=local go env GOVERSION; else cat "$build_dir/go-version" 2>/dev/null || echo none; fi
}

# One hash over the contents and names of files and directories.
hash_of() {
    (cd "$mirror_home" && find -L "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
}

# Path of a module as a recipe has it: containerd 1.x is not yet a module of major version 2.
module_path() { if [[ $1 == containerd-1.* ]]; then echo "${2%/v2}"; else echo "$2"; fi; }

# Version of a module as the go.mod of a recipe pins it, without the leading v.
pinned() {
    local version
    version=$(awk -v module="$(module_path "$1" "$2")" '$1 == "require" {sub(/^require /, "")} $1 == module && $2 ~ /^v/ {print $2; exit}' "$mirror_home/build/$1/go.mod")
    [ -n "$version" ] || fail "mirror/build/$1/go.mod requires no $2"
    printf '%s\n' "${version#v}"
}

# Runs a step unless its result is there with the same key.
# usage: part NAME KEY FUNCTION; FUNCTION gets an empty directory that becomes $build_dir/parts/NAME when it succeeds.
part() {
    local name=$1 key=$2 make=$3 target=$build_dir/parts/$1 began=$SECONDS scratch
    if [ "$(cat "$target/.key" 2>/dev/null)" = "$key" ]; then
        progress "$name" "kept"
        return
    fi
    scratch=$target.new
    rm -rf "$scratch"
    mkdir -p "$scratch"
    "$make" "$scratch" "$name"
    printf '%s\n' "$key" >"$scratch/.key"
    rm -rf "$target"
    mv "$scratch" "$target"
    progress "$name" "made in $((SECONDS - began)) s"
}

# One line for each finished step; the count goes through a file because steps run side by side.
progress() {
    local count
    echo "$1" >>"$build_dir/progress"
    count=$(wc -l <"$build_dir/progress")
    say "step $count of $steps: $1 $2"
}

# Recipes of further versions stay in the mirror once they were asked for: machines may have them installed. One whose
# recipe is gone goes with it.
add_extra() {
    MIRROR_EXTRA=$(xargs -n1 <<<"${MIRROR_EXTRA:-} $*" | sort -u | paste -sd' ' -)
    export MIRROR_EXTRA
}
if [ -e "$build_dir/extra" ]; then
    while read -r kept; do
        if [ -d "$mirror_home/build/$kept" ]; then add_extra "$kept"; fi
    done <"$build_dir/extra"
fi
