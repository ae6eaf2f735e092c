#!/usr/bin/env bash
# Finds out what a machine is like, before anything is changed. Changes nothing itself.
#
# Constants: none.
# Result (secret, since the files may hold a registry's password): NodeFacts of components/gvisor/facts.ts

main() {
    begin_reading
    local effective error
    error=$(mktemp)
    effective=$(effective_configuration 2>"$error") || effective=''
    printf '{"os":{"id":%s,"version":%s,"name":%s},"architecture":%s,"kernel":%s,"cgroupVersion":%s,"kubeletCgroupDriver":%s,' \
        "$(json_string "$(os_release ID)")" "$(json_string "$(os_release VERSION_ID)")" \
        "$(json_string "$(os_release PRETTY_NAME)")" "$(json_string "$(uname -m)")" "$(json_string "$(uname -r)")" \
        "$([[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]] && echo 2 || echo 1)" \
        "$(json_string "$(sed -n 's/^cgroupDriver: *"\{0,1\}\([a-z]*\).*/\1/p' /var/lib/kubelet/config.yaml /run/k0s/kubelet/config.yaml 2>/dev/null)")"
    printf '"ptraceScope":%s,"kvm":%s,"freeMiB":%s,"apt":%s,"runc":%s,"kubelet":%s,"managers":%s,' \
        "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo null)" "$(truth test -e /dev/kvm)" \
        "$(df --output=avail -m /usr /var/lib | tail -n +2 | sort -n | awk 'NR == 1 { print $1 }')" \
        "$(truth command -v apt-get)" "$(json_string "$(runc_version)")" "$(json_string "$(kubelet_version)")" "$(managers | json_array)"
    printf '"containerd":{"version":%s,"service":%s,"killMode":%s,"configPath":%s,"dropIns":%s,"files":[%s],"effective":%s,"error":%s,"handlers":%s},' \
        "$(json_string "$(containerd_version)")" "$(json_string "$(systemctl is-active "$unit")")" \
        "$(json_string "$(systemctl show "$unit" --property KillMode --value)")" \
        "$(json_string "$(config_path)")" "$(json_string "$drop_ins")" "$(files)" "$(json_string "$effective")" \
        "$(json_string "$([[ -n $effective ]] || cat "$error")")" "$(loaded_handlers | json_array)"
    printf '"runsc":{"version":%s,"path":%s,"package":%s,"shim":%s},"basis":"%s"}\n' \
        "$(json_string "$(runsc_version)")" "$(json_string "$(command -v runsc || true)")" \
        "$(json_string "$(installed_version runsc)")" "$(json_string "$(command -v containerd-shim-runsc-v1 || true)")" "$(basis)"
    rm "$error"
}

truth() { if "$@" >/dev/null 2>&1; then echo true; else echo false; fi; }

files() {
    local file items=()
    while read -r file; do
        items+=("{\"path\":$(json_string "$file"),\"text\":$(json_string "$(without_marked "$file" && echo x)")}")
    done < <(config_files "$(config_path)")
    # The x keeps the newlines at the end of a text.
    (IFS=, && echo "${items[*]-}") | sed 's/x"}/"}/g'
}

# Who else writes containerd's configuration, by what they leave on a node.
managers() {
    local name path
    while read -r name path; do
        ! compgen -G "$path" >/dev/null || echo "$name"
    done <<'LIST' | sort -u
k3s /var/lib/rancher/k3s/agent/etc/containerd
rke2 /var/lib/rancher/rke2/agent/etc/containerd
k0s /var/lib/k0s
k0s /etc/k0s
microk8s /var/snap/microk8s
kops /opt/kops
kops /var/cache/nodeup
kubespray /etc/kubernetes/ssl
kubespray /etc/containerd/cri-base.json
LIST
}

main "$@"
