# shellcheck shell=bash disable=SC2034
# gVisor's programs, whatever way they come: METHOD is apt (/usr/bin) or archive (/usr/local/bin).

readonly programs=(runsc containerd-shim-runsc-v1)
readonly archives=/opt/gvisor
readonly registration=(/etc/apt/sources.list.d/gvisor.list /usr/share/keyrings/gvisor-archive-keyring.gpg)
# Where containerd looks for shims, in this order (systemd.exec(5), $PATH).
readonly search_path=(/usr/local/sbin /usr/local/bin /usr/sbin /usr/bin)

program_directory() { if [[ $METHOD == apt ]]; then echo /usr/bin; else echo /usr/local/bin; fi; }

# Programs of gVisor that are found before those of METHOD, one path a line: a shim that stands before ours is the one that
# containerd starts, whatever release it is of.
shadows() {
    local directory program path
    for directory in "${search_path[@]}"; do
        [[ $directory != $(program_directory) ]] || return 0
        for program in "${programs[@]}"; do
            path=$directory/$program
            if [[ $(readlink -f "$path") == @($archives|/usr/bin)/* ]]; then
                # Ours. What it stands in for comes back when the package takes over.
                [[ ! -e $state/original$path ]] || echo "$path (as it was)"
            elif [[ -e $path || -L $path ]]; then
                echo "$path"
            fi
        done
    done
}

install_programs() {
    local program
    mkdir -p "$state"
    chmod 700 "$state"
    keep_removal
    [[ -e $state/package ]] || {
        if on_hold; then : >"$state/held"; fi
        installed_version runsc >"$state/package"
    }
    "${METHOD}_programs"
    for program in "${programs[@]}"; do
        [[ -x $(program_directory)/$program ]] || die "gVisor $RUNSC_VERSION brought no $program"
    done
    programs_stamp >"$state/programs"
}

# Size and times of each program: tells quickly that none was exchanged since.
programs_stamp() {
    local program path real paths=()
    for program in "${programs[@]}"; do
        path=$(command -v "$program") || continue
        real=$(readlink -f "$path")
        paths+=("$path" "${real%/*}"/gvisor-bin/*)
    done
    ((${#paths[@]} == 0)) || stat -Lc "%n %s %Y %Z" "${paths[@]}" 2>/dev/null || true
}

are_as_installed() { [[ $(programs_stamp) == "$(cat "$state/programs" 2>/dev/null)" ]]; }

# noexec DIRECTORY: goes on in a message with why nothing runs there, if its file system is mounted so.
noexec() {
    local mount
    mount=$(findmnt --raw --noheadings --output OPTIONS,TARGET --target "$1" | tail -n 1) # the one on top
    [[ ,${mount%% *}, != *,noexec,* ]] || echo ". ${mount#* } is mounted noexec, so nothing runs in $1"
}
