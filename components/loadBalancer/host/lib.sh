# shellcheck shell=sh disable=SC2034,SC2154,SC3043
# Holds functions that the other files of this folder share. All files form one program, which root runs on a load
# balancer host with Debian or Ubuntu. program.ts assigns these variables before this file:
#   owner             ORGANIZATION/PROJECT/STACK/LOAD BALANCER/RESOURCE@ADDRESS, to which the host belongs
#   take_over         yes, or empty: whether to adopt a foreign configuration or the host of another load balancer
#   own_address, virtual_ip, peer, takeover_seconds   set on a host of a pair, empty on a single host
#   vrrp_table        table of nftables that filters VRRP on a host of a pair
#   release, files    name of the release, and NAME VARIABLE lines of its files; the variable holds the text
#   places            NAME PLACE MODE lines for files outside of the release's folder (release.ts)
#   secrets           names of secret files
#   certificates      CHAIN KEY lines, as in nginx.conf
#   hostname, status_port, max_connections, reserved_files, warn_days, down_file, mark
#   timeout_seconds   limit of a run, after which `timeout` ends it
# The probe has only some of them. shellcheck warns of these variables (SC2154) and of variables that another file reads
# (SC2034). It also warns of `local` (SC3043), which is not in POSIX, but the sh of both systems has it.
set -eu
# needrestart would restart foreign services when packages are installed.
export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
umask 022
state=/var/lib/pulumi-rancher-ha/load-balancer
releases=$state/releases
# Holds a release while it is written and checked.
stage=$releases/new
conf=/etc/nginx/nginx.conf
# This link leads to the release that is served, and nginx.conf is a link through it. So one rename switches
# configuration, certificate and key.
current=/etc/nginx/rancher-ha
# This file exists from the switch to a release until the release is verified. It holds the previous release, and the
# status of /ping through that release.
unverified=$state/unverified

# A lost connection must not end the program half-way. The program either finishes or rolls back.
trap '' PIPE
say() {
    local text="$1"
    echo "$(hostname): $text" >&2 || true
}

# Prints an error with its code (errorCodes.ts) at the end of the first line: CODE TEXT.
coded() {
    local code="$1" text="$2"
    printf '%s\n' "$text" | sed "1s/\$/ [RHA $code]/"
}

# Ends the program: CODE TEXT.
fail() {
    local code="$1" text="$2"
    say "$(coded "$code" "$text")"
    exit 1
}

# Ends the program before its first change: CODE TEXT.
refuse() {
    local code="$1" text="$2"
    fail "$code" "$text. Nothing was changed"
}

# Ends an apply before it switches to the new release. `finish` undoes its changes: CODE TEXT.
abort() {
    local code="$1" text="$2"
    fail "$code" "$text. The host was left as it was"
}

# Writes standard input into a file, which gets its name once it is complete and on the disk: FILE [MODE].
write() {
    local file="$1" mode="${2:-644}"
    cat >"$file.new" && chmod "$mode" "$file.new" && sync "$file.new" && mv -fT "$file.new" "$file"
}

# Appends standard input to a file in the same way: FILE.
append() {
    local file="$1"
    { [ ! -e "$file" ] || cat "$file"; cat; } | write "$file"
}

# Reports whether two folders hold the same files and links: FOLDER FOLDER.
same_folders() {
    local folder="$1" other="$2"
    diff -r --no-dereference "$folder" "$other" >/dev/null 2>&1
}

nginx_version() { nginx -v 2>&1 | sed 's|.*nginx/\([0-9.]*\).*|\1|'; }

# Prints the version of a package that is on the host: PACKAGE.
package_version() {
    local package="$1"
    ! is_on_host "$package" || dpkg-query -W -f '${Version}' "$package" 2>/dev/null || true
}

# Prints dpkg's state of a package, which a hold does not change: PACKAGE.
package_state() {
    local package="$1"
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true
}

# Reports whether a package is ready for use. Open triggers only update caches: PACKAGE.
installed() {
    local package="$1"
    case $(package_state "$package") in installed | triggers-*) ;; *) return 1 ;; esac
}

# Reports whether a package is on the host, perhaps half-configured. A removed one leaves only configuration: PACKAGE.
is_on_host() {
    local package="$1"
    case $(package_state "$package") in "" | not-installed | config-files) return 1 ;; esac
}

# Reports whether a unit runs: UNIT.
active() {
    local unit="$1"
    systemctl -q is-active "$unit"
}

