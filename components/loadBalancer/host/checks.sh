# shellcheck shell=sh disable=SC2154,SC3043
# Checks that this host can become a load balancer. Each check refuses the host before anything is changed.

check_owner() {
    if ! is_of_another; then return 0; fi
    [ -n "$take_over" ] || refuse other-owner "expected a host of no other load balancer, found that of $(recorded_owner). \
To apply ${owner%/*} here would take the host from its users. \
Correct the address, or set takeOver to take the host over"
    say "taking the host over from $(recorded_owner)"
}

check_host() {
    check_system
    check_user
    check_systemd
    check_nginx_package
    check_ports
    check_pair
}

check_system() {
    # shellcheck source=/dev/null
    . /etc/os-release
    case " $ID ${ID_LIKE:-} " in
    *" debian "* | *" ubuntu "*) ;;
    *) refuse host-not-fit "expected Debian or Ubuntu, found ${PRETTY_NAME:-$ID}" ;;
    esac
}

check_user() { [ "$(id -u)" = 0 ] || refuse host-not-fit "expected root, found $(id -un)"; }

check_systemd() { [ -d /run/systemd/system ] || refuse host-not-fit "expected systemd to run this host"; }

# Refuses an NGINX from outside the package `nginx`, because `destroy` could not restore it.
check_nginx_package() {
    local other package
    if is_on_host nginx || brought nginx; then return; fi
    other=$(command -v nginx) || {
        other=$(systemctl show -p FragmentPath --value nginx)
        # A removed package that was not purged leaves its unit behind.
        ! dpkg -S "$other" >/dev/null 2>&1 || other=
    }
    [ -n "$other" ] || return 0
    package=$(dpkg -S "$other" 2>/dev/null | sed -n '/^diversion by /!s/:.*//p' | grep . || echo "of no package")
    refuse host-not-fit "expected no NGINX or that of the package nginx, found $other ($package). \
Install the package nginx in its place, or choose another host"
}

check_ports() {
    local listeners
    listeners=$(foreign_listeners)
    [ -z "$listeners" ] || refuse host-not-fit "ports $ports must be free for NGINX, found another process on them:
$listeners
Stop it, or choose another host"
}

# Lists the ports that the load balancer opens. The variable is for people: "80, 443 and 6443".
port_numbers() { echo "$ports" | grep -o '[0-9]*'; }

# Lists listeners of other processes on the ports of the load balancer.
foreign_listeners() {
    local listener process
    # A line break in the filter is an error for ss.
    ss -Hltnp "$(port_numbers | sed 's/^/sport = :/; $!s/$/ or/' | tr '\n' ' ')" | sed 's/ \+/ /g' | while read -r listener; do
        for process in $(echo "$listener" | grep -o 'pid=[0-9]*' | cut -d= -f2); do
            is_of_nginx "$process" || { echo "$listener"; break; }
        done
    done
}

# Refuses a host that cannot be one of a pair.
check_pair() {
    [ -n "$virtual_ip" ] || return 0
    check_keepalived_package
    check_network
}

# Refuses a keepalived that has other keywords, whether it is installed or would be.
check_keepalived_package() {
    local version
    version=$(package_version keepalived | grep . || apt-cache policy keepalived 2>/dev/null | sed -n 's/^ *Candidate: //p')
    case $version in "" | "(none)") return 0 ;; esac
    dpkg --compare-versions "$version" ge 1:2.1 || refuse host-not-fit "expected keepalived 2.1 or later for a virtual IP, \
found $version. Install Debian 11 or Ubuntu 22.04 or later on this host"
}

# Refuses a host of a pair that lacks its own address, or a network with the virtual IP.
check_network() {
    local network addresses
    addresses=$(ip -o -4 address show scope global | awk '{ print $4 }' | tr '\n' ' ')
    [ -n "$(interface)" ] || refuse host-not-fit "expected the address $own_address on an interface of this host, found $addresses. \
Set internalAddress of this host to the address by which its peer reaches it"
    network=$(virtual_ip_network)
    addresses=$(ip -o -4 address show scope global | awk '{ print $2 " " $4 }' | paste -sd, | sed 's/,/, /g')
    [ -n "$network" ] || refuse host-not-fit "expected the virtual IP $virtual_ip in a network of this host, found $addresses. \
Choose an address of one of these networks"
    case "${network#* } $(ip -4 route get "$virtual_ip" 2>&1)" in
    "$virtual_ip/"* | *" broadcast "*) refuse host-not-fit "expected an address of a host as the virtual IP, found $virtual_ip, \
which is the network ${network#* } itself or its broadcast address. Choose another one" ;;
    esac
    # A packet filter accepts VRRP from the same link only.
    case $(ip -4 route get "$peer" 2>&1) in
    *" via "*) refuse host-not-fit "expected the other host $peer in a network of this host, found it behind a router. \
Give both hosts by addresses of one network" ;;
    esac
}

# Prints the hardware address that answers at the virtual IP before this host has it. The answer may come from the peer,
# so only the results of both hosts together tell whether the address is taken (observation.ts).
answer_at_new_virtual_ip() {
    local network
    [ -n "$virtual_ip" ] && [ "$virtual_ip" != "$(current_virtual_ip)" ] && ! holds_virtual_ip "$virtual_ip" || return 0
    network=$(virtual_ip_network)
    arp_answer "$virtual_ip" "${network% *}"
}

# Prints the hardware address that answers for an address on an interface: ADDRESS INTERFACE. A request without the
# sender's address changes no neighbour's table (RFC 5227).
arp_answer() {
    local address="$1" interface="$2" card
    card=$(ip -o link show dev "$interface" 2>/dev/null | sed -n 's|^\([0-9]*\): .* link/ether \([0-9a-f:]*\) .*|\1 \2|p')
    # shellcheck disable=SC2016 # variables of Perl
    timeout 3 perl -MSocket -e '
        my ($address, $index, $own) = @ARGV;
        my ($link, $arp, $ipv4) = (17, 0x0806, 0x0800);
        my $place = sub { pack "S n i S C C a8", $link, $arp, $index, 0, 0, 6, $_[0] };
        my $card = pack "H12", $own =~ s/://gr;
        my $request = pack "n n C C n a6 a4 a6 a4", 1, $ipv4, 6, 4, 1, $card, "", "", inet_aton($address);
        socket my $socket, $link, SOCK_DGRAM, unpack("S", pack "n", $arp) or exit;
        bind $socket, $place->("") or exit;
        for (1 .. 3) {
            send $socket, $request, 0, $place->("\xff" x 6) or exit;
            my $until = time + 1;
            while (time < $until) {
                vec(my $ready = "", fileno $socket, 1) = 1;
                select $ready, undef, undef, 0.3 or last;
                recv $socket, my $answer, 64, 0;
                my (undef, undef, undef, undef, undef, $sender, $of) = unpack "n n C C n a6 a4", $answer;
                next unless $of eq inet_aton($address) and $sender ne $card;
                print join(":", unpack "(H2)6", $sender), "\n";
                exit;
            }
        }' "$address" "${card% *}" "${card#* }" 2>/dev/null || true
}
