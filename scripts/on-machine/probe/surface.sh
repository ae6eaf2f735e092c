#!/usr/bin/env bash
# What a worker itself says of pods at rest: what runs them, how much memory they hold, and what the seccomp filters of their
# processes leave of the kernel's system calls. It changes nothing and leaves nothing.
#
# Constants: PODS (KEY UID, one a line); PROGRAM (that of mirror/build/attacks for this machine, gzipped, in base64; empty where
# its host reads the filters).
# Result: {"pods": {KEY: {"runtime": containerd's, "pid": of the container's process; behind gVisor the Sentry's,
#          "memory": bytes of the pod's control group}},
#          "filters": what the program says of these processes, a list, or the reason why it says nothing}
shopt -s inherit_errexit

main() {
    begin_reading
    local key uid container pid runtime group pod memory pods=() pids=()
    while read -r key uid; do
        wait_until 30 "the container of pod $uid" container_of "$uid"
        container=$(container_of "$uid")
        read -r pid runtime < <(cri inspect --output go-template --template '{{.info.pid}} {{.info.runtimeType}}' "$container")
        group=$(group_of memory "$pid")
        pod=$(pod_part "$group" "$uid")
        memory=$(memory_used "${pod:-$group}")
        pids+=("$pid")
        pods+=("$key:=$(json_object runtime="$runtime" pid:="$pid" memory:="$memory")")
    done <<<"$PODS"
    json_object pods:="$(json_object "${pods[@]}")" filters:="$(filters_of "${pids[@]}")"
}

filters_of() {
    local file program said
    [[ -n $PROGRAM ]] || { echo '[]' && return; }
    # Where the scripts are, which is a place for programs too. It is gone before it runs: nothing is left, whatever ends this.
    file=$(mktemp "$scripts/surface.XXXXXX")
    # shellcheck disable=SC2064 # that file
    trap "rm -f '$file'" EXIT
    printf '%s' "$PROGRAM" | base64 --decode | gzip --decompress >"$file"
    chmod 700 "$file"
    exec {program}<"$file"
    rm "$file"
    if said=$("/proc/self/fd/$program" filters "$@" 2>&1); then echo "$said"; else json_string "${said:-it cannot be started}"; fi
}

main "$@"
