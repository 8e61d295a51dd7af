# shellcheck shell=sh disable=SC2034,SC2154

# One run at a time. A run that was killed leaves its staging folder, with the private key in it.
lock() {
    # Not in /run/lock, where anybody may hold or replace a file.
    umask 077
    exec 9>/run/pulumi-rancher-ha.lock
    umask 022
    flock -w 120 9 || fail "another run works on this host"
    rm -rf "$stage"
}

finish() {
    status=$?
    # What puts the host in order again must not be cut off.
    trap - EXIT
    trap '' TERM INT HUP
    rm -f /run/rancher-ha-test.log
    if [ "$status" != 0 ]; then
        set +e
        unmask_nginx
        # shellcheck disable=SC2086 # a function
        $undo
    fi
    rm -rf "$stage"
    exit "$status"
}

apply() {
    lock
    check_owner
    check_host
    check_foreign
    trap finish EXIT
    trap 'exit 1' TERM INT HUP
    if [ -e "$state/manifest" ]; then undo=withdraw_additions; else undo=restore_host; fi
    problem=$(mkdir -p "$state/original" "$releases" 2>&1 && chmod 700 "$state" && mkdir "$stage" 2>&1) ||
        fail "$state cannot be written: $problem. Check free space there. The host was left as it was"
    keep_original || fail "what is there could not be kept. Check free space in $state. The host was left as it was"
    install_packages
    write_stage || fail "the new files could not be written. Check free space in $state. The host was left as it was"
    keep_kernel_settings || fail "the kernel settings of before could not be kept. Check free space in $state. The host was left as it was"
    check_stage
    if [ -e "$state/manifest" ] && diff -r --no-dereference "$stage" "$current/." >/dev/null 2>&1 && [ -z "$(differences)" ]; then
        say "nothing to change"
        [ "$(recorded_owner)" = "$owner" ] || record || fail "$state cannot be written. Check free space there"
    else
        change
    fi
    applied
}

# Tells one record of an apply from another.
applied() { grep -v '^link:' "$state/manifest" | sha256sum | cut -c1-16; }

change() {
    was_active=$(active nginx && echo yes || echo no)
    find_previous || fail "$state cannot be written. Check free space there. The host was left as it was"
    dir=$(next_release)
    mv -T "$stage" "$dir"
    if [ "$undo" = restore_host ]; then undo=withdraw; else undo=go_back; fi
    say "switching to release $release"
    { sync -f "$dir" && switch "$previous" "$dir"; } || fail "the new files could not be put in place"
    activate "$previous" "$dir" || fail "the new release cannot be put into operation: $problem"
    verify
    rm -f "$unverified"
    record || fail "$state cannot be written. Check free space there"
    # From here on the new release stays, even when nobody listens to the result any more.
    undo=
    forget_old_releases
    say "serves release $release"
}

# What to go back to, and what users got from it, until the new release is verified. After a run that was killed before, that of then.
find_previous() {
    if [ -s "$unverified" ]; then
        read -r previous answered <"$unverified"
        return
    fi
    # Where the link was lost, the release before is the last one.
    previous=$(readlink -e "$current" || find "$releases" -mindepth 1 -maxdepth 1 -name '[0-9]*' | sort | tail -n 1)
    answered=$([ -z "$previous" ] || status_of_ping 127.0.0.1)
    is_of_a_node "$answered" || answered=
    [ ! -e "$state/manifest" ] || { echo "$previous $answered" >"$unverified.new" && sync "$unverified.new" && mv -fT "$unverified.new" "$unverified"; }
}

# What the host is like now, and whose it is.
record() {
    manifest >"$state/manifest.new" && echo "$owner" >"$state/owner.new" && sync "$state/manifest.new" "$state/owner.new" &&
        mv -fT "$state/manifest.new" "$state/manifest" && mv -fT "$state/owner.new" "$state/owner"
}

recorded_owner() { cat "$state/owner" 2>/dev/null || true; }

probe() {
    if ! obstacle=$(obstacle); then
        echo "$obstacle" | tell refused
        echo end
        return
    fi
    ! installed nginx || echo "fact nginx $(nginx_version)"
    [ ! -e "$current" ] || echo "fact release $(readlink -e "$current" | sed 's/.*-//')"
    [ ! -e "$state/manifest" ] || echo "fact applied $(applied)"
    [ -z "$(current_virtual_ip)" ] || virtual_ip_fact
    if [ -e "$state/manifest" ]; then differences | tell finding && warnings | sed "s/^/$(hostname): /" | tell warning; else echo "not set up" | tell absent; fi
    echo end
}

# Says what stands in the way of an apply. A host that serves is fit for all that it serves.
obstacle() { (check_owner && if [ ! -e "$state/manifest" ]; then check_host && check_foreign; else check_other_virtual_ip; fi) 2>&1; }
check_other_virtual_ip() { [ -z "$virtual_ip" ] || [ "$virtual_ip" = "$(current_virtual_ip)" ] || check_network; }

# Makes each line one of a probe (remote/probe.ts).
tell() { sed "s/^/$1 /"; }

current_virtual_ip() { sed -n 's|^ *\([0-9.]*\)/32 dev .*|\1|p' "$current/keepalived.conf" 2>/dev/null || true; }
virtual_ip_fact() {
    if holds_virtual_ip "$(current_virtual_ip)"; then echo "fact virtual-ip held"; else echo "fact virtual-ip free"; fi
}

destroy() {
    lock
    if [ ! -d "$state" ]; then
        say "nothing to remove"
        return
    fi
    case $(recorded_owner) in
    "" | "$owner" | "${owner##*/}") restore_host ;;
    *) say "kept: this host belongs to $(recorded_owner) now" ;;
    esac
}

case $1 in
apply) apply ;;
probe) probe ;;
destroy) destroy ;;
esac
