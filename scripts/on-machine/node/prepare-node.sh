#!/usr/bin/env bash
# Prepares a machine for kubeadm: kernel settings, containerd, kubelet, kubeadm, images.
#
# install  makes it so, and changes only what is not.
# inspect  changes nothing and names why install would restart a containerd that runs.
#
# Constants: ROLE (control-plane or worker); for NAME in KUBERNETES, CONTAINERD: NAME_URL, NAME_SUITE, NAME_COMPONENTS,
# NAME_KEY, NAME_FINGERPRINT; PACKAGES (PACKAGE=VERSION, one a line); KUBERNETES_ASKED (the version that the settings ask
# for; where it is empty a node in use keeps its own); IMAGES (URLs of image archives, one a line); PAUSE_IMAGE; HOSTS
# (lines for /etc/hosts).
# Result of install: {"cgroupDriver", "kubelet"}
# Result of inspect: {"restart": [why containerd is restarted], "at": when}

main() {
    case $1 in
    install)
        begin
        check_machine
        configure_kernel
        configure_hosts
        configure_containerd
        install_packages
        apply_containerd
        import_images
        json_object cgroupDriver="$(cgroup_driver)" kubelet="$(installed_version kubelet)"
        ;;
    inspect)
        begin_reading
        json_object restart:="$(restarts | json_array)" at="$(date -u +%FT%T.%3NZ)"
        ;;
    esac
}

# What would restart a containerd that runs: another package, whose own scripts do it, or another configuration.
restarts() {
    local wanted
    systemctl is-active --quiet containerd || return 0
    wanted=$(sed -n '/^containerd.io=/p' <<<"$PACKAGES")
    [[ -z $(apt_missing "$wanted") ]] || echo "containerd.io $(installed_version containerd.io) becomes ${wanted#*=}"
    ! needs_root_file || echo "$root_file is not as wanted"
    cmp -s <(drop_in) "$drop_in_file" || echo "$drop_in_file is not as wanted"
}

