#!/usr/bin/env bash
# One of upstream's repositories: the mirror's packages in upstream's layout, signed with a key of its own.
# usage: repository.sh kubernetes|containerd|gvisor DIRECTORY KEY_FILE SUITE (environment: MIRROR_KEY_DIR)
# DIRECTORY is what upstream serves the repository at, KEY_FILE where it serves the key, SUITE the suite or the branch.
# Prints the key's fingerprint.
set -euo pipefail
repository=$1 root=$2 key=$3 suite=$4
library=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../../mirror" && pwd)
# shellcheck source=../../../mirror/lib.sh
source "$library/lib.sh"
# shellcheck source=../../../mirror/repository.sh
source "$library/repository.sh"

debs() { find "$mirror_dir/apt/$repository" -name '*.deb'; }

place() {
    local arch release deb version placed
    arch=$(architecture)
    mkdir -p "$root"
    case $repository in
    kubernetes)
        release=$root
        debs | xargs install -D -m 644 -t "$root/$arch"
        index_packages "$root" "$arch" .
        ;;
    containerd)
        release=$root/dists/$suite
        debs | xargs install -D -m 644 -t "$release/pool/stable/$arch"
        index_packages "$root" "dists/$suite/pool/stable/$arch" "dists/$suite/stable/binary-$arch"
        ;;
    gvisor)
        release=$root/dists/$suite
        # gVisor signs its packages too, with dpkg-sig, which adds a member that apt and dpkg pass over.
        echo signature >"$root/_gpgbuilder"
        while read -r deb; do
            version=$(dpkg-deb --field "$deb" Version)
            placed=$root/pool/$version/binary-$arch/runsc_${version}_$arch.deb
            install -D -m 644 "$deb" "$placed"
            ar q "$placed" "$root/_gpgbuilder"
        done < <(debs)
        rm "$root/_gpgbuilder"
        index_packages "$root" pool "dists/$suite/main/binary-$arch"
        ;;
    esac
    write_release "$release" "$repository" "$suite" "$([[ $repository == gvisor ]] && echo main || echo stable)"
    sign_release "$release"
    mkdir -p "$(dirname "$key")"
    gpg --batch --quiet --armor --export >"$key"
    gpg --batch --quiet --no-auto-check-trustdb --with-colons --list-keys | awk -F: '$1 == "fpr" { print $10; exit }'
}

with_key place
