# shellcheck shell=sh disable=SC2154
# A release: staged, checked, switched at once, checked in what is served. The last three are kept.

stage=$releases/new

# The services of a release.
units() {
    echo nginx.service
    [ ! -e "$1/keepalived.conf" ] || echo keepalived.service
    [ ! -e "$1/certificate.path" ] || echo rancher-ha-certificate.path
}

# Finishes nginx.conf for this host. Lines that end in `# nginx >= V` or `# nginx < V` are for some versions only.
for_host() {
    connections=$(($(open_files) - reserved_files))
    [ "$connections" -le "$max_connections" ] || connections=$max_connections
    sed "$(has_ipv6 || echo '/^ *listen \[::\]/d;') s/@connections@/$connections/; s/@open_files@/$((connections + reserved_files))/" | awk -v have="$(nginx_version)" '
        function number(version, parts) {
            split(version, parts, ".")
            return (parts[1] * 1000 + parts[2]) * 1000 + parts[3]
        }
        match($0, / # nginx (>=|<) [0-9.]+$/) {
            split(substr($0, RSTART), mark, " ")
            if ((number(have) >= number(mark[4])) != (mark[3] == ">=")) next
        }
        { print }'
}

write_stage() {
    # Inside a release, certificates are found as beside nginx.conf.
    ln -s . "$stage/rancher-ha" || return 1
    echo "$files" | while read -r name variable; do
        if echo "$secrets" | grep -qxF "$name"; then umask 077; else umask 022; fi
        case $name in
        nginx.conf) eval "printf %s \"\$$variable\"" | for_host >"$stage/$name" && [ -s "$stage/$name" ] ;;
        keepalived.conf) eval "printf %s \"\$$variable\"" | sed "s/@interface@/$(interface)/; s/@virtual_ip_interface@/$(virtual_ip_network | cut -d' ' -f1)/" >"$stage/$name" && [ -s "$stage/$name" ] ;;
        *) eval "printf %s \"\$$variable\"" >"$stage/$name" ;;
        esac || exit 1
    done
}

check_stage() {
    wanted=$(sed -n 's/^worker_rlimit_nofile \([0-9]*\);/\1/p' "$stage/nginx.conf")
    [ "$wanted" -le "$(open_files)" ] || fail "workerConnections: expected at most $(($(open_files) - reserved_files)), because NGINX may open $(open_files) files on this host, found $((wanted - reserved_files)). Lower it, or raise LimitNOFILE of nginx.service. The host was left as it was"
    echo "$certificates" | while read -r chain key; do check_certificate "$(staged "$chain")" "$(staged "$key")"; done || exit 1
    nginx -t -q -c "$stage/nginx.conf" 2>/run/rancher-ha-test.log || fail "NGINX $(nginx_version) refuses the configuration:
$(sed "s|$stage/||g" /run/rancher-ha-test.log)
The host was left as it was"
    # What a directive of somebody's own, or a file that it includes, opens beside ours.
    opened=$(nginx -T -q -c "$stage/nginx.conf" 2>/dev/null | listeners | sort -u | grep -vx "\(\[::]:\)\?\(80\|443\)\|127.0.0.1:$status_port" || true)
    [ -z "$opened" ] || fail "extraDirectives: expected no other listener than ports 80 and 443, found listen $(echo "$opened" | tr '\n' ' '). The host was left as it was"
    if [ -e "$stage/keepalived.conf" ]; then
        # In a container a signal ends it after its report: its exit code tells nothing, and the shell would say "Terminated".
        faults=$( (keepalived -t -l -f "$stage/keepalived.conf" 2>&1; true) 2>/dev/null | grep 'Line [0-9]' || true)
        [ -z "$faults" ] || fail "keepalived refuses its configuration: $faults. The host was left as it was"
    fi
}

