# shellcheck shell=bash
# gVisor's programs as an archive of one release, for machines without APT: https://gvisor.dev/docs/user_guide/install/

# Unpacked beside the old one, which a link then leaves.
archive_programs() {
    local home=$archives/$RUNSC_VERSION
    [[ $(cat "$home/.sha512" 2>/dev/null) == "$ARCHIVE_SHA512" ]] || unpack_archive "$home"
    link_programs "$home"
    hash -r
}

unpack_archive() {
    local home=$1 scratch=$archives/.new found program
    rm -rf "$scratch"
    mkdir -p "$archives"
    mkdir -m 700 "$scratch"
    mkdir "$scratch/tree"
    fetch "$ARCHIVE_URL" "$scratch/archive"
    found=$(sha512sum <"$scratch/archive" | cut -d' ' -f1)
    [[ $found == "$ARCHIVE_SHA512" ]] ||
        die "$ARCHIVE_URL has the SHA-512 $found, expected $ARCHIVE_SHA512; nothing was changed." \
            "It begins with: $(head -c 60 "$scratch/archive" | tr -cd '[:print:]')"
    tar -xf "$scratch/archive" -C "$scratch/tree" ||
        die "$ARCHIVE_URL cannot be unpacked; nothing was changed. tar needs bzip2 or zstd for it"
    for program in "${programs[@]}"; do
        [[ -f $scratch/tree/$program ]] || die "$ARCHIVE_URL holds no $program; nothing was changed"
    done
    found=$("$scratch/tree/runsc" --version) ||
        die "runsc of $ARCHIVE_URL does not run here; nothing was changed$(noexec "$archives")"
    # What is known against a release was judged by its name.
    [[ $found == *"$RUNSC_VERSION"* ]] ||
        die "$ARCHIVE_URL holds ${found%%$'\n'*}, not the $RUNSC_VERSION that gvisorVersion says; nothing was changed"
    printf '%s\n' "$ARCHIVE_SHA512" >"$scratch/tree/.sha512"
    chmod -R go+rX "$scratch/tree"
    rm -rf "$home"
    mv "$scratch/tree" "$home"
    rm -rf "$scratch"
    log "installed gVisor $RUNSC_VERSION in $home"
}

discard_unpacked() { [[ ! -e $archives/.new ]] || { rm -rf "$archives/.new" && rmdir "$archives" 2>/dev/null; } || true; }

# link_programs DIRECTORY: what stands in /usr/local/bin leads there.
link_programs() {
    local program
    for program in "${programs[@]}"; do
        keep "/usr/local/bin/$program"
        [[ $(readlink "/usr/local/bin/$program") == "$1/$program" ]] || {
            ln -sfn "$1/$program" "/usr/local/bin/.$program.new"
            mv -T "/usr/local/bin/.$program.new" "/usr/local/bin/$program"
        }
    done
}

# Archives that are not wanted any more.
drop_archives() {
    [[ -e $archives ]] || return 0
    if [[ $METHOD == apt ]]; then remove_archives; else find "$archives" -mindepth 1 -maxdepth 1 ! -name "$RUNSC_VERSION" -exec rm -rf {} +; fi
    programs_stamp >"$state/programs"
}

remove_archives() {
    local program
    for program in "${programs[@]}"; do give_back "/usr/local/bin/$program"; done
    rm -rf "$archives"
    hash -r
}
