#!/usr/bin/env bash
# A mirror of what Kubernetes nodes with gVisor install: signed APT repositories and image archives.
#   mirror.sh build      makes it from pinned Go modules and Debian packages; does nothing when it is current
#   mirror.sh sources    prints where machines install from (see `sources_usage` in sources.ts)
#   mirror.sh check      verifies every signature and digest
#   mirror.sh program RECIPE ARCHITECTURE   prints the path of one program, built if it is not there
#   mirror.sh clean      removes it and what it was built from; the signing key stays
# Environment: MIRROR_DIR (default .cache/mirror), MIRROR_BUILD_DIR (default .cache/mirror-build), MIRROR_EXTRA (further
# recipes below build/, for example "gvisor-20260824").
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
for library in go packages layers repository preflight build sources; do
    # shellcheck disable=SC1090
    source "$mirror_home/$library.sh"
done

check() {
    local keyring failed=0 release
    if [ ! -e "$mirror_dir/index.json" ]; then fail "there is no mirror at $mirror_dir; \`mirror/mirror.sh build\` makes it"; fi
    keyring=$(mktemp)
    gpg --batch --quiet --yes --dearmor <"$mirror_dir/archive.key" >"$keyring"
    verify() {
        if ! gpgv --quiet --keyring "$keyring" "$@" >/dev/null 2>&1; then
            say "bad signature: $1 is not signed by $mirror_dir/archive.key"
            failed=1
        fi
    }
    verify "$mirror_dir/index.json.asc" "$mirror_dir/index.json"
    while read -r release; do
        verify "${release%/*}/InRelease"
        verify "$release.gpg" "$release"
    done < <(find "$mirror_dir/apt" -name Release)
    rm -f "$keyring"
    node "$mirror_home/index.ts" check "$mirror_dir" || failed=1
    if [ "$failed" = 1 ]; then fail "the mirror at $mirror_dir is damaged; rebuild it: \`mirror/mirror.sh clean\`, then \`mirror/mirror.sh build\`"; fi
    say "every signature and digest of $mirror_dir is right"
}

clean() {
    take_lock
    rm -rf "$mirror_dir" "$build_dir" "$cache_dir/sources-kind"
}

main() {
    local verb=${1:-}
    case $verb in
    build | check | clean)
        [ $# = 1 ] || fail "$verb takes no argument, got: ${*:2}"
        "$verb"
        ;;
    sources) sources "${@:2}" ;;
    program)
        [[ $# == 3 && $3 =~ ^(amd64|arm64)$ ]] || fail "program takes a recipe and amd64 or arm64, got: ${*:2}"
        program "$2" "$3"
        ;;
    *) fail "unknown verb \"$verb\"; it may be build, sources, program, check or clean" ;;
    esac
}

main "$@"
