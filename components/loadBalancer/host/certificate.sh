# shellcheck shell=sh disable=SC2034,SC2154
# What keeps a certificate from being served. Part of the host's program, and of the one that reloads renewed certificates.

# Holds the digest of the renewed certificate that NGINX read last.
loaded_certificate=/run/rancher-ha-certificate

# Prints the first fault of CHAIN KEY for clients of $hostname. NGINX lets most of them pass, and then handshakes fail.
certificate_fault() {
    for file in "$1" "$2"; do
        [ -e "$file" ] || { echo "expected a PEM file $file, found none"; return; }
    done
    of_certificate=$(openssl x509 -noout -pubkey -in "$1" 2>&1) || { echo "the certificate $1 is not readable: $of_certificate"; return; }
    of_key=$(openssl pkey -pubout -in "$2" 2>/dev/null) || { echo "the private key $2 is not readable"; return; }
    [ "$of_certificate" = "$of_key" ] || { echo "the private key $2 does not belong to the certificate $1"; return; }
    # OpenSSL falls back to the subject, which browsers and agents do not look at.
    names=$(openssl x509 -noout -ext subjectAltName -in "$1" 2>/dev/null | sed -n '2s/^ *//p')
    { echo "$names" | grep -q DNS: && openssl x509 -noout -checkhost "$hostname" -in "$1" | grep -q 'does match'; } ||
        { echo "the certificate $1 does not cover $hostname: ${names:-it has no subjectAltName}"; return; }
    is_valid_now "$1" || { echo "the certificate $1 is valid $(validity "$1"). Renew the certificate, or set the clock"; return; }
    disorder=$(openssl crl2pkcs7 -nocrl -certfile "$1" | openssl pkcs7 -print_certs -noout | awk '
        /^subject=/ { sub(/^subject=/, ""); if (issuer != "" && $0 != issuer) print "expected the certificate of " issuer ", found " $0; next }
        /^issuer=/ { sub(/^issuer=/, ""); issuer = $0 }')
    [ -z "$disorder" ] || { echo "the chain $1 is not in order: $disorder"; return; }
    broken=$(awk '/BEGIN CERT/ { text = "" } { text = text $0 "\n" } END { printf "%s", text }' "$1" |
        openssl verify -no_check_time -partial_chain -trusted /dev/stdin -untrusted "$1" "$1" 2>&1) ||
        echo "the chain $1 does not hold: a certificate is not signed with the key of the next: $(echo "$broken" | grep -m 1 '^error')"
}

# Tells whether the clock of this host is within the dates of a certificate: FILE.
is_valid_now() { openssl verify -partial_chain -trusted "$1" "$1" >/dev/null 2>&1; }

# Prints the dates of a certificate as `from DATE to DATE`, with the time of this host: FILE.
validity() {
    echo "from $(openssl x509 -noout -dates -in "$1" | sed 's/^[a-zA-Z]*=//' | paste -sd'|' | sed 's/|/ to /'), and the clock of this host says $(date -u)"
}
