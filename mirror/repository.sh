# Signed APT repositories in the shapes of pkgs.k8s.io, Docker's and gVisor's.
# shellcheck shell=bash

# The key pair is made once and kept: machines know its fingerprint. gpg's own home is a short-lived directory with a
# short path, because a socket's path below a deep project would be too long for it.
with_key() (
    # gpg's agent outlives a killed build and must not keep the build's lock.
    exec 9>&-
    GNUPGHOME=$(mktemp -d /tmp/mirror-gpg.XXXXXX)
    export GNUPGHOME
    trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT
    if [ ! -e "$key_dir/secret.asc" ]; then
        (
            umask 077
            mkdir -p "$key_dir"
            reply=$(gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key \
                'Package mirror <mirror@localhost>' ed25519 sign never 2>&1) || fail "no key pair could be made: $reply"
            gpg --batch --quiet --armor --export-secret-keys >"$key_dir/secret.asc.new"
            mv "$key_dir/secret.asc.new" "$key_dir/secret.asc"
        )
    else
        reply=$(gpg --batch --quiet --import "$key_dir/secret.asc" 2>&1) ||
            fail "the key in $key_dir/secret.asc cannot be read: $reply. Put the right one back; a new one, after removing that" \
                "file, is one that no machine with packages of this mirror trusts"
    fi
    "$@"
)

sign_release() {
    gpg --batch --quiet --yes --clearsign --output "$1/InRelease" "$1/Release"
    gpg --batch --quiet --yes --armor --detach-sign --output "$1/Release.gpg" "$1/Release"
}

# Writes Packages and Packages.gz below ROOT for the packages in POOL.
index_packages() {
    local root=$1 pool=$2 index=$3
    mkdir -p "$root/$index"
    (cd "$root" && apt-ftparchive packages "$pool" >"$index/Packages")
    gzip -9 -n -k -f "$root/$index/Packages"
}

# usage: write_release DIRECTORY ORIGIN SUITE COMPONENTS
write_release() {
    local dir=$1 scratch
    # apt-ftparchive would list the file that it is writing.
    scratch=$(mktemp)
    (cd "$dir" && apt-ftparchive -o APT::FTPArchive::Release::Origin="$2" -o APT::FTPArchive::Release::Label="$2" \
        -o APT::FTPArchive::Release::Suite="$3" -o APT::FTPArchive::Release::Codename="$3" \
        -o APT::FTPArchive::Release::Components="$4" -o APT::FTPArchive::Release::Architectures="$(architecture)" \
        release . >"$scratch")
    install -m 644 "$scratch" "$dir/Release"
    rm -f "$scratch"
}

place_packages() {
    local into=$1 recipe
    shift
    mkdir -p "$into"
    for recipe in "$@"; do ln -f "$build_dir/parts/deb-$recipe"/*.deb "$into/"; done
}

extra_recipes() {
    local extra
    for extra in ${MIRROR_EXTRA:-}; do
        if [[ $extra == "$1"-* ]]; then printf '%s\n' "$extra"; fi
    done
}

# One recipe for each Kubernetes version that the mirror holds, the pinned one first.
kubernetes_recipes() {
    echo kubernetes
    extra_recipes kubernetes
}

# Fills OUT/apt and OUT/archive.key; runs inside with_key.
write_repositories() {
    local out=$1 arch release extras
    arch=$(architecture)
    gpg --batch --quiet --armor --export >"$out/archive.key"
    gpg --batch --quiet --no-auto-check-trustdb --with-colons --list-keys | awk -F: '$1 == "fpr" {print $10; exit}' >"$out/fingerprint"

    mapfile -t extras < <(kubernetes_recipes)
    place_packages "$out/apt/kubernetes/$arch" "${extras[@]}" addons cni
    index_packages "$out/apt/kubernetes" "$arch" .
    write_release "$out/apt/kubernetes" kubernetes stable ''
    sign_release "$out/apt/kubernetes"

    mapfile -t extras < <(extra_recipes containerd)
    place_packages "$out/apt/containerd/dists/bookworm/pool/stable/$arch" containerd "${extras[@]}"
    index_packages "$out/apt/containerd" "dists/bookworm/pool/stable/$arch" "dists/bookworm/stable/binary-$arch"
    write_release "$out/apt/containerd/dists/bookworm" containerd bookworm stable
    sign_release "$out/apt/containerd/dists/bookworm"

    mapfile -t extras < <(extra_recipes gvisor)
    place_packages "$out/apt/gvisor/pool" gvisor "${extras[@]}"
    index_packages "$out/apt/gvisor" pool "dists/release/main/binary-$arch"
    release=$out/apt/gvisor/dists/release
    write_release "$release" gvisor release main
    sign_release "$release"
}

# Images carry no signature of their own: the index lists the digest of every file of the mirror, and is signed.
sign_index() {
    gpg --batch --quiet --yes --armor --detach-sign --output "$1/index.json.asc" "$1/index.json"
}
