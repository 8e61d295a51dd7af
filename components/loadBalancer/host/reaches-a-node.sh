# shellcheck shell=sh disable=SC2154,SC3043
# Fails when no node answers this host and one answers the peer. A lower priority would have no effect: with `nopreempt`
# a host keeps the virtual IP whatever its priority is.
answers() {
    local address="$1"
    is_of_a_node "$(status_of_ping "$address")"
}
answers 127.0.0.1 || ! answers "$peer"
