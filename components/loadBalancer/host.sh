# shellcheck shell=sh disable=SC2154
# The load balancer host, as root on Debian or Ubuntu. Verbs: apply, probe, destroy.
# Variables: configuration, certificate, private_key, sysctls (contents of files), release, hostname, status_port.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
umask 022
state=/var/lib/pulumi-rancher-ha/load-balancer
conf=/etc/nginx/nginx.conf
cert=/etc/nginx/rancher-ha/fullchain.pem
key=/etc/nginx/rancher-ha/privkey.pem
sysctl_file=/etc/sysctl.d/60-rancher-ha.conf
stage=
undo=

# A lost connection must not end the program half-way: it either finishes or puts everything back.
trap '' PIPE
say() { echo "$(hostname): $1" >&2 || true; }

fail() {
    say "$1"
    exit 1
}

nginx_version() { nginx -v 2>&1 | sed 's|.*nginx/\([0-9.]*\).*|\1|'; }
package_version() { dpkg-query -W -f '${Version}' nginx 2>/dev/null || true; }
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' nginx 2>/dev/null)" = installed ]; }

# The release that the running workers say they serve, over the status port.
running_release() {
    # shellcheck disable=SC2016 # variables of Perl
    timeout 2 perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0], Timeout => 2) or exit;
        print $s "GET /release HTTP/1.0\r\nHost: localhost\r\n\r\n";
        my @answer = <$s>;
        print $answer[-1] if $answer[0] =~ / 200 /;' "$status_port" 2>/dev/null || true
}

served_certificate() {
    timeout 5 openssl s_client -connect 127.0.0.1:443 -servername "$hostname" </dev/null 2>/dev/null |
        openssl x509 -noout -fingerprint -sha256 2>/dev/null || true
}

# Keeps the lines that belong to this version of NGINX: those that end in `# nginx >= V` or `# nginx < V` are for some only.
for_version() {
    awk -v have="$1" '
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

# What stands in the way of this host being a load balancer, found before anything is touched.
check_host() {
    # shellcheck source=/dev/null
    . /etc/os-release
    case " $ID ${ID_LIKE:-} " in
    *" debian "* | *" ubuntu "*) ;;
    *) fail "expected Debian or Ubuntu, found ${PRETTY_NAME:-$ID}. Nothing was changed" ;;
    esac
    [ "$(id -u)" = 0 ] || fail "expected root, found $(id -un). Nothing was changed"
    [ -d /run/systemd/system ] || fail "expected systemd to run this host. Nothing was changed"
    others=$(ss -Hltnp 'sport = :80 or sport = :443' | grep -v '"nginx"' | sed 's/ \+/ /g' || true)
    [ -z "$others" ] || fail "ports 80 and 443 must be free for NGINX, found another process on them:
$others
Stop it, or choose another host. Nothing was changed"
    [ ! -d "$state" ] || return 0
    if installed; then
        foreign=$({
            dpkg --verify nginx-common nginx 2>/dev/null | sed -n 's|.* \(/etc/.*\)|\1 (changed)|p'
            find /etc/nginx/conf.d /etc/nginx/sites-enabled -mindepth 1 ! -path /etc/nginx/sites-enabled/default
        } || true)
    else
        foreign=$(find /etc/nginx -mindepth 1 -maxdepth 1 2>/dev/null || true)
    fi
    [ -z "$foreign" ] || fail "NGINX on this host is configured for something else:
$foreign
Choose another host, or remove that configuration. Nothing was changed"
}

apt() {
    attempt=0
    log=$stage/$1.log
    # apt waits for the lock of dpkg by itself, but not for the one of its lists.
    until apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1; do
        attempt=$((attempt + 1))
        if [ "$attempt" -ge 24 ] || ! grep -q "Could not get lock" "$log"; then
            fail "NGINX could not be installed. The end of what apt said:
$(grep '^[WE]: ' "$stage/update.log"; tail -n 8 "$stage/install.log" 2>/dev/null)
The host was put back as it was. Check its package sources and network"
        fi
        sleep 5
    done
}

install_nginx() {
    # What a run that was killed in the middle of this left behind.
    systemctl -q unmask --runtime nginx 2>/dev/null || true
    if installed; then return; fi
    say "installing NGINX"
    [ ! -s "$state/packages" ] || dpkg --configure -a >"$stage/dpkg.log" 2>&1 || true
    apt update
    mkdir -p "$state"
    undo="remove_packages $undo"
    # Noted before, so that a run that is killed in between leaves the list for `destroy`.
    apt install --simulate nginx openssl
    [ -s "$state/packages" ] || sed -n 's/^Inst \([^ ]*\).*/\1/p' "$stage/install.log" >"$state/packages"
    # Masked, so that the package does not start its default site.
    systemctl -q mask --runtime nginx 2>/dev/null
    apt install nginx openssl
    systemctl -q unmask --runtime nginx
}

