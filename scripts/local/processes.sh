# shellcheck shell=bash
# The processes of a machine: the one that is noted, and the control groups that hold them all. Sourced by machine.sh,
# after lib.sh.
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2154

boot_id() { cat /proc/sys/kernel/random/boot_id; }

# start_time PID: in clock ticks since boot, field 22 of stat; fails for a process that ended. The command's name,
# which may hold anything, ends at the last parenthesis.
start_time() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra stat <<<"${stat##*) }"
    [[ ${stat[0]} != Z ]] && echo "${stat[19]}"
}

# is_running NAME: whether the process that was noted is that very process still. Sets $pid.
is_running() {
    local file noted
    file=$(machine_dir "$1")/process.json
    pid=""
    [[ -e $file ]] || return 1
    noted=$(<"$file")
    [[ $noted =~ \"pid\":([0-9]+),\"startTime\":([0-9]+),\"bootId\":\"([^\"]+)\" ]] || return 1
    pid=${BASH_REMATCH[1]}
    [[ ${BASH_REMATCH[3]} == "$(boot_id)" && ${BASH_REMATCH[2]} == "$(start_time "$pid")" ]]
}

note_process() {
    local file
    file=$(machine_dir "$1")/process.json
    printf '{"pid":%d,"startTime":%s,"bootId":"%s"}\n' $$ "$(start_time $$)" "$(boot_id)" >"$file.new"
    chmod 644 "$file.new"
    mv "$file.new" "$file"
}

pid_is_gone() { ! start_time "$1" >/dev/null; }

# --- control groups -----------------------------------------------------------
#
# Where systemd manages a unified hierarchy, a transient service is the machine's group (systemd_unit). Elsewhere the
# machine gets a group of its own in every hierarchy, so that its cgroup namespace is rooted there: two kubelets that
# see one tree delete each other's pods.

cgroup_name() { echo "$mark-$stack_id-$1"; }
systemd_unit() { echo "$(cgroup_name "$1").service"; }
systemd_manages() { [[ -d /run/systemd/system && -e /sys/fs/cgroup/cgroup.controllers ]]; }

# Mount points of all hierarchies, version 1 and 2.
hierarchies() {
    awk '($3 == "cgroup" || $3 == "cgroup2") && index($2, "/sys/fs/cgroup") == 1 && !seen[$2]++ { print $2 }' /proc/mounts
}

# The machine's group in each hierarchy where it exists.
groups_of() {
    local top name
    name=$(cgroup_name "$1")
    while read -r top; do
        [[ ! -d $top/$name ]] || echo "$top/$name"
    done < <(hierarchies)
    local unit
    unit=/sys/fs/cgroup/machine.slice/$(systemd_unit "$1")
    [[ ! -d $unit ]] || echo "$unit"
}

# Moves this process into the machine's groups.
join_groups() {
    local top group control
    while read -r top; do
        group=$top/$(cgroup_name "$1")
        if [[ -e $top/cgroup.controllers ]]; then
            # Some controllers may be refused, for instance while processes sit in the root group.
            for control in $(<"$top/cgroup.controllers"); do
                echo "+$control" 2>/dev/null >"$top/cgroup.subtree_control" || true
            done
        fi
        mkdir -p "$group"
        if [[ -e $group/cpuset.cpus && ! -e $group/cgroup.controllers ]]; then
            # A version 1 cpuset takes no process before it has CPUs and memory nodes.
            cat "$top/cpuset.cpus" >"$group/cpuset.cpus"
            cat "$top/cpuset.mems" >"$group/cpuset.mems"
        fi
        echo $$ >"$group/cgroup.procs"
    done < <(hierarchies)
}

# Every process of the machine, whatever it was started by.
machine_pids() {
    local group
    while read -r group; do
        find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null || true
    done < <(groups_of "$1") | sort -un
}

kill_all() {
    local pid pids group unit lines
    pids=$(machine_pids "$1")
    [[ -z $pids ]] && return
    group=$(cgroup_name "$1")
    unit=$(systemd_unit "$1")
    for pid in $pids; do
        # By now the number may be that of somebody else's process.
        mapfile -t lines 2>/dev/null <"/proc/$pid/cgroup" || continue
        [[ ${lines[*]} != */@("$group"|"$unit")* ]] || kill -KILL "$pid" 2>/dev/null || true
    done
    return 1
}

remove_groups() {
    local group left=0
    while read -r group; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || left=1
    done < <(groups_of "$1")
    return $left
}
