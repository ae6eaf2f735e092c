# shellcheck shell=bash
# What the control groups of a pod say. The scripts that follow use it, after gvisor/node.sh.

# The running container of a pod; fails where there is none. The pause container is not among them.
container_of() { cri ps --quiet --state running --label "io.kubernetes.pod.uid=$1" | sed -n 1p | grep .; }

is_v2() { [[ -e /sys/fs/cgroup/cgroup.controllers ]]; }

# group_of CONTROLLER PID: directory of the group that a process is in.
group_of() {
    local path
    if is_v2; then
        path=$(sed -n 's/^0:://p' "/proc/$2/cgroup")
        echo "/sys/fs/cgroup$path"
    else
        path=$(sed -nE "s/^[0-9]+:([^:]*,)?$1(,[^:]*)?://p" "/proc/$2/cgroup")
        echo "/sys/fs/cgroup/$1$path"
    fi
}

# own_group CONTROLLER UID: directory of the group that a pod's container runs in; behind gVisor, that of its sandbox.
own_group() {
    local container pid
    container=$(container_of "$2") || die "the container of pod $2 has ended; run up again"
    pid=$(cri inspect --output go-template --template '{{.info.pid}}' "$container")
    group_of "$1" "$pid"
}

# pod_part GROUP UID: that part of the directory which is the pod's own group, as kubelet names it with either driver;
# nothing where the group is not inside of it, as when gVisor and kubelet disagree on the driver.
pod_part() {
    local named="pod$2|[^/]*-pod${2//-/_}\.slice"
    [[ ! $1 =~ ^(.*/($named))(/|$) ]] || echo "${BASH_REMATCH[1]}"
}

# home_group CONTROLLER UID: the pod's own group, or where its container runs instead.
home_group() {
    local group pod
    group=$(own_group "$1" "$2")
    pod=$(pod_part "$group" "$2")
    echo "${pod:-$group}"
}

# In bytes, without what can be dropped at once, as kubelet counts it.
memory_used() {
    local bytes inactive
    if is_v2; then
        read -r bytes <"$1/memory.current"
        inactive=$(awk '$1 == "inactive_file" { print $2 }' "$1/memory.stat")
    else
        read -r bytes <"$1/memory.usage_in_bytes"
        inactive=$(awk '$1 == "total_inactive_file" { print $2 }' "$1/memory.stat")
    fi
    echo $((bytes - inactive))
}
