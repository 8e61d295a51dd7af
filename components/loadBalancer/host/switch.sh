# shellcheck shell=sh disable=SC2154,SC3043
# Switches to a release: puts its files in place, runs its services, verifies the answers to users, and rolls back.

# Switches from one release's files to another's: FROM TO (folders).
switch() {
    local from="$1" to="$2"
    place_files "$from" "$to" && point "$current" "$to" && point "$conf" rancher-ha/nginx.conf
}

# Puts the files of a release in their places, and removes files that only the other release has: FROM TO.
place_files() {
    local from="$1" to="$2" name place mode
    echo "$places" | while read -r name place mode; do
        if [ -e "$to/$name" ]; then
            if is_in_place "$to/$name" "$place" "$mode"; then continue; fi
            mkdir -p "$(dirname "$place")"
            write "$place" "$mode" <"$to/$name" || exit 1
        elif [ -e "$from/$name" ] || grep -qs "$mark" "$place"; then
            remove_file "$place"
        fi
    done
}

# Reports whether a place holds a file with this mode: FILE PLACE MODE.
is_in_place() {
    local file="$1" place="$2" mode="$3"
    cmp -s "$file" "$place" && [ "$(stat -c '%a %U:%G' "$place")" = "$mode root:root" ]
}

remove_file() {
    local file="$1"
    rm -f "$file" "$file.new"
    case $file in *.service.d/*) rmdir "$(dirname "$file")" 2>/dev/null || true ;; esac
}

# Points a link to a target in one step: LINK TARGET.
point() {
    local link="$1" target="$2"
    [ -L "$link" ] || [ ! -d "$link" ] || rm -rf "$link"
    ln -sfn "$target" "$link.new" && mv -fT "$link.new" "$link"
}

# Makes the services use the files in their places, or prints why they do not: FROM TO.
activate() {
    local from="$1" to="$2" unit wanted renewed
    wanted=$(units "$to")
    ! has_outdated_units || systemctl daemon-reload || true
    # Every reload below reads the certificate again. Files that come meanwhile have another digest, so a check loads them.
    renewed=$(renewed_files)
    rm -f "$loaded_certificate"
    [ -e "$to/keepalived.conf" ] || delete_filter
    # A sysctl that only the other release sets returns to its original value.
    { restore_kernel_settings && sysctl -q -p "$to/sysctl.conf"; } 2>&1 || return 1
    for unit in $wanted; do
        [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = enabled ] || systemctl -q enable "$unit" 2>&1 || return 1
        systemctl reload-or-restart "$unit" 2>/dev/null || {
            echo "$unit does not start: $(journalctl -u "$unit" -n 5 -o cat --no-pager 2>/dev/null)"
            return 1
        }
    done
    for unit in $(units "$from"); do
        echo "$wanted" | grep -qx "$unit" || systemctl -q disable --now "$unit" 2>/dev/null || true
    done
    [ -z "$renewed" ] || echo "$renewed" >"$loaded_certificate" || true
}

# Prints the digest of a certificate that another tool renews, or nothing.
renewed_files() {
    local chain key
    echo "$certificates" | while read -r chain key; do
        case $chain in /*) certificate_digest "$chain" "$key" ;; esac
    done
}

# Reports whether systemd has read a unit before its last change. Reading all units again takes so much CPU that clients
# would lose more requests during the reload.
has_outdated_units() {
    # shellcheck disable=SC2046 # one word for each unit
    systemctl show -p NeedDaemonReload --value $(unit_names) | grep -q yes
}

# Lists the units for which a release may have files.
unit_names() { echo "$places" | sed -n 's|.* /etc/systemd/system/\([^/ ]*\).*|\1|p' | sed 's/\.d$//'; }

# Lists the units of this library that start others.
triggers() { unit_names | grep '^rancher-ha-.*\.\(path\|timer\)$'; }

# Serves the previous release again, or reports why it cannot: FROM TO WAS_ACTIVE. The release that nginx.conf leads to
# always stays.
roll_back() {
    local from="$1" to="$2" was_active="$3" place problem="the files cannot be put in place"
    rm -f "$current.new" "$conf.new" "$state/manifest.new" "$state/owner.new" "$unverified.new"
    echo "$places" | while read -r _ place _; do rm -f "$place.new"; done
    if [ -n "$to" ] && switch "$from" "$to" && problem=$(activate "$from" "$to"); then
        [ "$was_active" = yes ] || systemctl stop nginx
        # This run adopted keepalived. The copy stays if the load balancer installed the package too: `destroy` then
        # removes the folder, and needs the copy.
        if [ -e "$from/keepalived.conf" ] && [ ! -e "$to/keepalived.conf" ] && restore_product keepalived; then
            brought keepalived || rm -rf "$state/original/keepalived"
        fi
        rm -f "$unverified"
        withdraw_packages
        say "the host was rolled back to the previous release"
    else
        say "$(coded rollback-failed "the host could not be rolled back to the previous release: ${to:-there is none}: $problem. \
nginx.conf leads to $(readlink "$current"). Mend it, and run pulumi up again")"
    fi
    [ "$(readlink "$current")" = "$from" ] || rm -rf "$from"
}

# Prints the release to roll back to, and the status that users get from it. Both survive a killed run, in $unverified.
previous_release() {
    local previous status=
    if [ ! -s "$unverified" ]; then
        # If the link is lost, the previous release is the last one.
        previous=$(readlink -e "$current" || all_releases | tail -n 1)
        [ -z "$previous" ] || status=$(status_of_ping 127.0.0.1)
        # NGINX before 1.19.4 answers 421 itself when the release is for another hostname.
        { is_of_a_node "$status" && [ "$status" != 421 ]; } || status=
        if [ ! -e "$state/manifest" ]; then
            echo "$previous $status"
            return
        fi
        echo "$previous $status" | write "$unverified" || return 1
    fi
    cat "$unverified"
}

# Prints the process IDs of NGINX's workers.
nginx_workers() {
    local main
    main=$(nginx_main)
    cat "/proc/$main/task/$main/children" 2>/dev/null || true
}

# Reports whether nodes answer as through the previous release: STATUS EXPECTED. The release did not cause a 503: an
# ingress controller answers it while no pod of Rancher is ready. A node where Rancher has started meanwhile answers 200.
is_as_before() {
    local status="$1" expected="$2"
    case $status in 200 | 503 | "$expected") ;; *) return 1 ;; esac
}

# Waits until new workers serve the release, and nodes answer through them as before: OLD_WORKERS STATUS. STATUS is
# empty if no node answered before.
verify() {
    local old_workers="$1" expected="$2" answer status problem
    allow "$((10 + takeover_seconds))"
    until answer=$(running_release "$status_port") && is_new "$answer" "$old_workers" &&
        serves_certificates && answers_at_virtual_ip; do
        is_in_time || fail release-not-served "NGINX runs but does not serve the new release: \
expected release $release of a new worker, found release '${answer% *}' of worker ${answer#* }; \
$(certificates_served)${virtual_ip:+; $(virtual_ip_state)}. $(last_errors 2>/dev/null </var/log/nginx/error.log)"
        sleep 0.3
    done
    # This check is skipped if no node answered before the switch: nodes may still be starting.
    until [ -z "$expected" ] || { status=$(status_of_ping 127.0.0.1) && is_as_before "$status" "$expected"; }; do
        problem="NGINX runs but gives another answer than before"
        is_of_a_node "$status" || problem="NGINX runs but reaches no node"
        is_in_time || fail release-not-served "$problem: \
expected an answer to https://$hostname/ping, as the previous release gave ($expected), found ${status:-none}. \
Check upstreams, upstreamPort and extraDirectives, which must let 127.0.0.1 ask"
        sleep 0.3
    done
}

# Prints the last lines of an error log without those about a request, whose address may hold a login code.
last_errors() { grep -v ', client: ' | tail -n 2; }

# Reports whether an answer is the new release, from a new worker: ANSWER OLD_WORKERS. An old worker may serve the same
# release.
is_new() {
    local answer="$1" old_workers="$2"
    case " $old_workers " in *" ${answer#* } "*) return 1 ;; esac
    [ "${answer% *}" = "$release" ]
}

serves_certificates() {
    local chain
    echo "$certificates" | while read -r chain _; do serves "$hostname" "$(host_path "$chain")" || exit 1; done
}

certificates_served() {
    local chain file
    echo "$certificates" | while read -r chain _; do
        file=$(host_path "$chain")
        echo "expected certificate $(fingerprint <"$file"), found '$(served_fingerprint "$hostname" "$file")'"
    done
}

answers_at_virtual_ip() { [ -z "$virtual_ip" ] || timeout 1 bash -c "exec 3<>/dev/tcp/$virtual_ip/443" 2>/dev/null; }

virtual_ip_state() {
    answers_at_virtual_ip || echo "expected an answer at the virtual IP $virtual_ip, found none: \
$(journalctl -u keepalived -n 3 -o cat --no-pager 2>/dev/null)"
}
