#!/usr/bin/env bash
# gVisor on a machine with containerd: its programs and its runtime handlers, beside whatever is configured.
#
# install  makes everything as wanted and changes only what is not. containerd is restarted only if its own configuration
#          changed; if it does not come back with all handlers, the old configuration is restored.
#          What it would change is tried before the first change; a first installation that fails is taken back.
# inspect  changes nothing, names what is not as wanted, and why install would restart containerd.
# remove   takes away what install has added and gives back what it has changed.
#
# Constants: HANDLERS (names, one a line); FILES (our files, whole, each after a line "==> PATH"); ROOT_HEAD, ROOT_TAIL
# (our lines at the start and the end of containerd's root file); BASIS (identifies what these were made for, see basis);
# METHOD: apt (RUNSC_VERSION, GVISOR_URL, GVISOR_SUITE, GVISOR_COMPONENTS, GVISOR_KEY, GVISOR_FINGERPRINT) or archive
# (RUNSC_VERSION, ARCHIVE_URL, ARCHIVE_SHA512); NODE (name of its node in the cluster); for install, LOOK (what inspect
# printed: another look is another install).
# Result of install: {"os", "kernel", "containerd", "runsc", "handlers", "configSha256", "survivors"}
# Result of inspect: {"differences": [what is not as wanted], "restart": [those for which containerd is restarted], "basis",
#                    "versions": {"gvisor", "containerd", "runc", "kubernetes"}, "at": when}

readonly state=/var/lib/runtime-sandboxes
readonly programs=(runsc containerd-shim-runsc-v1)
readonly archives=/opt/gvisor
readonly registration=(/etc/apt/sources.list.d/gvisor.list /usr/share/keyrings/gvisor-archive-keyring.gpg)
ROOT=$(config_path)
# Where it is written: a link stays one.
ROOT_FILE=$(readlink -m "$ROOT")
readonly ROOT ROOT_FILE
# Where containerd looks for shims, in this order, and where each method puts them (systemd.exec(5), $PATH).
readonly search_path=(/usr/local/sbin /usr/local/bin /usr/sbin /usr/bin)

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

reload_error=''
stopped=''

main() {
    case $1 in
    install)
        begin
        check_tools
        check_basis
        check_shadows
        adopt
        try_out
        take_back_on_failure
        install_programs
        configure
        # Only now: until its restart containerd starts the shim that it has found before.
        drop_archives
        [[ $METHOD == apt ]] || give_back_package
        : >$state/installed
        print_evidence
        ;;
    inspect)
        begin_reading
        look
        ;;
    remove)
        begin
        remove
        ;;
    esac
}

