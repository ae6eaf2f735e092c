#!/usr/bin/env bash
# What attempts to leave a sandbox are after on this worker: a file and a process, which no pod is given, with a secret that only
# this run knows; and the container engine's socket in a directory that pods are given. Nothing of it outlives the run: what is
# not taken away goes by itself.
#
# Verbs: install, remove. Constants: RUN (names the decoys), MARKER (the secret).
# Result of install: {"place": their directory, "engine": the engine's socket, "kernel": /proc/version, "architecture": `uname -m`}

# Seconds after which they go by themselves.
readonly life=180
readonly name=runtime-sandboxes-decoys-$RUN
readonly place=/run/$name

install_decoys() {
    install -d -m 700 "$place" && install -d "$place/given"
    (umask 077 && echo "$MARKER" >"$place/marker")
    # A second name of the socket: what else is in its directory stays out of the pods.
    ln "$cri_socket" "$place/given/engine.sock" || log "$cri_socket cannot be given to pods"
    # The name is what it is found by; its environment can only be read by whoever may trace it.
    # shellcheck disable=SC2016 # its own shell's
    (export MARKER && exec setsid bash -c 'echo $$ >"$1/pid"; exec -a "$0" bash -c "sleep $2; rm -rf $1"' "$name" "$place" "$life") \
        </dev/null >/dev/null 2>&1 &
    wait_until 10 "the decoy process" test -s "$place/pid"
    json_object place="$place" engine="$cri_socket" kernel="$(</proc/version)" architecture="$(uname -m)"
}

remove_decoys() {
    local pid=''
    [[ ! -e $place/pid ]] || read -r pid <"$place/pid"
    # Its number may have become another process's.
    if [[ -n $pid && $(tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | head -n 1) == "$name" ]]; then
        kill -KILL -- "-$pid" 2>/dev/null || true
    fi
    rm -rf "$place"
}

main() {
    begin_reading
    "$1_decoys"
}

main "$@"
