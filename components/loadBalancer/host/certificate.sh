# shellcheck shell=sh disable=SC2034,SC2154,SC3043
# Checks whether a certificate can be served. The host's program and the script that reloads renewed certificates hold
# this file.

# Holds the digest of the renewed certificate that NGINX read last.
loaded_certificate=/run/rancher-ha-certificate

# Prints the first fault of a certificate for clients of $hostname: CHAIN KEY. NGINX accepts most of these faults, and
# then handshakes fail. Each check prints its own fault.
certificate_fault() {
    local chain="$1" key="$2"
    {
        has_files "$chain" "$key" && has_its_key "$chain" "$key" && covers_hostname "$chain" &&
            is_in_its_time "$chain" && is_in_order "$chain" && is_signed "$chain"
    } || true
}

has_files() {
    local file
    for file in "$@"; do
        [ -e "$file" ] || { echo "expected a PEM file $file, found none"; return 1; }
    done
}

has_its_key() {
    local chain="$1" key="$2" error
    if ! error=$(openssl x509 -noout -in "$chain" 2>&1); then
        echo "the certificate $chain is not readable: $error"
    elif ! openssl pkey -noout -in "$key" 2>/dev/null; then
        echo "the private key $key is not readable"
    elif ! belong_together "$chain" "$key"; then
        echo "the private key $key does not belong to the certificate $chain"
    else
        return 0
    fi
    return 1
}

# Reports whether a certificate and a key can be read and are a pair: CHAIN KEY.
belong_together() {
    local chain="$1" key="$2" of_chain
    of_chain=$(openssl x509 -noout -pubkey -in "$chain" 2>/dev/null) &&
        [ "$of_chain" = "$(openssl pkey -pubout -in "$key" 2>/dev/null)" ]
}

covers_hostname() {
    local chain="$1" names
    names=$(openssl x509 -noout -ext subjectAltName -in "$chain" 2>/dev/null | sed -n '2s/^ *//p')
    # OpenSSL falls back to the subject, which browsers and agents ignore.
    case $names in
    *DNS:*) ! openssl x509 -noout -checkhost "$hostname" -in "$chain" | grep -q 'does match' || return 0 ;;
    esac
    echo "the certificate $chain does not cover $hostname: ${names:-it has no subjectAltName}"
    return 1
}

is_in_its_time() {
    local chain="$1"
    is_valid_now "$chain" && return
    echo "the certificate $chain is valid $(validity "$chain"). Renew the certificate, or set the clock"
    return 1
}

# Checks that each certificate is followed by its issuer.
is_in_order() {
    local chain="$1" disorder
    disorder=$(openssl crl2pkcs7 -nocrl -certfile "$chain" | openssl pkcs7 -print_certs -noout | awk '
        /^subject=/ {
            sub(/^subject=/, "")
            if (issuer != "" && $0 != issuer) print "expected the certificate of " issuer ", found " $0
        }
        /^issuer=/ { sub(/^issuer=/, ""); issuer = $0 }')
    [ -n "$disorder" ] || return 0
    echo "the chain $chain is not in order: $disorder"
    return 1
}

# Checks the signatures from the last certificate to the first.
is_signed() {
    local chain="$1" report
    report=$(awk '/BEGIN CERT/ { text = "" } { text = text $0 "\n" } END { printf "%s", text }' "$chain" |
        openssl verify -no_check_time -partial_chain -trusted /dev/stdin -untrusted "$chain" "$chain" 2>&1) && return
    echo "the chain $chain does not hold: a certificate is not signed with the key of the next: \
$(echo "$report" | grep -m 1 '^error')"
    return 1
}

# Reports whether the clock of this host is within the dates of a certificate: FILE.
is_valid_now() {
    local file="$1"
    openssl verify -partial_chain -trusted "$file" "$file" >/dev/null 2>&1
}

# Prints the dates of a certificate as `from DATE to DATE`, with the time of this host: FILE.
validity() {
    local file="$1" dates
    dates=$(openssl x509 -noout -dates -in "$file" | sed 's/^[a-zA-Z]*=//' | paste -sd'|' | sed 's/|/ to /')
    echo "from $dates, and the clock of this host says $(date -u)"
}
