# What has to be true before a build; all complaints at once.
# shellcheck shell=bash

pin_of() { node -p "require('$project/versions.json').$1"; }

complain_unless_same() {
    local what=$1 wanted=$2 recipe=$3 actual=$4
    if [ "$wanted" != "$actual" ]; then
        echo "versions.json pins $what $wanted, mirror/build/$recipe/go.mod has $actual: change go.mod and run \`go mod tidy\` there"
    fi
}

pin_complaints() {
    local recipe
    complain_unless_same Kubernetes "$(pin_of kubernetes.version)" kubernetes "$(pinned kubernetes k8s.io/kubernetes)"
    kubernetes_complaints kubernetes etcd addons
    for recipe in $(extra_recipes kubernetes); do kubernetes_complaints "$recipe" "$recipe" "$recipe"; done
    complain_unless_same containerd "$(pin_of containerd.version)" containerd "$(pinned containerd github.com/containerd/containerd/v2)"
    complain_unless_same gVisor "$(pin_of gvisor.module)" gvisor "v$(pinned gvisor gvisor.dev/gvisor)"
    complain_unless_same flannel "$(pin_of flannel.version)" addons "$(pinned addons github.com/flannel-io/flannel)"
    complain_unless_same kube-router "$(pin_of kubeRouter.version)" addons "$(pinned addons github.com/cloudnativelabs/kube-router/v2)"
}

# What goes with a recipe's Kubernetes, against the row of that minor release.
kubernetes_complaints() {
    local version etcd=$2 coredns=$3 row image
    version=$(pinned "$1" k8s.io/kubernetes)
    row="kubernetes.releases['${version%.*}']"
    if [ "$(pin_of "$row")" = undefined ]; then
        echo "versions.json has no kubernetes.releases[\"${version%.*}\"], which mirror/build/$1 builds: add what its kubeadm asks for"
        return
    fi
    image=$(pin_of "$row.etcd")
    complain_unless_same "etcd (image tag $image) of Kubernetes ${version%.*}" "${image%-*}" "$etcd" "$(pinned "$etcd" go.etcd.io/etcd/server/v3)"
    complain_unless_same "CoreDNS of Kubernetes ${version%.*}" "$(pin_of "$row.coredns")" "$coredns" "$(pinned "$coredns" github.com/coredns/coredns)"
}

go_complaints() {
    local newest recipe
    newest=$(recipes | while read -r recipe; do sed -n 's/^go //p' "$mirror_home/build/$recipe/go.mod"; done | sort -V | tail -n 1)
    if ! command -v go >/dev/null; then
        echo "Go is missing: the mirror's programs are built from their Go modules. Install Go $newest or newer and put it on PATH"
        return
    fi
    if [ "$(printf '%s\n%s\n' "$newest" "$(go_version | sed 's/^go//')" | sort -V | head -n 1)" != "$newest" ]; then
        echo "Go is $(go_version), too old: $newest or newer is needed (mirror/build/*/go.mod)"
    fi
}

tool_complaints() {
    local tool
    for tool in dpkg-deb:dpkg apt-ftparchive:apt-utils gpg:gnupg gpgconf:gnupg gpgv:gpgv tar:tar flock:util-linux zstd:zstd; do
        if ! command -v "${tool%:*}" >/dev/null; then echo "${tool%:*} is missing: apt-get install ${tool#*:}"; fi
    done
}

# Space that a build from nothing takes: parts and mirror, modules, compiler's cache. They may lie on one file system.
disk_complaints() {
    local dir gib free mount
    local -A needed=() named=()
    # With the largest part there, only packages and archives are left to write.
    if [ -e "$build_dir/parts/kubernetes/.key" ]; then return; fi
    while read -r gib dir; do
        until [ -d "$dir" ]; do dir=$(dirname "$dir"); done
        mount=$(df --output=target "$dir" | tail -n 1)
        needed[$mount]=$((${needed[$mount]:-0} + gib))
        named[$mount]+=" $dir"
    done <<<"2 $build_dir
3 $(go env GOMODCACHE 2>/dev/null || echo /)
6 $(go env GOCACHE 2>/dev/null || echo /)"
    for mount in "${!needed[@]}"; do
        free=$(($(df --output=avail -k "$mount" | tail -n 1) / 1024 / 1024))
        if [ "$free" -lt "${needed[$mount]}" ]; then
            echo "$mount has $free GiB free, a first build needs ${needed[$mount]} GiB there (${named[$mount]# }): make room," \
                "or set MIRROR_BUILD_DIR, GOMODCACHE or GOCACHE"
        fi
    done
}

preflight() {
    local complaints complaint
    complaints=$(
        go_complaints
        tool_complaints
        disk_complaints
        pin_complaints
    )
    if [ -n "$complaints" ]; then
        say "the mirror cannot be built:"
        while read -r complaint; do say "  - $complaint"; done <<<"$complaints"
        exit 1
    fi
}