# Prints the release that a running worker reports, and the process ID of this worker: PORT.
running_release() {
    local port="$1"
    # shellcheck disable=SC2016 # variables of Perl
    timeout 2 perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0], Timeout => 2) or exit;
        print $s "GET /release HTTP/1.0\r\nHost: localhost\r\n\r\n";
        my @answer = <$s>;
        print $answer[-1] if $answer[0] =~ / 200 /;' "$port" 2>/dev/null || true
}

# Prints the absolute path of a file in nginx.conf. NGINX reads relative paths from the folder of nginx.conf: FILE.
host_path() {
    local file="$1"
    case $file in /*) echo "$file" ;; *) echo "/etc/nginx/$file" ;; esac
}

fingerprint() { openssl x509 -noout -fingerprint -sha256 2>/dev/null | cut -d= -f2; }

# Prints the fingerprint of the certificate that a client gets: NAME CHAIN. The client supports only the key type of
# CHAIN, and makes a full handshake.
served_fingerprint() {
    local name="$1" chain="$2" address=127.0.0.1:443 algorithms
    case $(openssl x509 -noout -text -in "$chain" 2>/dev/null) in
    *"Public Key Algorithm: rsaEncryption"*) algorithms=RSA-PSS+SHA256:RSA+SHA256:RSA-PSS+SHA512:RSA+SHA512 ;;
    *"Public Key Algorithm: id-ecPublicKey"*) algorithms=ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512 ;;
    *) algorithms=ed25519 ;;
    esac
    timeout 5 openssl s_client -connect "$address" -servername "$name" -sigalgs "$algorithms" </dev/null 2>/dev/null |
        fingerprint || true
}

# Reports whether clients get the certificate of a file: NAME CHAIN. The `pair:` check of drift.sh reports an unreadable
# file.
serves() {
    local name="$1" chain="$2"
    [ "$(served_fingerprint "$name" "$chain")" = "$(fingerprint <"$chain")" ]
}

# Prints the names of the sysctls that a release sets: FOLDER.
kernel_settings() {
    local folder="$1"
    sed -n 's/^\([^ #]*\) = .*/\1/p' "$folder/sysctl.conf"
}

# Prints how many files NGINX may open on this host: the smaller limit of its unit and of the init process.
open_files() {
    {
        systemctl show -p LimitNOFILE --value nginx
        sed -n 's/^Max open files  *[^ ]*  *\([^ ]*\).*/\1/p' /proc/1/limits
    } | grep . | sed 's/infinity\|unlimited/1048576/' | sort -n | head -n 1
}

has_ipv6() { [ -e /proc/net/if_inet6 ]; }

# Prints the ID of NGINX's main process. After an upgrade on the fly, systemd names the old process until it ends.
nginx_main() { cat /run/nginx.pid 2>/dev/null || systemctl show -p MainPID --value nginx; }

# Prints the interface that carries this host's own address.
interface() { ip -o -4 address show to "$own_address" | awk '{ print $2; exit }'; }

# Prints the interface of the smallest network of this host that holds the virtual IP, with that network.
virtual_ip_network() {
    ip -4 route show to match "$virtual_ip" scope link | awk '
        { split($1, network, "/"); if (network[2] + 0 >= widest + 0) { widest = network[2]; found = $0 } }
        END { if (found != "") print found }' | sed 's/^\([^ ]*\) dev \([^ ]*\).*/\2 \1/'
}

has_filter() { nft list table ip "$vrrp_table" >/dev/null 2>&1; }

# Deletes the packet filter of VRRP. The unit of keepalived cannot do this after its drop-in is removed.
delete_filter() { nft delete table ip "$vrrp_table" 2>/dev/null || true; }

# Reports whether this host holds a virtual IP: ADDRESS.
holds_virtual_ip() {
    local address="$1"
    ip -o -4 address show to "$address" | grep -q .
}

# Prints the virtual IP of the release that is served.
current_virtual_ip() { sed -n 's|^ *\([0-9.]*\)/32 dev .*|\1|p' "$current/keepalived.conf" 2>/dev/null || true; }

# Prints the addresses to which keepalived sends, the configured peer first.
current_peers() { sed -n '/unicast_peer {/,/}/s/^ *\([0-9.]*\)$/\1/p' "$current/keepalived.conf" 2>/dev/null || true; }

# Prints the recorded owner of this host.
recorded_owner() { cat "$state/owner" 2>/dev/null || true; }

# Reports whether the host belongs to another load balancer, of this stack or of another one. Earlier versions recorded
# RESOURCE@ADDRESS alone as the owner.
is_of_another() {
    case $(recorded_owner) in
    "" | "${owner%/*}"/* | "${owner##*/}") return 1 ;;
    esac
}
