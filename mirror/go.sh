# Programs of the mirror: one directory below build/ is one Go module that pins what it builds. The add-ons share one,
# so that the client of Kubernetes that all of them hold is compiled once.
# shellcheck shell=bash

# Names of all recipes that are built. MIRROR_EXTRA adds others (further versions of a package: "containerd-2.1.5"),
# each a directory below build/ whose name begins with the name of the recipe that it varies.
recipes() {
    local extra
    printf '%s\n' pause attacks reach etcd kubernetes gvisor containerd cni flannel-cni addons
    for extra in ${MIRROR_EXTRA:-}; do printf '%s\n' "$extra"; done
}

# Linker flags that tell a program its version.
version_flags() {
    local recipe=$1 version
    case $recipe in
    kubernetes*)
        version=$(pinned "$recipe" k8s.io/kubernetes)
        for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
            printf -- '-X %s.%s ' "$package" "gitVersion=v$version" "$package" "gitMajor=${version%%.*}" \
                "$package" "gitMinor=$(cut -d. -f2 <<<"$version")" "$package" gitTreeState=clean
        done
        ;;
    containerd*)
        version=$(pinned "$recipe" github.com/containerd/containerd/v2)
        printf -- '-X github.com/containerd/containerd/v2/version.Version=v%s' "$version"
        ;;
    gvisor*) printf -- '-X gvisor.dev/gvisor/runsc/version.version=release-%s' "$(gvisor_release "$recipe")" ;;
    cni*)
        version=$(pinned "$recipe" github.com/containernetworking/plugins)
        printf -- '-X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=v%s' "$version"
        ;;
    addons)
        printf -- '-X %s=v%s ' sigs.k8s.io/cri-tools/pkg/version.Version "$(pinned "$recipe" sigs.k8s.io/cri-tools)" \
            github.com/flannel-io/flannel/pkg/version.Version "$(pinned "$recipe" github.com/flannel-io/flannel)"
        ;;
    esac
}

# Build tags that upstream's own release builds use.
build_tags() {
    case $1 in
    kubernetes*) echo selinux,notest,grpcnotrace ;;
    containerd*) echo urfave_cli_no_docs ;;
    esac
}

# gVisor's Go branch carries no release names: the day of the pinned commit stands for one, unless the recipe names another.
gvisor_release() {
    local version
    if [ -e "$mirror_home/build/$1/release" ]; then
        cat "$mirror_home/build/$1/release"
        return
    fi
    version=$(pinned "$1" gvisor.dev/gvisor)
    [[ $version =~ -([0-9]{8})[0-9]{6}- ]] || fail "gvisor.dev/gvisor $version in build/$1/go.mod is not a pseudo-version with a date"
    printf '%s.0\n' "${BASH_REMATCH[1]}"
}

# What `go build` is asked for: the tools that go.mod names and the programs beside it.
go_targets() {
    local dir
    dir=$(source_dir "$1")
    if grep -q '^tool' "$dir/go.mod"; then echo tool; fi
    if [ -n "$(find "$dir" -name '*.go' -print -quit)" ]; then echo ./...; fi
}

# Upstream's names for programs that Go calls by the last part of their package's path.
rename_program() {
    local dir=$1 from=$2 to=$3
    if [ -e "$dir/$from" ]; then mv "$dir/$from" "$dir/$to"; fi
}

# Directory that a recipe is built in: its own, except for the add-ons. flannel's main package takes in a backend that
# needs cgo and one whose modules are not all to be had, so it is built from its own main.go without these two lines.
source_dir() {
    local recipe=$1 dir=$mirror_home/build/$1 scratch
    if [ "$recipe" = addons ]; then
        dir=$build_dir/source/$recipe-$({ declare -f source_dir && hash_of build/addons; } | sha256sum | cut -c1-12)
        if [ ! -e "$dir" ]; then
            scratch=$(mktemp -d "$dir.XXXXXX")
            cp -r "$mirror_home/build/$recipe/." "$scratch/"
            mkdir "$scratch/flanneld"
            sed -E '/"github.com\/flannel-io\/flannel\/pkg\/backend\/(udp|tencentvpc)"/d' \
                "$(module_dir "$recipe" github.com/flannel-io/flannel)/main.go" >"$scratch/flanneld/main.go"
            # Another stream may have been first.
            mv -T "$scratch" "$dir" 2>/dev/null || rm -rf "$scratch"
        fi
    fi
    printf '%s\n' "$dir"
}

