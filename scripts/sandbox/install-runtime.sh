#!/usr/bin/env bash
# Installs gVisor on a machine with containerd and adds it as a runtime handler, beside whatever is configured.
# containerd is restarted only if something changed; if it does not come back with the handler, the old
# configuration is restored.
#
# Constants: HANDLER, PLATFORM, RUNSC_VERSION, GVISOR_URL, GVISOR_SUITE, GVISOR_COMPONENTS, GVISOR_KEY,
# GVISOR_FINGERPRINT.
# Result: {"os", "kernel", "containerd", "runsc", "handlers", "configSha256"}

readonly options=/etc/containerd/runsc/$HANDLER.toml
readonly drop_in=/etc/containerd/conf.d/50-$HANDLER.toml

main() {
    begin
    check_machine
    install_runsc
    configure_handler
    print_evidence
}

check_machine() {
    local complaints=() version
    version=$(containerd --version 2>/dev/null | awk '{ print $3 }') || true
    version=${version#v}
    if [[ -z $version ]]; then
        complaints+=("it has no containerd")
    elif [[ ! $version =~ ^(2\.(0\.([6-9]|[1-9][0-9])|1\.([2-9]|[1-9][0-9])|([2-9]|[1-9][0-9])\.)|[3-9]) ]]; then
        # https://github.com/containerd/containerd/issues/11708: earlier 2.x leak gVisor's shims; 1.x has no drop-ins.
        complaints+=("it has containerd $version; allowed: 2.0.6 or newer, from 2.1 on 2.1.2 or newer")
    fi
    if [[ -e /etc/containerd/config.toml ]]; then
        grep -Eq '^version *= *[34]' /etc/containerd/config.toml ||
            complaints+=("/etc/containerd/config.toml is not of version 3 or newer; run: containerd config migrate")
        grep -Eq '^imports *=.*/etc/containerd/conf\.d/\*\.toml' /etc/containerd/config.toml ||
            complaints+=("/etc/containerd/config.toml does not import /etc/containerd/conf.d/*.toml; add that line")
    else
        complaints+=("it has no /etc/containerd/config.toml")
    fi
    [[ $(sort -V <(uname -r) <(echo 5.6) | head -n 1) == 5.6 ]] || complaints+=("its kernel is $(uname -r); gVisor needs 5.6 or newer")
    [[ $PLATFORM != kvm || -e /dev/kvm ]] || complaints+=("it has no /dev/kvm; set gvisorPlatform to systrap")
    [[ $(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null) != 3 ]] ||
        complaints+=("kernel.yama.ptrace_scope is 3, which stops gVisor (google/gvisor#10495); set it to 2 or less")
    ((${#complaints[@]} == 0)) || die "gVisor cannot run here: $(printf '%s; ' "${complaints[@]}")nothing was changed"
}

install_runsc() {
    if apt_source gvisor "$GVISOR_URL" "$GVISOR_SUITE" "$GVISOR_COMPONENTS" "$GVISOR_KEY" "$GVISOR_FINGERPRINT" ||
        [[ -z $(installed_version runsc) ]]; then
        apt_update gvisor
    fi
    apt_install "runsc=$RUNSC_VERSION" || true
    runsc --version >/dev/null || die "runsc is installed but does not run"
    [[ -x /usr/bin/containerd-shim-runsc-v1 ]] || die "the package runsc brought no containerd-shim-runsc-v1"
}

# Schema 3 serves containerd 2.0 and newer; the drop-in has the version of the root file on disk:
# https://github.com/containerd/containerd/blob/main/docs/PLUGINS.md
configure_handler() {
    local changed=no backup schema
    schema=$(sed -n 's/^version *= *//p' /etc/containerd/config.toml)
    backup=$(mktemp -d)
    for file in "$options" "$drop_in"; do
        [[ ! -e $file ]] || cp -p "$file" "$backup/"
    done
    write_if_changed "$options" 644 <<TOML && changed=yes
[runsc_config]
platform = "$PLATFORM"
TOML
    write_if_changed "$drop_in" 644 <<TOML && changed=yes
version = $schema

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.$HANDLER]
runtime_type = 'io.containerd.runsc.v1'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.$HANDLER.options]
TypeUrl = 'io.containerd.runsc.v1.options'
ConfigPath = '$options'
TOML
    if [[ $changed == yes ]] || ! handlers | grep -Fqx "$HANDLER"; then
        reload_containerd || {
            restore "$backup"
            die "containerd does not serve the handler $HANDLER with the new configuration; the old one is back." \
                "containerd said: $reload_error"
        }
    fi
    rm -r "$backup"
}

reload_containerd() {
    reload_error=$(containerd config dump 2>&1 >/dev/null) || return 1
    systemctl restart containerd || {
        reload_error=$(journalctl -u containerd -n 5 --no-pager -o cat)
        return 1
    }
    local deadline=$((SECONDS + 30))
    until handlers | grep -Fqx "$HANDLER"; do
        ((SECONDS < deadline)) || {
            reload_error="the handlers are $(handlers | paste -sd, -)"
            return 1
        }
        sleep 0.1
    done
    log "restarted containerd with the handler $HANDLER"
}

restore() {
    local file
    for file in "$options" "$drop_in"; do
        if [[ -e $1/${file##*/} ]]; then cp -p "$1/${file##*/}" "$file"; else rm -f "$file"; fi
    done
    systemctl restart containerd || true
}

# The handlers that containerd has loaded, one a line; the default one is listed once more without a name.
handlers() {
    crictl --runtime-endpoint unix:///run/containerd/containerd.sock info --output go-template \
        --template '{{range .runtimeHandlers}}{{with index . "name"}}{{.}}{{"\n"}}{{end}}{{end}}' 2>/dev/null |
        sort -u || true
}

print_evidence() {
    local os
    os=$(. /etc/os-release && echo "$PRETTY_NAME")
    printf '{"os":%s,"kernel":%s,"containerd":%s,"runsc":%s,"handlers":[%s],"configSha256":"%s"}\n' \
        "$(json_string "$os")" "$(json_string "$(uname -r)")" \
        "$(json_string "$(containerd --version | awk '{ print $3 }')")" \
        "$(json_string "$(runsc --version | awk 'NR == 1 { print $NF }')")" \
        "$(handlers | sed 's/.*/"&"/' | paste -sd, -)" \
        "$(cat "$options" "$drop_in" | sha256sum | cut -d' ' -f1)"
}

main "$@"
