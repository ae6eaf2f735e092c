# shellcheck shell=bash disable=SC2034 # the scripts that follow use what is set here
# What a machine is as a node: whose containerd it has, what that serves, and how its kubelet is.

# k0s brings its own containerd, writes what that reads, and restarts it when a drop-in changes:
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
    drop_ins=''                                 # those that the root file imports
fi
readonly keeper unit kubelet_unit cri_socket kubelet_kubeconfig kubelet_config drop_ins

cri() { crictl --runtime-endpoint "unix://$cri_socket" "$@" 2>/dev/null; }

# What `crictl info` prints has {"runtimeHandlers": [{"name": "runsc"}]} with containerd 2; with 1.x it has what containerd is
# configured with, {"config": {"containerd": {"runtimes": {"runsc": {}}}}}.
readonly handlers_in_status='{{with index . "runtimeHandlers"}}{{range .}}{{with index . "name"}}{{.}}{{"\n"}}{{end}}{{end}}{{end}}'
# shellcheck disable=SC2016 # the template's own
readonly handlers_in_config='{{with index . "config"}}{{range $name, $runtime := index (index . "containerd") "runtimes"}}{{$name}}{{"\n"}}{{end}}{{end}}'

# The handlers that the running containerd has loaded, one a line.
loaded_handlers() {
    cri info --output go-template --template "$handlers_in_status$handlers_in_config" | grep . | sort -u || true
}

os_release() { (. /etc/os-release && echo "${!1-}"); }

# Empty for what is not installed, or does not say its version.
containerd_version() { { containerd --version 2>/dev/null || true; } | awk 'NR == 1 { sub(/^v/, "", $3); print $3 }'; }
runc_version() { { runc --version 2>/dev/null || true; } | awk '/^runc version/ { print $3 }'; }
kubelet_version() { { kubelet --version 2>/dev/null || true; } | awk '{ sub(/^v/, "", $2); print $2 }'; }
runsc_version() { { runsc --version 2>/dev/null || true; } | awk 'NR == 1 { print $NF }'; }

# node JSONPATH: of this node, with its own rights: it may read itself.
node() { kubectl --kubeconfig "$kubelet_kubeconfig" get node "$NODE" --output "jsonpath=$1"; }

# Asked where its configuration says: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
# Where that switches it off only the condition of its node counts.
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
