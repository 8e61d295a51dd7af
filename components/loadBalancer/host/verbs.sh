# shellcheck shell=sh disable=SC2154

# One run at a time. A run that was killed leaves its staging folder, with the private key in it.
lock() {
    exec 9>/run/lock/pulumi-rancher-ha
    flock -w 120 9 || fail "another run works on this host"
    rm -rf "$stage"
}

finish() {
    status=$?
    trap - EXIT
    rm -f /run/rancher-ha-test.log
    if [ "$status" != 0 ]; then
        set +e
        # shellcheck disable=SC2086 # a function
        $undo
    fi
    rm -rf "$stage"
    exit "$status"
}

apply() {
    lock
    check_host
    check_foreign
    trap finish EXIT
    trap 'exit 1' TERM INT HUP
    [ -e "$state/manifest" ] || undo=restore_host
    problem=$(mkdir -p "$state/original" "$releases" 2>&1 && chmod 700 "$state" && mkdir "$stage" 2>&1) ||
        fail "$state cannot be written: $problem. Check free space there. The host was left as it was"
    keep_original || fail "what is there could not be kept. Check free space in $state. The host was left as it was"
    install_packages
    write_stage || fail "the new files could not be written. Check free space in $state. The host was left as it was"
    check_stage
    if [ -e "$state/manifest" ] && diff -r --no-dereference "$stage" "$current/." >/dev/null 2>&1 && [ -z "$(differences)" ]; then
        say "nothing to change"
    else
        change
    fi
    grep -v '^link:' "$state/manifest" | sha256sum | cut -c1-16
}

change() {
    was_active=$(active nginx && echo yes || echo no)
    # Where the link was lost, the release before is the last one.
    previous=$(readlink -e "$current" || find "$releases" -mindepth 1 -maxdepth 1 -name '[0-9]*' | sort | tail -n 1)
    dir=$(next_release)
    mv -T "$stage" "$dir"
    [ "$undo" = restore_host ] || undo=go_back
    say "switching to release $release"
    switch "$previous" "$dir" || fail "the new files could not be put in place. The previous release was put back"
    activate "$previous" "$dir" || fail "the new release cannot be put into operation: $problem
The previous release was put back"
    verify
    { manifest >"$state/manifest.new" && mv -fT "$state/manifest.new" "$state/manifest"; } ||
        fail "$state/manifest cannot be written. Check free space there. The previous release was put back"
    # From here on the new release stays, even when nobody listens to the result any more.
    undo=
    forget_old_releases
    say "serves release $release"
}

probe() {
    echo "facts:$(installed nginx && echo " nginx=$(nginx_version)")$(! grep -q . "$current/keepalived.conf" 2>/dev/null || virtual_ip_fact)"
    if [ -e "$state/manifest" ]; then
        found=$(differences)
        echo "${found:-in sync}"
    else
        echo "not installed"
    fi
}

virtual_ip_fact() {
    address=$(sed -n 's|^ *\([0-9.]*\)/32 dev .*|\1|p' "$current/keepalived.conf")
    if holds_virtual_ip "$address"; then echo " virtual-ip=held"; else echo " virtual-ip=free"; fi
}

destroy() {
    lock
    if [ ! -d "$state" ]; then
        say "nothing to remove"
        return
    fi
    restore_host
}

case $1 in
apply) apply ;;
probe) probe ;;
destroy) destroy ;;
esac