check_tools() {
    local tool missing=()
    for tool in curl crictl awk diff unshare; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [[ $METHOD != apt ]] || command -v gpg >/dev/null || missing+=(gpg)
    ((${#missing[@]} == 0)) || die "it has no ${missing[*]}; install them first (crictl is in cri-tools, gpg in gnupg); nothing was changed"
}

# The wanted configuration was made for what was found here earlier. Somebody else may have changed that since.
check_basis() {
    [[ $(basis) == "$BASIS" ]] ||
        die "containerd's version or configuration is another one than when this was planned; nothing was changed." \
            "Look again and plan again: npm run up"
}

# A shim that stands before ours is the one that containerd starts, whatever release it is of.
check_shadows() {
    local found
    found=$(shadows)
    [[ -z $found ]] || die "containerd would start ${found//$'\n'/, } instead of what is installed in $(program_directory);" \
        "remove it; nothing was changed"
}

program_directory() { if [[ $METHOD == apt ]]; then echo /usr/bin; else echo /usr/local/bin; fi; }

# Programs of gVisor that are found before those of METHOD, one path a line.
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

# What there was before: the configuration in force, to compare with.
try_out() {
    before=$(effective_configuration 2>/dev/null) || before=''
    [[ -z $(configuration_differences) ]] || try_configuration "$before"
}

# The stack does not know of a first installation that failed, so nothing else would ever take it away.
take_back_on_failure() {
    [[ ! -e $state/loaded ]] || : >$state/installed
    trap finish EXIT
    trap 'exit 143' TERM # the step's limit in time
}

unpacked='' # where an archive is looked at
finish() {
    local code=$?
    trap - EXIT
    [[ -z $unpacked ]] || { rm -rf "$unpacked" && rmdir $archives 2>/dev/null; } || true
    if ((code)) && [[ -d $state && ! -e $state/installed ]]; then
        # Not in a condition, where errexit is off.
        set +e
        (set -e && remove)
        case $? in
        0) log "what this installation had changed is as it was before" ;;
        *) log "not all of what this installation had changed could be taken back: see above" ;;
        esac
    fi
    exit $code
}

# What is there to take back --------------------------------------------------------------------------------------------

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

# Takes over what version 0.1.0 has put on the machine, which kept no record: nothing of it was there before.
adopt() {
    local file
    [[ ! -d $state && -e $early_drop_in ]] && is_early "$early_drop_in" || return 0
    rm -rf $state.new
    mkdir -m 700 $state.new
    : >$state.new/package
    : >$state.new/installed
    for file in "${registration[@]}" "$early_drop_in" "$early_options"; do
        mkdir -p "$(dirname "$state.new/original$file")"
        : >"$state.new/original$file.absent"
    done
    printf '%s\n' "$early_drop_in" "$early_options" >$state.new/files
    mv $state.new $state
    log "took over what an earlier version of this program has installed"
}

# Programs --------------------------------------------------------------------------------------------------------------

install_programs() {
    mkdir -p $state
    chmod 700 $state
    keep_scripts $state
    [[ -e $state/package ]] || {
        if on_hold; then : >$state/held; fi
        installed_version runsc >$state/package
    }
    "${METHOD}_programs"
    local program
    for program in "${programs[@]}"; do
        [[ -x $(program_directory)/$program ]] || die "gVisor $RUNSC_VERSION brought no $program"
    done
    programs_stamp >$state/programs
}

apt_programs() {
    local was file
    keep "${registration[@]}"
    was=$(mktemp -d)
    for file in "${registration[@]}"; do [[ ! -e $file ]] || cp -p "$file" "$was"; done
    (apt_package) || {
        # The machine's own APT must not stumble over a repository that does not work.
        for file in "${registration[@]}"; do
            if [[ -e $was/${file##*/} ]]; then cp -p "$was/${file##*/}" "$file"; else rm -f "$file"; fi
        done
        rm -rf "$was"
        exit 1
    }
    rm -rf "$was"
    # Until its restart containerd starts the shim at this path.
    [[ ! -e $archives ]] || link_programs /usr/bin
    hash -r
    [[ $(runsc --version) == *"$RUNSC_VERSION"* || $RUNSC_VERSION == *[*]* ]] ||
        die "$(command -v runsc) is $(runsc_version), the package is $RUNSC_VERSION; remove the other one"
}

# The package in the version that is wanted, on hold, with all of its files.
apt_package() {
    if apt_source gvisor "$GVISOR_URL" "$GVISOR_SUITE" "$GVISOR_COMPONENTS" "$GVISOR_KEY" "$GVISOR_FINGERPRINT" ||
        ! wanted_package; then
        apt_update gvisor
    fi
    wanted_package || try_package
    apt_install "runsc=$RUNSC_VERSION" || repair_package
    on_hold || apt-mark hold runsc >/dev/null
}

# Files of the package that somebody has removed or exchanged come back.
repair_package() {
    local changed reply
    [[ $(programs_stamp) != "$(cat $state/programs 2>/dev/null)" ]] || return 0
    changed=$(dpkg --verify runsc | grep -v ' c ' || true)
    [[ -n $changed ]] || return 0
    reply=$(apt-get install -qq -y --reinstall --allow-change-held-packages -o DPkg::Lock::Timeout=120 \
        "runsc=$(installed_version runsc)" 2>&1) || die "apt cannot install runsc again: $(tail -n 15 <<<"$reply")"
    log "installed runsc again, of which these were missing or exchanged: $(awk '{ print $NF }' <<<"$changed" | paste -sd' ')"
}

# shellcheck disable=SC2053 # the version is a pattern
wanted_package() { [[ $(installed_version runsc) == $RUNSC_VERSION ]]; }

on_hold() { [[ $(dpkg-query --show --showformat='${db:Status-Want}' runsc 2>/dev/null) == hold ]]; }

# Where an older one is in use, the new one is fetched and run before it takes its place. Not in /tmp, where hardened machines
# run nothing.
try_package() {
    [[ -n $(installed_version runsc) ]] || return 0
    local scratch=$state/new
    rm -rf "$scratch"
    mkdir "$scratch"
    (cd "$scratch" && apt-get download -qq "runsc=$RUNSC_VERSION" >&2 && dpkg-deb -x runsc_*.deb . &&
        ./usr/bin/runsc --version >/dev/null) || {
        rm -rf "$scratch"
        die "the package runsc $RUNSC_VERSION cannot be fetched or does not run here; $(installed_version runsc) stays$(noexec $state)." \
            "Available: $(apt-cache madison runsc | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' | head -5 | paste -sd,)"
    }
    rm -rf "$scratch"
}

# noexec DIRECTORY: goes on in a message with why nothing runs there, if its file system is mounted so.
noexec() {
    local mount
    mount=$(findmnt --raw --noheadings --output OPTIONS,TARGET --target "$1" | tail -n 1) # the one on top
    [[ ,${mount%% *}, != *,noexec,* ]] || echo ". ${mount#* } is mounted noexec, so nothing runs in $1"
}

# A release as an archive, for machines without APT: unpacked beside the old one, which a link then leaves.
# https://gvisor.dev/docs/user_guide/install/
archive_programs() {
    local home=$archives/$RUNSC_VERSION scratch=$archives/.new found program
    if [[ $(cat "$home/.sha512" 2>/dev/null) != "$ARCHIVE_SHA512" ]]; then
        unpacked=$scratch
        rm -rf "$scratch"
        mkdir -p $archives
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
            die "runsc of $ARCHIVE_URL does not run here; nothing was changed$(noexec $archives)"
        # What is known against a release was judged by its name.
        [[ $found == *"$RUNSC_VERSION"* ]] ||
            die "$ARCHIVE_URL holds ${found%%$'\n'*}, not the $RUNSC_VERSION that gvisorVersion says; nothing was changed"
        printf '%s\n' "$ARCHIVE_SHA512" >"$scratch/tree/.sha512"
        chmod -R go+rX "$scratch/tree"
        rm -rf "$home"
        mv "$scratch/tree" "$home"
        rm -rf "$scratch"
        log "installed gVisor $RUNSC_VERSION in $home"
    fi
    link_programs "$home"
    hash -r
}

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
    if [[ $METHOD == apt ]]; then remove_archives; else find $archives -mindepth 1 -maxdepth 1 ! -name "$RUNSC_VERSION" -exec rm -rf {} +; fi
    programs_stamp >$state/programs
}

remove_archives() {
    local program
    for program in "${programs[@]}"; do give_back "/usr/local/bin/$program"; done
    rm -rf $archives
    hash -r
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

# Configuration ---------------------------------------------------------------------------------------------------------

own_files() { printf '%s\n' "${own_paths[@]}"; }

own_text() { printf '%s' "${own_texts[$1]}"; }

is_own() { [[ -n ${own_texts[$1]+yes} ]]; }

root_text() {
    local hidden='^$'
    # An empty list of imports gives way to ours.
    [[ $ROOT_HEAD != *"imports ="* ]] || hidden='^imports = \[\]$'
    [[ -z $ROOT_HEAD ]] || printf '%s\n%s\n%s\n' "$mark_begin" "$ROOT_HEAD" "$mark_end"
    without_marked "$ROOT_FILE" | sed -e "/./s/$hidden/$mask&/" -e "\$a\\" # ends in a newline
    [[ -z $ROOT_TAIL ]] || printf '%s\n%s\n%s\n' "$mark_begin" "$ROOT_TAIL" "$mark_end"
}

# All files as wanted. Succeeds if one was changed that containerd reads when it starts.
write_configuration() {
    local changed=1 file mode
    while read -r file; do
        write_if_changed "$file" 644 < <(own_text "$file") && [[ $file == */"$own_drop_in" ]] && changed=0
    done < <(own_files)
    # A drop-in that is not wanted any more, and options of handlers that are gone.
    while read -r file; do
        is_own "$file" || {
            rm -f "$file" && log "removed $file"
            [[ $file != */"$own_drop_in" ]] || changed=0
        }
    done < <(cat $state/files 2>/dev/null)
    if [[ -n $ROOT_HEAD$ROOT_TAIL ]] || grep -qsx "$mark_begin" "$ROOT"; then
        mode=$(stat -c %a "$ROOT_FILE" 2>/dev/null || echo 644)
        write_if_changed "$ROOT_FILE" "$mode" < <(root_text) && changed=0
    fi
    return $changed
}

# Names each file that is not as wanted; behind this mark, each that containerd reads when it starts.
readonly restarts='restart: '
configuration_differences() {
    local file text
    for file in "${own_paths[@]}"; do
        if [[ ! -e $file ]]; then
            difference "$file" "is missing"
        elif IFS= read -r -d '' text <"$file" || [[ $text != "${own_texts[$file]}" ]]; then
            difference "$file" "is not as wanted"
        fi
    done
    [[ ! -e $state/files ]] || while read -r file; do
        is_own "$file" || difference "$file" "is not wanted any more"
    done <$state/files
    if [[ -n $ROOT_HEAD$ROOT_TAIL ]] || grep -qsx "$mark_begin" "$ROOT"; then
        cmp -s "$ROOT" <(root_text) || echo "${restarts}our lines in $ROOT are not as wanted"
    fi
}

difference() {
    local mark=''
    [[ $1 != */"$own_drop_in" ]] || mark=$restarts
    echo "$mark$1 $2"
}

configuration_files() {
    own_files
    cat $state/files 2>/dev/null || true
    [[ $keeper == k0s ]] || echo "$ROOT_FILE" # that one is k0s's
}

configure() {
    local backup restart=no file
    # What a run that was cut off before its restart has put by is what containerd still runs with.
    backup=$state/backup.${BASIS:0:16}
    [[ -d $backup ]] || {
        rm -rf $state/backup.*
        mkdir $state/backup.new
    }
    while read -r file; do
        keep "$file"
        [[ -d $backup || ! -e $file ]] || {
            mkdir -p "$(dirname "$state/backup.new$file")"
            cp -p "$file" "$state/backup.new$file"
        }
    done < <(configuration_files | sort -u)
    [[ -d $backup ]] || mv $state/backup.new "$backup"
    { cat $state/files 2>/dev/null || true; own_files; } | sort -u >$state/files.new
    mv $state/files.new $state/files # before the files: what is written is known
    write_configuration && restart=yes
    own_files >$state/files
    if [[ $restart == yes || $(cat $state/loaded 2>/dev/null) != "$(configuration_hash)" || -n $(loaded_handlers | missing_handlers) ]]; then
        drop_archives # containerd looks for the shim when it has started
        keeping reload "$before" || {
            local now
            if restore "$backup"; then
                now="the old one is back and serves $(loaded_handlers | paste -sd,)"
            else
                now="containerd does not serve with the old one either, so no pod starts here: $(journal)"
            fi
            die "containerd does not serve ${HANDLERS//$'\n'/, } with the new configuration; $now. The reason: $reload_error"
        }
        configuration_hash >$state/loaded
        # What is wanted is there, so the next run goes on from here.
        none_stopped
    fi
    rm -rf $state/backup.*
}

# What containerd reads when it starts, of ours; and where the shim is, because it looks for that only once.
configuration_hash() {
    local file hash
    read -r hash _ < <({
        for file in "${own_paths[@]}"; do
            [[ $file != */"$own_drop_in" ]] || own_text "$file"
        done
        printf '%s\n%s\n' "$ROOT_HEAD" "$ROOT_TAIL"
        echo "$(program_directory)/containerd-shim-runsc-v1"
    } | sha256sum)
    echo "$hash"
}

# try_configuration BEFORE: tries the new files in a mount namespace of their own, where they lie over copies of the real
# directories: containerd must be able to read them, and nothing but our handlers may be different. What k0s makes of a
# drop-in is seen only once it has: see reload.
try_configuration() {
    [[ $keeper != k0s ]] || return 0
    local after error difference scratch directories absent failed=no
    error=$(mktemp)
    scratch=$(mktemp -d)
    directories=$(configuration_files | xargs -n1 dirname | sort -u)
    absent=$(while read -r directory; do [[ -d $directory ]] || echo "$directory"; done <<<"$directories")
    after=$(unshare --mount --propagation private bash -c "$(declare -f)
        $(declare -p scratch directories state ROOT ROOT_FILE own_paths own_texts ROOT_HEAD ROOT_TAIL own_drop_in mark_begin mark_end mask)
        set -euo pipefail
        $(declare -f log die)
        mount -t tmpfs -o mode=700 tmpfs \"\$scratch\" # the copies end with the namespace
        while read -r directory; do
            copy=\$(mktemp -d --tmpdir=\"\$scratch\")
            mkdir -p \"\$directory\"
            cp -a \"\$directory/.\" \"\$copy\"
            mount --bind \"\$copy\" \"\$directory\"
        done <<<\"\$directories\"
        # In a shell of its own: it fails where nothing is to be changed, and ends where a file cannot be written.
        (write_configuration) 2>\"\$scratch/.said\" || if grep -F 'error: ' \"\$scratch/.said\" >&2; then exit 1; fi
        containerd --config $ROOT config dump" 2>"$error") || failed=yes
    rmdir "$scratch"
    # What was to be mounted over had to be there, unless it lies in a directory that was.
    [[ -z $absent ]] || sort -r <<<"$absent" | xargs rmdir 2>/dev/null || true
    [[ $failed == no ]] ||
        die "containerd cannot read the configuration that it would get; nothing was changed. It says: $(tail -n 3 "$error")"
    rm -f "$error"
    difference=$(other_changes "$1" "$after") ||
        die "the new configuration would change more than the handlers ${HANDLERS//$'\n'/, }; nothing was changed: $difference"
}

# other_changes BEFORE AFTER: the keys that differ besides, between two dumps; fails where one does. No values: a
# registry's password may be one. Without a first dump there is nothing to compare.
other_changes() {
    local difference
    [[ -z $1 ]] || difference=$(diff <(foreign_part <<<"$1") <(foreign_part <<<"$2")) || {
        sed -n 's/^[<>] //; s/\t.*//p' <<<"$difference" | sort -u | head -n 5 | paste -sd,
        return 1
    }
}

# Our handlers, and those that were ours so far, by the files of their options.
own_handlers() {
    echo "$HANDLERS"
    { cat $state/files; find $state/backup.* -type f; } 2>/dev/null |
        sed -n 's#^.*/runsc/\([^/]*\)\.toml$#\1#p' || true
}

# A configuration dump without the tables of our handlers and the list of imported files: a line "TABLE KEY", tab, and
# the whole line, for each of it.
foreign_part() {
    awk -v handlers="$(own_handlers | paste -sd'|')" '
        /^[ \t]*\[/ { own = $0 ~ "runtimes\\.[\"\047]?(" handlers ")[\"\047]?(\\.options)?\\][ \t]*$" }
        /^[ \t]*\[/ { table = $0; gsub(/^[ \t]+|[ \t]+$/, "", table) }
        !own && !/^imports = / && NF {
            key = $0
            if (key ~ /=/) { sub(/[ \t]*=.*/, "", key); gsub(/^[ \t]+/, "", key) } else key = ""
            print table " " key "\t" $0
        }'
}

# Our handlers that are not among those of stdin, which are in order.
missing_handlers() { comm -23 <(sort <<<"$HANDLERS") -; }

# keeping COMMAND...: a restart of containerd by COMMAND, after which it must serve each handler of somebody else's that it
# served before. reload_error says why it does not; stopped has the pods that ran before and have ended.
keeping() {
    local running others lost
    running=$(pods_by_state Ready | grep -F -f <(pods_at_work)) || true
    others=$(loaded_handlers | grep -vxF -f <(own_handlers)) || true
    "$@" || return 1
    lost=$(comm -23 <(echo "$others") <(loaded_handlers) | paste -sd,)
    [[ -z $lost ]] || {
        reload_error="it does not serve $lost any more"
        return 1
    }
    stopped=$(pods_by_state NotReady | grep -xF -f <(echo "$running") | cut -d' ' -f2 |
        while read -r pod; do is_leaving "$pod" || echo "$pod"; done | paste -sd,) || true
    log "restarted containerd, which serves $(loaded_handlers | paste -sd,); $(grep -c . <<<"$running") pods ran before, $(pods_by_state Ready | grep -c .) run now"
}

none_stopped() {
    [[ -z $stopped ]] || die "the restart of containerd has ended pods that ran before: $stopped. See why before you go on:" \
        "journalctl -u $unit, and KillMode of its unit"
}

# reload BEFORE: one restart, and then everything must be as before, with our handlers. reload_error says why it is not.
reload() {
    restart_containerd || {
        reload_error=$(journal)
        return 1
    }
    waited 30 all_loaded || {
        reload_error="after 30 s it serves $(loaded_handlers | paste -sd,). $(journal)"
        return 1
    }
    reload_error=$(other_changes "$1" "$(effective_configuration)") || return 1
    node_serves
}

# reload_without: one restart, after which our handlers are gone.
reload_without() {
    if restart_containerd && waited 30 handlers_are_there; then return; fi
    reload_error=$(journal)
    return 1
}

# systemd refuses more than a few starts in ten seconds, whoever asked for the others.
restart_containerd() {
    if [[ $keeper == k0s ]]; then
        restart_by_k0s
        return
    fi
    systemctl reset-failed containerd 2>/dev/null || true
    systemctl restart containerd
}

# k0s does it by itself, 3 s after the last change among its drop-ins; a file that comes and goes is one.
restart_by_k0s() {
    local was
    was=$(cat /run/k0s/containerd.pid)
    : >"$drop_ins/.runtime-sandboxes"
    rm "$drop_ins/.runtime-sandboxes"
    waited 60 another_containerd "$was"
}

another_containerd() { [[ $(cat /run/k0s/containerd.pid) != "$1" ]] && handlers_are_there; }

all_loaded() { systemctl is-active --quiet "$unit" && [[ -z $(loaded_handlers | missing_handlers) ]]; }

# IDs of the pods of which a container runs: of a pod that is on its way out the sandbox stays a little longer.
pods_at_work() { cri ps --state running --output json | sed -n 's/^ *"podSandboxId": "\([^"]*\)".*/\1/p' || true; }

# is_leaving NAMESPACE/NAME: whether a pod ends by itself, as its node may ask. Of a pod that is gone the API server says to
# a node that there is no relationship (https://kubernetes.io/docs/reference/access-authn-authz/node/).
is_leaving() {
    local answer
    command -v kubectl >/dev/null || return 1
    answer=$(kubectl --kubeconfig "$kubelet_kubeconfig" get pod --namespace "${1%/*}" "${1#*/}" \
        --output 'jsonpath={.metadata.deletionTimestamp} {.status.phase}' 2>&1) || {
        [[ $answer == *"(NotFound)"* || $answer == *"no relationship found between node"* ]] && return
    }
    [[ $answer == *Z\ * || $answer == *Succeeded ]]
}

# ID NAMESPACE/NAME of each pod in the state Ready or NotReady.
pods_by_state() {
    cri pods --state "$1" --no-trunc | awk -v state="$1" '$(NF - 4) == state { print $1, $(NF - 2) "/" $(NF - 3) }' || true
}

# waited SECONDS COMMAND...: polls until it succeeds; fails after that time.
waited() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

journal() { journalctl -u "$unit" -n 5 --no-pager -o cat | cut -c1-300; }

# A machine that is a node must be Ready again, with the handlers in its status (KEP-3857).
node_serves() {
    [[ -e $kubelet_kubeconfig ]] && systemctl is-enabled --quiet "$kubelet_unit" 2>/dev/null || return 0
    waited 120 kubelet_healthy || {
        reload_error="kubelet is not healthy after 120 s: $(journalctl -u "$kubelet_unit" -n 3 --no-pager -o cat | cut -c1-300)"
        return 1
    }
    command -v kubectl >/dev/null || return 0
    waited 120 node_lists_handlers || {
        reload_error="after 120 s its node says: $node_says"
        return 1
    }
}

# With the node's own rights: it may read itself. Kubernetes before 1.31 lists no handlers.
node_lists_handlers() {
    node_says=$(kubectl --kubeconfig "$kubelet_kubeconfig" get node "$NODE" --output \
        'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.runtimeHandlers[*].name}' 2>&1) || return 1
    local listed=" ${node_says#* } "
    [[ $node_says == True* ]] || return 1
    [[ $listed == "  " ]] || ! grep -vqxF -f <(tr ' ' '\n' <<<"$listed" | grep .) <<<"$HANDLERS"
}

# restore BACKUP: the files as they were when this run began. Fails where containerd does not serve with them.
restore() {
    local file back=yes # callers ask whether it succeeded, which switches errexit off
    while read -r file; do
        if [[ -e $1$file ]]; then cp -p "$1$file" "$file" || back=no; else rm -f "$file"; fi
    done < <(configuration_files | sort -u)
    [[ $back == yes ]] || { log "not all of the old files could be put back; they are in $1" && return 1; }
    (cd "$1" && find . -type f | sed 's/^\.//') | grep -vFx "$ROOT_FILE" >$state/files || true
    rm -rf $state/backup.* $state/loaded
    restart_containerd && waited 30 systemctl is-active --quiet "$unit" && waited 10 handlers_are_there
}

handlers_are_there() { [[ -n $(loaded_handlers) ]]; }

# Evidence --------------------------------------------------------------------------------------------------------------

print_evidence() {
    printf '{"os":%s,"kernel":%s,"containerd":%s,"runsc":%s,"handlers":%s,"configSha256":"%s","survivors":%s}\n' \
        "$(json_string "$(os_release PRETTY_NAME)")" "$(json_string "$(uname -r)")" \
        "$(json_string "v$(containerd_version)")" "$(json_string "$(runsc_version)")" \
        "$(loaded_handlers | json_array)" "$(own_sha256)" "$(survivors | json_array)"
}

own_sha256() {
    {
        while read -r file; do cat "$file"; done < <(own_files)
        printf '%s\n%s\n' "$ROOT_HEAD" "$ROOT_TAIL"
    } | sha256sum | cut -d' ' -f1
}

# HANDLER NAMESPACE/NAME ID of each pod that runs in a sandbox of ours.
sandboxed_pods() {
    cri pods --state ready --no-trunc | awk -v handlers="${HANDLERS//$'\n'/|}" \
        '$NF ~ "^(" handlers ")$" { print $NF, $(NF - 2) "/" $(NF - 3), $1 }' || true
}

# Pods whose sandbox runs a program that has been replaced since: they keep it until they are recreated.
survivors() {
    local pod id pid exe now
    now=$(readlink -f "$(command -v runsc)")
    while read -r _ pod id; do
        [[ -n $id ]] || continue
        # Not by runsc: the new one need not know what the old one has noted.
        pid=$(pgrep -f "^runsc-sandbox .* boot .*$id" | head -n 1) || true
        exe=$(readlink "/proc/$pid/exe") || continue
        ! is_replaced "$exe" "$now" || echo "$pod"
    done < <(sandboxed_pods)
}

# Inspection ------------------------------------------------------------------------------------------------------------

# Prints what is not as wanted, and the versions. containerd, systemd, the programs and what the basis is made of are asked
# side by side with the rest.
look() {
    local loaded active now of_gvisor of_runc of_kubelet basis found restart gvisor runc kubelet
    exec {loaded}< <(loaded_handlers) {active}< <(systemctl is-active "$unit" "$kubelet_unit") {now}< <(basis)
    exec {of_gvisor}< <(runsc_version) {of_runc}< <(runc_version) {of_kubelet}< <(kubelet_version)
    mapfile -t found < <(
        configuration_differences
        program_differences
        service_differences "$active" "$loaded"
    )
    read -r basis <&"$now"
    [[ $basis == "$BASIS" ]] || found+=("containerd's version or configuration was changed by somebody else")
    read -r gvisor <&"$of_gvisor" || true
    read -r runc <&"$of_runc" || true
    read -r kubelet <&"$of_kubelet" || true
    restart=$(printf '%s\n' "${found[@]}" | sed -n "s/^$restarts//p")
    printf '{"differences":%s,"restart":%s,"basis":"%s","versions":{"gvisor":%s,"containerd":%s,"runc":%s,"kubernetes":%s},"at":"%s"}\n' \
        "$(printf '%s\n' "${found[@]#"$restarts"}" | json_array)" "$(json_array <<<"$restart")" "$basis" \
        "$(json_string "$gvisor")" "$(json_string "$(containerd_version)")" "$(json_string "$runc")" \
        "$(json_string "$kubelet")" "$(date -u +%FT%T.%3NZ)"
}

program_differences() {
    local program
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null || echo "$program is missing"
    done
    [[ $(programs_stamp) == "$(cat $state/programs 2>/dev/null)" ]] || echo "gVisor's programs were exchanged"
    shadows | sed "s#.*#containerd would start & instead of what is installed in $(program_directory)#"
    [[ $METHOD == apt ]] || return 0
    wanted_package || echo "the package runsc is \"$(installed_version runsc)\", wanted $RUNSC_VERSION"
    on_hold 2>/dev/null || [[ -z $(installed_version runsc) ]] || echo "the package runsc is not on hold"
}

# service_differences ACTIVE LOADED: file descriptors with the states of containerd's and kubelet's units, and with the
# handlers that are loaded.
service_differences() {
    local states
    mapfile -t states <&"$1"
    ((${#states[@]})) || states=(unknown)
    if [[ ${states[0]} != @(active|reloading) ]]; then
        echo "$restarts$unit is ${states[0]}"
    else
        missing_handlers <&"$2" | sed "s/.*/${restarts}the handler & is not loaded/"
        [[ $(cat $state/loaded 2>/dev/null) == "$(configuration_hash)" ]] ||
            echo "${restarts}containerd has started with another configuration than the one that is wanted"
    fi
    [[ ! -e $kubelet_kubeconfig || ${states[-1]} == @(active|reloading) ]] || echo "$kubelet_unit is ${states[-1]}"
}

# Removal ---------------------------------------------------------------------------------------------------------------

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

remove() {
    local pods restart=no file
    [[ -d $state ]] || {
        log "gVisor was taken away already"
        return
    }
    pods=$(sandboxed_pods | awk '{ print $2 }')
    [[ -z $pods ]] || die "these pods run in the sandbox: ${pods//$'\n'/, }. Delete them first; nothing was changed"
    while read -r file; do
        [[ $file != */"$own_drop_in" || ! -e $file ]] || restart=yes
        give_back "$file"
    done < <(cat $state/files 2>/dev/null)
    if grep -qsx "$mark_begin" "$ROOT"; then
        restart=yes
        # Not the copy: somebody may have changed the file since. Byte for byte the same unless it had no last newline.
        write_if_changed "$ROOT_FILE" "$(stat -c %a "$ROOT_FILE")" < <(without_marked "$ROOT_FILE") || true
        [[ -s $ROOT_FILE || ! -e $state/original$ROOT_FILE.absent ]] || rm "$ROOT_FILE"
        if cmp -s "$ROOT_FILE" <(sed "\$a\\" "$state/original$ROOT_FILE" 2>/dev/null); then give_back "$ROOT_FILE"; fi
    fi
    rm -f "$ROOT_FILE.runtime-sandboxes"
    rmdir "${ROOT%/*}/runsc" /etc/containerd/runsc /etc/containerd/conf.d 2>/dev/null || true
    # It may run with a configuration that an earlier run has removed already.
    if [[ $restart == yes || -e $state/loaded ]]; then
        keeping reload_without || die "without gVisor's configuration containerd does not serve as before: $reload_error"
        rm -f $state/loaded
    fi
    remove_programs
    rm -rf $state
    none_stopped
}

remove_programs() {
    [[ -e $state/package ]] || return 0 # nothing was installed yet
    [[ ! -e $archives ]] || remove_archives
    give_back_package
}

# The package, and where APT takes it from, as before this program came.
give_back_package() {
    local was
    was=$(cat $state/package 2>/dev/null || true)
    if [[ $(installed_version runsc) != "$was" ]]; then
        apt-mark unhold runsc >/dev/null 2>&1 || true
        if [[ -z $was ]]; then
            apt-get purge -qq -y -o DPkg::Lock::Timeout=120 runsc >/dev/null || die "apt cannot remove runsc"
            log "removed the package runsc"
        else
            # In a shell of its own: that this version is not to be had any more is no reason to keep the rest.
            (apt_install "runsc=$was") || log "runsc $was, which was here before, could not be installed again: $(installed_version runsc) stays"
        fi
    fi
    if [[ -n $was && ! -e $state/held ]]; then apt-mark unhold runsc >/dev/null 2>&1 || true; fi
    give_back /etc/apt/sources.list.d/gvisor.list
    give_back /usr/share/keyrings/gvisor-archive-keyring.gpg
    # Somebody else may have it in a file of another name.
    grep -rqs gvisor /etc/apt/sources.list /etc/apt/sources.list.d || rm -f /var/lib/apt/lists/*gvisor*
}

main "$@"
