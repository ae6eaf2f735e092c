#!/usr/bin/env bash
# Pods without a cluster, made through the CRI.
#
# start  makes a pod with one container and prints {"pod", "container", "pid"}
# kernel makes one, prints the kernel that it sees, and removes it
# stop   removes it
#
# Constants: NAME; of start and kernel: HANDLER (empty: containerd's default), COMMAND (for sh).

main() {
    begin_reading
    "$1"
}

cri() { crictl --runtime-endpoint unix:///run/containerd/containerd.sock --timeout 60s "$@" 2> >(grep -v level=warning >&2); }

start() {
    local place=/run/matrix/$NAME pod container
    mkdir -p "$place"
    jq --null-input --arg name "$NAME" --arg uid "$(cat /proc/sys/kernel/random/uuid)" --arg logs "$place" \
        '{metadata: {name: $name, namespace: "default", uid: $uid}, log_directory: $logs, linux: {}}' >"$place/pod.json"
    jq --null-input --arg command "$COMMAND" '{
        metadata: {name: "main"},
        image: {image: "docker.io/library/nginx:1.28"},
        command: ["sh", "-c", $command],
        log_path: "main.log",
        linux: {}
    }' >"$place/container.json"
    wait_until 30 "the CRI" cri_is_ready
    pod=$(cri runp ${HANDLER:+--runtime "$HANDLER"} "$place/pod.json")
    container=$(cri create "$pod" "$place/container.json" "$place/pod.json")
    cri start "$container" >&2
    printf '{"pod":"%s","container":"%s","pid":%d}\n' "$pod" "$container" \
        "$(cri inspect --output go-template --template '{{.info.pid}}' "$container")"
}

cri_is_ready() {
    local state
    state=$(cri info --output go-template --template '{{range .status.conditions}}{{.type}}={{.status}} {{end}}')
    echo "$state"
    [[ $state == *RuntimeReady=true* && $state == *NetworkReady=true* ]]
}

kernel() {
    local made
    made=$(start)
    cri exec "$(jq --raw-output .container <<<"$made")" uname -r
    stop
}

stop() { cri rmp --force "$(cri pods --quiet --name "^$NAME\$")" >&2; }

main "$@"
