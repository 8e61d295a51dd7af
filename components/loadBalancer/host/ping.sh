# shellcheck shell=sh disable=SC2154,SC3043
# Reads a node's answer as a client of $hostname. The host's program and the check that keepalived runs hold this file.

# Prints the status of /ping through the NGINX at an address, or nothing without an answer: ADDRESS.
status_of_ping() {
    local address="$1"
    printf 'GET /ping HTTP/1.0\r\nHost: %s\r\n\r\n' "$hostname" |
        timeout 5 openssl s_client -quiet -connect "$address:443" -servername "$hostname" 2>/dev/null |
        sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p'
}

# Reports whether a status comes from a node. NGINX itself answers 502 and 504 for unreachable nodes: STATUS.
is_of_a_node() {
    local status="$1"
    case $status in "" | 502 | 504) return 1 ;; esac
}
