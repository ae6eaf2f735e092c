#!/usr/bin/env bash
# What a worker itself says about all its pods; a pod cannot fake it. The number of programs that it starts does not depend on
# the number of pods. Changes nothing.
#
# Constants: none.
# Result: one line a source, its name and what it says in base64; cli/pods/worker.ts reads it.
#         pods, containers    what crictl lists, as JSON: all pods, the containers that run
#         runtimes            ID RUNTIME of each container that containerd has, the pause containers among them
#         runsc               ID PID of each container that runsc runs, with the process of its sandbox; "-" for one that has ended
#         processes           FILE, NUL, one argument or the whole of it, NUL: of /proc/PID/cmdline and /proc/PID/stat of these
#         programs            /proc/PID/exe, NUL, what it is, NUL
#         replaced            PID RELEASE of those whose program is not the installed one; "?" where it does not say its release
#         installed           release of the runsc that is installed
#         boot                when the machine was started, in seconds since 1970

answers=''

main() {
    begin_reading
    answers=$(mktemp -d)
    trap 'rm -rf "$answers"' EXIT
    local name
    # First these: what runs by then is known to runsc afterwards, unless it has ended.
    ask pods crictl --runtime-endpoint "unix://$cri_socket" pods --output json &
    ask containers crictl --runtime-endpoint "unix://$cri_socket" ps --state running --output json &
    ask installed runsc_version &
    ask boot sed -n 's/^btime //p' /proc/stat &
    wait
    ask runtimes runtimes &
    ask runsc runsc_running
    sandboxes
    wait
    ! compgen -G "$answers/*.failed" >/dev/null || die "it cannot say what its pods are: $(cat "$answers"/*.failed | paste -sd ';')"
    for name in pods containers runtimes runsc processes programs replaced installed boot; do
        printf '%s %s\n' $name "$(base64 --wrap=0 "$answers/$name")"
    done
}

# ask NAME COMMAND...: keeps what it prints, and why it fails.
ask() {
    local name=$1
    shift
    "$@" >"$answers/$name" 2>"$answers/$name.error" || {
        printf '%s: %s\n' "$name" "$(tail -n 1 "$answers/$name.error")" >"$answers/$name.failed"
    }
}

runtimes() {
    local listed
    listed=$(ctr --namespace k8s.io containers list) || return
    awk 'NR > 1 { print $1, $NF }' <<<"$listed"
}

# The root is where the shim keeps its state. Of a gVisor that was taken away an empty one may be left.
runsc_running() {
    local root=/run/containerd/runsc/k8s.io listed
    compgen -G "$root/*.state" >/dev/null || return 0
    listed=$(runsc --root "$root" list) || return
    awk 'NR > 1 { print $1, $3 == "running" ? $2 : "-" }' <<<"$listed"
}

# What the processes are that runsc names. One that ends meanwhile is left out.
sandboxes() {
    local pids pid exe now stale=()
    mapfile -t pids < <(awk '$2 != "-" { print $2 }' "$answers/runsc" | sort -u)
    touch "$answers"/{processes,programs,replaced}
    ((${#pids[@]})) || return 0
    pids=("${pids[@]/#//proc/}")
    grep --null-data --text --with-filename --null '' "${pids[@]/%//cmdline}" "${pids[@]/%//stat}" >"$answers/processes" 2>/dev/null || true
    find "${pids[@]/%//exe}" -maxdepth 0 -printf '%p\0%l\0' >"$answers/programs" 2>/dev/null || true
    now=$(readlink -f "$(command -v runsc)")
    while IFS= read -r -d '' pid && IFS= read -r -d '' exe; do
        ! is_replaced "$exe" "$now" || stale+=("$pid")
    done <"$answers/programs"
    ((${#stale[@]} == 0)) || releases "${stale[@]}" >"$answers/replaced"
}

# releases FILE...: PID RELEASE of programs that run. They are read, not started: a process id may be another process's by now.
# Each program is read once, however many sandboxes it runs.
releases() {
    local file inode release
    declare -A known=()
    while IFS= read -r -d '' file && IFS= read -r -d '' inode; do
        release=${known[$inode]-}
        [[ -n $release ]] || release=$(grep --text --only-matching --max-count 1 -E 'release-20[0-9]{6}\.[0-9]+' "$file" 2>/dev/null | head -n 1) || true
        known[$inode]=${release:-?}
        file=${file#/proc/}
        echo "${file%/exe} ${known[$inode]}"
    done < <(find -L "$@" -maxdepth 0 -printf '%p\0%D:%i\0' 2>/dev/null)
}

main "$@"