# All reasons why the machine cannot be used, at once, before anything is changed.
check_machine() {
    local complaints=() free
    command -v apt-get >/dev/null || complaints+=("it has no apt-get; Debian and Ubuntu are supported")
    [[ -d /run/systemd/system ]] || complaints+=("systemd does not run it")
    case $(uname -m) in x86_64 | aarch64) ;; *) complaints+=("its architecture is $(uname -m); gVisor needs x86_64 or aarch64") ;; esac
    free=$(df --output=avail -m /var/lib | tail -n 1)
    ((free >= 2048)) || complaints+=("/var/lib has $((free)) MiB free; 2048 are needed")
    for unit in k3s k3s-agent rke2-server rke2-agent k0scontroller k0sworker; do
        ! systemctl is-active --quiet "$unit" || complaints+=("$unit manages it already")
    done
    if [[ -n $KUBERNETES_ASKED ]] && other_kubernetes; then
        complaints+=("it is a node with kubelet $(installed_version kubelet), and kubernetesVersion is $KUBERNETES_ASKED; changing the Kubernetes version of a cluster in use is not supported: empty that setting, or make a new stack")
    fi
    ((${#complaints[@]} == 0)) || die "the machine cannot be used: $(printf '%s; ' "${complaints[@]}")nothing was changed"
}

# Whether the machine is a node in use, with another version of Kubernetes than the sources have.
other_kubernetes() {
    local kubelet
    kubelet=$(installed_version kubelet)
    [[ -e /etc/kubernetes/initialised || -e /etc/kubernetes/joined ]] || return 1
    # shellcheck disable=SC2053 # the version is a pattern
    [[ -n $kubelet && $kubelet != $(sed -n 's/^kubelet=//p' <<<"$PACKAGES") ]]
}

# https://kubernetes.io/docs/setup/production-environment/container-runtimes/#network-configuration
configure_kernel() {
    local key settings='net.ipv4.ip_forward = 1' file=/etc/sysctl.d/90-kubernetes.conf
    write_if_changed /etc/modules-load.d/kubernetes.conf 644 <<<$'overlay\nbr_netfilter'
    modprobe -qa overlay br_netfilter || log "kernel modules are the host's business here"
    for key in net.bridge.bridge-nf-call-{iptables,ip6tables}; do
        [[ ! -e /proc/sys/${key//.//} ]] || settings+=$'\n'"$key = 1"
    done
    changed=no
    write_if_changed $file 644 <<<"$settings"
    [[ $changed == no ]] || sysctl -q -p $file >&2 || log "some kernel settings cannot be changed here"
}

# kubeadm waits 10 s for DNS, again and again, where the machine's own name does not resolve.
configure_hosts() {
    local rest
    rest=$(sed '/^# nodes of the cluster$/,/^# end of nodes$/d' /etc/hosts)
    # In place: /etc/hosts may be a mount of its own.
    local wanted="$rest"$'\n# nodes of the cluster\n'"$HOSTS"$'\n# end of nodes'
    [[ $(</etc/hosts) == "$wanted" ]] || printf '%s\n' "$wanted" >/etc/hosts
}

cgroup_driver() {
    if [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]]; then echo systemd; else echo cgroupfs; fi
}

# Where nobody may lower an oom_score_adj (no CAP_SYS_RESOURCE), containerd must not try:
# https://github.com/containerd/containerd/blob/main/docs/cri/config.md (restrict_oom_score_adj).
restrict_oom_score_adj() {
    # shellcheck disable=SC2016 # the inner shell expands it
    if bash -c 'echo -998 >/proc/$$/oom_score_adj' 2>/dev/null; then echo false; else echo true; fi
}

readonly root_file=/etc/containerd/config.toml drop_in_file=/etc/containerd/conf.d/10-kubernetes.toml

configure_containerd() {
    changed=no
    ! needs_root_file || write_if_changed $root_file 644 <<<$'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]'
    write_if_changed $drop_in_file 644 < <(drop_in)
    containerd_changed=$changed
}

# The package's own file switches the CRI plug-in off.
needs_root_file() { [[ ! -e $root_file || -z $(installed_version containerd.io) ]]; }

drop_in() {
    cat <<TOML
version = 3

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '$PAUSE_IMAGE'

[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = $(restrict_oom_score_adj)

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = $([[ $(cgroup_driver) == systemd ]] && echo true || echo false)
TOML
}

install_packages() {
    local packages
    mapfile -t packages <<<"$PACKAGES"
    if other_kubernetes; then
        log "it is a node in use: its kubelet stays $(installed_version kubelet)"
        mapfile -t packages < <(grep -vE '^kube(let|adm|ctl)=' <<<"$PACKAGES")
    fi
    changed=no
    apt_source kubernetes "$KUBERNETES_URL" "$KUBERNETES_SUITE" "$KUBERNETES_COMPONENTS" "$KUBERNETES_KEY" "$KUBERNETES_FINGERPRINT"
    apt_source containerd "$CONTAINERD_URL" "$CONTAINERD_SUITE" "$CONTAINERD_COMPONENTS" "$CONTAINERD_KEY" "$CONTAINERD_FINGERPRINT"
    # A repository that has been there for a while may have the versions that are wanted only since then.
    [[ $changed == no && -z $(apt_missing "${packages[@]}") ]] || apt_update kubernetes containerd
    apt_install "${packages[@]}"
}

apply_containerd() {
    if [[ $containerd_changed == yes ]] || ! systemctl is-active --quiet containerd; then
        systemctl enable --quiet containerd
        systemctl restart containerd || die "containerd does not start: $(journalctl -u containerd -n 5 --no-pager -o cat)"
    fi
    wait_until 30 containerd ctr version
}

readonly imports=/var/lib/containerd-imports

# An archive is imported once, and only if its digest is the one that the mirror has signed; that is then remembered.
# --local spares the way through containerd's transfer service, which takes more than twice as long.
import_images() {
    local url wanted archive found reply known=()
    mkdir -p $imports
    trap 'rm -f $imports/archive' EXIT
    while read -r url; do
        [[ -n $url ]] || continue
        wanted=$(signed_digest "$url")
        known+=(! -name "$wanted")
        [[ ! -e $imports/$wanted ]] || continue
        archive=${url#file://}
        if [[ $url != file://* ]]; then
            archive=$imports/archive
            fetch "$url" "$archive"
        fi
        [[ -r $archive ]] || die "the images at $url cannot be read"
        found=$(sha256sum <"$archive" | cut -d' ' -f1)
        [[ $found == "$wanted" ]] ||
            die "the images at $url have the SHA-256 $found, expected $wanted; they were not imported." \
                "Find out who changed them; if the mirror was built again just now, run this again"
        reply=$(ctr --namespace k8s.io images import --local "$archive" 2>&1) ||
            die "cannot import the images at $url: $(tail -n 3 <<<"$reply")"
        touch "$imports/$wanted"
        log "imported $url"
    done <<<"$IMAGES"
    # An earlier archive has lost its tags to this one: should it be wanted again, it has to be imported again.
    find $imports -type f "${known[@]}" -delete
}

# signed_digest URL: SHA-256 of an image archive by the mirror's index, which must be signed by the key of the mirror's APT
# repositories. The fingerprint of that key was checked when they were registered.
signed_digest() {
    local mirror=${1%/images/*} file=images/${1##*/} scratch digest listed
    scratch=$(mktemp -d)
    # shellcheck disable=SC2064 # the directory of now
    trap "rm -rf '$scratch'" EXIT
    fetch "$mirror/index.json" "$scratch/index.json"
    fetch "$mirror/index.json.asc" "$scratch/index.json.asc"
    gpg --homedir "$scratch" --batch --quiet --trust-model always --no-default-keyring \
        --keyring /usr/share/keyrings/kubernetes-archive-keyring.gpg \
        --verify "$scratch/index.json.asc" "$scratch/index.json" 2>/dev/null ||
        die "$mirror/index.json is not signed by the mirror's key, $KUBERNETES_FINGERPRINT; no images were imported." \
            "Find out who changed it before you trust it"
    digest=$(sed -n "\\|^ *\"$file\": {|,/}/s/^ *\"sha256\": \"\([0-9a-f]\{64\}\)\".*/\1/p" "$scratch/index.json")
    listed=$(sed -n 's|^ *"\(images/.*\)": {$|\1|p' "$scratch/index.json" | paste -sd' ')
    [[ -n $digest ]] || die "$mirror/index.json has no digest of $file; it has those of $listed." \
        "Set kubernetesVersion to one of these, or build the mirror with it"
    printf '%s\n' "$digest"
}

main "$@"
