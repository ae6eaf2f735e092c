# shellcheck shell=bash disable=SC2034
# What containerd is configured with: the files that it reads, what of them is ours, and what is in force.

# The root file, as the service is started: https://github.com/containerd/containerd/blob/main/docs/man/containerd.8.md
config_path() {
    local start option='.* (-c|--config)[ =]([^ ;]+)'
    [[ $keeper != k0s ]] || { echo /etc/k0s/containerd.toml && return; }
    start=$(systemctl show containerd --property ExecStart --value 2>/dev/null) || true
    if [[ $start =~ $option ]]; then echo "${BASH_REMATCH[2]}"; else echo /etc/containerd/config.toml; fi
}

ROOT=$(config_path)
# Where it is written: a link stays one.
ROOT_FILE=$(readlink -m "$ROOT")
readonly ROOT ROOT_FILE

# Ours are a drop-in, and lines between these marks in the root file: with containerd 1.x all of them, from 2.0 on what a root
# file lacks that imports no drop-ins yet. A line of theirs that ours takes the place of stands behind the mask.
readonly own_drop_in=50-runtime-sandboxes.toml
readonly mark_begin='# >>> runtime-sandboxes' mark_end='# <<< runtime-sandboxes' mask='# runtime-sandboxes: '

# What version 0.1.0 has written on the machines of a stack: ours, under the name of its one handler.
readonly early_drop_in=/etc/containerd/conf.d/50-runsc.toml early_options=/etc/containerd/runsc/runsc.toml
readonly early_sha256=44b795e6a1f7e115ef83294234d910fb4b93feeb231482e75c59ea5bae12d0b8

is_early() { [[ $1 == "$early_drop_in" && $(printf %s "$(<"$1")" | sha256sum) == "$early_sha256"* ]]; }

# is_read_at_start FILE: of ours, whether containerd reads it when it starts; the others are read with each sandbox.
is_read_at_start() { [[ $1 == */"$own_drop_in" || $1 == "$ROOT" ]]; }

# without_marked FILE: its text as it would be without us; nothing where there is no file. Where a mark was lost, all of it is
# theirs: our lines twice are better than a line of theirs lost.
without_marked() {
    local text=''
    [[ -e $1 ]] || return 0
    if ! IFS= read -r -d '' text <"$1" && [[ $text != *runtime-sandboxes* ]]; then
        printf '%s' "$text" # nothing of ours, and no other program is needed to see that
    elif [[ $(grep -cxF "$mark_begin" "$1") == "$(grep -cxF "$mark_end" "$1")" ]]; then
        sed -e "/^$mark_begin\$/,/^$mark_end\$/d" -e "s/^$mask//" "$1"
    else
        cat "$1"
    fi
}

# The root file and what it imports, without our own drop-in, one path a line. A root file with nothing in it but ours counts
# as none.
config_files() {
    local file
    [[ -n $(without_marked "$ROOT") ]] || return 0
    echo "$ROOT"
    if [[ -n $drop_ins ]]; then
        # What else k0s has its root file import is made of these.
        compgen -G "$drop_ins/*.toml" || true
    else
        imports
    fi | while read -r file; do
        [[ ${file##*/} == "$own_drop_in" || ! -f $file ]] || is_early "$file" || echo "$file"
    done
}

# What the root file imports, one path a line. Read here and not where the rest is decided: what is planned is planned from
# the texts of these files, and to ask for them by name would take another round trip.
imports() {
    local pattern
    # It reads to the end: what writes into a pipe that nobody reads fails.
    without_marked "$ROOT" | awk '
        /^[ \t]*\[[^\]]*\][ \t]*(#.*)?$/ { over = 1 } # keys of a table follow
        over { next }
        /^[ \t]*imports[ \t]*=/ { reading = 1 }
        reading {
            line = $0
            sub(/^[ \t]*imports[ \t]*=/, "", line)
            while (match(line, /"[^"]*"|\047[^\047]*\047|\]/)) {
                word = substr(line, RSTART, RLENGTH)
                if (word == "]") { over = 1; next }
                print substr(word, 2, length(word) - 2)
                line = substr(line, RSTART + RLENGTH)
            }
        }' | while read -r pattern; do
        [[ $pattern == /* ]] || pattern=$(dirname "$ROOT")/$pattern
        compgen -G "$pattern" || true
    done
}

# Identifies all that our configuration is made for.
basis() {
    local file
    {
        containerd_version
        echo "$ROOT"
        # As if each ended in a newline, which it does once ours stands after it.
        config_files | while read -r file; do printf '%s\n%s\n' "$file" "$(without_marked "$file")"; done
    } | sha256sum | cut -d' ' -f1
}

# All that is in force, as TOML. containerd 1.x dumps nothing where there is no file.
effective_configuration() {
    if [[ -e $ROOT ]]; then containerd --config "$ROOT" config dump; else containerd config dump 2>/dev/null || containerd config default; fi
}
