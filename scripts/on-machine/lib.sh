#!/usr/bin/env bash
# shellcheck disable=SC2034 # the scripts that follow use what is set here
# What the scripts on machines share. A step is: constants, this file, the script; see components/remoteStep.ts.
# Messages go to stderr; stdout carries only the result of the script, after a mark: see components/step.cjs.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

# A step runs the same for any user and any sudo: others can read what they have to, temporary files are in the usual place,
# programs are found as containerd's unit finds them, and no proxy is used for the machine itself.
umask 022
unset TMPDIR
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH}
no_proxy=${no_proxy:-${NO_PROXY-}}
no_proxy=${no_proxy:+$no_proxy,}localhost,127.0.0.1,::1
NO_PROXY=$no_proxy
export PATH no_proxy NO_PROXY

log() { printf '%s: %s\n' "$(hostname)" "$*" >&2; }

# die MESSAGE: ends the script. The message names what was found, what is allowed and what to do.
die() {
    log "error: $*"
    exit 1
}

# In a directory that only root can write: elsewhere another user could make the file first, or a link in its place.
readonly lock_file=/run/runtime-sandboxes.lock

# begin: every script's first line. One step at a time on a machine: one of a run that was cut off may still be at work.
# The kernel frees the lock when its owner ends, which the step's limit in time brings about at the latest; what stands
# in the file only says who that is. OWNER is a constant of every step.
begin() {
    begin_reading
    [[ -z ${locked-} ]] || return 0 # a script that another one runs
    trap '' HUP                     # a connection that is lost does not stop a step half-way
    exec {locked}<>"$lock_file"
    flock --nonblock "$locked" || {
        log "another step is still at work here ($(<"$lock_file")); waiting for it"
        # Shorter than the limit of this step, which would else end it without a word.
        local patience=$((${TIMEOUT:-600} / 2))
        flock --timeout $patience "$locked" ||
            die "waited $patience s for another step ($(<"$lock_file")). It ends by that time; to end it now: fuser -k $lock_file"
    }
    printf '%s, pid %s, since %s, ends by %s\n' "${OWNER:-a step}" $$ "$(date +%T)" \
        "$(date +%T -d "+${TIMEOUT:-600} seconds")" >"$lock_file"
}

# begin_reading: first line of a script that only looks. It neither waits for others nor holds them up.
begin_reading() {
    ((EUID == 0)) || die "the step runs as $(id -un); log in as root or allow passwordless sudo"
}

# attempt COMMAND...: runs it in a shell of its own, which its first failure ends; `status` is how. In a condition bash would
# go on after a failure.
attempt() {
    set +e
    (set -e && "$@")
    status=$?
    set -e
}

# poll SECONDS COMMAND...: runs COMMAND until it succeeds; fails after that time.
poll() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

# wait_until SECONDS WHAT COMMAND...: polls COMMAND; past the limit the step fails with its last output.
wait_until() {
    local limit=$1 what=$2 answer=''
    shift 2
    poll "$limit" answers "$@" || die "waited $limit s for $what; last answer: ${answer:-none}"
}

answers() { answer=$("$@" 2>&1); }

# What changes something sets this to yes; who wants to know sets it to no before.
changed=no

# write_if_changed FILE MODE: replaces FILE by stdin, in one rename, unless it is the same already; says so in `changed`.
# What a run that was cut off leaves beside it is taken up by the next.
write_if_changed() {
    local file=$1 mode=$2 new=$1.runtime-sandboxes
    { mkdir -p "$(dirname "$file")" && rm -f "$new" && (umask 077 && : >"$new"); } || die "cannot write beside $file"
    { cat >"$new" && chmod "$mode" "$new"; } || {
        rm -f "$new"
        die "cannot write $file; is the disk full? The old file is as it was"
    }
    ! cmp -s "$new" "$file" || { rm "$new" && return; }
    mv "$new" "$file" || die "cannot replace $file"
    changed=yes
    log "changed $file"
}