# dpkg, unlike apt, refuses to take packages along that somebody else came to need.
purge() {
    [ -s "$state/packages" ] || return 0
    systemctl -q disable --now nginx 2>/dev/null || true
    systemctl -q reset-failed nginx 2>/dev/null || true
    # shellcheck disable=SC2046 # a list
    dpkg --purge $(cat "$state/packages") >/dev/null 2>"${stage:-/tmp}/dpkg.log"
}

remove_packages() {
    systemctl -q unmask --runtime nginx 2>/dev/null
    purge
    rm -rf /etc/nginx /var/log/nginx /var/lib/nginx "$state"
    rmdir "$(dirname "$state")" 2>/dev/null
}

write_stage() {
    version=$(nginx_version)
    mkdir "$stage/rancher-ha" &&
        printf '%s\n' "$certificate" >"$stage/rancher-ha/fullchain.pem" &&
        (umask 077 && printf '%s\n' "$private_key" >"$stage/rancher-ha/privkey.pem") &&
        printf '%s' "$sysctls" >"$stage/sysctl" &&
        printf '%s' "$configuration" | for_version "$version" >"$stage/nginx.conf" && [ -s "$stage/nginx.conf" ]
}

check_stage() {
    certificate_key=$(openssl x509 -noout -pubkey -in "$stage/rancher-ha/fullchain.pem" 2>&1) || fail "the certificate is not readable: $certificate_key"
    key_public=$(openssl pkey -pubout -in "$stage/rancher-ha/privkey.pem" 2>/dev/null) || fail "the private key is not readable"
    # nginx -t lets a certificate and a key of different types pass, and then every full handshake fails.
    [ "$certificate_key" = "$key_public" ] || fail "the private key does not belong to the certificate. The host was left as it was"
    nginx -t -q -c "$stage/nginx.conf" 2>"$stage/test.log" || fail "NGINX $version refuses the configuration:
$(sed "s|$stage/||g" "$stage/test.log")
The host was left as it was"
}

manifest() {
    for file in "$conf" "$cert" "$key" "$sysctl_file"; do
        if [ -e "$file" ]; then
            echo "$file $(stat -c '%a %U:%G' "$file") $(sha256sum <"$file" | cut -d' ' -f1)"
        else
            echo "$file missing"
        fi
    done
    kernel_settings | sed 's/^\([^ ]*\) = /kernel:\1 /'
    echo "nginx-package $(package_version)"
    echo "release $release"
}

# The managed files: staged name, place, mode.
managed="nginx.conf $conf 644
rancher-ha/fullchain.pem $cert 644
rancher-ha/privkey.pem $key 600
sysctl $sysctl_file 644"

kernel_settings() {
    sysctl net.ipv4.tcp_keepalive_time net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_retries2
}

same() { cmp -s "$stage/$1" "$2" && [ "$(stat -c '%a %U:%G' "$2")" = "$3 root:root" ]; }

unchanged() {
    echo "$managed" | while read -r name place mode; do same "$name" "$place" "$mode" || exit 1; done &&
        systemctl -q is-active nginx && systemctl -q is-enabled nginx && [ "$(running_release)" = "$release" ] &&
        [ "$(manifest)" = "$(cat "$state/manifest" 2>/dev/null)" ]
}

# All of them before the first is replaced: for `put_back`, what was not kept was not there.
keep_previous() {
    mkdir -p "$stage/previous/rancher-ha" && echo "$managed" | while read -r name place _; do
        [ ! -e "$place" ] || cp -p "$place" "$stage/previous/$name" || exit 1
    done
}

keep_original() {
    mkdir -p "$state/original" && cp -p "$conf" "$state/original/nginx.conf" && kernel_settings >"$state/original/sysctl"
}

# Puts a staged file in its place at once.
replace() {
    chmod "$3" "$stage/$1"
    mkdir -p "$(dirname "$2")"
    cp -p "$stage/$1" "$2.new" && chown root:root "$2.new" && mv -f "$2.new" "$2"
}

put_back() {
    echo "$managed" | while read -r name place _; do
        rm -f "$place.new"
        if [ ! -e "$stage/previous/$name" ]; then
            rm -f "$place"
        elif ! cmp -s "$stage/previous/$name" "$place"; then
            cp -p "$stage/previous/$name" "$place.new" && mv -f "$place.new" "$place"
        fi
    done
    rmdir "$(dirname "$cert")" 2>/dev/null
    sysctl -q -p "$state/original/sysctl" >/dev/null 2>&1
    [ ! -e "$sysctl_file" ] || sysctl -q -p "$sysctl_file" >/dev/null
    rm -f "$state/manifest.new"
    [ -e "$state/manifest" ] || rm -rf "$state/original"
    rmdir "$state" "$(dirname "$state")" 2>/dev/null
    if [ "$was_active" = yes ]; then systemctl reload-or-restart nginx; else systemctl stop nginx; fi
}

verify() {
    wanted=$(openssl x509 -noout -fingerprint -sha256 -in "$cert")
    deadline=$(($(date +%s) + 10))
    until [ "$(running_release)" = "$release" ] && [ "$(served_certificate)" = "$wanted" ]; do
        [ "$(date +%s)" -lt "$deadline" ] || fail "NGINX runs but does not serve the new release: expected release $release with certificate ${wanted#*=}, found release '$(running_release)' with '$(served_certificate)'. $(tail -n 2 /var/log/nginx/error.log 2>/dev/null)
The previous files were put back"
        sleep 0.3
    done
}

