#!/usr/bin/env bash
# Removes from a machine what install.sh has added, and gives back what it has changed. Of its constants HANDLERS counts, the
# rest is what the machine remembers: see state.sh. install.sh runs it too, where a first installation fails.
# An edit to this script alone installs nothing again: a step that removes runs the one that was brought last.

main() {
    local pods restart=no file
    begin
    [[ -d $state ]] || {
        log "gVisor was taken away already"
        return
    }
    pods=$(sandboxed_pods | awk '{ print $2 }')
    [[ -z $pods ]] || die "these pods run in the sandbox: ${pods//$'\n'/, }. Delete them first; nothing was changed"
    while read -r file; do
        [[ ! -e $file ]] || ! is_read_at_start "$file" || restart=yes
        give_back "$file"
    done < <(cat "$state/files" 2>/dev/null)
    if grep -qsx "$mark_begin" "$ROOT"; then
        restart=yes
        give_back_root
    fi
    rm -f "$ROOT_FILE.runtime-sandboxes"
    rmdir "${ROOT%/*}/runsc" /etc/containerd/runsc /etc/containerd/conf.d 2>/dev/null || true
    # It may run with a configuration that an earlier run has removed already.
    if [[ $restart == yes || -e $state/loaded ]]; then
        keeping reload_without || die "without gVisor's configuration containerd does not serve as before: $reload_error"
        rm -f "$state/loaded"
    fi
    if [[ -e $state/package ]]; then # else nothing was installed yet
        [[ ! -e $archives ]] || remove_archives
        give_back_package
    fi
    rm -rf "$state"
    none_stopped
}

# Not the copy: somebody may have changed the file since. Byte for byte the same unless it had no last newline.
give_back_root() {
    write_if_changed "$ROOT_FILE" "$(stat -c %a "$ROOT_FILE")" < <(without_marked "$ROOT_FILE")
    [[ -s $ROOT_FILE || ! -e $state/original$ROOT_FILE.absent ]] || rm "$ROOT_FILE"
    if cmp -s "$ROOT_FILE" <(sed "\$a\\" "$state/original$ROOT_FILE" 2>/dev/null); then give_back "$ROOT_FILE"; fi
}

main "$@"
