# shellcheck shell=sh disable=SC2034,SC2154
# The load balancer host, as root on Debian or Ubuntu: what the other files of this folder share. They become one program.
# Variables from outside: release, files (NAME VARIABLE lines, where the variable holds the text), places (NAME PLACE MODE lines) and
# secrets (names) of release.ts, certificates (pairs of certificate and key as NGINX finds them), hostname, status_port,
# max_connections, reserved_files, take_over, own_address, virtual_ip, takeover_seconds, down_file, mark (in every file of ours),
# owner (the resource to which the host belongs).
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
umask 022
state=/var/lib/pulumi-rancher-ha/load-balancer
releases=$state/releases
conf=/etc/nginx/nginx.conf
# A link to the release that is served. nginx.conf is a link through it: one rename switches configuration, certificate and key.
current=/etc/nginx/rancher-ha
# There while a release is switched to and not yet verified: the one before, and the status that it answered with.
unverified=$state/unverified
undo=
added=
kept_now=

# A lost connection must not end the program half-way: it either finishes or puts everything back.
trap '' PIPE
say() { echo "$(hostname): $1" >&2 || true; }

fail() {
    say "$1"
    exit 1
}

nginx_version() { nginx -v 2>&1 | sed 's|.*nginx/\([0-9.]*\).*|\1|'; }
package_version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || true; }
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
active() { systemctl -q is-active "$1"; }

# The release that the running workers say they serve, and the process ID of the one that says so: STATUS_PORT.
running_release() {
    # shellcheck disable=SC2016 # variables of Perl
    timeout 2 perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0], Timeout => 2) or exit;
        print $s "GET /release HTTP/1.0\r\nHost: localhost\r\n\r\n";
        my @answer = <$s>;
        print $answer[-1] if $answer[0] =~ / 200 /;' "$1" 2>/dev/null || true
}

fingerprint() { openssl x509 -noout -fingerprint -sha256 2>/dev/null | cut -d= -f2; }

