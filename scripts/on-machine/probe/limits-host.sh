#!/usr/bin/env bash
# Do the limits of a sandboxed pod bind? The worker says so, from the pod's control group: a pod can fake its own clock.
#
# The pod idles until a process is started in it: first one that takes all the CPU it gets, then one that takes more memory
# than the pod may have, which the pod's container ends with; kubelet starts it again. Memory is taken only where the limit
# is seen to be in force, else it would be the worker's own that goes.
#
# Constants: POD (uid of the pod with limits); PLAIN, SANDBOXED (uids of two pods that do the same outside and inside of a
# sandbox: the difference is what a sandbox takes).
# Result: LimitsFacts of components/proof/limitsProbe.ts
shopt -s inherit_errexit

# Seconds in which CPU is measured, and MiB that a process takes.
readonly window=2 taken=512

main() {
    begin
    local uid cpu limit used idle memory plain sandboxed
    for uid in "$POD" "$PLAIN" "$SANDBOXED"; do
        # kubelet puts off the start of a container that ended again and again, by up to 5 minutes.
        wait_until 330 "the container of pod $uid" container_of "$uid"
    done
    cpu=$(cpu_facts)
    memory=$(memory_facts)
    plain=$(memory_used "$(home_group memory "$PLAIN")")
    sandboxed=$(memory_used "$(home_group memory "$SANDBOXED")")
    read -r limit used idle <<<"$cpu"
    json_object cpu:="$(json_object limitMillicores:="$limit" usedMillicores:="$used")" \
        idleMillicores:="$(json_object plain:="${idle% *}" sandboxed:="${idle#* }")" \
        memory:="$memory" memoryMiB:="$(json_object plain:=$((plain >> 20)) sandboxed:=$((sandboxed >> 20)))"
}

# Control groups ----------------------------------------------------------------------------------------------------------

# How either version of control groups calls a group's limit of memory, and its events.
if is_v2; then memory_files=(memory.max memory.events); else memory_files=(memory.limit_in_bytes memory.oom_control); fi
readonly memory_files

# value_of KEY FILE: of a file with a key and a value a line.
value_of() { awk -v key="$1" '$1 == key { print $2 }' "$2"; }

# least_limit CONTROLLER UID: the least limit from the container's group up to that of the pod; nothing where none is set.
least_limit() {
    local group pod limit least=''
    group=$(own_group "$1" "$2")
    pod=$(pod_part "$group" "$2")
    [[ -n $pod ]] || return 0
    while [[ $group/ == "$pod"/* ]]; do
        limit=$("$1_limit" "$group")
        if [[ -n $limit ]] && ((limit < ${least:-limit + 1})); then least=$limit; fi
        group=${group%/*}
    done
    echo "$least"
}

# In millicores: https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu
cpu_limit() {
    local quota period
    if is_v2; then
        read -r quota period <"$1/cpu.max"
    else
        read -r quota <"$1/cpu.cfs_quota_us"
        read -r period <"$1/cpu.cfs_period_us"
    fi
    [[ $quota == max || $quota == -1 ]] || echo $((quota * 1000 / period))
}

# In MiB. Version 1 has a number near the largest one for "none".
memory_limit() {
    local bytes
    read -r bytes <"$1/${memory_files[0]}"
    [[ $bytes == max ]] || ((bytes >= 1 << 60)) || echo $((bytes >> 20))
}

# In microseconds.
cpu_used() {
    if is_v2; then value_of usage_usec "$1/cpu.stat"; else echo $(($(<"$1/cpuacct.usage") / 1000)); fi
}

# CPU ---------------------------------------------------------------------------------------------------------------------

has_used() {
    local used
    used=$(cpu_used "$1")
    echo "$used microseconds used"
    ((used >= $2))
}

# Microseconds: the clock, then what each of the groups has used.
sample() {
    local group
    echo "${EPOCHREALTIME/./}"
    for group in "$@"; do cpu_used "$group"; done
}

# The limit of POD in millicores, or null, and what it, PLAIN and SANDBOXED use.
cpu_facts() {
    local uid group limit busy groups=() before=() after=() used=()
    for uid in "$POD" "$PLAIN" "$SANDBOXED"; do
        group=$(home_group cpuacct "$uid")
        groups+=("$group")
    done
    limit=$(least_limit cpu "$POD")
    busy=$(($(cpu_used "${groups[0]}") + 50000))
    cri exec --sync --timeout 30 "$(container_of "$POD")" timeout 4 sh -c 'while :; do :; done' >/dev/null &
    wait_until 20 "the load in pod $POD" has_used "${groups[0]}" "$busy"
    mapfile -t before < <(sample "${groups[@]}")
    sleep $window
    mapfile -t after < <(sample "${groups[@]}")
    # It is not to take CPU from the next one.
    wait $! || true
    for group in 1 2 3; do
        used+=($(((after[group] - before[group]) * 1000 / (after[0] - before[0]))))
    done
    echo "${limit:-null} ${used[*]}"
}

# Memory ------------------------------------------------------------------------------------------------------------------

# One read into a buffer of that size, so it takes no more than that.
take_memory() {
    crictl --runtime-endpoint "unix://$cri_socket" \
        exec --sync --timeout 60 "$1" dd if=/dev/zero of=/dev/null bs=${taken}M count=1 2>&1
}

# STATE EXIT_CODE REASON of a container; a reason only after its end.
state_of() {
    cri inspect --output go-template --template '{{.status.state}} {{.status.exitCode}} {{.status.reason}}' "$1" ||
        echo "gone 0 "
}

has_ended() {
    state_of "$1"
    [[ $(state_of "$1") != CONTAINER_RUNNING* ]]
}

# How often the kernel has killed for want of memory here. Kubernetes is not always told: google/gvisor#2433
kills() { value_of oom_kill "$1/${memory_files[1]}"; }

memory_facts() {
    local limit group kills killed container said='' state=untried code=0 reason=''
    limit=$(least_limit memory "$POD")
    group=$(home_group memory "$POD")
    kills=$(kills "$group")
    if [[ -n $limit ]] && ((limit < taken)); then
        container=$(container_of "$POD")
        if said=$(take_memory "$container"); then
            said=''
        else
            # The container ends a moment later than the process, if it does.
            poll 15 has_ended "$container" >/dev/null || true
        fi
        read -r state code reason < <(state_of "$container")
    fi
    killed=$(kills "$group") || killed=$kills
    json_object limitMiB:="${limit:-null}" takenMiB:=$taken kills:=$((killed - kills)) state="$state" exitCode:="$code" \
        reason="$reason" said="$(tail -n 1 <<<"$said")"
}

main "$@"
