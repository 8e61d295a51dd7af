# shellcheck shell=sh disable=SC2154,SC3043
# Records the state of a host when a release goes live, in `key value` lines, and compares the host with it later.

keys() {
    local name place product chain key
    echo "link:$conf"
    echo "file:$conf"
    find "$current/" -name '*.pem' -printf '%p\n' | sed "s|^$current//*|file:$current/|" | sort
    echo "$places" | while read -r name place _; do [ ! -e "$current/$name" ] || echo "file:$place"; done
    kernel_settings "$current" | sed 's/^/kernel:/'
    [ ! -e "$current/keepalived.conf" ] || echo "filter:$vrrp_table"
    for product in $(products); do echo "package:$product"; done
    units "$current" | sed 's/^/unit:/'
    echo "$certificates" | while read -r chain key; do
        echo "served:$hostname:$(host_path "$chain")"
        case $chain in /*) echo "pair:$chain:$key" ;; esac
    done
    echo "workers:$status_port"
    echo "valid:$conf"
}

# Prints the present value of a key: KEY EXPECTED. While no worker runs, a value that only workers can report counts as
# expected. The `unit:` line reports the difference.
value() {
    local key="$1" expected="$2" name="${1#*:}"
    case $key in
    link:*) readlink "$name" || echo none ;;
    file:*)
        if [ -e "$name" ]; then
            echo "$(stat -Lc '%a %U:%G' "$name") $(sha256sum <"$name" | cut -d' ' -f1)"
        else
            echo missing
        fi ;;
    kernel:*) sysctl -n "$name" ;;
    filter:*) if has_filter; then echo present; else echo missing; fi ;;
    package:*) package_version "$name" | grep . || echo none ;;
    unit:*) echo "$(systemctl is-enabled "$name" 2>/dev/null) $(settled_state "$name")" ;;
    served:*) if ! active nginx || serves "${name%%:*}" "${name#*:}"; then echo yes; else echo no; fi ;;
    pair:*) if belong_together "${name%%:*}" "${name#*:}"; then echo yes; else echo no; fi ;;
    workers:*) if active nginx; then running_release "$name" | cut -d' ' -f1; else echo "$expected"; fi ;;
    valid:*) if is_valid; then echo yes; else echo no; fi ;;
    esac
}

# Reports whether NGINX would start again with the files on the disk. The check would create logs and a PID file that are
# missing, so a host without one of them counts as valid. So does a check that does not end.
is_valid() {
    local file code=0
    active nginx || return 0
    for file in /run/nginx.pid /var/log/nginx/access.log /var/log/nginx/error.log; do [ -e "$file" ] || return 0; done
    timeout 10 nginx -t -q 2>/dev/null || code=$?
    [ "$code" = 0 ] || [ "$code" = 124 ]
}

# Prints the state of a unit, once systemd has done what it does right now, for example a reload after a renewal: UNIT.
# A state that lasts longer than 10 s counts.
settled_state() {
    local unit="$1" found attempt=0
    while
        found=$(systemctl is-active "$unit" 2>/dev/null) || true
        is_passing "$found" && [ "$attempt" -lt 50 ]
    do
        attempt=$((attempt + 1))
        sleep 0.2
    done
    echo "$found"
}

is_passing() {
    local found="$1"
    case $found in activating | deactivating | reloading) ;; *) false ;; esac
}

manifest() {
    local key
    keys | while read -r key; do echo "$key $(value "$key" "")"; done
}

differences() {
    local key before now
    while read -r key before; do
        now=$(value "$key" "$before")
        [ "$now" = "$before" ] || only_updated "$key" "$before" "$now" || describe "$key" "$before" "$now"
    done <"$state/manifest"
}

# Reports whether a package was only updated, without a change that its configuration depends on: KEY BEFORE NOW.
only_updated() {
    local key="$1" before="$2" now="$3"
    case $key in
    package:nginx) [ "$(minor "$before")" = "$(minor "$now")" ] ;;
    package:*) [ "$before" != none ] && [ "$now" != none ] ;;
    *) false ;;
    esac
}

# Prints the first two numbers of a package's version: VERSION.
minor() {
    local version="$1"
    echo "$version" | sed 's/^[0-9]*://; s/^\([0-9]*\.[0-9]*\).*/\1/'
}

