#!/usr/bin/env bash
# Names what is not as wanted, and why install.sh would restart containerd. Changes nothing.
#
# Constants: those of install.sh.
# Result: {"differences": [what is not as wanted], "restart": [those for which containerd is restarted], "basis",
#          "versions": {"gvisor", "containerd", "runc", "kubernetes"}, "at": when}

# Stands before what containerd is restarted for.
readonly restarts='restart: '

# containerd, systemd, the programs and what the basis is made of are asked side by side with the rest.
main() {
    local loaded active now gvisor runc kubelet basis found
    begin_reading
    exec {loaded}< <(loaded_handlers) {active}< <(systemctl is-active "$unit" "$kubelet_unit") {now}< <(basis)
    exec {gvisor}< <(runsc_version) {runc}< <(runc_version) {kubelet}< <(kubelet_version)
    mapfile -t found < <(
        configuration_differences
        program_differences
        service_differences "$active" "$loaded"
    )
    read -r basis <&"$now"
    [[ $basis == "$BASIS" ]] || found+=("containerd's version or configuration was changed by somebody else")
    json_object differences:="$(printf '%s\n' "${found[@]#"$restarts"}" | json_array)" \
        restart:="$(printf '%s\n' "${found[@]}" | sed -n "s/^$restarts//p" | json_array)" basis="$basis" \
        versions:="$(json_object gvisor="$(cat <&"$gvisor")" containerd="$(containerd_version)" \
            runc="$(cat <&"$runc")" kubernetes="$(cat <&"$kubelet")")" \
        at="$(date -u +%FT%T.%3NZ)"
}

configuration_differences() {
    local file how mark
    while IFS=$'\t' read -r file how; do
        mark=''
        ! is_read_at_start "$file" || mark=$restarts
        [[ $file != "$ROOT" ]] || file="our lines in $ROOT"
        echo "$mark$file $how"
    done < <(differing_files)
}

program_differences() {
    local program
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null || echo "$program is missing"
    done
    are_as_installed || echo "gVisor's programs were exchanged"
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
        is_loaded || echo "${restarts}containerd has started with another configuration than the one that is wanted"
    fi
    [[ ! -e $kubelet_kubeconfig || ${states[-1]} == @(active|reloading) ]] || echo "$kubelet_unit is ${states[-1]}"
}

main "$@"
