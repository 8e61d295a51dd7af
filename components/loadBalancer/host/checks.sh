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
    check_network
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
    if installed nginx || brought nginx; then return; fi
    other=$(command -v nginx) || {
        other=$(systemctl show -p FragmentPath --value nginx)
        # A removed package that was not purged leaves its unit behind.
        ! dpkg -S "$other" >/dev/null 2>&1 || other=
    }
    [ -n "$other" ] || return 0
    package=$(dpkg -S "$other" 2>/dev/null | cut -d: -f1 | grep . || echo "of no package")
    refuse host-not-fit "expected no NGINX or that of the package nginx, found $other ($package). \
Install the package nginx in its place, or choose another host"
}

check_ports() {
    local listeners
    listeners=$(foreign_listeners)
    [ -z "$listeners" ] || refuse host-not-fit "ports 80 and 443 must be free for NGINX, found another process on them:
$listeners
Stop it, or choose another host"
}

# Lists listeners of other processes on the ports of the load balancer.
foreign_listeners() {
    local listener process
    ss -Hltnp 'sport = :80 or sport = :443' | sed 's/ \+/ /g' | while read -r listener; do
        for process in $(echo "$listener" | grep -o 'pid=[0-9]*' | cut -d= -f2); do
            is_of_nginx "$process" || { echo "$listener"; break; }
        done
    done
}

# Refuses a host of a pair that lacks its own address, or a network with the virtual IP.
check_network() {
    local network addresses
    [ -n "$virtual_ip" ] || return 0
    addresses=$(ip -o -4 address show scope global | awk '{ print $4 }' | tr '\n' ' ')
    [ -n "$(interface)" ] || refuse host-not-fit "expected the address $own_address on an interface of this host, found $addresses. \
Give the host by the address that its peer sees"
    network=$(virtual_ip_network)
    addresses=$(ip -o -4 address show scope global | awk '{ print $2 " " $4 }' | paste -sd, | sed 's/,/, /g')
    [ -n "$network" ] || refuse host-not-fit "expected the virtual IP $virtual_ip in a network of this host, found $addresses. \
Choose an address of one of these networks"
    case "${network#* } $(ip -4 route get "$virtual_ip" 2>&1)" in
    "$virtual_ip/"* | *" broadcast "*) refuse host-not-fit "expected an address of a host as the virtual IP, found $virtual_ip, \
which is the network ${network#* } itself or its broadcast address. Choose another one" ;;
    esac
}
