#!/usr/bin/env bash
# What a worker itself says about the sandboxes of pods; a pod cannot fake it.
#
# Constants: PODS (KEY UID, one a line); OPTIONS (names of flags of runsc, one a line).
# Result: {"kernel", "version", "pods": {KEY: {"runtimes": [containerd's runtime of each running container],
#          "runscRunning": containers that runsc lists as running, "sandboxExecutable": what runs the sandbox,
#          "sandboxOptions": the value of each of OPTIONS that it was started with}}}

main() {
    begin_reading
    local key uid facts pods=()
    while read -r key uid; do
        facts=$(pod_facts "$uid")
        pods+=("$key:=$facts")
    done <<<"$PODS"
    json_object kernel="$(uname -r)" version="$(</proc/version)" pods:="$(json_object "${pods[@]}")"
}

# The running containers of a pod: ID RUNTIME, one a line. The pause container is one of them. What is left of containers
# that ended (a reboot leaves some until kubelet clears them away) is passed over.
containers() {
    local running
    running=$(ctr --namespace k8s.io tasks list 2>/dev/null | awk '$3 == "RUNNING" { print $1 }')
    ctr --namespace k8s.io containers list "labels.\"io.kubernetes.pod.uid\"==$1" 2>/dev/null |
        awk 'NR > 1 { print $1, $NF }' | grep -F -f <(echo "${running:-none}") || true
}

up_and_running() {
    local count
    count=$(containers "$1" | grep -c . || true)
    echo "$count containers run"
    ((count >= 2))
}

# ID and process of each container that runsc runs; the root is where the shim keeps its state.
runsc_running() {
    [[ -d /run/containerd/runsc/k8s.io ]] || return 0
    runsc --root /run/containerd/runsc/k8s.io list 2>/dev/null | awk '$3 == "running" { print $1, $2 }'
}

pod_facts() {
    local uid=$1 running=0 runtimes=() executable='' options='{}'
    wait_until 60 "the containers of pod $uid" up_and_running "$uid"
    # While sandboxes come and go on a busy worker, runsc may miss one that runs; what it does not list after this does not run.
    poll 20 all_listed "$uid" || true
    json_object runtimes:="$(printf '%s\n' "${runtimes[@]}" | json_array)" runscRunning:="$running" \
        sandboxExecutable="$executable" sandboxOptions:="$options"
}

# One look at a pod, into the variables of pod_facts. Succeeds if runsc lists all that containerd runs with it.
all_listed() {
    local id runtime pid listed wanted=0
    running=0 runtimes=()
    listed=$(runsc_running)
    while read -r id runtime; do
        [[ -n $id ]] || continue
        runtimes+=("$runtime")
        [[ $runtime != io.containerd.runsc.* ]] || wanted=$((wanted + 1))
        pid=$(awk -v id="$id" '$1 == id { print $2 }' <<<"$listed")
        [[ -n $pid ]] || continue
        running=$((running + 1))
        executable=$(readlink "/proc/$pid/exe") || true
        options=$(sandbox_options "$pid")
    done < <(containers "$1")
    # A task whose shim is slow to answer is of an unknown state to containerd for a moment.
    ((running == wanted && ${#runtimes[@]} >= 2))
}

# sandbox_options PID: what its command line says. The shim passes on all that a handler's file holds, and runsc what it was
# given: an option that is not there has not come from a file.
sandbox_options() {
    local name value items=()
    while read -r name; do
        [[ -n $name ]] || continue
        value=$(tr '\0' '\n' <"/proc/$1/cmdline" | sed -nE "s/^--?$name=//p" | tail -n 1)
        [[ -z $value ]] || items+=("$name=$value")
    done <<<"${OPTIONS-}"
    json_object "${items[@]}"
}

main "$@"
