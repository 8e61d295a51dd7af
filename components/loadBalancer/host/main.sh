# shellcheck shell=sh disable=SC2154,SC3043
# Runs the verbs apply, probe and destroy.

# The last 30 s of a run are for a message.
allow "$((${timeout_seconds:-60} - 30))"

# `undo` reads how far an apply has come: `prepare`, `switch`, or empty with nothing to undo. It also reads the releases
# of a switch.
phase=
applied_before=
previous=
next=
was_active=

# Makes the host serve this release. The checks refuse a host before its first change. From `begin` on, a failure undoes
# the apply.
apply() {
    lock
    check_owner
    check_host
    check_foreign
    begin
    keep_original
    install_packages
    write_stage
    keep_kernel_settings
    check_stage
    if unchanged; then keep_serving; else switch_to_stage; fi
    # A login shell may print text without a line end before the digest.
    printf '\n%s\n' "$(applied)"
}

# Waits for other runs on this host. Removes the staging folder of a killed run, because it holds the private key, and the
# state that a killed `destroy` renamed.
lock() {
    # The lock is not in /run/lock, where any user may hold or replace a file.
    umask 077
    exec 9>/run/pulumi-rancher-ha.lock
    umask 022
    flock -w 120 9 || fail host-busy "another run works on this host"
    rm -rf "$stage"
    remove_renamed_state
}

# Creates the folders of the state, and undoes the apply from here on if it fails.
begin() {
    local problem
    [ ! -e "$state/manifest" ] || applied_before=yes
    phase=prepare
    trap finish EXIT
    trap 'exit 1' TERM INT HUP
    problem=$(mkdir -p "$state/original" "$releases" 2>&1 && chmod 700 "$state" && mkdir "$stage" 2>&1) ||
        abort host-storage "$state cannot be written: $problem. Make space on its disk"
}

# Reports whether the host serves the staged release without drift.
unchanged() {
    [ -n "$applied_before" ] && same_folders "$stage" "$current/." && [ -z "$(differences)" ] && is_valid
}

# Goes on with the release. Earlier versions recorded other keys.
keep_serving() {
    say "nothing to change"
    if [ "$(recorded_owner)" != "$owner" ] || [ "$(keys)" != "$(cut -d' ' -f1 "$state/manifest")" ]; then record; fi
}

switch_to_stage() {
    local found old_workers problem
    was_active=$(active nginx && echo yes || echo no)
    found=$(previous_release) || abort host-storage "$state cannot be written. Make space on its disk"
    previous=${found% *}
    next=$(next_release)
    mv -T "$stage" "$next"
    phase=switch
    say "switching to release $release"
    { sync -f "$next" && switch "$previous" "$next"; } || fail host-storage "the new files could not be put in place"
    old_workers=$(nginx_workers)
    problem=$(activate "$previous" "$next") || fail release-not-served "the new release cannot be put into operation: $problem"
    verify "$old_workers" "${found##* }"
    rm -f "$unverified"
    record
    # From here on the new release stays, even when the connection to Pulumi is lost.
    phase=
    forget_old_releases
    say "serves release $release"
}

# Records the present state of the host and its owner.
record() {
    # On a full disk, both files keep their old text.
    { manifest | write "$state/manifest.next" && echo "$owner" | write "$state/owner" &&
        mv -fT "$state/manifest.next" "$state/manifest"; } ||
        fail host-storage "$state cannot be written. Make space on its disk"
}

# Prints a digest that identifies the record of an apply.
applied() { grep -v '^link:' "$state/manifest" | sha256sum | cut -c1-16; }

# Ends an apply, and undoes one that failed.
finish() {
    local code=$?
    trap - EXIT
    # A signal must not interrupt the rollback.
    trap '' TERM INT HUP
    if [ "$code" != 0 ]; then
        set +e
        # `timeout` kills the program 60 s after its limit.
        allow 45
        unmask_nginx
        undo
    fi
    rm -rf "$stage"
    exit "$code"
}

undo() {
    case $phase:$applied_before in
    prepare:yes)
        forget_original
        withdraw_packages ;;
    prepare:) restore_host ;;
    switch:yes) roll_back "$next" "$previous" "$was_active" ;;
    switch:)
        restore_host
        say "the host was restored as it was" ;;
    esac
}

# Prints the drift of the host, or why it cannot become a load balancer, in the lines of remote/probe.ts.
probe() {
    local obstacle
    if ! obstacle=$(obstacle); then
        echo "$obstacle" | tell refused
        echo end
        return
    fi
    facts
    if [ -e "$state/manifest" ]; then
        differences | tell finding
        warnings | sed "s/^/$(hostname): /" | tell warning
    else
        echo "not set up" | tell absent
    fi
    echo end
}

# Prints why an apply would refuse the host. A host that serves already passed the checks for all that it serves.
obstacle() {
    (
        check_owner
        if [ ! -e "$state/manifest" ]; then
            check_host
            check_foreign
        elif [ "$virtual_ip" != "$(current_virtual_ip)" ]; then
            check_pair
        fi
    ) 2>&1
}

facts() {
    local shared peer answer
    shared=$(current_virtual_ip)
    peer=$(current_peers | paste -sd' ')
    ! installed nginx || echo "fact nginx $(nginx_version)"
    [ ! -e "$current" ] || echo "fact release $(readlink -e "$current" | sed 's/.*-//')"
    [ ! -e "$state/manifest" ] || echo "fact applied $(applied)"
    [ -z "$shared" ] || echo "fact virtual-ip $(holds_virtual_ip "$shared" && echo held || echo free)"
    [ -z "$peer" ] || echo "fact peer $peer"
    answer=$(answer_at_new_virtual_ip)
    [ -z "$answer" ] || echo "fact virtual-ip-answers $answer"
}

# Turns each line into a line of a probe: WORD.
tell() {
    local word="$1"
    sed "s/^/$word /"
}

destroy() {
    lock
    if [ ! -d "$state" ]; then
        say "nothing to remove"
        return
    fi
    case $(recorded_owner) in
    "" | "$owner" | "${owner##*/}")
        [ ! -s "$state/packages" ] || wait_for_packages || refuse packages "the packages cannot be removed. Expected the lock \
of dpkg within timeoutSeconds ($timeout_seconds), found it held by $(lock_holder). \
Run this again when that process has ended"
        restore_host ;;
    *) say "kept: this host belongs to $(recorded_owner) now" ;;
    esac
}

case $1 in
apply) apply ;;
probe) probe ;;
destroy) destroy ;;
esac
