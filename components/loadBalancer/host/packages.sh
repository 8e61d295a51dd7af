# shellcheck shell=sh disable=SC2154,SC3043
# Installs the packages of the load balancer, and removes them again.

# Packages that this run installed, one line each.
installed_now=

# Files that dpkg and apt lock.
package_locks="/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock"

# Prints the process that holds a lock of dpkg or apt, or nothing. The kernel names a locked file by its inode, which
# other file systems may have too.
lock_holder() {
    local file process
    for file in $package_locks; do
        awk -v inode=":$(stat -c %i "$file" 2>/dev/null)$" '$6 ~ inode { print $5 }' /proc/locks |
            while read -r process; do
                [ -z "$(find "/proc/$process/fd" -lname "$file" 2>/dev/null)" ] ||
                    echo "$(cat "/proc/$process/comm") (process $process)"
            done
    done | head -n 1
}

# Waits until no other process holds a lock of dpkg or apt, or fails at the deadline of this run.
wait_for_packages() {
    local holder said=
    while holder=$(lock_holder) && [ -n "$holder" ]; do
        [ "$holder" = "$said" ] || say "waiting for $holder, which holds the lock of dpkg"
        said=$holder
        is_in_time || return 1
        sleep 2
    done
}

# Runs apt-get again while another process is in its way: VERB OPTION... PACKAGE... Its output goes to VERB.log.
apt() {
    local log="$stage/$1.log"
    until wait_for_packages && apt-get -q -y --no-install-recommends -o DPkg::Options::=--force-confold "$@" \
        >"$log" 2>&1; do
        # A killed run of this program may have begun to install packages.
        if [ -s "$state/packages" ] && grep -qs "dpkg was interrupted" "$log"; then
            wait_for_packages && dpkg --configure -a >>"$log" 2>&1 || return 1
        elif ! grep -qs "Could not get lock" "$log"; then
            return 1
        fi
        is_in_time || return 1
        sleep 2
    done
}

# Ends an apply that cannot install packages: MISSING VERB (of apt-get).
packages_failed() {
    local missing="$1" verb="$2" log="$stage/$2.log" holder
    holder=$(lock_holder)
    [ -z "$holder" ] || abort packages "packages could not be installed:$missing. Expected the lock of dpkg within \
timeoutSeconds ($timeout_seconds), found it held by $holder. Run this again when that process has ended"
    abort packages "packages could not be installed:$missing. The end of what apt-get $verb said:
$(grep -h '^[WE]: ' "$stage"/*.log 2>/dev/null; tail -n 8 "$log" 2>/dev/null)
Check its package sources and network"
}

# Masks NGINX, so that its package does not start its default site.
mask_nginx() { systemctl -q mask --runtime nginx 2>/dev/null; }
unmask_nginx() { systemctl -q unmask --runtime nginx 2>/dev/null || true; }

install_packages() {
    # A killed run may have left the mask.
    unmask_nginx
    install_missing nginx openssl logrotate ${virtual_ip:+keepalived nftables}
    [ -z "$stream" ] || has_stream || {
        install_missing libnginx-mod-stream
        # Debian 11 installs it with NGINX. After an upgrade to Debian 12, apt autoremove would remove it.
        apt-mark manual libnginx-mod-stream >/dev/null 2>&1 || true
    }
}

# Reports whether NGINX has the module stream built in, as that of nginx.org has.
has_stream() { ! nginx -V 2>&1 | grep -q -e --with-stream=dynamic; }

# Installs those of these packages that are missing: PACKAGE...
install_missing() {
    local package new missing=
    for package in "$@"; do
        installed "$package" || missing="$missing $package"
    done
    if [ -z "$missing" ]; then return; fi
    say "installing$missing"
    # A source of foreign packages may fail, because the packages of the load balancer come from other sources.
    apt update || say "apt-get update failed: $(grep -hm 1 '^[WE]: ' "$stage/update.log" 2>/dev/null)"
    # shellcheck disable=SC2086 # a list
    apt install --simulate $missing || packages_failed "$missing" install
    new=$(new_packages <"$stage/install.log")
    # shellcheck disable=SC2086 # a list
    installed_now=$(printf '%s\n' $installed_now $new)
    # The list is recorded before the installation, so that a killed run leaves it for `destroy`.
    echo "$new" | append "$state/packages" || abort host-storage "$state cannot be written. Make space on its disk"
    case $missing in *nginx*) mask_nginx ;; esac
    # shellcheck disable=SC2086 # a list
    apt install $missing || packages_failed "$missing" install
    unmask_nginx
    rm -f "$stage"/*.log
}

# Removes the packages that this run installed, on a host that served before.
withdraw_packages() {
    [ -n "$installed_now" ] || return 0
    # shellcheck disable=SC2086 # a list
    if wait_for_packages && dpkg --purge $installed_now >/dev/null 2>&1; then
        { grep -vxF "$installed_now" "$state/packages" || true; } | write "$state/packages"
    else
        say "the new packages stay until destroy: $(echo "$installed_now" | paste -sd' ')"
    fi
}

# Lists the new packages of apt's simulation. Packages that are only upgraded have a line `Inst NAME [OLD] (NEW …)`.
new_packages() { sed -n 's/^Inst \([^ ]*\) (.*/\1/p'; }

# Reports whether the load balancer installed a package: PACKAGE.
brought() {
    local package="$1"
    grep -qx "$package" "$state/packages" 2>/dev/null
}

# Prints the first line of dpkg's report that names a package which needs this one. Reads the whole report, because the
# shell reports an error when its reader ends early: PACKAGE.
needed_by() {
    local package="$1"
    awk -v words="depends on $package" '
        { at = index($0, words) }
        at && substr($0, at + length(words), 1) ~ /^[ .;]?$/ && !found++ { sub(/^ */, ""); print }'
}

remove_packages() {
    local service report package
    [ -s "$state/packages" ] || return 0
    say "removing packages"
    wait_for_packages || true
    for service in nginx keepalived; do
        brought "$service" || continue
        systemctl -q disable --now "$service" 2>/dev/null || true
        systemctl -q reset-failed "$service" 2>/dev/null || true
    done
    # dpkg, unlike apt, refuses to remove packages that a foreign package needs. These packages stay.
    # shellcheck disable=SC2046 # a list
    report=$(dpkg --purge $(sort -u "$state/packages") 2>&1 >/dev/null) || true
    sort -u "$state/packages" | while read -r package; do
        is_on_host "$package" || continue
        case $package in
        nginx* | keepalived)
            fail packages "the packages that came with the load balancer cannot be removed: \
$(echo "$report" | awk '!/^ / && lines++ < 3')" ;;
        *) say "the package $package stays: $(echo "$report" | needed_by "$package")" ;;
        esac
    done || exit 1
    ! brought nginx || rm -rf /etc/nginx /var/log/nginx /var/lib/nginx
    ! brought keepalived || rm -rf /etc/keepalived
    ! brought logrotate || rm -rf /var/lib/logrotate
}