# The addresses of all `listen` directives, each with `quic` where it says so, read as NGINX reads words: over lines, without comments,
# and in quotes only where a word begins with one.
listeners() {
    # shellcheck disable=SC2016 # variables of Perl
    perl -0777 -ne '
        my $statement = 1; my $listen;
        while (/(#[^\n]*)|([;{}])|"((?:\\.|[^"\\])*)"|\x27((?:\\.|[^\x27\\])*)\x27|((?:\\.|\$\{|[^\s;{\\])+)/gs) {
            next if defined $1;
            my $word = $3 // $4 // $5;
            if (defined $2) {
                print "@$listen\n" if $listen;
                $statement = 1; $listen = undef;
            } elsif ($statement) {
                $listen = [] if $word eq "listen";
                $statement = 0;
            } elsif ($listen) {
                push @$listen, $word if !@$listen || $word eq "quic";
            }
        }'
}

staged() { case $1 in /*) echo "$1" ;; *) echo "$stage/$1" ;; esac; }

check_certificate() {
    fault=$(certificate_fault "$1" "$2" | sed "s|$stage/||g")
    [ -z "$fault" ] || fail "$fault. The host was left as it was"
}

# The files of release TO in their places, and those of ours that it does not have away: FROM TO.
place_files() {
    echo "$places" | while read -r name place mode; do
        if [ -e "$2/$name" ]; then
            if cmp -s "$2/$name" "$place" && [ "$(stat -c '%a %U:%G' "$place")" = "$mode root:root" ]; then continue; fi
            mkdir -p "$(dirname "$place")"
            cp "$2/$name" "$place.new" && chmod "$mode" "$place.new" && sync "$place.new" && mv -f "$place.new" "$place" || exit 1
        elif [ -e "$1/$name" ] || grep -qs "$mark" "$place"; then
            remove_file "$place"
        fi
    done
}

remove_file() {
    rm -f "$1" "$1.new"
    case $1 in *.service.d/*) rmdir "$(dirname "$1")" 2>/dev/null || true ;; esac
}

# LINK TARGET, at once.
point() {
    [ -L "$1" ] || [ ! -d "$1" ] || rm -rf "$1"
    ln -sfn "$2" "$1.new" && mv -fT "$1.new" "$1"
}

switch() { place_files "$1" "$2" && point "$current" "$2" && point "$conf" rancher-ha/nginx.conf; }

# Makes the services run what lies in place: FROM TO.
activate() {
    main=$(nginx_main)
    workers_before=$(cat "/proc/$main/task/$main/children" 2>/dev/null || true)
    systemctl daemon-reload
    # Whatever certificate NGINX had before, it reads it anew.
    rm -f "$loaded_certificate"
    # One that only the other release sets is as it was before.
    problem=$({ restore_kernel_settings && sysctl -q -p "$2/sysctl.conf"; } 2>&1) || return 1
    for unit in $(units "$2"); do
        problem=$(systemctl -q enable "$unit" 2>&1) || return 1
        systemctl reload-or-restart "$unit" 2>/dev/null || {
            problem="$unit does not start: $(journalctl -u "$unit" -n 5 -o cat --no-pager 2>/dev/null)"
            return 1
        }
    done
    for unit in $(units "$1"); do
        units "$2" | grep -qx "$unit" || systemctl -q disable --now "$unit" 2>/dev/null || true
    done
}

# The release before is served again, or it is said that it is not. What nginx.conf leads to always stays.
go_back() {
    rm -f "$current.new" "$conf.new" "$state/manifest.new" "$state/owner.new" "$unverified.new"
    echo "$places" | while read -r _ place _; do rm -f "$place.new"; done
    problem="the files cannot be put in place"
    if [ -n "$previous" ] && switch "$dir" "$previous" && activate "$dir" "$previous"; then
        [ "$was_active" = yes ] || systemctl stop nginx
        # Taken over by this run. With a package of ours its folder would go at the end, and the copy is needed then.
        if [ -e "$dir/keepalived.conf" ] && [ ! -e "$previous/keepalived.conf" ] && restore_product keepalived; then
            brought keepalived || rm -rf "$state/original/keepalived"
        fi
        rm -f "$unverified"
        say "the previous release was put back"
    else
        say "the previous release could not be put back: ${previous:-there is none}: $problem. nginx.conf leads to $(readlink "$current"). Mend it, and run pulumi up again"
    fi
    [ "$(readlink "$current")" = "$dir" ] || rm -rf "$dir"
}

# For a first release: there is none to go back to.
withdraw() {
    restore_host
    say "the host was put back as it was"
}

verify() {
    deadline=$(($(date +%s) + 10 + takeover_seconds))
    until serves_release && serves_certificates && answers_at_virtual_ip; do
        [ "$(date +%s)" -lt "$deadline" ] || fail "NGINX runs but does not serve the new release: expected release $release of a new worker, found release '${answer% *}' of worker ${answer#* }; $(certificates_served)${virtual_ip:+; $(virtual_ip_state)}. $(tail -n 2 /var/log/nginx/error.log 2>/dev/null)"
        sleep 0.3
    done
    # Nodes that did not answer before may still be on their way.
    until [ -z "$answered" ] || { status=$(status_of_ping 127.0.0.1) && is_of_a_node "$status"; }; do
        [ "$(date +%s)" -lt "$deadline" ] || fail "NGINX runs but reaches no node: expected an answer to https://$hostname/ping, as the previous release gave ($answered), found ${status:-none}. Check upstreams and upstreamPort"
        sleep 0.3
    done
}

# A worker of before the reload tells nothing: it may say the same release.
serves_release() {
    answer=$(running_release "$status_port")
    case " $workers_before " in *" ${answer#* } "*) return 1 ;; esac
    [ "${answer% *}" = "$release" ]
}

serves_certificates() {
    echo "$certificates" | while read -r chain _; do serves "$hostname" "$(host_path "$chain")" || exit 1; done
}

certificates_served() {
    echo "$certificates" | while read -r chain _; do
        file=$(host_path "$chain")
        echo "expected certificate $(fingerprint <"$file"), found '$(served_fingerprint "$hostname" "$file")'"
    done
}

answers_at_virtual_ip() { [ -z "$virtual_ip" ] || timeout 1 bash -c "exec 3<>/dev/tcp/$virtual_ip/443" 2>/dev/null; }
virtual_ip_state() { answers_at_virtual_ip || echo "expected an answer at the virtual IP $virtual_ip, found none: $(journalctl -u keepalived -n 3 -o cat --no-pager 2>/dev/null)"; }

# The folder for a new release: numbered, because a clock may be wrong.
next_release() {
    last=$(find "$releases" -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\n' | sort | tail -n 1 | cut -d- -f1)
    printf '%s/%06d-%s' "$releases" "$(($(echo "${last:-0}" | sed 's/^0*//; s/^$/0/') + 1))" "$release"
}

forget_old_releases() {
    find "$releases" -mindepth 1 -maxdepth 1 -name '[0-9]*' | sort | head -n -3 | while read -r old; do rm -rf "$old"; done
}
