# shellcheck shell=sh disable=SC2154,SC3043
# What a client of $hostname gets from a node. Part of the host's program, and of the check that keepalived runs.

# Prints the status of /ping through the NGINX at an address, nothing without an answer: ADDRESS.
status_of_ping() {
    local address="$1"
    printf 'GET /ping HTTP/1.0\r\nHost: %s\r\n\r\n' "$hostname" |
        timeout 5 openssl s_client -quiet -connect "$address:443" -servername "$hostname" 2>/dev/null |
        sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p'
}

# Tells whether a status comes from a node. NGINX itself answers 502 and 504 for nodes that it does not reach: STATUS.
is_of_a_node() { case $1 in "" | 502 | 504) return 1 ;; esac }