# The file as a path from the root: NGINX reads relative ones from beside nginx.conf.
host_path() { case $1 in /*) echo "$1" ;; *) echo "/etc/nginx/$1" ;; esac; }

# Fingerprint of the certificate that a full handshake of a client gets that knows keys like those of CHAIN only: NAME CHAIN.
served_fingerprint() {
    case $(openssl x509 -noout -text -in "$2" 2>/dev/null) in
    *"Public Key Algorithm: rsaEncryption"*) known=RSA-PSS+SHA256:RSA+SHA256:RSA-PSS+SHA512:RSA+SHA512 ;;
    *"Public Key Algorithm: id-ecPublicKey"*) known=ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512 ;;
    *) known=ed25519 ;;
    esac
    timeout 5 openssl s_client -connect 127.0.0.1:443 -servername "$1" -sigalgs "$known" </dev/null 2>/dev/null | fingerprint || true
}

# Whether a file can be read at all is told by others.
serves() { [ "$(served_fingerprint "$1" "$2")" = "$(fingerprint <"$2")" ]; }

# CHAIN KEY
belong_together() {
    of_certificate=$(openssl x509 -noout -pubkey -in "$1" 2>/dev/null) && [ "$of_certificate" = "$(openssl pkey -pubout -in "$2" 2>/dev/null)" ]
}

# Those that the release in a FOLDER sets.
kernel_settings() { sed -n 's/^\([^ #]*\) = .*/\1/p' "$1/sysctl.conf"; }

# Files that NGINX may open on this host: what its unit allows, within what the init process has itself.
open_files() {
    limits="$(systemctl show -p LimitNOFILE --value nginx) $(sed -n 's/^Max open files  *[^ ]*  *\([^ ]*\).*/\1/p' /proc/1/limits)"
    # shellcheck disable=SC2086 # two words
    printf '%s\n' $limits | sed 's/infinity\|unlimited/1048576/' | sort -n | head -n 1
}

has_ipv6() { [ -e /proc/net/if_inet6 ]; }

# Prints the main process of NGINX. After an upgrade on the fly systemd still names the old one until that ends.
nginx_main() { cat /run/nginx.pid 2>/dev/null || systemctl show -p MainPID --value nginx; }

# Tells whether process PID belongs to nginx.service: PID.
is_of_nginx() { grep -qs '/nginx\.service$' "/proc/$1/cgroup"; }

# Lists listeners of other processes on the ports of the load balancer.
foreign_listeners() {
    ss -Hltnp 'sport = :80 or sport = :443' | sed 's/ \+/ /g' | while read -r listener; do
        for process in $(echo "$listener" | grep -o 'pid=[0-9]*' | cut -d= -f2); do
            is_of_nginx "$process" || { echo "$listener"; break; }
        done
    done
}

# The interface that carries this host's own address.
interface() { ip -o -4 address show to "$own_address" | awk '{ print $2; exit }'; }
# Prints the interface of the smallest network of this host that holds the virtual IP, with that network.
virtual_ip_network() {
    ip -4 route show to match "$virtual_ip" scope link | awk '
        { split($1, network, "/"); if (network[2] + 0 >= widest + 0) { widest = network[2]; found = $0 } }
        END { if (found != "") print found }' | sed 's/^\([^ ]*\) dev \([^ ]*\).*/\2 \1/'
}
holds_virtual_ip() { ip -o -4 address show to "$1" | grep -q .; }

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
    if ! installed nginx && ! brought nginx; then
        # We could not put it back.
        other=$(command -v nginx) || {
            other=$(systemctl show -p FragmentPath --value nginx)
            # What is left of the package while it is gone.
            ! dpkg -S "$other" >/dev/null 2>&1 || other=
        }
        [ -z "$other" ] || fail "expected no NGINX or that of the package nginx, found $other ($(dpkg -S "$other" 2>/dev/null | cut -d: -f1 | grep . || echo "of no package")). Install the package nginx in its place, or choose another host. Nothing was changed"
    fi
    others=$(foreign_listeners)
    [ -z "$others" ] || fail "ports 80 and 443 must be free for NGINX, found another process on them:
$others
Stop it, or choose another host. Nothing was changed"
    [ -z "$virtual_ip" ] || check_network
}

check_network() {
    [ -n "$(interface)" ] || fail "expected the address $own_address on an interface of this host, found $(ip -o -4 address show scope global | awk '{ print $4 }' | tr '\n' ' '). Give the host by the address that its peer sees. Nothing was changed"
    network=$(virtual_ip_network)
    [ -n "$network" ] || fail "expected the virtual IP $virtual_ip in a network of this host, found $(ip -o -4 address show scope global | awk '{ print $2 " " $4 }' | paste -sd, | sed 's/,/, /g'). Choose an address of one of these networks. Nothing was changed"
    case "${network#* } $(ip -4 route get "$virtual_ip" 2>&1)" in
    "$virtual_ip/"* | *" broadcast "*) fail "expected an address of a host as the virtual IP, found $virtual_ip, which is the network ${network#* } itself or its broadcast address. Choose another one. Nothing was changed" ;;
    esac
}

# Tells whether another load balancer keeps the host, one of this stack or of another one. Owners are
# ORGANIZATION/PROJECT/STACK/LOAD BALANCER/RESOURCE@ADDRESS; earlier versions noted RESOURCE@ADDRESS alone.
is_of_another() {
    case $(recorded_owner) in
    "" | "${owner%/*}"/* | "${owner##*/}") return 1 ;;
    esac
}

check_owner() {
    if ! is_of_another; then return 0; fi
    [ -n "$take_over" ] ||
        fail "expected a host of no other load balancer, found that of $(recorded_owner). To apply ${owner%/*} here would take the host from its users. Correct the address, or set takeOver to take the host over. Nothing was changed"
    say "taking the host over from $(recorded_owner)"
}
