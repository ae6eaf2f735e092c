# shellcheck shell=bash
# Our part of containerd's configuration: what differs from what is wanted, a trial of that, and the change to it.

# Our files: the paths in order, and the text of each.
own_paths=()
declare -A own_texts=()
while IFS= read -r line; do
    if [[ $line == "==> "* ]]; then
        own_paths+=("${line#==> }")
        own_texts[${line#==> }]=''
    else
        own_texts[${own_paths[-1]}]+=$line$'\n'
    fi
done <<<"$FILES"
readonly own_paths own_texts

own_files() { printf '%s\n' "${own_paths[@]}"; }
own_text() { printf '%s' "${own_texts[$1]}"; }

# The root file with our lines, as applyRoot of components/gvisor/containerdConfig.ts has checked it.
root_text() {
    local hidden='^$'
    # An empty list of imports gives way to ours.
    [[ $ROOT_HEAD != *"imports ="* ]] || hidden='^imports = \[\]$'
    [[ -z $ROOT_HEAD ]] || printf '%s\n%s\n%s\n' "$mark_begin" "$ROOT_HEAD" "$mark_end"
    without_marked "$ROOT_FILE" | sed -e "/./s/$hidden/$mask&/" -e "\$a\\" # ends in a newline
    [[ -z $ROOT_TAIL ]] || printf '%s\n%s\n%s\n' "$mark_begin" "$ROOT_TAIL" "$mark_end"
}

# FILE, tab, and how it is not as wanted: each of ours, those that are not wanted any more, and the root file.
differing_files() {
    local file text
    for file in "${own_paths[@]}"; do
        if [[ ! -e $file ]]; then
            echo "$file"$'\t'"is missing"
        elif IFS= read -r -d '' text <"$file" || [[ $text != "${own_texts[$file]}" ]]; then
            echo "$file"$'\t'"is not as wanted"
        fi
    done
    [[ ! -e $state/files ]] || while read -r file; do
        [[ -n ${own_texts[$file]+own} ]] || echo "$file"$'\t'"is not wanted any more"
    done <"$state/files"
    if [[ -n $ROOT_HEAD$ROOT_TAIL ]] || grep -qsx "$mark_begin" "$ROOT"; then
        cmp -s "$ROOT" <(root_text) || echo "$ROOT"$'\t'"are not as wanted"
    fi
}

# Makes all files as wanted; sets `restart` to yes where containerd reads one of them when it starts.
write_configuration() {
    local differing file
    mapfile -t differing < <(differing_files)
    for file in "${differing[@]%%$'\t'*}"; do
        if [[ $file == "$ROOT" ]]; then
            write_if_changed "$(place_of "$ROOT_FILE")" "$(stat -c %a "$ROOT_FILE" 2>/dev/null || echo 644)" < <(root_text)
        elif [[ -n ${own_texts[$file]+own} ]]; then
            write_if_changed "$(place_of "$file")" 644 < <(own_text "$file")
        else
            rm -f "$(place_of "$file")"
            log "removed $file"
        fi
        ! is_read_at_start "$file" || restart=yes
    done
}

# Where a file is written: in a copy of its directory, while the configuration is tried.
declare -A copies=()
place_of() { echo "${copies[${1%/*}]-${1%/*}}/${1##*/}"; }

configuration_files() {
    own_files
    cat "$state/files" 2>/dev/null || true
    [[ $keeper == k0s ]] || echo "$ROOT_FILE" # that one is k0s's
}

# What containerd reads when it starts, of ours; and where the shim is, because it looks for that only once.
configuration_hash() {
    local file
    {
        for file in "${own_paths[@]}"; do [[ $file != */"$own_drop_in" ]] || own_text "$file"; done
        printf '%s\n' "$ROOT_HEAD" "$ROOT_TAIL" "$(program_directory)/containerd-shim-runsc-v1"
    } | sha256sum | cut -d' ' -f1
}

is_loaded() { [[ $(cat "$state/loaded" 2>/dev/null) == "$(configuration_hash)" ]]; }

# Our handlers that are not among those of stdin, which are in order.
missing_handlers() { comm -23 <(sort <<<"$HANDLERS") -; }

configure() {
    local backup=$state/backup.${BASIS:0:16} restart=no
    put_by "$backup"
    # What a run that was cut off has left beside those that are as wanted again.
    configuration_files | sed 's/$/.runtime-sandboxes/' | xargs -r -d '\n' rm -f
    { cat "$state/files" 2>/dev/null || true; own_files; } | sort -u >"$state/files.new"
    mv "$state/files.new" "$state/files" # before the files: what is written is known
    write_configuration
    own_files >"$state/files"
    if [[ $restart == yes ]] || ! is_loaded || [[ -n $(loaded_handlers | missing_handlers) ]]; then
        take_into_use "$backup"
    fi
    rm -rf "$state"/backup.*
}

# put_by BACKUP: copies the configuration that containerd runs with. What a run that was cut off before its restart has put by
# is what it still runs with.
put_by() {
    local file files
    mapfile -t files < <(configuration_files | sort -u)
    keep "${files[@]}"
    [[ ! -d $1 ]] || return 0
    rm -rf "$state"/backup.*
    mkdir "$state/backup.new"
    for file in "${files[@]}"; do
        mkdir -p "$state/backup.new${file%/*}"
        [[ ! -e $file ]] || cp -p "$file" "$state/backup.new$file"
    done
    mv "$state/backup.new" "$1"
}

readonly trial=/run/runtime-sandboxes.trial

# try_configuration BEFORE: containerd must be able to read the new configuration, and nothing but our handlers may be
# different from BEFORE. What k0s makes of a drop-in is seen only once it has: see reload.
try_configuration() {
    [[ $keeper != k0s ]] || return 0
    local directory directories absent=() after said difference
    mapfile -t directories < <(configuration_files | xargs -n1 dirname | sort -u)
    for directory in "${directories[@]}"; do [[ -d $directory ]] || absent=("$directory" "${absent[@]}"); done
    rm -rf $trial # that of a run that was cut off
    mkdir -m 700 $trial
    attempt dump_as_wanted >$trial/dump 2>$trial/said
    after=$(<$trial/dump)
    said=$(sed -E "/: (changed|removed) /d; s#$trial/[0-9]+##g" $trial/said)
    rm -rf $trial
    # What was to be mounted over had to be there, unless it lies in a directory that was.
    rmdir "${absent[@]}" 2>/dev/null || true
    ((status == 0)) || die "containerd cannot read the configuration that it would get; nothing was changed. It says:" \
        "$(grep -F ': error: ' <<<"$said" || tail -n 3 <<<"$said")"
    difference=$(other_changes "$1" "$after") ||
        die "the new configuration would change more than the handlers ${HANDLERS//$'\n'/, }; nothing was changed: $difference"
}

# What containerd would have in force: with copies of the directories that are written to, which lie over these in a mount
# namespace. A root file with other paths in its imports would not do: containerd resolves them, and those of what they
# import, by where each file is.
dump_as_wanted() {
    local mounts=()
    for directory in "${directories[@]}"; do
        copies[$directory]=$trial/${#copies[@]}$directory
        mkdir -p "${copies[$directory]}"
        [[ ! -d $directory ]] || cp -a "$directory/." "${copies[$directory]}"
        mounts+=("${copies[$directory]}" "$directory")
    done
    write_configuration
    # shellcheck disable=SC2016 # the inner shell expands it
    unshare --mount --propagation private bash -euc '
        while (($# > 1)); do
            mkdir -p "$2"
            mount --bind "$1" "$2"
            shift 2
        done
        containerd --config "$1" config dump' trial "${mounts[@]}" "$ROOT"
}

# other_changes BEFORE AFTER: the keys that differ besides, between two dumps; fails where one does. No values: a
# registry's password may be one. Without a first dump there is nothing to compare.
other_changes() {
    local difference
    [[ -z $1 ]] || difference=$(diff <(foreign_part "$1") <(foreign_part "$2")) || {
        sed -n 's/^[<>] //; s/\t.*//p' <<<"$difference" | sort -u | head -n 5 | paste -sd,
        return 1
    }
}

# Our handlers, and those that were ours so far, by the files of their options.
own_handlers() {
    echo "$HANDLERS"
    { cat "$state/files"; find "$state"/backup.* -type f; } 2>/dev/null |
        sed -n 's#^.*/runsc/\([^/]*\)\.toml$#\1#p' || true
}

# foreign_part DUMP: without the tables of our handlers and the list of imported files: a line "TABLE KEY", tab, and the
# whole line, for each of it.
foreign_part() {
    printf '%s\n' "$1" | awk -v handlers="$(own_handlers | paste -sd'|')" '
        /^[ \t]*\[/ { own = $0 ~ "runtimes\\.[\"\047]?(" handlers ")[\"\047]?(\\.options)?\\][ \t]*$" }
        /^[ \t]*\[/ { table = $0; gsub(/^[ \t]+|[ \t]+$/, "", table) }
        !own && !/^imports = / && NF {
            key = $0
            if (key ~ /=/) { sub(/[ \t]*=.*/, "", key); gsub(/^[ \t]+/, "", key) } else key = ""
            print table " " key "\t" $0
        }'
}
