# shellcheck shell=bash
# gVisor's programs as the package runsc.

apt_programs() {
    local was file
    keep "${registration[@]}"
    was=$(mktemp -d)
    for file in "${registration[@]}"; do [[ ! -e $file ]] || cp -p "$file" "$was"; done
    attempt apt_package
    # The machine's own APT must not stumble over a repository that does not work.
    ((status == 0)) || for file in "${registration[@]}"; do
        if [[ -e $was/${file##*/} ]]; then cp -p "$was/${file##*/}" "$file"; else rm -f "$file"; fi
    done
    rm -rf "$was"
    ((status == 0)) || exit 1
    # Until its restart containerd starts the shim at this path.
    [[ ! -e $archives ]] || link_programs /usr/bin
    hash -r
    [[ $(runsc --version) == *"$RUNSC_VERSION"* || $RUNSC_VERSION == *[*]* ]] ||
        die "$(command -v runsc) is $(runsc_version), the package is $RUNSC_VERSION; remove the other one"
}

# The package in the version that is wanted, on hold, with all of its files.
apt_package() {
    changed=no
    apt_source gvisor "$GVISOR_URL" "$GVISOR_SUITE" "$GVISOR_COMPONENTS" "$GVISOR_KEY" "$GVISOR_FINGERPRINT"
    if [[ $changed == yes ]] || ! wanted_package; then apt_update gvisor; fi
    if wanted_package; then
        repair_package
    else
        try_package
        apt_install "runsc=$RUNSC_VERSION"
    fi
    on_hold || apt-mark hold runsc >/dev/null
}

wanted_package() { [[ -z $(apt_missing "runsc=$RUNSC_VERSION") ]]; }

on_hold() { [[ $(dpkg-query --show --showformat='${db:Status-Want}' runsc 2>/dev/null) == hold ]]; }

# Files of the package that somebody has removed or exchanged come back.
repair_package() {
    local damaged reply
    ! are_as_installed || return 0
    damaged=$(dpkg --verify runsc | grep -v ' c ' || true)
    [[ -n $damaged ]] || return 0
    reply=$(apt-get install -qq -y --reinstall --allow-change-held-packages -o DPkg::Lock::Timeout=120 \
        "runsc=$(installed_version runsc)" 2>&1) || die "apt cannot install runsc again: $(tail -n 15 <<<"$reply")"
    log "installed runsc again, of which these were missing or exchanged: $(awk '{ print $NF }' <<<"$damaged" | paste -sd' ')"
}

# Where an older one is in use, the new one is fetched and run before it takes its place. Not in /tmp, where hardened machines
# run nothing.
try_package() {
    [[ -n $(installed_version runsc) ]] || return 0
    local scratch=$state/new
    rm -rf "$scratch"
    mkdir "$scratch"
    attempt run_package "$scratch"
    rm -rf "$scratch"
    ((status == 0)) ||
        die "the package runsc $RUNSC_VERSION cannot be fetched or does not run here; $(installed_version runsc) stays$(noexec "$state")." \
            "Available: $(available runsc)"
}

run_package() {
    cd "$1" && apt-get download -qq "runsc=$RUNSC_VERSION" >&2 && dpkg-deb -x runsc_*.deb . && ./usr/bin/runsc --version >/dev/null
}

# The package, and where APT takes it from, as before this program came.
give_back_package() {
    local was
    was=$(cat "$state/package" 2>/dev/null || true)
    if [[ $(installed_version runsc) != "$was" ]]; then
        apt-mark unhold runsc >/dev/null 2>&1 || true
        if [[ -z $was ]]; then
            apt-get purge -qq -y -o DPkg::Lock::Timeout=120 runsc >/dev/null || die "apt cannot remove runsc"
            log "removed the package runsc"
        else
            # That this version is not to be had any more is no reason to keep the rest.
            attempt apt_install "runsc=$was"
            ((status == 0)) || log "runsc $was, which was here before, could not be installed again: $(installed_version runsc) stays"
        fi
    fi
    if [[ -n $was && ! -e $state/held ]]; then apt-mark unhold runsc >/dev/null 2>&1 || true; fi
    give_back /etc/apt/sources.list.d/gvisor.list
    give_back /usr/share/keyrings/gvisor-archive-keyring.gpg
    # Somebody else may have it in a file of another name.
    grep -rqs gvisor /etc/apt/sources.list /etc/apt/sources.list.d || rm -f /var/lib/apt/lists/*gvisor*
}