finish() {
    status=$?
    trap - EXIT
    if [ "$status" != 0 ]; then
        set +e
        for step in $undo; do $step; done
    fi
    rm -rf "$stage"
    exit "$status"
}

# One run at a time. A run that was killed leaves its staging folder, with the private key in it.
lock() {
    exec 9>/run/lock/pulumi-rancher-ha
    flock -w 120 9 || fail "another run works on this host"
    rm -rf /var/tmp/rancher-ha.*
}

apply() {
    lock
    check_host
    stage=$(mktemp -d /var/tmp/rancher-ha.XXXXXX 2>&1) || fail "no folder can be made in /var/tmp: $stage. The host was left as it was"
    trap finish EXIT
    trap 'exit 1' TERM INT HUP
    install_nginx
    write_stage || fail "the new files could not be written. Check free space in /var/tmp. The host was left as it was"
    check_stage
    if unchanged; then
        say "nothing to change"
    else
        was_active=$(systemctl -q is-active nginx && echo yes || echo no)
        keep_previous || fail "the present files could not be kept. Check free space in /var/tmp. The host was left as it was"
        undo="put_back $undo"
        [ -d "$state/original" ] || keep_original || fail "$state cannot be written. Check free space there. The host was left as it was"
        say "switching to release $release"
        echo "$managed" | while read -r name place mode; do replace "$name" "$place" "$mode" || exit 1; done ||
            fail "the new files could not be put in place. The previous ones were put back"
        sysctl -q -p "$sysctl_file" >/dev/null || fail "the kernel refuses the settings of $sysctl_file. The previous files were put back"
        enabling=$(systemctl -q enable nginx 2>&1) || fail "nginx.service cannot be enabled: $enabling. The previous files were put back"
        systemctl reload-or-restart nginx || fail "NGINX does not start: $(journalctl -u nginx -n 5 -o cat --no-pager 2>/dev/null)
The previous files were put back"
        verify
        { manifest >"$state/manifest.new" && mv -f "$state/manifest.new" "$state/manifest"; } ||
            fail "$state/manifest cannot be written. Check free space there. The previous files were put back"
        # From here on the new release stays, even when nobody listens to the result any more.
        undo=
        say "serves release $release"
    fi
    sha256sum <"$state/manifest" | cut -c1-16
}

probe() {
    if [ ! -e "$state/manifest" ]; then
        echo "not installed"
        return
    fi
    release=$(sed -n 's/^release //p' "$state/manifest")
    differences=$(
        manifest | while read -r line; do
            before=$(grep -F "${line%% *} " "$state/manifest" | head -n 1)
            [ "$line" = "$before" ] || describe "$before" "$line"
        done
        enabled=$(systemctl is-enabled nginx 2>/dev/null) || true
        [ "$enabled" = enabled ] || echo "nginx.service: ${enabled:-missing}, expected enabled"
        active=$(systemctl is-active nginx 2>/dev/null) || true
        [ "$active" = active ] || echo "nginx.service: $active, expected active"
        running=$(running_release)
        [ "$active" != active ] || [ "$running" = "$release" ] || echo "running workers: release ${running:-unknown}, expected $release"
    )
    echo "${differences:-in sync}"
}

# One line about a manifest line that differs: BEFORE NOW.
describe() {
    # shellcheck disable=SC2086 # split into words
    set -- $1 -- $2
    case $1 in
    nginx-package) echo "NGINX: version ${5:-none}, expected $2" ;;
    kernel:*) echo "kernel setting ${1#kernel:}: $5, expected $2" ;;
    *)
        if [ "$7" = missing ]; then
            echo "$1: missing"
        else
            [ "$2 $3" = "$7 $8" ] || echo "$1: mode and owner $7 $8, expected $2 $3"
            [ "$4" = "$9" ] || echo "$1: content changed"
        fi ;;
    esac
}

destroy() {
    lock
    if [ ! -d "$state" ]; then
        say "nothing to remove"
        return
    fi
    if [ -e "$state/original/sysctl" ]; then sysctl -q -p "$state/original/sysctl" >/dev/null || true; fi
    rm -f "$sysctl_file"
    if [ -s "$state/packages" ]; then
        say "removing NGINX"
        purge || fail "the packages that came with NGINX cannot be removed: $(grep -v '^ ' /tmp/dpkg.log | head -n 3)"
        rm -rf /etc/nginx /var/log/nginx /var/lib/nginx /tmp/dpkg.log
    else
        say "putting the configuration of before back"
        cp -p "$state/original/nginx.conf" "$conf"
        rm -rf "$(dirname "$cert")"
        systemctl reload-or-restart nginx || true
    fi
    rm -rf "$state"
    rmdir "$(dirname "$state")" 2>/dev/null || true
}

case $1 in
apply) apply ;;
probe) probe ;;
destroy) destroy ;;
esac