# json_string TEXT: TEXT as a JSON string.
json_string() {
    local text=$1
    text=${text//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//$'\n'/\\n}
    text=${text//$'\t'/\\t}
    text=${text//$'\r'/\\r}
    printf '"%s"' "${text//[[:cntrl:]]/}"
}

# json_array: the lines of stdin as an array of strings.
json_array() {
    local line items=()
    while IFS= read -r line; do [[ -z $line ]] || items+=("$(json_string "$line")"); done
    (IFS=, && echo "[${items[*]-}]")
}

# json_object KEY=TEXT | KEY:=JSON ...: an object of these, in this order. jq need not be there.
json_object() {
    local member key value items=()
    for member in "$@"; do
        key=${member%%=*} value=${member#*=}
        [[ $key == *: ]] || value=$(json_string "$value")
        items+=("$(json_string "${key%:}"):$value")
    done
    (IFS=, && echo "{${items[*]-}}")
}

# fetch URL FILE: a file, http or https URL; the last error is said after a few tries.
fetch() {
    curl --fail --silent --show-error --location --retry 3 --retry-delay 2 --connect-timeout 10 --output "$2" "$1" ||
        die "cannot fetch $1; check that this machine reaches it, or set the sources to a mirror"
}

# Where the repositories are registered that are not in a file of ours, by name.
declare -A apt_files=()

# other_source NAME URL SUITE: a file of somebody else's that has this repository, tab, and the keyring that it names, if any.
# Both forms are those of sources.list(5).
other_source() {
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [[ -e $file && $file != "/etc/apt/sources.list.d/$1.list" ]] || continue
        awk -v url="$2" -v suite="$3" '
            function bare(text) { sub(/\/+$/, "", text); return text }
            function has(list, wanted, parts, one) {
                for (one = split(list, parts, /[ \t]+/); one > 0; one--) if (bare(parts[one]) == bare(wanted)) return 1
            }
            function report(uris, suites, keyring) { if (has(uris, url) && has(suites, suite)) { print FILENAME "\t" keyring; exit } }
            function flush() { if (enabled != "no") report(uris, suites, keyring); uris = suites = keyring = enabled = "" }
            /^[ \t]*#/ { next }
            FILENAME ~ /[.]sources$/ {
                if (NF == 0) flush()
                field = tolower($1); value = $0; sub(/^[^:]*:[ \t]*/, "", value)
                if (field == "uris:") uris = value
                if (field == "suites:") suites = value
                if (field == "signed-by:") keyring = value
                if (field == "enabled:") enabled = tolower(value)
                next
            }
            $1 == "deb" {
                options = ""
                if (match($0, /\[[^]]*\]/)) { options = substr($0, RSTART + 1, RLENGTH - 2); sub(/\[[^]]*\]/, "") }
                report($2, $3, match(options, /signed-by=[^ \t]+/) ? substr(options, RSTART + 10, RLENGTH - 10) : "")
            }
            END { flush() }' "$file" | grep -m 1 . && return
    done
    return 0
}

# fingerprints_of KEYRING: of its primary keys, one a line.
fingerprints_of() {
    local home
    home=$(mktemp -d)
    { gpg --homedir "$home" --batch --show-keys --with-colons "$1" 2>/dev/null || true; } |
        awk -F: '$1 == "pub" { primary = 1 } $1 == "fpr" && primary { print $10; primary = 0 }'
    rm -rf "$home"
}

# apt_source NAME URL SUITE COMPONENTS KEY_URL FINGERPRINT: registers a repository whose key has that fingerprint, unless
# somebody has: apt takes no second entry with another keyring. Nothing is changed when the key is another one. Says in
# `changed` whether something was.
apt_source() {
    local name=$1 url=$2 suite=$3 components=$4 key_url=$5 wanted=$6 scratch found other theirs
    local keyring=/usr/share/keyrings/$name-archive-keyring.gpg own=/etc/apt/sources.list.d/$1.list
    other=$(other_source "$name" "$url" "$suite")
    if [[ -n $other ]]; then
        theirs=${other#*$'\t'}
        found=$(fingerprints_of "$theirs")
        [[ $found == "$wanted" ]] ||
            die "${other%%$'\t'*} has the repository $url already, with ${theirs:-no keyring}${found:+ of the key ${found//$'\n'/, }};" \
                "expected is the key $wanted, and apt takes no second entry. Remove that one, or give it a keyring with that key (signed-by); nothing was changed"
        apt_files[$name]=${other%%$'\t'*}
        [[ -e $own ]] || return 0
        rm "$own"
        changed=yes
        log "removed $own: ${other%%$'\t'*} has that repository"
        return
    fi
    scratch=$(mktemp -d)
    attempt fetch_keyring
    ((status)) || write_if_changed "$keyring" 644 <"$scratch/keyring"
    rm -rf "$scratch"
    ((status == 0)) || exit 1
    write_if_changed "$own" 644 <<<"deb [arch=$(dpkg --print-architecture) signed-by=$keyring] $url $suite${components:+ $components}"
}

# With the variables of apt_source.
fetch_keyring() {
    fetch "$key_url" "$scratch/key"
    gpg --homedir "$scratch" --batch --quiet --dearmor <"$scratch/key" >"$scratch/keyring" 2>/dev/null ||
        cp "$scratch/key" "$scratch/keyring"
    found=$(fingerprints_of "$scratch/keyring")
    [[ $found == "$wanted" ]] ||
        die "the key at $key_url has the fingerprint '${found//$'\n'/, }', expected $wanted; nothing was changed." \
            "Find out whether $name changed its key before you trust it"
}

# apt_update NAME...: reads the index of just these repositories. apt waits for dpkg's lock, but not for that of the lists.
apt_update() {
    local name file reply deadline
    for name in "$@"; do
        file=${apt_files[$name]-/etc/apt/sources.list.d/$name.list}
        deadline=$((SECONDS + 120))
        until reply=$(apt-get update -qq -o Acquire::Retries=2 \
            -o Dir::Etc::sourcelist="$file" -o Dir::Etc::sourceparts=- \
            -o APT::Get::List-Cleanup=false -o APT::Update::Error-Mode=any 2>&1); do
            if [[ $reply != *"Could not get lock"* ]] || ((SECONDS >= deadline)); then
                die "apt cannot read the repository $name ($(cat "$file")): $(tail -n 5 <<<"$reply")"
            fi
            sleep 0.5
        done
        [[ -z $reply ]] || printf '%s\n' "$reply" >&2
    done
}

# installed_version PACKAGE: its version, or nothing.
installed_version() {
    { dpkg-query --show --showformat='${db:Status-Abbrev}${Version}' "$1" 2>/dev/null || true; } | sed -n 's/^[hi]i *//p'
}

# apt_missing PACKAGE=VERSION...: those that are not installed in that version, one a line. VERSION may hold *.
apt_missing() {
    local wanted have
    for wanted in "$@"; do
        have=$(installed_version "${wanted%%=*}")
        # shellcheck disable=SC2053 # the version is a pattern
        [[ -n $have && $have == ${wanted#*=} ]] || printf '%s\n' "$wanted"
    done
}

# apt_install PACKAGE=VERSION...: installs exactly these versions and holds them. Does nothing where they are installed.
apt_install() {
    local wanted reply missing
    mapfile -t missing < <(apt_missing "$@")
    ((${#missing[@]})) || return 0
    # A run that was cut off may have left packages half-way; apt refuses to work before that is repaired.
    dpkg --configure --pending --force-confdef --force-confold >/dev/null 2>&1 || true
    reply=$(apt-get install -qq -y --no-install-recommends --allow-change-held-packages --allow-downgrades \
        -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        "${missing[@]}" 2>&1) || {
        for wanted in "${missing[@]}"; do
            log "$wanted: available are $(available "${wanted%%=*}")"
        done
        die "apt cannot install ${missing[*]}: $(tail -n 5 <<<"$reply")"
    }
    apt-mark hold "${missing[@]%%=*}" >/dev/null
    log "installed ${missing[*]}"
}

# available PACKAGE: versions that apt could install.
available() { apt-cache madison "$1" | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' | head -5 | paste -sd, || true; }

# reset_kubeadm: takes away what a cut-off `kubeadm init` or `join`, or a cut-off reset, has left: kubeadm refuses to begin
# while one of its files is there.
reset_kubeadm() {
    local found
    found=$(find /etc/kubernetes/{manifests,pki} /etc/kubernetes/*.conf /var/lib/etcd -type f ! -name '.*' -print -quit 2>/dev/null) || true
    [[ -z $found ]] || kubeadm reset --force >&2
}
