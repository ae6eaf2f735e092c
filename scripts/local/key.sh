#!/usr/bin/env bash
# The key pair that the operator's SSH connections to the machines use.
#   key.sh create|remove      (environment: STACK_DIR); `create` prints the private key
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

create() {
    lock_dir "$STACK_DIR" 60
    local key=$STACK_DIR/id_ed25519
    if [[ ! -s $key ]]; then
        # The private key gets its name last: whoever sees it sees a whole pair.
        rm -f "$key.new" "$key.new.pub"
        ssh-keygen -q -t ed25519 -N "" -C "$mark" -f "$key.new"
        mv "$key.new.pub" "$key.pub"
        mv "$key.new" "$key"
    fi
    cat "$key"
}

remove() {
    rm -f "$STACK_DIR"/id_ed25519{,.pub,.new,.new.pub}
    tidy_stack_dir
}

main() {
    load_env STACK_DIR
    report
    case "${1-}" in
    create | remove) "$1" ;;
    *) die "Usage: key.sh create|remove" ;;
    esac
}

main "$@"
