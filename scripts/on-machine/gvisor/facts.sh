#!/usr/bin/env bash
# Finds out what a machine is like, before anything is changed. Changes nothing itself.
#
# Constants: none.
# Result (secret, since the files may hold a registry's password): NodeFacts of components/gvisor/facts.ts

main() {
    begin_reading
    local effective error
    effective=$(effective_configuration 2>/dev/null) || effective=''
    error=$([[ -n $effective ]] || effective_configuration 2>&1 >/dev/null) || true
    json_object os:="$(json_object id="$(os_release ID)" version="$(os_release VERSION_ID)" name="$(os_release PRETTY_NAME)")" \
        architecture="$(uname -m)" kernel="$(uname -r)" \
        cgroupVersion:="$([[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]] && echo 2 || echo 1)" \
        kubeletCgroupDriver="$(sed -n 's/^cgroupDriver: *"\{0,1\}\([a-z]*\).*/\1/p' /var/lib/kubelet/config.yaml /run/k0s/kubelet/config.yaml 2>/dev/null)" \
        ptraceScope:="$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo null)" kvm:="$(truth test -e /dev/kvm)" \
        freeMiB:="$(df --output=avail -m /usr /var/lib | tail -n +2 | sort -n | awk 'NR == 1 { print $1 }')" \
        apt:="$(truth command -v apt-get)" runc="$(runc_version)" kubelet="$(kubelet_version)" managers:="$(managers | json_array)" \
        containerd:="$(json_object version="$(containerd_version)" service="$(systemctl is-active "$unit")" \
            killMode="$(systemctl show "$unit" --property KillMode --value)" configPath="$ROOT" dropIns="$drop_ins" \
            files:="[$(files | paste -sd,)]" effective="$effective" error="$error" handlers:="$(loaded_handlers | json_array)")" \
        runsc:="$(json_object version="$(runsc_version)" path="$(command -v runsc || true)" \
            package="$(installed_version runsc)" shim="$(command -v containerd-shim-runsc-v1 || true)")" basis="$(basis)"
}

truth() { if "$@" >/dev/null 2>&1; then echo true; else echo false; fi; }

files() {
    local file text
    while read -r file; do
        text=$(without_marked "$file" && echo x) # which keeps the newlines at its end
        json_object path="$file" text="${text%x}"
    done < <(config_files)
}

# Other programs that write containerd's configuration, by what they leave on a node.
managers() {
    local name paths path
    while read -r name paths; do
        for path in $paths; do [[ ! -e $path ]] || echo "$name"; done
    done <<'LIST' | sort -u
k3s /var/lib/rancher/k3s/agent/etc/containerd
rke2 /var/lib/rancher/rke2/agent/etc/containerd
k0s /var/lib/k0s /etc/k0s
microk8s /var/snap/microk8s
kops /opt/kops /var/cache/nodeup
kubespray /etc/kubernetes/ssl /etc/containerd/cri-base.json
LIST
}

main "$@"
