# shellcheck shell=sh disable=SC2154,SC3043
# Keeps the virtual IP on the active host while systemd restarts keepalived. Packages and needrestart restart keepalived
# at each security update, and each move of the virtual IP cuts all WebSockets.
# keepalivedService.ts sets virtual_ip, router_id, priority, own_address, peer, interval, hold_interval and hold_seconds.
set -u

# Kills keepalived of the active host within a restart, and makes the peer wait. lo carries the virtual IP meanwhile.
# Three intervals of $hold_interval exceed the 12 s that the checks of the new keepalived may take. Outside of a restart,
# systemd ends keepalived.
stop() {
    local card
    card=$(card)
    is_restart && [ -n "$card" ] && ip address add "$virtual_ip/32" dev lo || return 0
    # shellcheck disable=SC2046 # a list
    if announce "$hold_interval" "$MAINPID" $(cat "/proc/$MAINPID/task/$MAINPID/children"); then
        release "$card"
    else
        release lo
    fi
}

# Waits until the new keepalived puts the virtual IP on the card, and takes the address from lo.
started() {
    on_lo || return 0
    allow "$hold_seconds"
    until [ -n "$(card)" ] || ! is_in_time; do sleep 0.1; done
    release lo
}

# Hands the virtual IP to the peer after a restart that failed. systemd also runs this verb within a restart, before it
# starts the new keepalived.
ended() {
    ! is_restart && on_lo || return 0
    release lo
    announce "$interval"
}

# Kills processes and sends one advertisement in their name: INTERVAL [PROCESS...]. The peer takes the virtual IP when it
# hears no other one for three of these intervals (VRRP 3, RFC 5798, section 6.1).
announce() {
    # shellcheck disable=SC2016 # variables of Perl
    perl -MSocket -e '
        my ($own, $peer, $virtual_ip) = map { inet_aton($_) } splice @ARGV, 0, 3;
        my ($router_id, $priority, $interval, @processes) = @ARGV;
        socket my $socket, PF_INET, SOCK_RAW, 112 or die $!;
        setsockopt $socket, 0, IP_TTL, pack "i", 255 or die $!;
        bind $socket, sockaddr_in(0, $own) or die $!;
        my $packet = pack "C4 n2 a4", 0x31, $router_id, $priority, 1, $interval * 100, 0, $virtual_ip;
        my $sum = unpack "%32n*", pack "a4 a4 n2 a*", $own, $peer, 112, length $packet, $packet;
        $sum = ($sum & 0xffff) + ($sum >> 16) for 1, 2;
        substr $packet, 6, 2, pack "n", ~$sum & 0xffff;
        # A stopped process neither replaces nor outlives another one.
        kill $_, @processes for "STOP", "KILL";
        send $socket, $packet, 0, sockaddr_in(0, $peer) or die $!;
    ' "$own_address" "$peer" "$virtual_ip" "$router_id" "$priority" "$@"
}

is_restart() { systemctl list-jobs --no-legend keepalived.service | grep -q ' restart '; }
on_lo() { ip -o -4 address show dev lo to "$virtual_ip" | grep -q .; }

# Takes the virtual IP from an interface: INTERFACE.
release() {
    local interface="$1"
    ip address delete "$virtual_ip/32" dev "$interface"
}

# Prints the interface on which keepalived put the virtual IP, or nothing.
card() { ip -o -4 address show to "$virtual_ip" | awk '$2 != "lo" { print $2; exit }'; }

"$1"
