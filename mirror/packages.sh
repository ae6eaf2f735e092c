# Debian packages under upstream's names, versions and file layouts.
# shellcheck shell=bash

readonly kubernetes_maintainer="Kubernetes Authors <dev@kubernetes.io>"
readonly kubernetes_homepage="https://kubernetes.io"

# Version of each package as upstream writes it.
package_version() {
    case $1 in
    kubernetes-cni) echo "$(pinned cni github.com/containernetworking/plugins)-1.1" ;;
    cri-tools) echo "$(pinned addons sigs.k8s.io/cri-tools)-1.1" ;;
    esac
}

kubernetes_package_version() { echo "$(pinned "$1" k8s.io/kubernetes)-1.1"; }

containerd_package_version() {
    echo "$(pinned "$1" github.com/containerd/containerd/v2)-1~debian.12~bookworm"
}

# Builds OUT/NAME_VERSION_ARCH.deb from a tree that the caller filled. Fields of the control file come on stdin.
make_package() {
    local out=$1 tree=$2 name=$3 version=$4 script
    mkdir -p "$tree/DEBIAN"
    {
        printf 'Package: %s\nVersion: %s\nArchitecture: %s\nPriority: optional\n' "$name" "$version" "$(architecture)"
        printf 'Installed-Size: %s\n' "$(du -sk --apparent-size --exclude=DEBIAN "$tree" | cut -f1)"
        cat
    } >"$tree/DEBIAN/control"
    for script in postinst prerm postrm; do
        if [ -e "$mirror_home/files/$name/$script" ]; then
            install -m 755 "$mirror_home/files/$name/$script" "$tree/DEBIAN/$script"
        fi
    done
    if [ -d "$tree/etc" ]; then (cd "$tree" && find etc -type f ! -name '.*' -printf '/%p\n') >"$tree/DEBIAN/conffiles"; fi
    # Level 1 of zstd unpacks as fast as no compression at all, and is half to hash and to send.
    dpkg-deb --root-owner-group -Zzstd -z1 --build "$tree" "$out" >/dev/null
    rm -rf "$tree"
}

kubernetes_packages() {
    local out=$1 recipe=${2#deb-} tree=$1/tree programs version
    programs=$build_dir/parts/$recipe
    version=$(kubernetes_package_version "$recipe")
    install -D -m 755 "$programs/kubelet" "$tree/usr/bin/kubelet"
    install -D -m 644 "$mirror_home/files/kubelet/kubelet.service" "$tree/usr/lib/systemd/system/kubelet.service"
    install -D -m 644 "$mirror_home/files/kubelet/kubelet.default" "$tree/etc/default/kubelet"
    install -D -m 644 /dev/null "$tree/etc/kubernetes/manifests/.kubelet-keep"
    install -D -m 644 /dev/null "$tree/var/lib/kubelet/.kubelet-keep"
    make_package "$out" "$tree" kubelet "$version" <<CONTROL
Section: net
Maintainer: $kubernetes_maintainer
Homepage: $kubernetes_homepage
Depends: kubernetes-cni (>= 1.2.0), mount, util-linux
Recommends: iptables (>= 1.8.4)
Description: Node agent for Kubernetes clusters
CONTROL
    install -D -m 755 "$programs/kubeadm" "$tree/usr/bin/kubeadm"
    install -D -m 644 "$mirror_home/files/kubeadm/10-kubeadm.conf" \
        "$tree/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
    make_package "$out" "$tree" kubeadm "$version" <<CONTROL
Section: admin
Maintainer: $kubernetes_maintainer
Homepage: $kubernetes_homepage
Description: Command-line utility for administering a Kubernetes cluster
CONTROL
    install -D -m 755 "$programs/kubectl" "$tree/usr/bin/kubectl"
    make_package "$out" "$tree" kubectl "$version" <<CONTROL
Section: admin
Maintainer: $kubernetes_maintainer
Homepage: $kubernetes_homepage
Description: Command-line utility for interacting with a Kubernetes cluster
CONTROL
}

cri_tools_package() {
    local out=$1 tree=$1/tree
    install -D -m 755 "$build_dir/parts/addons/crictl" "$tree/usr/bin/crictl"
    make_package "$out" "$tree" cri-tools "$(package_version cri-tools)" <<CONTROL
Section: admin
Maintainer: $kubernetes_maintainer
Homepage: $kubernetes_homepage
Description: Command-line utility for interacting with a container runtime
CONTROL
}

cni_package() {
    local out=$1 tree=$1/tree
    install -D -m 755 -t "$tree/opt/cni/bin" "$build_dir/parts/cni"/*
    install -D -m 644 /dev/null "$tree/etc/cni/net.d/.kubernetes-cni-keep"
    make_package "$out" "$tree" kubernetes-cni "$(package_version kubernetes-cni)" <<CONTROL
Section: net
Maintainer: $kubernetes_maintainer
Homepage: $kubernetes_homepage
Description: Binaries required to provision kubernetes container networking
CONTROL
}

# runc is Debian's: it cannot be built without cgo and libseccomp's headers.
containerd_package() {
    local out=$1 recipe=${2#deb-} tree=$1/tree
    install -D -m 755 -t "$tree/usr/bin" "$build_dir/parts/$recipe"/{containerd,containerd-shim-runc-v2,ctr}
    fetch_packages "$out/debs" runc
    dpkg-deb --fsys-tarfile "$out"/debs/runc_*.deb | tar -x -C "$out/debs" ./usr/sbin/runc
    install -m 755 "$out/debs/usr/sbin/runc" "$tree/usr/bin/runc"
    rm -rf "$out/debs"
    install -d "$tree/usr/lib/systemd/system"
    sed 's#/usr/local/bin/#/usr/bin/#' "$(module_dir "$recipe" github.com/containerd/containerd/v2)/containerd.service" \
        >"$tree/usr/lib/systemd/system/containerd.service"
    install -D -m 644 "$mirror_home/files/containerd.io/config.toml" "$tree/etc/containerd/config.toml"
    make_package "$out" "$tree" containerd.io "$(containerd_package_version "$recipe")" <<CONTROL
Section: devel
Maintainer: Containerd team <help@containerd.io>
Homepage: https://containerd.io
Depends: libc6 (>= 2.34), libseccomp2 (>= 2.5.0)
Provides: containerd, runc
Conflicts: containerd, runc
Replaces: containerd, runc
Description: An open and reliable container runtime
CONTROL
}

gvisor_package() {
    local out=$1 recipe=${2#deb-} tree=$1/tree programs
    programs=$build_dir/parts/$recipe
    install -D -m 755 -t "$tree/usr/bin" "$programs"/{runsc,containerd-shim-runsc-v1}
    if [ -e "$programs/gvisor_sentry" ]; then
        install -D -m 755 "$programs/gvisor_sentry" "$tree/usr/bin/gvisor-bin/gvisor_sentry"
    fi
    install -D -m 644 "$mirror_home/files/runsc/runsc.toml" "$tree/etc/containerd/runsc.toml"
    make_package "$out" "$tree" runsc "$(gvisor_release "$recipe")" <<CONTROL
Section: contrib/devel
Maintainer: The gVisor Authors <gvisor-dev@googlegroups.com>
Homepage: https://gvisor.dev/
Description: gVisor container sandbox runtime
CONTROL
}

# Each package is made again when its programs, its files or this recipe change.
build_package() {
    local recipe=$1 make=$2 key
    key=$({
        cat "$build_dir/parts/$recipe/.key"
        hash_of files packages.sh
    } | sha256sum | cut -d' ' -f1)
    part "deb-$recipe" "$key" "$make"
}