# Describes a difference: KEY BEFORE NOW.
describe() {
    local key="$1" before="$2" now="$3" name="${1#*:}"
    case $key in
    link:*) echo "$name: no longer a link to $before" ;;
    kernel:*) echo "kernel setting $name: $now, expected $before" ;;
    filter:*) echo "nftables table $name, which filters VRRP: $now, expected $before" ;;
    package:*) echo "$name: version $now, expected $before" ;;
    unit:*)
        [ "${now% *}" = "${before% *}" ] ||
            echo "$name: ${now% *}, expected ${before% *}" | sed 's/: ,/: missing,/'
        [ "${now#* }" = "${before#* }" ] || echo "$name: ${now#* }, expected ${before#* }" ;;
    served:*) echo "NGINX does not serve the certificate in ${name#*:}" ;;
    pair:*) echo "${name%%:*} and ${name#*:}: missing, not readable, or they do not belong together" ;;
    valid:*) echo "NGINX would not start again with the files on this host: see nginx -t" ;;
    workers:*) echo "running workers: release ${now:-unknown}, expected $before" ;;
    file:*)
        if [ "$now" = missing ]; then
            echo "$name: missing"
        else
            [ "${now% *}" = "${before% *}" ] || echo "$name: mode and owner ${now% *}, expected ${before% *}"
            [ "${now##* }" = "${before##* }" ] || echo "$name: content changed"
        fi ;;
    esac
}

# Lists faults that an apply does not repair, because only a person can judge them.
warnings() {
    warn_of_owner
    warn_of_drop_ins
    warn_of_certificates
}

warn_of_owner() {
    if is_of_another; then
        echo "this host belongs to $(recorded_owner): the next apply takes the host over, because takeOver is set"
    fi
}

warn_of_drop_ins() {
    local unit file
    for unit in $(units "$current"); do
        for file in $(systemctl show -p DropInPaths --value "$unit"); do
            # Drop-ins for all units of a type are those of the platform, for example of LXC in /run/systemd/system.
            case $file in */"${unit##*.}.d"/*) continue ;; esac
            echo "$places" | grep -q " $file " ||
                echo "$unit: the drop-in $file is not of this stack and may change how it runs. \
Remove it, or keep it knowingly"
        done
    done
}

warn_of_certificates() {
    local chain soon days
    sed -n 's/^pair:\([^:]*\):.* .*/\1/p' "$state/manifest" | while read -r chain; do
        [ -r "$chain" ] || continue
        days=$(days_of_warning "$chain")
        soon=$(time_fault "$chain" "$((days * 86400))")
        if ! is_valid_now "$chain"; then
            echo "$chain is valid $(validity "$chain"): users get an error. Look at the tool that renews it"
        else
            case $soon in
            "") ;;
            *" 0 depth "*) echo "$chain ends in less than $days days: it is valid $(validity "$chain"). \
Look at the tool that renews it" ;;
            *) echo "$chain holds an issuer that ends in less than $days days: $soon. \
Look at the tool that renews it" ;;
            esac
        fi
    done
}

# Prints the days before the end of a certificate from which a warning is given: FILE. They are $warn_days, or for a shorter
# lifetime a quarter of it, but at least 2. The rule is that of components/certificates/endings.ts.
days_of_warning() {
    local file="$1"
    openssl x509 -noout -startdate -enddate -in "$file" 2>/dev/null | cut -d= -f2 | date -f - +%s |
        awk -v most="$warn_days" '
            NR == 1 { start = $1 }
            NR == 2 { days = int(($1 - start) / 86400 / 4) }
            END { print days < 2 ? 2 : days < most ? days : most }'
}
