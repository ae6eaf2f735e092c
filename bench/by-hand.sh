#!/usr/bin/env bash
# The steps of `npm run up` as somebody who knows them would type them: the same machines, packages, images and pods,
# side by side where that is quicker, without checks, state or idempotence. What `up` is measured against.
#
# usage: by-hand.sh up|down WORKERS [plain|prepared]; prepared: the machines start from the node image, where all but gVisor is
# Environment: STACK_DIR, CACHE_DIR, MIRROR_DIR, BRIDGE, RANGE as for scripts/local; SOURCES (the document that
# mirror/mirror.sh sources prints); MANIFEST (file with the pod network).
set -euo pipefail
shopt -s extglob

main() {
    workers=$2
    machines=${3-plain}
    prefix=${RANGE%0/24}
    begun=$(date +%s%N)
    "$1"
}

say() { printf '%6d ms  %s\n' "$((($(date +%s%N) - begun) / 1000000))" "$1" >&2; }

on() {
    local host=$1
    shift
    ssh -i "$STACK_DIR/id_ed25519" -o UserKnownHostsFile="$STACK_DIR/known_hosts" -o LogLevel=ERROR \
        -o ControlMaster=auto -o ControlPath="$STACK_DIR/ssh-%h" -o ControlPersist=60 "root@$host" "$@"
}

# quietly COMMAND...: what it has to say is shown only where it fails.
quietly() {
    local said
    said=$("$@" 2>&1) || { printf '%s failed: %s\n' "$1" "$said" >&2 && return 1; }
}

names() {
    echo "control-plane 10"
    local i
    for ((i = 1; i <= workers; i++)); do echo "worker-$i $((10 + i))"; done
}

# side_by_side FUNCTION: calls it for every machine at once.
side_by_side() {
    local name host jobs=() job
    while read -r name host; do
        "$1" "$name" "$prefix$host" </dev/null &
        jobs+=($!)
    done < <(names)
    for job in "${jobs[@]}"; do wait "$job"; done
}

up() {
    bash scripts/local/network.sh up >/dev/null
    bash scripts/local/key.sh create >/dev/null
    local name host
    : >"$STACK_DIR/known_hosts"
    values=$(package_values)
    [[ $machines == plain ]] || bash scripts/local/image.sh find >/dev/null
    side_by_side machine
    say "control plane up, machines prepared"
    hash=$(on "${prefix}10" "openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1")
    side_by_side worker
    say "proven"
}

machine() {
    local name=$1 address=$2
    bash scripts/local/machine.sh up "$name" "$address" >/dev/null
    cat "$STACK_DIR/machines/$name/known_hosts" >>"$STACK_DIR/known_hosts"
    say "$name boots"
    on "$address" bash -s <<EOF
set -e
export DEBIAN_FRONTEND=noninteractive
shopt -s extglob
$values
$(declare -f quietly prepare)
prepare "$name" "$address" "${prefix}10" "$machines"
EOF
    say "$name prepared"
    [[ $name == control-plane ]] || return 0
    on "$address" bash -s <<EOF
set -e
$values
$(declare -f quietly control_plane)
control_plane "$address"
EOF
    say "kubeadm init done"
    local jobs=() job
    on "$address" kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f - <"$MANIFEST" >/dev/null &
    jobs+=($!)
    on "$address" kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f - >/dev/null <<'YAML' &
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: { name: myclass }
handler: runsc
scheduling: { nodeSelector: { runtime-sandboxes/runsc: "true" } }
YAML
    jobs+=($!)
    # kubeadm join looks for the token's signature only every few seconds.
    on "$address" 'until kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-public get configmap cluster-info -o yaml | grep -q jws-kubeconfig-; do sleep 0.2; done'
    for job in "${jobs[@]}"; do wait "$job"; done
    say "control plane up"
}

package_values() {
    # shellcheck disable=SC2016 # JavaScript
    node -e '
        const s = JSON.parse(process.env.SOURCES);
        const line = (a) => `deb [signed-by=/usr/share/keyrings/${a.name}.gpg] ${a.url} ${a.suite} ${a.components}`;
        const quoted = (name, value) => console.log(`${name}=\x27${value}\x27`);
        quoted("apt", s.apt.map((a) => `${a.name}|${a.keyUrl}|${line(a)}`).join("\n"));
        quoted("packages", Object.entries(s.packages).map(([k, v]) => `${k}=${v}`).join(" "));
        quoted("version", s.packages.kubeadm.replace(/-.*/, ""));
        quoted("control_plane_images", s.images.controlPlane.join(" "));
        quoted("worker_images", s.images.worker.join(" "));'
}

