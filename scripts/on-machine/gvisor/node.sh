# shellcheck shell=bash
# What the scripts of the sandbox runtime know about a machine's containerd.

# Whose containerd it is. k0s brings its own, writes what that reads, and starts it anew when a drop-in changes:
# https://docs.k0sproject.io/stable/runtime/
if [[ -e /etc/k0s/containerd.toml ]]; then
    keeper=k0s
    PATH=/var/lib/k0s/bin:$PATH
    unit=k0sworker
    [[ ! -e /etc/systemd/system/k0scontroller.service ]] || unit=k0scontroller
    kubelet_unit=$unit
    cri_socket=/run/k0s/containerd.sock
    kubelet_kubeconfig=/var/lib/k0s/kubelet.conf
    kubelet_config=/run/k0s/kubelet/config.yaml
    drop_ins=/etc/k0s/containerd.d
    ctr() { k0s ctr "$@"; }
    kubectl() { k0s kubectl "$@"; }
else
    keeper=machine
    unit=containerd kubelet_unit=kubelet
    cri_socket=/run/containerd/containerd.sock
    kubelet_kubeconfig=/etc/kubernetes/kubelet.conf
    kubelet_config=/var/lib/kubelet/config.yaml # if it was not started with another one
    drop_ins='' # those that the root file imports
fi
# shellcheck disable=SC2034 # the scripts that follow use them
readonly keeper unit kubelet_unit cri_socket kubelet_kubeconfig kubelet_config drop_ins

readonly mark_begin='# >>> runtime-sandboxes' mark_end='# <<< runtime-sandboxes'
readonly own_drop_in=50-runtime-sandboxes.toml
# What version 0.1.0 has written on the machines of a stack: ours, under the name of its one handler.
readonly early_drop_in=/etc/containerd/conf.d/50-runsc.toml early_options=/etc/containerd/runsc/runsc.toml
readonly early_text="version = 3

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runsc]
runtime_type = 'io.containerd.runsc.v1'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runsc.options]
TypeUrl = 'io.containerd.runsc.v1.options'
ConfigPath = '$early_options'"

readonly mask='# runtime-sandboxes: '

# without_marked FILE: its text without what this program put there, and with what that took the place of; nothing where
# there is no file. Where a mark was lost all is theirs: better twice than not at all.
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

containerd_version() {
    local version=''
    read -r _ _ version _ < <(containerd --version 2>/dev/null) || true
    echo "${version#v}"
}

# The file that the service reads: https://github.com/containerd/containerd/blob/main/docs/man/containerd.8.md
config_path() {
    local start option='.* (-c|--config)[ =]([^ ;]+)'
    [[ $keeper != k0s ]] || { echo /etc/k0s/containerd.toml && return; }
    start=$(systemctl show containerd --property ExecStart --value 2>/dev/null) || true
    if [[ $start =~ $option ]]; then echo "${BASH_REMATCH[2]}"; else echo /etc/containerd/config.toml; fi
}

# config_files ROOT: the root file and what it imports, without our own drop-in, one path a line.
config_files() {
    local root=$1 file
    # One with nothing in it but ours counts as none: it is ours.
    [[ -n $(without_marked "$root") ]] || return 0
    echo "$root"
    if [[ -n $drop_ins ]]; then
        # What else k0s has its root file import is made of these.
        compgen -G "$drop_ins/*.toml" || true
    else
        imports "$root"
    fi | while read -r file; do
        [[ ${file##*/} == "$own_drop_in" || ! -f $file ]] || is_early "$file" || echo "$file"
    done
}

is_early() { [[ $1 == "$early_drop_in" && $(<"$1") == "$early_text" ]]; }

# imports ROOT: what it imports, one path a line.
imports() {
    local root=$1 pattern
    # It reads to the end: what writes into a pipe that nobody reads fails.
    without_marked "$root" | awk '
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
        [[ $pattern == /* ]] || pattern=$(dirname "$root")/$pattern
        compgen -G "$pattern" || true
    done
}

# Identifies all that this program's own configuration is made for.
basis() {
    local root=${ROOT:-} file hash
    [[ -n $root ]] || root=$(config_path)
    read -r hash _ < <({
        containerd_version
        echo "$root"
        config_files "$root" | while read -r file; do
            # As if it ended in a newline, which it does once ours stands after it.
            printf '%s\n%s\n' "$file" "$(without_marked "$file")"
        done
    } | sha256sum)
    echo "$hash"
}

# All that is in force, as TOML. containerd 1.x dumps nothing where there is no file.
effective_configuration() {
    local root
    root=$(config_path)
    if [[ -e $root ]]; then containerd --config "$root" config dump; else containerd config dump 2>/dev/null || containerd config default; fi
}

cri() { crictl --runtime-endpoint "unix://$cri_socket" "$@" 2>/dev/null; }

# The handlers that the running containerd has loaded, one a line. containerd 1.x does not list them in its status, but in
# the configuration that it runs with.
loaded_handlers() {
    # shellcheck disable=SC2016 # the template's own
    cri info --output go-template --template '{{with index . "runtimeHandlers"}}{{range .}}{{with index . "name"}}{{.}}{{"\n"}}{{end}}{{end}}{{end}}{{with index . "config"}}{{range $name, $runtime := index (index . "containerd") "runtimes"}}{{$name}}{{"\n"}}{{end}}{{end}}' |
        grep . | sort -u || true
}

os_release() { (. /etc/os-release && eval "echo \"\${$1-}\""); }

# A version that nobody knows, or of what is not there, is empty.
runc_version() { { runc --version 2>/dev/null || true; } | awk '/^runc version/ { print $3 }'; }

kubelet_version() { { kubelet --version 2>/dev/null || true; } | awk '{ sub(/^v/, "", $2); print $2 }'; }

runsc_version() { { runsc --version 2>/dev/null || true; } | awk 'NR == 1 { print $NF }'; }

# Where its configuration has kubelet say so: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
# Where it says nothing of its health, being asked is no way to know: then only its node's condition counts.
kubelet_healthy() {
    local file=$kubelet_config started option=' --config[ =]([^ ]+)' port address
    if [[ $keeper != k0s ]]; then
        started=$(tr '\0' ' ' <"/proc/$(systemctl show "$kubelet_unit" --property MainPID --value)/cmdline") || true
        [[ ! $started =~ $option ]] || file=${BASH_REMATCH[1]}
    fi 2>/dev/null
    port=$(kubelet_setting healthzPort "$file")
    [[ $port != 0 ]] || return 0
    address=$(kubelet_setting healthzBindAddress "$file")
    [[ $address != *:* ]] || address="[$address]"
    curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "http://${address:-127.0.0.1}:${port:-10248}/healthz"
}

# kubelet_setting NAME FILE: a number or an address in kubelet's configuration, YAML or JSON.
kubelet_setting() {
    sed -nE "/^ *#/d; s/^(.*[{,\" ])?$1\"? *: *[\"']?([0-9A-Fa-f.:]+).*/\2/p" "$2" 2>/dev/null || true
}

# is_replaced EXE RUNSC: whether what executes a sandbox is not of the gVisor that is installed now, whose runsc is at RUNSC
# (links followed). A program that was replaced while it runs is "deleted" to the kernel (proc_pid_exe(5)).
is_replaced() { [[ $1 != "${2%/*}"/* || $1 == *" (deleted)" ]]; }
