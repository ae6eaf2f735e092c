# Puts the mirror together from parts: programs, packages, layers, archives, repositories.
# shellcheck shell=bash disable=SC2034 # the files that source this one use what is set here

# Everything that decides what the mirror holds.
mirror_key() {
    local own
    mapfile -t own < <(cd "$mirror_home" && ls -- *.sh *.ts)
    {
        hash_of build files "${own[@]}" ../versions.json
        go_version
        architecture
        printf '%s\n' "${MIRROR_EXTRA:-}"
    } | sha256sum | cut -d' ' -f1
}

# Programs of a recipe and what is made of them. The order in a stream is that of the first use of its modules.
finish_recipe() {
    local recipe=$1
    build_recipe "$recipe"
    case $recipe in
    kubernetes*) build_package "$recipe" kubernetes_packages ;;
    addons) build_package "$recipe" cri_tools_package ;;
    cni) build_package "$recipe" cni_package ;;
    containerd*) build_package "$recipe" containerd_package ;;
    gvisor*) build_package "$recipe" gvisor_package ;;
    esac
    program_layers_of "$recipe"
}

count_steps() {
    local programs packages images archives
    programs=$(recipes | wc -l)
    packages=$(recipes | grep -cE '^(kubernetes|addons$|cni$|containerd|gvisor)')
    images=$(programs_of_images | cut -d' ' -f1 | sort -u | wc -l)
    archives=$(kubernetes_recipes | wc -l)
    echo $((programs + packages + images + archives + 3 + 1))
}

# Two builds go side by side, since one alone leaves a core idle while it links; modules and Debian's packages are
# fetched meanwhile. The first that fails ends the others.
make_parts() {
    local streams=() recipe stream
    set -m
    (for recipe in $(recipes); do prefetch "$recipe"; done) &
    streams+=($!)
    (finish_recipe kubernetes) &
    streams+=($!)
    (for recipe in $(recipes | grep -vx kubernetes); do finish_recipe "$recipe"; done) &
    streams+=($!)
    (debian_layers) &
    streams+=($!)
    set +m
    # shellcheck disable=SC2064 # the streams of now
    trap "kill -TERM ${streams[*]/#/-} 2>/dev/null || true" EXIT
    for ((stream = 0; stream < ${#streams[@]}; stream++)); do wait -n || exit 1; done
    trap - EXIT
    link_programs
}

# Archives of one Kubernetes version. Another version beside it changes nothing in them.
make_archives() {
    local out=$1 recipe=${2#archives-}
    node "$mirror_home/images.ts" "$build_dir" "$out" "$(architecture)" "$(pinned "$recipe" k8s.io/kubernetes)"
}

archives_key() {
    local image
    {
        cat "$build_dir"/parts/layer-{base,network,nginx}/.key
        for image in $( (common_programs && programs_of_kubernetes "$1") | cut -d' ' -f1 | sort -u); do
            cat "$build_dir/parts/layer-$image/.key"
        done
        hash_of images.ts ../versions.json
    } | sha256sum | cut -d' ' -f1
}

# The directory keeps its identity, because running machines have it mounted: its contents are exchanged one by one. The
# index goes first and comes last, so a half-done exchange is never taken for a mirror.
install_mirror() {
    local from=$1 name
    mkdir -p "$mirror_dir"
    rm -f "$mirror_dir/index.json"
    for name in apt images archive.key fingerprint index.json.asc index.json; do
        if [ -e "$mirror_dir/$name" ]; then mv "$mirror_dir/$name" "$from/$name.old"; fi
        mv "$from/$name" "$mirror_dir/$name"
    done
    rm -rf "$from"
}

assemble() {
    local key=$1 out=$build_dir/mirror.new recipe
    rm -rf "$out"
    mkdir -p "$out/images"
    for recipe in $(kubernetes_recipes); do ln "$build_dir/parts/archives-$recipe"/*.tar "$out/images/"; done
    with_key write_repositories "$out"
    node "$mirror_home/index.ts" write "$out" "$key" \
        {kubelet,kubeadm,kubectl}="$(kubernetes_package_version kubernetes)" "kubernetes-cni=$(package_version kubernetes-cni)" \
        "cri-tools=$(package_version cri-tools)" "containerd.io=$(containerd_package_version containerd)" \
        "runsc=$(gvisor_release gvisor)"
    with_key sign_index "$out"
    install_mirror "$out"
    progress repositories "signed"
}

is_current() { node "$mirror_home/index.ts" current "$mirror_dir" "$1"; }

# Held until the script ends. Says so when it has to wait.
take_lock() {
    mkdir -p "$build_dir"
    exec 9>"$build_dir/lock"
    if ! flock --nonblock 9; then
        say "another build is running in $build_dir; waiting for it to end"
        flock 9
    fi
}

build() {
    local key began=$SECONDS recipe
    key=$(mirror_key)
    if is_current "$key"; then
        say "nothing to do, $mirror_dir is current"
        return
    fi
    take_lock
    if is_current "$key"; then
        say "the other build made it: $mirror_dir"
        return
    fi
    preflight
    mkdir -p "$build_dir"/{log,parts,source}
    go_version >"$build_dir/go-version"
    if [ -n "${MIRROR_EXTRA:-}" ]; then xargs -n1 <<<"$MIRROR_EXTRA" >"$build_dir/extra"; fi
    rm -rf "$build_dir"/parts/*.new
    : >"$build_dir/progress"
    steps=$(count_steps)
    make_parts
    for recipe in $(kubernetes_recipes); do part "archives-$recipe" "$(archives_key "$recipe")" make_archives; done
    assemble "$key"
    say "built in $((SECONDS - began)) s: $mirror_dir, $(du -sh "$mirror_dir" | cut -f1)"
}