# On the machine. One containerd configuration with both handlers, so one start.
prepare() {
    local name=$1 address=$2 control=$3 machines=$4 driver=false restrict=true repository key line url jobs=() job
    local list=/etc/apt/sources.list.d/by-hand.list
    printf '%s %s\n' "$control" control-plane "$address" "$name" >>/etc/hosts
    sysctl -q -w net.ipv4.ip_forward=1
    [[ $(stat -fc %T /sys/fs/cgroup) != cgroup2fs ]] || driver=true
    # shellcheck disable=SC2016 # the inner shell expands it
    ! bash -c 'echo -998 >/proc/$$/oom_score_adj' 2>/dev/null || restrict=false
    mkdir -p /etc/containerd
    cat >/etc/containerd/config.toml <<TOML
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = 'registry.k8s.io/pause:3.10.2'
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = $restrict
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
options = { SystemdCgroup = $driver }
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runsc]
runtime_type = 'io.containerd.runsc.v1'
TOML
    # gVisor is for workers only; the node image has all but gVisor.
    [[ $name != control-plane ]] || { packages=${packages/ runsc=+([^ ])/} && apt=$(grep -v ^gvisor <<<"$apt"); }
    if [[ $machines == prepared ]]; then
        packages=$(grep -o 'runsc=[^ ]*' <<<"$packages" || true)
        apt=$(grep ^gvisor <<<"$apt" || true)
    fi
    if [[ -n $packages ]]; then
        : >$list
        while IFS='|' read -r repository key line; do
            curl -fsS "$key" | gpg --batch --yes --dearmor -o "/usr/share/keyrings/$repository.gpg" &
            jobs+=($!)
            echo "$line" >>$list
        done <<<"$apt"
        for job in "${jobs[@]}"; do wait "$job"; done
        apt-get update -qq -o Dir::Etc::sourcelist=$list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=false >/dev/null
        # shellcheck disable=SC2086 # a list
        quietly apt-get install -qq -y --no-install-recommends -o Dpkg::Options::=--force-confold $packages
    fi
    if [[ $machines == prepared ]]; then
        systemctl restart containerd
        return
    fi
    local images=$worker_images
    [[ $name != control-plane ]] || images=$control_plane_images
    for url in $images; do ctr -n k8s.io images import --local "${url#file://}" >/dev/null; done
}

control_plane() {
    local address=$1 driver=cgroupfs
    [[ $(stat -fc %T /sys/fs/cgroup) != cgroup2fs ]] || driver=systemd
    cat >/root/kubeadm.yaml <<YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens: [{ token: abcdef.0123456789abcdef, ttl: 2h }]
localAPIEndpoint: { advertiseAddress: $address }
nodeRegistration: { ignorePreflightErrors: [all], imagePullPolicy: IfNotPresent }
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v$version
controlPlaneEndpoint: $address:6443
networking: { podSubnet: 10.244.0.0/16 }
encryptionAlgorithm: ECDSA-P256
controllerManager: { extraArgs: [{ name: leader-elect, value: "false" }] }
scheduler: { extraArgs: [{ name: leader-elect, value: "false" }] }
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: $driver
failCgroupV1: false
failSwapOn: false
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s }
YAML
    quietly kubeadm init --config /root/kubeadm.yaml
}

worker() {
    local name=$1 address=$2
    [[ $name != control-plane ]] || return 0
    quietly on "$address" "kubeadm join ${prefix}10:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:$hash --ignore-preflight-errors=all && until [ -e /run/flannel/subnet.env ]; do sleep 0.2; done"
    on "${prefix}10" bash -s <<EOF
set -e
export KUBECONFIG=/etc/kubernetes/admin.conf
$(declare -f pods)
pods "$name"
EOF
    on "$address" "uname -r; runsc --root /run/containerd/runsc/k8s.io list"
}

# On the control plane: both pods on one worker, and what they see.
pods() {
    local name=$1 pod class
    kubectl label node "$name" runtime-sandboxes/runsc=true >/dev/null
    for pod in "test-1-$name" "test-2-$name"; do
        class=''
        [[ $pod != test-2-* ]] || class='runtimeClassName: myclass'
        cat <<YAML
apiVersion: v1
kind: Pod
metadata: { name: $pod }
spec:
  nodeName: $name
  $class
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  containers: [{ name: nginx, image: "docker.io/library/nginx:1.28", imagePullPolicy: IfNotPresent }]
---
YAML
    done | kubectl apply -f - >/dev/null
    kubectl wait --for condition=Ready --timeout 120s "pod/test-1-$name" "pod/test-2-$name" >/dev/null
    for pod in "test-1-$name" "test-2-$name"; do
        kubectl exec "$pod" -- sh -c 'uname -r; dmesg || true' &
    done
    wait
}

take_down() {
    bash scripts/local/machine.sh down "$1"
}

down() {
    side_by_side take_down
    bash scripts/local/network.sh down >/dev/null
    bash scripts/local/key.sh remove
    rm -rf "$STACK_DIR"
}

main "$@"
