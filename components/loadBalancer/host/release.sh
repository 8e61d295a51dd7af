# shellcheck shell=sh disable=SC2154,SC3043
# Writes a release into the stage, finishes it for this host, and checks it. The host keeps the last three releases.

# Lists the units that a release enables: FOLDER.
units() {
    local folder="$1" unit
    echo nginx.service
    [ ! -e "$folder/keepalived.conf" ] || echo keepalived.service
    triggers | while read -r unit; do [ ! -e "$folder/${unit#rancher-ha-}" ] || echo "$unit"; done
}

# Peers before the configured one, one line each.
earlier_peers=

write_stage() {
    local name variable
    earlier_peers=$(earlier_peers)
    # With this link, the relative paths of certificates lead to the stage during its check.
    ln -s . "$stage/rancher-ha" || stage_failed
    echo "$files" | while read -r name variable; do
        if echo "$secrets" | grep -qxF "$name"; then umask 077; else umask 022; fi
        eval "printf %s \"\$$variable\"" | finished "$name" >"$stage/$name" && [ -s "$stage/$name" ] || exit 1
    done || stage_failed
}

stage_failed() { abort host-storage "the new files could not be written. Make space on the disk of $state"; }

# Finishes the text of a file for this host: NAME.
finished() {
    local name="$1"
    case $name in
    nginx.conf) for_host ;;
    keepalived.conf) for_networks | for_peers ;;
    keepalived.service.conf) for_peers ;;
    *) cat ;;
    esac
}

# Finishes nginx.conf. Drops lines that end in `# nginx >= V` or `# nginx < V` and do not match the installed NGINX.
for_host() {
    local connections
    connections=$(($(open_files) - reserved_files))
    [ "$connections" -le "$max_connections" ] || connections=$max_connections
    sed -e "$(has_ipv6 || echo '/^ *listen \[::\]/d')" -e "s/@connections@/$connections/" \
        -e "s/@open_files@/$((connections + reserved_files))/" | awk -v have="$(nginx_version)" '
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

# Finishes keepalived.conf.
for_networks() {
    local network
    network=$(virtual_ip_network)
    sed "s/@interface@/$(interface)/; s/@virtual_ip_interface@/${network% *}/"
}

# Prints earlier peers until the configured one serves. `destroy` cleans an earlier peer only after this host is changed. A
# peer that no longer hears this host would take the same virtual IP before that.
earlier_peers() {
    local earlier
    [ "$virtual_ip" = "$(current_virtual_ip)" ] || return 0
    earlier=$(current_peers | grep -vxF "$peer") || return 0
    [ -n "$(status_of_ping "$peer")" ] || echo "$earlier"
}

# Adds the earlier peers to keepalived.conf and to the packet filter. The next apply removes them.
for_peers() {
    local each lines='' list="$peer"
    for each in $earlier_peers; do
        lines="$lines\\n        $each"
        list="$list, $each"
    done
    if [ -z "$lines" ]; then
        cat
    else
        sed "s/^ *$peer\$/&$lines/; s/ip saddr != $peer drop/ip saddr != { $list } drop/"
    fi
}

check_stage() {
    check_open_files
    check_certificates
    check_configuration
    check_listeners
    check_keepalived
}

check_open_files() {
    local wanted allowed
    wanted=$(sed -n 's/^worker_rlimit_nofile \([0-9]*\);/\1/p' "$stage/nginx.conf")
    allowed=$(open_files)
    [ "$wanted" -le "$allowed" ] ||
        abort release-not-served "workerConnections: expected at most $((allowed - reserved_files)), because NGINX may open $allowed \
files on this host, found $((wanted - reserved_files)). Lower it, or raise LimitNOFILE of nginx.service"
}

check_certificates() {
    local chain key fault
    echo "$certificates" | while read -r chain key; do
        await_validity "$(staged "$chain")"
        fault=$(certificate_fault "$(staged "$chain")" "$(staged "$key")" | sed "s|$stage/||g")
        [ -z "$fault" ] || abort certificate-refused "$fault"
    done || exit 1
}

# Waits for a certificate that becomes valid within a minute: CHAIN. The clock of the machine that issued it may be ahead.
await_validity() {
    local chain="$1" attempt=0
    while [ "$attempt" -lt 12 ] && ! is_valid_now "$chain" && [ -z "$(time_fault "$chain" 60)" ]; do
        attempt=$((attempt + 1))
        say "waiting for the certificate, which is valid $(validity "$chain")"
        sleep 5
    done
}

# Prints the path of a certificate's file while the release is in the stage: FILE.
staged() {
    local file="$1"
    case $file in /*) echo "$file" ;; *) echo "$stage/$file" ;; esac
}

check_configuration() {
    local report
    report=$(nginx -t -q -c "$stage/nginx.conf" 2>&1) || abort release-not-served "NGINX $(nginx_version) refuses the configuration:
$(echo "$report" | sed "s|$stage/||g")"
}

# Refuses listeners that the user's directives or their included files open.
check_listeners() {
    local opened
    opened=$(nginx -T -q -c "$stage/nginx.conf" 2>/dev/null | listeners | sort -u |
        grep -vxE "(\[::]:)?($(port_numbers | paste -sd'|'))|127.0.0.1:$status_port" || true)
    [ -z "$opened" ] || abort release-not-served "extraDirectives: expected no other listener than ports $ports, \
found listen $(echo "$opened" | tr '\n' ' ')"
}

# In a container, a signal ends keepalived after its report. So its exit code is useless, and the shell would print
# "Terminated".
check_keepalived() {
    local faults
    [ -e "$stage/keepalived.conf" ] || return 0
    faults=$( (keepalived -t -l -f "$stage/keepalived.conf" 2>&1; true) 2>/dev/null | grep 'Line [0-9]' || true)
    [ -z "$faults" ] || abort release-not-served "keepalived refuses its configuration: $faults"
}

# Prints the addresses of all `listen` directives, with `quic` if the directive has it. Words are read as NGINX reads
# them: over lines, without comments, and in quotes only where a word begins with one.
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

# Lists the folders of releases, oldest first.
all_releases() { find "$releases" -mindepth 1 -maxdepth 1 -name '[0-9]*' | sort; }

# Prints the folder for a new release. Folders are numbered, because a clock may be wrong.
next_release() {
    local number
    number=$(all_releases | tail -n 1 | sed -n 's|.*/0*\([0-9]*\)-.*|\1|p')
    printf '%s/%06d-%s' "$releases" "$((${number:-0} + 1))" "$release"
}

forget_old_releases() { all_releases | head -n -3 | xargs -r rm -rf; }
