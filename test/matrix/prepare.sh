#!/usr/bin/env bash
# A machine with one containerd as somebody has configured it, without a cluster.
#
# Constants: CONTAINERD ("debian", or a version of the package containerd.io); for NAME in KUBERNETES, CONTAINERD: NAME_URL,
# NAME_SUITE, NAME_COMPONENTS, NAME_KEY, NAME_FINGERPRINT; FILES (a JSON object of the files in /etc/containerd by path,
# "package": as the package leaves them, or "default": what containerd prints); IMAGES (URLs of image archives; none where
# no pod is to run).

main() {
    begin
    stand_in_for_privileges
    install_packages
    configure_network
    import_images
    configure_containerd
}

# Kubernetes' pods lower their oom_score_adj. A host without CAP_SYS_RESOURCE lets nobody do that; there the runtimes are
# called without that wish, by way of containerd's PATH, so that no configuration needs to know.
stand_in_for_privileges() {
    # shellcheck disable=SC2016 # the inner shell expands it
    ! bash -c 'echo -998 >/proc/$$/oom_score_adj' 2>/dev/null || return 0
    install -D -m 755 /dev/stdin /opt/host/runsc <<'SCRIPT'
#!/bin/bash
for ((i = 1; i < $#; i++)); do
    if [[ ${!i} == --bundle ]]; then
        next=$((i + 1))
        spec=${!next}/config.json
        jq 'del(.process.oomScoreAdj)' "$spec" >"$spec.new" && mv "$spec.new" "$spec"
    fi
done
for place in /usr/local/bin /usr/bin /usr/sbin; do
    [[ ! -x $place/${0##*/} ]] || exec "$place/${0##*/}" "$@"
done
SCRIPT
    ln -sf runsc /opt/host/runc
    install -D -m 644 /dev/stdin /etc/systemd/system/containerd.service.d/path.conf <<<"[Service]
Environment=PATH=/opt/host:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

install_packages() {
    apt_source kubernetes "$KUBERNETES_URL" "$KUBERNETES_SUITE" "$KUBERNETES_COMPONENTS" "$KUBERNETES_KEY" "$KUBERNETES_FINGERPRINT"
    apt_update kubernetes
    if [[ $CONTAINERD == debian ]]; then
        apt-get update -qq >&2
        apt-get install -qq -y cri-tools kubernetes-cni containerd >&2
    else
        apt_source containerd "$CONTAINERD_URL" "$CONTAINERD_SUITE" "$CONTAINERD_COMPONENTS" "$CONTAINERD_KEY" "$CONTAINERD_FINGERPRINT"
        apt_update containerd
        apt-get install -qq -y cri-tools kubernetes-cni "containerd.io=$CONTAINERD" >&2
    fi
    # Where Debian's configuration looks for network plug-ins.
    ln -sfn /opt/cni/bin /usr/lib/cni
}

import_images() {
    local url options=()
    wait_until 30 containerd ctr version
    ! ctr images import --help | grep -q -- --local || options=(--local)
    while read -r url; do
        [[ -n $url ]] || continue
        ctr --namespace k8s.io images import "${options[@]}" "${url#file://}" >&2
    done <<<"$IMAGES"
}

configure_containerd() {
    local path pause dump
    # A second way to run containers, which some of the configurations have.
    ln -sf "$(command -v runc)" /usr/local/bin/runc-slow
    if [[ $FILES == default ]]; then
        containerd config default >/etc/containerd/config.new
        mv /etc/containerd/config.new /etc/containerd/config.toml
    elif [[ $FILES != package ]]; then
        find /etc/containerd -mindepth 1 -delete
        while read -r path; do
            jq --join-output --arg path "$path" '.[$path]' <<<"$FILES" | install -D -m 640 /dev/stdin "$path"
        done < <(jq --raw-output 'keys[]' <<<"$FILES")
    fi
    systemctl daemon-reload
    # One that containerd cannot read is an edit that nobody has tried yet. 1.x can dump no default.
    dump=$(containerd config dump 2>/dev/null) || {
        [[ ! -e /etc/containerd/config.toml ]] || return 0
        dump=$(containerd config default)
    }
    systemctl restart containerd
    wait_until 30 containerd ctr version
    [[ -n $IMAGES ]] || return 0
    pause=$(sed -nE "s/^ *sandbox(_image)? = ['\"](.*)['\"]$/\2/p" <<<"$dump" | head -n 1)
    ctr --namespace k8s.io images tag registry.k8s.io/pause:3.10.2 "$pause" >&2 || true
}

main "$@"
