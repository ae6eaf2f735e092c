# shellcheck shell=bash disable=SC2034
# What this program remembers on a machine, so that it can be removed:
#
# files        paths of the configuration that it has written, or is about to write
# loaded       hash of the configuration that containerd has started with
# installed    an installation has come through; one that fails before is taken back
# package      version of the package runsc that was there before; empty for none
# held         that one was on hold
# programs     sizes and times of gVisor's programs, to see whether they were exchanged
# original/    what stood at a path before, or PATH.absent
# backup.*/    the configuration that containerd runs with, while another one is being taken into use
# scripts/     what removes all of it
readonly state=/var/lib/runtime-sandboxes

# keep FILE...: remembers what stood there before this program came, once.
keep() {
    local file original
    for file in "$@"; do
        original=$state/original$file
        [[ ! -e $original && ! -L $original && ! -e $original.absent ]] || continue
        mkdir -p "$(dirname "$original")"
        # In one rename: half a copy must never be given back. A link is kept as one, also where it leads nowhere.
        if [[ -e $file || -L $file ]]; then cp -pP "$file" "$original.new" && mv -T "$original.new" "$original"; else : >"$original.absent"; fi
    done
}

# give_back FILE: as it was before this program came.
give_back() {
    local original=$state/original$1
    if [[ -e $original || -L $original ]]; then
        mkdir -p "$(dirname "$1")"
        cp -pP "$original" "$1.runtime-sandboxes" && mv -T "$1.runtime-sandboxes" "$1"
    elif [[ -e $original.absent ]]; then
        rm -f "$1" "$1.runtime-sandboxes"
    fi
}

# Keeps the scripts that remove all this, for a time when the machine's other copy is gone.
keep_removal() {
    rm -rf $state/scripts.new
    mkdir $state/scripts.new
    # shellcheck disable=SC2046,SC2154 # names without blanks; what calls the scripts has set where they are: components/machineScripts.ts
    (cd "$scripts" && cp removal $(<removal) $state/scripts.new)
    rm -rf $state/scripts
    mv $state/scripts.new $state/scripts
}

# Takes over what version 0.1.0 has put on the machine, which kept no record: nothing of it was there before.
adopt() {
    local file
    [[ ! -d $state && -e $early_drop_in ]] && is_early "$early_drop_in" || return 0
    rm -rf $state.new
    mkdir -m 700 $state.new
    touch $state.new/{package,installed}
    for file in "${registration[@]}" "$early_drop_in" "$early_options"; do
        install -D -m 644 /dev/null "$state.new/original$file.absent"
    done
    printf '%s\n' "$early_drop_in" "$early_options" >$state.new/files
    mv $state.new $state
    log "took over what an earlier version of this program has installed"
}
