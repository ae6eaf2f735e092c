#!/usr/bin/env bash
# gVisor on a machine with containerd: its programs and its runtime handlers, beside whatever is configured.
#
# Makes everything as wanted and changes only what is not. What it would change is tried before the first change. containerd
# is restarted only if its own configuration changed; if it does not come back with all handlers, the old configuration is
# restored. A first installation that fails is taken back.
#
# Constants, of this script, inspect.sh and remove.sh:
#   HANDLERS             names, one a line
#   FILES                our files, whole, each after a line "==> PATH"
#   ROOT_HEAD, ROOT_TAIL our lines at the start and the end of containerd's root file
#   BASIS                identifies what these were made for: see basis
#   METHOD               apt, with RUNSC_VERSION, GVISOR_URL, GVISOR_SUITE, GVISOR_COMPONENTS, GVISOR_KEY, GVISOR_FINGERPRINT;
#                        or archive, with RUNSC_VERSION, ARCHIVE_URL, ARCHIVE_SHA512
#   NODE                 name of its node in the cluster
#   LOOK                 what inspect.sh has printed; of install.sh only, and not read: another look is another installation
# Result: {"os", "kernel", "containerd", "runsc", "handlers", "configSha256", "survivors"}

main() {
    begin
    check_tools
    check_basis
    check_shadows
    adopt
    before=$(effective_configuration 2>/dev/null) || before=''
    [[ -z $(differing_files) ]] || try_configuration "$before"
    take_back_on_failure
    install_programs
    configure
    # Only now: until its restart containerd starts the shim that it has found before.
    drop_archives
    [[ $METHOD == apt ]] || give_back_package
    : >"$state/installed"
    print_evidence
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
        die "containerd's version or configuration has changed since the plan was made; nothing was changed." \
            "Look again and plan again: npm run up"
}

check_shadows() {
    local found
    found=$(shadows)
    [[ -z $found ]] || die "containerd would start ${found//$'\n'/, } instead of what is installed in $(program_directory);" \
        "remove it; nothing was changed"
}

# The stack does not know of a first installation that failed, so nothing else would ever remove it.
take_back_on_failure() {
    [[ ! -e $state/loaded ]] || : >"$state/installed"
    trap finish EXIT
    trap 'exit 143' TERM # the step's limit in time
}

finish() {
    local code=$?
    trap - EXIT
    discard_unpacked
    if ((code)) && [[ -d $state && ! -e $state/installed ]]; then
        attempt take_back
        if ((status == 0)); then
            log "what this installation had changed is as it was before"
        else
            log "not all of what this installation had changed could be taken back: see above"
        fi
    fi
    exit $code
}

# By the script that removes it at other times; the rest of what that needs is here.
# shellcheck source=/dev/null
take_back() { . "$scripts/$(tail -n 1 "$scripts/removal")"; }

print_evidence() {
    json_object os="$(os_release PRETTY_NAME)" kernel="$(uname -r)" containerd="v$(containerd_version)" \
        runsc="$(runsc_version)" handlers:="$(loaded_handlers | json_array)" configSha256="$(own_sha256)" \
        survivors:="$(survivors | json_array)"
}

own_sha256() { { cat "${own_paths[@]}" && printf '%s\n%s\n' "$ROOT_HEAD" "$ROOT_TAIL"; } | sha256sum | cut -d' ' -f1; }

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

main "$@"
