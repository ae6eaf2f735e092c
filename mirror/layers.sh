# Root file systems for images: Debian packages unpacked, not installed. No maintainer script runs, no root is needed,
# and what two layers share stays out of the upper one.
# shellcheck shell=bash

readonly base_packages=(base-files base-passwd bash coreutils dash grep hostname libc6 sed util-linux)
readonly network_packages=(conntrack iproute2 ipset iptables kmod nftables)
readonly nginx_packages=(nginx)

# Needed by maintainer scripts only, or by parts that no image calls.
readonly unwanted_packages='^(debconf|dpkg|tar|gcc-12-base|libaudit-common|libdb5.3|libdebconfclient0|util-linux-extra)_'

# Downloads packages and all that they depend on into a directory, signatures checked, from the machine's own APT sources.
# The machine's lists may be missing or name packages that are gone: then lists of the mirror's own are fetched.
fetch_packages() {
    local into=$1 log=$build_dir/log/${1##*/parts/}
    shift
    log=${log%%.new/*}.apt.log
    mkdir -p "$into/partial" "$build_dir/apt-lists/partial"
    # With no package installed apt fetches every dependency.
    : >"$into/status"
    local options=(-qq -y -o Dir::State::status="$into/status" -o Dir::Cache::archives="$into" -o Dir::Cache::pkgcache=''
        -o Dir::Cache::srcpkgcache='' -o APT::Keep-Downloaded-Packages=true -o APT::Install-Recommends=false
        -o Debug::NoLocking=true -o APT::Sandbox::User=root)
    if apt-get "${options[@]}" --download-only install "$@" >"$log" 2>&1; then return; fi
    options+=(-o Dir::State::lists="$build_dir/apt-lists")
    if ! { apt-get "${options[@]}" update && apt-get "${options[@]}" --download-only install "$@"; } >>"$log" 2>&1; then
        tail -n 5 "$log" >&2
        fail "apt-get cannot fetch $* from this machine's APT sources, see $log"
    fi
}

# Unpacks into ROOT the packages below DEBS that are not in BELOW.
unpack_packages() {
    local debs=$1 root=$2 below=${3:-} deb name link
    for link in bin sbin lib lib64; do
        mkdir -p "$root/usr/$link"
        ln -s "usr/$link" "$root/$link"
    done
    for deb in "$debs"/*.deb; do
        name=${deb##*/}
        if [[ $name =~ $unwanted_packages || ( -n $below && -e $below/$name ) ]]; then continue; fi
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink --no-same-owner \
            --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' \
            --exclude='./usr/share/info/*' --exclude='./usr/share/lintian/*' --exclude='./usr/share/bash-completion/*' \
            --exclude='./lib/systemd/*' --exclude='./usr/lib/systemd/*' --exclude='./usr/share/bug/*'
    done
    # Files of another user or a set-uid bit mean nothing where everything runs as root.
    find "$root" -type f -perm /6000 -exec chmod a-s {} +
}

# The links to merged /usr belong to the lowest layer.
drop_merged_links() { rm "$1/bin" "$1/sbin" "$1/lib" "$1/lib64"; }

base_layer() {
    local out=$1 root=$1/root
    fetch_packages "$out/debs" "${base_packages[@]}"
    unpack_packages "$out/debs" "$root"
    # What the maintainer scripts of these packages would have done.
    cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
    cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
    printf "passwd: files\ngroup: files\nhosts: files dns\n" >"$root/etc/nsswitch.conf"
    rm -rf "${root:?}/usr/share"
    mkdir -p "$root"/{dev,etc,proc,root,run,sys,tmp,var/log,var/tmp}
    chmod 1777 "$root/tmp" "$root/var/tmp"
    tar_layer "$out" "$root"
}

network_layer() {
    local out=$1 root=$1/root name
    fetch_packages "$out/debs" "${base_packages[@]}" "${network_packages[@]}"
    unpack_packages "$out/debs" "$root" "$build_dir/parts/layer-base/debs"
    for name in {iptables,ip6tables}{,-save,-restore}; do
        install -m 755 "$mirror_home/files/image/iptables" "$root/usr/sbin/$name"
    done
    drop_merged_links "$root"
    tar_layer "$out" "$root"
}

nginx_layer() {
    local out=$1 root=$1/root
    fetch_packages "$out/debs" "${base_packages[@]}" "${nginx_packages[@]}"
    unpack_packages "$out/debs" "$root" "$build_dir/parts/layer-base/debs"
    mkdir -p "$root"/var/log/nginx "$root"/var/lib/nginx "$root"/etc/nginx/conf.d
    rm -rf "$root"/etc/nginx/sites-enabled
    install -m 644 "$mirror_home/files/image/nginx.conf" "$root/etc/nginx/conf.d/default.conf"
    ln -sf /dev/stdout "$root/var/log/nginx/access.log"
    ln -sf /dev/stderr "$root/var/log/nginx/error.log"
    drop_merged_links "$root"
    tar_layer "$out" "$root"
}

# Programs in the images of a Kubernetes version, as "IMAGE RECIPE/PROGRAM PATH". The recipe of a further version holds all
# that its kubeadm asks for, and its images carry the version in their names.
programs_of_kubernetes() {
    local recipe=$1 suffix=${1#kubernetes} etcd=etcd/etcd etcdctl=etcd/etcdctl coredns=addons/coredns
    if [ -n "$suffix" ]; then etcd=$recipe/server etcdctl=$recipe/etcdctl coredns=$recipe/coredns; fi
    cat <<LIST
kube-apiserver$suffix $recipe/kube-apiserver /usr/local/bin/kube-apiserver
kube-controller-manager$suffix $recipe/kube-controller-manager /usr/local/bin/kube-controller-manager
kube-scheduler$suffix $recipe/kube-scheduler /usr/local/bin/kube-scheduler
kube-proxy$suffix $recipe/kube-proxy /usr/local/bin/kube-proxy
etcd$suffix $etcd /usr/local/bin/etcd
etcd$suffix $etcdctl /usr/local/bin/etcdctl
coredns$suffix $coredns /coredns
LIST
}

# Those of the images that every version takes.
common_programs() {
    cat <<LIST
pause pause/pause /pause
flannel addons/flanneld /opt/bin/flanneld
flannel-cni-plugin flannel-cni/flannel /flannel
kube-router addons/kube-router /usr/local/bin/kube-router
LIST
}

programs_of_images() {
    local recipe
    common_programs
    for recipe in $(kubernetes_recipes); do programs_of_kubernetes "$recipe"; done
}

# The layer with an image's own programs; the part is called layer-IMAGE.
program_layer() {
    local out=$1 wanted=${2#layer-} image program path
    while read -r image program path; do
        if [ "$image" = "$wanted" ]; then install -D -m 755 "$build_dir/parts/$program" "$out/root$path"; fi
    done < <(programs_of_images)
    tar_layer "$out" "$out/root"
}

program_layers_of() {
    local recipe=$1 image program path key
    key=$({
        cat "$build_dir/parts/$recipe/.key"
        declare -f programs_of_kubernetes common_programs program_layer tar_layer
    } | sha256sum | cut -d' ' -f1)
    for image in $(programs_of_images | awk -v recipe="$recipe" '$2 ~ "^" recipe "/" {print $1}' | sort -u); do
        part "layer-$image" "$key" program_layer
    done
}

# Debian's part of the images. A newer package in Debian does not make these stale; `mirror.sh clean` does.
debian_layers() {
    local key
    key=$({
        architecture
        hash_of files/image layers.sh
    } | sha256sum | cut -d' ' -f1)
    part layer-base "$key" base_layer
    # What stays out of the upper layers depends on what the lowest one holds.
    key=$key-$(cut -c1-12 "$build_dir/parts/layer-base/digest")
    part layer-network "$key" network_layer
    part layer-nginx "$key" nginx_layer
}

# Leaves layer.tar.zst, its digest and the digest of what is inside. Compressed layers import faster than plain ones:
# containerd writes less into its content store (a worker's images 1.2 s instead of 1.7 s, a control plane's 3 s instead
# of 4.6 s), and a third is left to send.
tar_layer() {
    local out=$1 root=$2
    tar --create --file "$out/layer.tar" --directory "$root" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner \
        --mtime="@$SOURCE_DATE_EPOCH" .
    rm -rf "$root"
    sha256sum <"$out/layer.tar" | cut -d' ' -f1 >"$out/diff-id"
    zstd --quiet --rm -1 "$out/layer.tar"
    sha256sum <"$out/layer.tar.zst" | cut -d' ' -f1 >"$out/digest"
    # Names of the packages are asked for later, their contents are not.
    if [ -d "$out/debs" ]; then find "$out/debs" -name '*.deb' -exec truncate -s 0 {} +; fi
}