# Where a module's files are, fetched if they are not there yet.
module_dir() {
    (cd "$mirror_home/build/$1" && GOFLAGS='' GOWORK=off GOTOOLCHAIN=local go mod download -json "$(module_path "$1" "$2")" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
}

go_in() {
    local recipe=$1 dir
    shift
    dir=$(source_dir "$recipe")
    (cd "$dir" && CGO_ENABLED=0 GOFLAGS='' GOWORK=off GOTOOLCHAIN=local nice -n 5 go "$@")
}

# Fetches a recipe's modules, so that they are there when the compiler wants them; a failure shows up there again.
prefetch() {
    local targets
    mapfile -t targets < <(go_targets "$1")
    go_in "$1" list -mod=readonly -deps "${targets[@]}" >/dev/null 2>&1 || true
}

build_programs() {
    local out=$1 recipe=$2 log=$build_dir/log/$2.log targets
    say "building $recipe"
    mapfile -t targets < <(go_targets "$recipe")
    # The linker drops what debuggers read; not writing it in the first place saves a tenth of the compiler's time.
    if ! go_in "$recipe" build -mod=readonly -trimpath -buildvcs=false -gcflags=all=-dwarf=false \
        -tags "$(build_tags "$recipe")" -ldflags "-s -w $(version_flags "$recipe")" -o "$out/" "${targets[@]}" >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        fail "go build of mirror/build/$recipe failed (all of it: $log). Modules come from GOPROXY=$(go env GOPROXY);" \
            "see that it is reached and run this again."
    fi
    case $recipe in
    etcd*) rename_program "$out" server etcd ;;
    gvisor*) rename_program "$out" shim containerd-shim-runsc-v1 ;;
    esac
}

recipe_key() {
    {
        hash_of "build/$1"
        go_version
        architecture
        declare -f version_flags build_tags build_programs go_in
    } | sha256sum | cut -d' ' -f1
}

# In a shell of its own, because containerd 1.x is told its version under another name.
build_recipe() (
    if [[ $1 == containerd-1.* ]]; then
        version_flags() {
            # shellcheck disable=SC2317 # it is reached for the recipes of 1.x
            printf -- '-X %s/version.Version=v%s' github.com/containerd/containerd "$(pinned "$1" github.com/containerd/containerd)"
        }
    fi
    part "$1" "$(recipe_key "$1")" build_programs
)

# Plain names in one directory, for whoever starts a program without a machine (tests of other parts do).
link_programs() {
    local recipe program
    mkdir -p "$build_dir/bin"
    for recipe in kubernetes etcd gvisor containerd addons; do
        for program in "$build_dir/parts/$recipe"/*; do
            ln -sfn "../parts/$recipe/${program##*/}" "$build_dir/bin/${program##*/}"
        done
    done
}

# program RECIPE ARCHITECTURE: path of a recipe's program for machines of that architecture; built if it is not there. Of all that
# a mirror needs it takes Go alone: it serves where packages and images come from elsewhere, too.
program() (
    local recipe=$1 target=$2 part=$1 key
    [ -e "$mirror_home/build/$recipe/go.mod" ] || fail "there is no recipe mirror/build/$recipe"
    [ "$target" = "$(dpkg --print-architecture 2>/dev/null)" ] || part=$recipe-$target
    architecture() { echo "$target"; }
    export GOOS=linux GOARCH=$target
    key=$(recipe_key "$recipe")
    if [ "$(cat "$build_dir/parts/$part/.key" 2>/dev/null)" != "$key" ]; then
        command -v go >/dev/null ||
            fail "Go is missing, which the program $recipe is built with: install Go $(sed -n 's/^go //p' "$mirror_home/build/$recipe/go.mod") or newer and put it on PATH"
        take_lock
        mkdir -p "$build_dir"/{log,parts}
        : >"$build_dir/progress"
        # shellcheck disable=SC2034,SC2317 # `part` uses them
        steps=1
        # shellcheck disable=SC2317
        for_target() { build_programs "$1" "$recipe"; }
        part "$part" "$key" for_target
    fi
    echo "$build_dir/parts/$part/$recipe"
)
