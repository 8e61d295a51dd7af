# shellcheck shell=sh disable=SC2034,SC2154,SC3043
# Checks whether a certificate can be served. The host's program and the script that reloads renewed certificates hold
# this file.

# Holds the digest of the files of another tool that NGINX read last. It outlives a boot, after which NGINX reads them again.
loaded_certificate=/var/lib/pulumi-rancher-ha/load-balancer/certificate

# Prints a digest of a certificate and its key: CHAIN KEY.
certificate_digest() {
    local chain="$1" key="$2"
    cat "$chain" "$key" 2>/dev/null | sha256sum
}

# Prints the first fault of a certificate for clients of $hostname: CHAIN KEY. NGINX accepts most of these faults, and
# then handshakes fail. Each check prints its own fault.
certificate_fault() {
    local chain="$1" key="$2"
    {
        has_files "$chain" "$key" && has_its_key "$chain" "$key" && covers_hostname "$chain" &&
            is_in_its_time "$chain" && is_in_order "$chain" && is_for_clients "$chain" && is_signed "$chain"
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
    local chain="$1" reason
    reason=$(time_fault "$chain")
    case $reason in
    "") return ;;
    *" 0 depth "*) echo "the certificate $chain is valid $(validity "$chain"). Renew the certificate, or set the clock" ;;
    *) echo "the chain $chain holds an issuer that is not valid now, on $(date -u): $reason. Renew the chain, or set the clock" ;;
    esac
    return 1
}

# Checks that the issuer of the first certificate is in the file. The order of the others is free, as for clients.
is_in_order() {
    local chain="$1" disorder
    disorder=$(certificates_of "$chain" | awk -F '\t' '
        NR == 1 { first = $3; issuer = $2; next }
        $3 == first { next }
        { if (found == "") found = $1; if ($1 == issuer) known = 1 }
        END { if (found != "" && !known) print "expected the certificate of " issuer ", found " found }')
    [ -n "$disorder" ] || return 0
    echo "the chain $chain is not in order: $disorder"
    return 1
}

# Checks what browsers and Go clients refuse in a certificate, although NGINX and OpenSSL accept it: CHAIN. The rules are
# those of components/certificates/clientRules.ts, because this host has no Node.
is_for_clients() {
    local chain="$1" fault
    fault=$(openssl x509 -noout -text -in "$chain" | awk '
        function refuse(expected, found) { if (fault == "") fault = "expected " expected ", found " found }
        /^ *Issuer: / { issuer = $0; sub(/^ *Issuer: */, "", issuer) }
        /^ *Subject: / { subject = $0; sub(/^ *Subject: */, "", subject) }
        /^ *Serial Number: *-|^ *\(Negative\)/ { refuse("a positive serial number", "a negative one") }
        /^ *Signature Algorithm: / && signature == "" { signature = $3 }
        /^ *Hash Algorithm: / && digest == "" { digest = $3 }
        /^ *Salt Length: / && salt == "" { salt = $3 }
        /^ *Public Key Algorithm: / { type = $4 }
        /Public-Key: \([0-9]+ bit/ { bits = $0; gsub(/[^0-9]/, "", bits) }
        /^ *ASN1 OID: / { curve = $3 }
        /^ *X509v3 Key Usage:/ { getline; if (!/Digital Signature/) refuse("the key usage Digital Signature", $0) }
        /^ *X509v3 Extended Key Usage:/ { getline; if (!/Web Server/) refuse("a certificate for servers", $0) }
        /^ *TLS Feature:/ { refuse("a certificate without must-staple", "TLS Feature") }
        END {
            if (type == "rsaEncryption") { if (bits < 2048 || bits > 8192) refuse("an RSA key of 2048 to 8192 bits", bits) }
            else if (type != "id-ecPublicKey") refuse("an RSA or ECDSA key", type)
            else if (curve !~ /^(prime256v1|secp384r1)$/) refuse("an ECDSA key on P-256 or P-384", curve)
            if (signature == "rsassaPss") signature = signature "-" digest "-" salt
            if (subject != issuer && signature !~ /^(sha(256|384|512)WithRSAEncryption|ecdsa-with-SHA(256|384|512)|ED25519)$/ &&
                signature !~ /^rsassaPss-(sha256-0x20|sha384-0x30|sha512-0x40)$/)
                refuse("a signature with SHA-256, SHA-384 or SHA-512", signature)
            gsub(/  +/, " ", fault)
            print fault
        }')
    [ -n "$fault" ] || return 0
    echo "clients do not accept the certificate $chain: $fault"
    return 1
}

# Prints SUBJECT, ISSUER and PEM of each certificate as a line of fields: FILE. The PEM has \ for line breaks.
certificates_of() {
    local file="$1"
    openssl crl2pkcs7 -nocrl -certfile "$file" | openssl pkcs7 -print_certs | awk '
        sub(/^subject=/, "") { subject = $0 }
        sub(/^issuer=/, "") { issuer = $0 }
        /^-----BEGIN/ { pem = "" }
        /^-----BEGIN/, /^-----END/ { pem = pem $0 "\\" }
        /^-----END/ { print subject "\t" issuer "\t" pem }'
}

# Checks the signatures, and what clients check, from the issuers without an issuer in the file down to the first
# certificate.
is_signed() {
    local chain="$1" report reason
    report=$(tops_of "$chain" |
        openssl verify -purpose sslserver -no_check_time -partial_chain -trusted /dev/stdin -untrusted "$chain" "$chain" 2>&1) && return
    reason=$(echo "$report" | grep -m 1 '^error')
    case $reason in
    "error 2 "* | "error 7 "* | "error 20 "* | "error 21 "*)
        echo "the chain $chain does not hold: a certificate is not signed with the key of the next: $reason"
        ;;
    *) echo "the chain $chain does not hold, so no client accepts it: $reason" ;;
    esac
    return 1
}

# Prints the certificates that sign themselves, or whose issuer is not in the file: FILE.
tops_of() {
    local file="$1"
    certificates_of "$file" | awk -F '\t' '
        { subject[NR] = $1; issuer[NR] = $2; pem[NR] = $3; known[$1] = 1 }
        END {
            for (i = 1; i <= NR; i++)
                if ((i > 1 || NR == 1) && (subject[i] == issuer[i] || !known[issuer[i]])) {
                    gsub(/\\/, "\n", pem[i])
                    printf "%s", pem[i]
                }
        }'
}

# Reports whether the clock of this host is within the dates of a certificate and of its issuers in the file: FILE.
is_valid_now() {
    local file="$1"
    [ -z "$(time_fault "$file")" ]
}

# Prints why OpenSSL finds a certificate, or else an issuer in the file, not valid yet or expired: FILE [SECONDS FROM NOW].
time_fault() {
    local file="$1" later="${2:-}"
    openssl verify -ignore_critical ${later:+-attime "$(($(date +%s) + later))"} -partial_chain -trusted "$file" "$file" 2>&1 |
        grep -E '^error (9|10) at' | sort -n -k 4 | head -n 1 || true
}

# Prints the dates of a certificate as `from DATE to DATE`, with the time of this host: FILE.
validity() {
    local file="$1" dates
    dates=$(openssl x509 -noout -dates -in "$file" | sed 's/^[a-zA-Z]*=//' | paste -sd'|' | sed 's/|/ to /')
    echo "from $dates, and the clock of this host says $(date -u)"
}
