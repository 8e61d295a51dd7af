# shellcheck shell=sh disable=SC2154,SC3043
# Reloads NGINX once the certificate that another tool keeps in $certificate_chain and $private_key can be served.
set -eu

find_fault() {
    local fault
    fault=$(certificate_fault "$certificate_chain" "$private_key")
    [ -n "$fault" ] || nginx -t -q 2>/dev/null || fault="NGINX refuses the certificate $certificate_chain, see nginx -t"
    echo "$fault"
}

digest() { certificate_digest "$certificate_chain" "$private_key"; }

fault=
# After the first pause, files that are written together are complete. The next pauses wait until both files are valid.
# The loop checks once more after a reload, because systemd does not watch the files meanwhile.
for pause in 1 5 5 5 5 5 5 5 5 5 5 5; do
    sleep "$pause"
    before=$fault
    checked=$(digest)
    fault=$(find_fault)
    [ -z "$fault" ] || [ "$fault" = "$before" ] || echo "$fault. NGINX goes on with the certificate it has" >&2
    # NGINX must not read files that came during the check.
    if [ -z "$fault" ] && [ "$(digest)" = "$checked" ]; then
        [ "$checked" != "$(cat "$loaded_certificate" 2>/dev/null)" ] || exit 0
        systemctl try-reload-or-restart nginx
        # Without this file, for example on a full disk, a later check reloads NGINX once more.
        echo "$checked" >"$loaded_certificate" || true
    fi
done
[ -z "$fault" ]
